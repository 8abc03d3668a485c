"""L1, PSNR and SSIM of paired frames, one frame at a time; of each frame its PSNR is held, 4 bytes.

PSNR has two readings that differ by a decibel: the mean over frames of each frame's PSNR (PIR, AU-driven), and the PSNR
of one mean squared error over all pixels and frames (HeadGAN). SSIM has two as well: Wang et al. 2004 (Gaussian window)
and the default of scikit-image (uniform window, sample covariance), which older tables hold.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from talkhead.errors import InputError, ShapeError
from talkhead.evaluation.columns import Columns, Mean
from talkhead.evaluation.measurement import Measurement, measurement_of

Params = Mapping[str, float | int | str]
U8 = npt.NDArray[np.uint8]
SsimVariant = Literal["wang2004-rgb", "skimage-default"]

PEAK = 255.0
WANG_SIGMA, WANG_SIDE, UNIFORM_SIDE = 1.5, 11, 7  # Wang et al. 2004, section III.C; scikit-image's own
_SSIM_SIDE: dict[SsimVariant, int] = {"wang2004-rgb": WANG_SIDE, "skimage-default": UNIFORM_SIDE}


def to_gray(frame: U8) -> U8:
    """Luma by the integer weights of ITU-R BT.601 that Pillow and OpenCV use.

    Args:
        frame: (H, W, 3) uint8 RGB.
    Returns:
        (H, W) uint8.
    Raises:
        ShapeError, InputError: not an RGB frame of bytes.
    """
    _check_frame("frame", frame)
    red, green, blue = (frame[..., channel].astype(np.uint32) for channel in range(3))
    return ((19595 * red + 38470 * green + 7471 * blue + 32768) >> 16).astype(np.uint8)


def psnr_of(mean_squared_error: float) -> float:
    """Decibels of a mean squared error of bytes, `10 log10(255^2 / mse)`; infinite for 0."""
    return 10 * math.log10(PEAK**2 / mean_squared_error) if mean_squared_error > 0 else math.inf


def ssim(generated: U8, real: U8, variant: SsimVariant = "wang2004-rgb") -> float:
    """Structural similarity of two frames, channel by channel, then their mean (Wang et al. 2004, eq. 13).

    Args:
        generated, real: (H, W, 3) uint8 RGB, of one size. variant: "wang2004-rgb" (Gaussian window of 11 pixels, sigma
            1.5, population covariance) or "skimage-default" (uniform window of 7 pixels, sample covariance).
    Raises:
        ShapeError: the sizes differ, or a side is smaller than the window.
    """
    from skimage.metrics import structural_similarity

    _check_pair(generated, real)
    side = _SSIM_SIDE[variant]
    if min(generated.shape[:2]) < side:
        raise ShapeError("generated", generated.shape, f"at least {side} pixels a side for SSIM")
    settings: dict[str, Any] = (
        {"gaussian_weights": True, "sigma": WANG_SIGMA, "use_sample_covariance": False}
        if variant == "wang2004-rgb"
        else {"win_size": UNIFORM_SIDE}
    )
    return float(structural_similarity(generated, real, data_range=PEAK, channel_axis=-1, **settings))


@dataclass(frozen=True, kw_only=True, slots=True)
class FrameScore:
    """One frame against the real one.

    Attributes:
        l1, mse: mean absolute and squared difference, bytes. psnr: dB, infinite for identical frames.
        ssim: of each variant asked for.
    """

    l1: float
    mse: float
    psnr: float
    ssim: tuple[float, ...]


class PixelScores:
    """Paired frames of a clip, or of a whole set, streamed.

    Args:
        ssim_variants: which SSIMs to compute; none saves most of the time.
    """

    def __init__(self, ssim_variants: Sequence[SsimVariant] = ("wang2004-rgb",)) -> None:
        self.ssim_variants = tuple(ssim_variants)
        self._l1, self._mse, self._psnr = Mean(), Mean(), Mean()
        self._ssim = [Mean() for _ in self.ssim_variants]
        self._curve = Columns()
        self._size = (0, 0)

    @property
    def psnr_curve(self) -> npt.NDArray[np.float32]:
        """PSNR of each frame, (T,) dB; infinite for identical frames."""
        return self._curve.column()

    def add(self, generated: U8, real: U8) -> FrameScore:
        """Compare two frames, (H, W, 3) uint8 RGB.

        Raises:
            ShapeError: sizes differ. InputError: not bytes.
        """
        _check_pair(generated, real)
        difference = np.subtract(generated, real, dtype=np.int16)
        mse = float(np.square(difference, dtype=np.int32).mean())
        score = FrameScore(
            l1=float(np.abs(difference).mean()),
            mse=mse,
            psnr=psnr_of(mse),
            ssim=tuple(ssim(generated, real, variant) for variant in self.ssim_variants),
        )
        self._l1.add(score.l1)
        self._mse.add(mse)
        if mse > 0:
            self._psnr.add(score.psnr)
        for mean, value in zip(self._ssim, score.ssim, strict=True):
            mean.add(value)
        self._curve.add(score.psnr)
        self._size = (generated.shape[1], generated.shape[0])
        return score

    def measurements(self) -> list[Measurement]:
        """L1, PSNR per frame and pooled, SSIM.

        The PSNR of identical frames is infinite: they are left out of its mean and counted, and where all frames are
        identical it has no value.
        """
        n, differing = self._l1.n, self._psnr.n
        params: Params = {"width": self._size[0], "height": self._size[1]}
        psnr_params = {**params, "identical_frames": n - differing, "identical": bool(n) and not differing}
        endless = "all frames are identical: infinite" if n else ""
        pooled = psnr_of(self._mse.value) if n else math.nan
        rows: list[tuple[str, str, float, str, Params]] = [
            ("l1", "l1/0-255", self._l1.value, "of 255", params),
            ("psnr", "psnr/frame", self._psnr.value, "dB", psnr_params),
            ("psnr_pooled", "psnr/pooled", pooled, "dB", psnr_params),
        ]
        for i, variant in enumerate(self.ssim_variants):
            name = "ssim" if variant == "wang2004-rgb" else "ssim_uniform"
            rows.append((name, f"ssim/{variant}", self._ssim[i].value, "", params))
        return [
            measurement_of(
                value,
                endless or "no frames to compare",
                name=name,
                definition=definition,
                grade="exact",
                unit=unit,
                n_frames=differing if definition == "psnr/frame" else n,
                frames_dropped=n - differing if definition == "psnr/frame" else 0,
                params=params,
            )
            for name, definition, value, unit, params in rows
        ]


def pooled_psnr(clips: Sequence[Measurement]) -> float:
    """PSNR of the pixels of several clips together, from each clip's `psnr/pooled` (HeadGAN, section 4), dB.

    Identical clips have no value and count as no error; infinite if all are.

    Raises:
        ValueError: another measurement, or no frames.
    """
    n_frames = sum(clip.n_frames for clip in clips)
    if not n_frames or any(clip.definition != "psnr/pooled" for clip in clips):
        raise ValueError("psnr/pooled of at least one clip with frames is needed")
    errors = (clip.n_frames * PEAK**2 * 10 ** (-clip.value / 10) for clip in clips if clip.value is not None)
    return psnr_of(math.fsum(errors) / n_frames)


def _check_frame(name: str, frame: U8) -> None:
    if frame.ndim != 3 or frame.shape[2] != 3 or not frame.size:
        raise ShapeError(name, frame.shape, "(H, W, 3)")
    if frame.dtype != np.uint8:
        raise InputError(f"{name} holds {frame.dtype}, expected bytes, 0..255", hint="frames are uint8 RGB")


def _check_pair(generated: U8, real: U8) -> None:
    _check_frame("generated", generated)
    _check_frame("real", real)
    if generated.shape != real.shape:
        raise ShapeError("generated", generated.shape, f"{real.shape}, the size of the real frame")
