"""Coefficient rows, windows, blinks, camera tracks and keypoints against recorded output of the published code."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
import torch
from safetensors import safe_open

from talkhead.coeffs.container import Coeffs
from talkhead.systems.sadtalker.model_mapping import MappedMotion
from talkhead.systems.sadtalker.render import driven_rows
from talkhead.systems.sadtalker.semantics import (
    blink_track,
    camera_track,
    degrees_of,
    keypoints,
    rotation,
    source_window,
    surrounded,
)


@pytest.fixture(scope="module")
def cases(repo):
    with safe_open(repo / "tests" / "golden" / "sadtalker" / "semantics.safetensors", framework="np") as file:
        return json.loads(file.metadata()["cases"])


@pytest.mark.parametrize(
    "case", ["crop.bs2", "crop.bs4", "crop_scale.bs2", "full.bs2", "full_still.bs2", "crop_still.bs2", "crop_pose.bs2"]
)
def test_rows_and_windows(golden, assert_close, cases, case):
    recorded, options = golden("semantics"), cases[case]
    source = recorded["source_coeff"][0]
    motion = recorded["generated_coeff"]
    pose = {} if options.get("still_mode") else {"rot": motion[:, 64:67].copy(), "trans": motion[:, 67:70].copy()}
    exp = motion[:, :64] * np.float32(options.get("expression_scale", 1.0))
    coeffs = Coeffs(space="bfm", fps=25.0, n_frames=len(motion), exp=exp, **pose)
    rows = driven_rows(coeffs, source, 73 if options["preprocess"] == "full" else 70)
    # The recorded rows are filled up to a whole batch with the last one.
    centre = recorded[f"{case}.centre"]
    assert_close(rows, centre[: len(rows)], 1e-6)
    assert_close(centre[len(rows) :], rows[-1:].repeat(len(centre) - len(rows), 0), 1e-6)
    for name, frame in (("first", 0), ("last", len(rows) - 1)):
        assert_close(surrounded(rows, frame, frame + 1, 27).T, recorded[f"{case}.{name}_window"], 1e-6)
    assert_close(source_window(source[: rows.shape[1]], 27), recorded[f"{case}.source_window"], 1e-6)


@pytest.mark.parametrize("angle", ["yaw", "pitch", "roll"])
def test_camera(golden, assert_close, cases, angle):
    options = cases["crop_pose.bs2"]
    recorded = golden("semantics")[f"crop_pose.bs2.{angle}_c_seq"].ravel()
    track = camera_track(options[f"input_{angle}_list"], options["frame_num"])
    assert_close(track, recorded[: len(track)], 1e-4)


@pytest.mark.parametrize("n_frames", [20, 22, 60, 250])
def test_blinks(golden, assert_close, cases, n_frames):
    track = blink_track(n_frames, random.Random(cases["blink_python_seed"]))
    assert_close(track, golden("semantics")[f"blink.{n_frames}"][:, 0], 1e-6)


def test_head_pose(golden, assert_close):
    recorded = {name: torch.from_numpy(value) for name, value in golden("headpose").items()}
    motion = MappedMotion(*(recorded[name] for name in ("yaw", "pitch", "roll", "t", "exp")))
    angles = {name: degrees_of(recorded[name]) for name in ("pitch", "yaw", "roll")}
    for name, found in angles.items():
        assert_close(found, recorded[f"deg.{name}"], 2e-4, 4e-5)
    assert_close(rotation(**angles), recorded["rotation"], 5e-6, 1e-6)
    canonical = recorded["kp_canonical"]
    assert_close(keypoints(canonical, motion), recorded["kp_out"], 5e-6, 1e-6)
    given = {name: recorded[f"{name}_in"] for name in angles}
    assert_close(keypoints(canonical, motion, **given), recorded["kp_out_override"], 5e-6, 1e-6)
    only = keypoints(canonical, motion, yaw=given["yaw"])
    assert_close(only, recorded["kp_out_override_yaw_only"], 5e-6, 1e-6)
    assert np.abs(only - recorded["kp_out"]).max() > 1e-3
