"""Pixel metrics and CPBD against recorded numbers."""

import numpy as np
import pytest

from talkhead.evaluation.cpbd import canny_edges, cpbd, edge_widths, sobel_edges
from talkhead.evaluation.pixels import PixelScores, psnr_of, to_gray


@pytest.fixture(scope="module")
def scored(inputs):
    real, fake = inputs.clip_pair()
    scores = PixelScores(("wang2004-rgb", "skimage-default"))
    return scores, [scores.add(*pair) for pair in zip(fake, real, strict=True)]


def test_l1_psnr_ssim(scored, golden, assert_close):
    recorded, (scores, frames) = golden["pixel"], scored
    by_definition = {m.definition: m.value for m in scores.measurements()}
    assert_close([f.l1 for f in frames], recorded["l1_per_frame"], 1e-6, "l1 per frame")
    assert_close(by_definition["l1/0-255"], recorded["l1_0_255"], 1e-6, "l1")
    assert_close([f.psnr for f in frames], recorded["psnr_per_frame"], 1e-4, "psnr per frame, dB")
    assert_close(by_definition["psnr/frame"], recorded["psnr_mean_of_frames"], 1e-4, "psnr/frame, dB")
    assert_close(by_definition["psnr/pooled"], recorded["psnr_pooled_mse_headgan"], 1e-4, "psnr/pooled, dB")
    wang, uniform = np.array([f.ssim for f in frames]).T
    assert_close(wang, recorded["ssim"]["wang2004_rgb_gauss15_popcov"], 1e-6, "ssim/wang2004-rgb")
    assert_close(uniform, recorded["ssim"]["skimage_default_rgb_win7_uniform_samplecov"], 1e-6, "ssim/skimage-default")


def test_gray(inputs, golden, assert_close):
    pairs = zip(*inputs.clip_pair(), strict=True)
    errors = [np.mean((to_gray(real).astype(float) - to_gray(fake)) ** 2) for real, fake in pairs]
    assert_close([psnr_of(e) for e in errors], golden["pixel"]["psnr_gray_pil_per_frame"], 1e-4, "psnr of gray, dB")


@pytest.mark.parametrize("case", ["sharp_256", "blur08_256", "blur16_256", "blur30_256", "lowcontrast_256"]
                         + ["odd_200x264", "noisy_256"])  # fmt: skip
def test_cpbd(inputs, golden, assert_close, case):
    name = f"cpbd_{case}"
    frame, recorded = inputs.gray_scene(name, **inputs.CASES[name]), golden["cpbd"][name]
    gray = frame.astype(np.float64)
    edges = sobel_edges(gray)
    widths = edge_widths(gray, edges)
    counts = (canny_edges(gray).sum(), edges.sum(), (widths > 0).sum(), widths.sum())
    keys = ("canny_pixels", "sobel_pixels", "widths_nonzero", "widths_sum")
    assert_close(np.array(counts) / [recorded[key] for key in keys], np.ones(4), 0.005, "cpbd edge counts, relative")
    assert_close(cpbd(frame), recorded["cpbd"], 1e-3, "cpbd")


def test_cpbd_widths(inputs, arrays, assert_close):
    gray = inputs.gray_scene("cpbd_blur08_256", **inputs.CASES["cpbd_blur08_256"]).astype(np.float64)
    assert_close(edge_widths(gray, sobel_edges(gray)), arrays["cpbd_widths_blur08_u8"], 0, "cpbd edge widths, pixels")


def test_a_flat_picture_has_no_edges():
    assert cpbd(np.full((128, 128), 128, np.uint8)) == 0
