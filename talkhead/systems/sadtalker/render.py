"""Coefficients -> frames: one photo, its keypoints, the mapping net and the drawing networks (section 3.3)."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from talkhead.coeffs.bfm import SPACE
from talkhead.coeffs.container import Coeffs
from talkhead.coeffs.keyframes import Keyframes
from talkhead.coeffs.layout import space_family
from talkhead.coeffs.retime import resample
from talkhead.device import repeatable
from talkhead.errors import CoeffFileError, UsageError
from talkhead.protocols import Drive
from talkhead.systems.sadtalker.config import ANGLES, FPS, N_ALIGN, N_EXP, N_POSE, RenderOptions
from talkhead.systems.sadtalker.draw import Drawer
from talkhead.systems.sadtalker.model_keypoints import KeypointDetector
from talkhead.systems.sadtalker.model_mapping import MappingNet
from talkhead.systems.sadtalker.model_renderer_fast import FastRenderer
from talkhead.systems.sadtalker.motion import keypoint_track
from talkhead.systems.sadtalker.paste import Paster, display_frame
from talkhead.systems.sadtalker.photo import PreparedPhoto
from talkhead.systems.sadtalker.semantics import camera_track

log = logging.getLogger(__name__)

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]

_EXP, _ROT, _TRANS = slice(0, N_EXP), slice(N_EXP, N_EXP + 3), slice(N_EXP + 3, N_EXP + N_POSE)
_MAX_VALUE = 1000.0  # of codes, radians and units; beyond, the file means something else
_MAX_ANGLE = 89  # degrees, as for edits
_UNUSED = ("eyelid", "gaze", "tongue", "scale")


@dataclass(frozen=True, kw_only=True, slots=True)
class DrawingNetworks:
    """The networks that draw, on one device.

    Attributes:
        keypoints: finds the photo's canonical keypoints. mapping: of 70 values, or of 73 for the pasted modes.
        renderer: draws.
    """

    keypoints: KeypointDetector
    mapping: MappingNet
    renderer: FastRenderer


class SadTalkerRenderer:
    """Renders one photo; see `talkhead.protocols.Renderer`.

    Args:
        image: the whole photo, (H, W, 3) uint8 RGB. photo: its square and coefficients. networks: as the options need
            them. options: how to draw. device: where the networks are.
    """

    def __init__(
        self,
        image: U8,
        photo: PreparedPhoto,
        networks: DrawingNetworks,
        options: RenderOptions,
        device: str,
    ) -> None:
        self._photo, self._networks, self._options = photo, networks, options
        with repeatable(device), torch.inference_mode():
            picture = torch.from_numpy(photo.square).to(device).permute(2, 0, 1)[None].float() / 255  # (1, 3, S, S)
            self._canonical = networks.keypoints(picture)[0].float()
        still = photo.row[None, : networks.mapping.n_in]
        kp_source, _ = keypoint_track(networks.mapping, self._canonical, photo.row, still)
        self._drawer = Drawer(networks.renderer, photo.square, kp_source, batch=options.batch)
        self._paster = None
        if options.is_pasted and photo.crop is not None:
            self._paster = Paster(image, photo.crop, options.mode, options.blend)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the frames: the photo's where the head is pasted back into it."""
        if self._paster is not None:
            return self._paster.size
        height, width = display_frame(self._photo.square, self._photo.display).shape[:2]
        return width, height

    @property
    def hears(self) -> tuple[str, ...]:
        """Nothing: the coefficients say all."""
        return ()

    def rest_coeffs(self) -> Coeffs:
        """The photo's own coefficients, one frame, absolute."""
        return self._photo.coeffs

    def render(self, drive: Drive) -> Iterator[U8]:
        """One (H, W, 3) uint8 frame per coefficient row that is to be drawn, each a fresh array.

        Tracks that are missing stay as in the photo; relative ones add to its own, angle by angle as PoseVAE's do.

        Raises:
            CoeffFileError: codes of another space. UsageError: angles that cannot be read.
        """
        points = self._keypoints(drive.coeffs)
        if drive.frame is not None:  # the mapping net looks at its neighbours too
            points = iter([torch.cat(list(points))[drive.frame : drive.frame + 1]])
        for frame in self._drawer.draw(points):
            yield display_frame(frame, self._photo.display) if self._paster is None else self._paster.paste(frame)

    def _keypoints(self, coeffs: Coeffs) -> Iterator[Tensor]:
        """Keypoints of consecutive frames, (n, 15, 3)."""
        options, at_25 = self._options, coeffs if coeffs.fps == FPS else resample(coeffs, FPS)
        rows = driven_rows(at_25, self._photo.row, self._networks.mapping.n_in)
        yaw, pitch, roll = (angle_track(getattr(options, name), len(rows), name) for name in ANGLES)
        _, chunks = keypoint_track(
            self._networks.mapping, self._canonical, self._photo.row, rows, yaw=yaw, pitch=pitch, roll=roll
        )
        return chunks if coeffs.fps == FPS else iter([_at_times(torch.cat(list(chunks)), len(coeffs), coeffs.fps)])


def driven_rows(coeffs: Coeffs, source: F32, width: int) -> F32:
    """What the mapping net is shown of motion, (T, 70) or (T, 73): the source's row with the motion's tracks in it.

    Args:
        coeffs: space `bfm`, or without codes. source: the photo's row, (73,). width: 70, or 73 with the alignment.
    Raises:
        CoeffFileError: codes of another space, not 64 of them, or values that no face has.
    """
    if coeffs.exp is not None and (space_family(coeffs.space) != SPACE or coeffs.exp.shape[1] != N_EXP):
        raise CoeffFileError(
            f"exp is {coeffs.exp.shape[1]} codes of space {coeffs.space}, sadtalker reads {N_EXP} of {SPACE}",
            hint=None if space_family(coeffs.space) == SPACE else f"convert them with edit --space {SPACE}",
        )
    unused = [name for name in _UNUSED if getattr(coeffs, name) is not None]
    if unused:
        log.debug("sadtalker makes no use of %s", ", ".join(unused))
    rows = np.repeat(source[None, : N_EXP + N_POSE + N_ALIGN][:, :width], len(coeffs), 0)
    for name, columns in (("exp", _EXP), ("rot", _ROT), ("trans", _TRANS)):
        track = getattr(coeffs, name)
        if track is not None:
            if (largest := float(np.abs(track).max())) > _MAX_VALUE:
                raise CoeffFileError(f"{name} has values up to {largest:.3g}; those of a face are about 1")
            rows[:, columns] = _absolute(track, name, coeffs, source[columns])
    return rows


def _absolute(track: F32, name: str, coeffs: Coeffs, own: F32) -> F32:
    """A track as the regressor would have measured it; of places in another camera's picture only changes count."""
    if name in coeffs.relative:
        return track + own
    is_elsewhere = name == "trans" and space_family(coeffs.space) != SPACE
    return track - track[:1] + own if is_elsewhere else track


def angle_track(text: str | None, n_frames: int, name: str = "angle") -> F32 | None:
    """Angles in degrees for every frame at 25 frames per second, (n_frames,), None for none.

    Args:
        text: a value; `v,v,v`, passed through at constant speed; or `t:v,t:v` keyframes, t in seconds. name: of the
            angle, for messages.
    Raises:
        UsageError: none of these, or further than a head is seen from the front.
    """
    if text is None:
        return None
    try:
        keys = Keyframes.parse(text).keys if ":" in text else [(0.0, float(value)) for value in text.split(",")]
    except (ValueError, UsageError) as cause:
        raise UsageError(f"{name} is {text!r}", hint="give degrees, v,v,v or seconds:degrees,...") from cause
    values: Sequence[float] = [value for _, value in keys]
    if not all(abs(value) <= _MAX_ANGLE for value in values):
        raise UsageError(f"{name} is {text!r}, expected -{_MAX_ANGLE} to {_MAX_ANGLE} degrees")
    return (
        Keyframes(tuple(keys)).at(n_frames, FPS).astype(np.float32) if ":" in text else camera_track(values, n_frames)
    )


def _at_times(points: Tensor, n_frames: int, fps: float) -> Tensor:
    """Keypoints (T, 15, 3) of 25 frames a second read at another rate, (n_frames, 15, 3), linearly."""
    where = np.arange(n_frames) * (FPS / fps)
    left = np.clip(where.astype(np.intp), 0, len(points) - 1)
    right = np.minimum(left + 1, len(points) - 1)
    share = np.clip(where - left, 0, 1).astype(np.float32)[:, None, None]
    before, after, weight = (torch.from_numpy(x).to(points.device) for x in (left, right, share))
    return torch.lerp(points[before], points[after], weight)
