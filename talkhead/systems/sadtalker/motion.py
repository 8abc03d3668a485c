"""Speech -> expression and head motion by ExpNet and PoseVAE, and coefficients -> keypoints by the mapping net.

SadTalker, sections 3.2 and 3.3. The networks run at 25 frames per second; other rates are resampled from that.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from talkhead.audio.framing import Speech
from talkhead.audio.windows import count_frames
from talkhead.coeffs.bfm import SPACE
from talkhead.coeffs.container import Coeffs
from talkhead.coeffs.layout import REFERENCE_EXP, REFERENCE_POSE, space_family
from talkhead.coeffs.retime import resample
from talkhead.device import repeatable
from talkhead.errors import CoeffFileError, UsageError
from talkhead.systems.sadtalker.config import FPS, N_EXP, N_POSE
from talkhead.systems.sadtalker.model_audio import AudioEncoder, ExpNet
from talkhead.systems.sadtalker.model_mapping import MappingNet
from talkhead.systems.sadtalker.model_posevae import PoseDecoder
from talkhead.systems.sadtalker.semantics import blink_track, keypoints, smoothed_pose, source_window, surrounded
from talkhead.systems.sadtalker.sound import CHUNK, Heard

F32 = npt.NDArray[np.float32]

POSE_SPACE = "pose"  # rotations and translations mean the same in every space
STYLES = {"natural": 0}  # the published default
STILL = "still"
_MAX_MOTION = 3.0
_KEYPOINT_CHUNK = 256  # frames
_DECODED_AT_A_TIME = 64  # pieces of motion


class SadTalkerExpression:
    """ExpNet as an `AudioToCoeffs` (section 3.2).

    Args:
        expnet: in eval mode. device, dtype: where it is and its number format.
    """

    def __init__(self, expnet: ExpNet, device: str | torch.device, dtype: torch.dtype) -> None:
        self._expnet, self._device, self._dtype = expnet, torch.device(device), dtype

    def __call__(
        self,
        speech: Speech | None,
        *,
        fps: float,
        seed: int,
        exp_scale: float = 1.0,
        blinks: bool = True,
        reference: Coeffs | None = None,
        ref_eyeblink: Coeffs | None = None,
        articulation: float = 1.0,
        phonemes: Any = None,
        duration_s: float | None = None,
    ) -> Coeffs:
        """Expression track of a voice.

        Args:
            speech: mono speech, any length, read twice; None for an idle face of `duration_s` seconds.
            fps: frames per second. seed: of the moments of blinking. exp_scale: factor on the codes. blinks: whether.
            reference: coefficients of the face that will speak, space `bfm`; its first frame counts.
            ref_eyeblink: coefficients of a clip whose face stands in for the reference, frame by frame, over and over:
                its eyes blink then, and none are made up.
            articulation, phonemes: ExpNet has no such control; 1 and None only.
        Returns:
            `exp` (T, 64) in space `bfm`, eyelids included. With a reference relative to it, and
            `extra["reference_exp"]` (64,) holds its codes; without one absolute.
        Raises:
            InputError: the sound has no samples. UsageError: an option out of range or without meaning here.
            CoeffFileError: coefficients of another space, or none.
        """
        _check_expression_options(exp_scale, articulation, phonemes)
        own = None if reference is None else _codes_of(reference, "the reference")[0]
        eyes = None if ref_eyeblink is None else _codes_of(_at_network_rate(ref_eyeblink), "the clip of blinking eyes")
        heard = Heard.of(speech, duration_s)
        faces = eyes if eyes is not None else own[None] if own is not None else np.zeros((1, N_EXP), np.float32)
        makes_blinks = blinks and ref_eyeblink is None
        closed = blink_track(heard.n_frames, random.Random(seed)) if makes_blinks else np.zeros(heard.n_frames, "f4")
        with repeatable(str(self._device)):
            exp = self._listen(heard, faces, closed) * np.float32(exp_scale)
        if own is not None:
            exp -= own
        coeffs = Coeffs(
            space=SPACE,
            fps=FPS,
            n_frames=heard.n_frames,
            exp=exp,
            relative=frozenset() if own is None else frozenset({"exp"}),
            params={"exp_scale": float(exp_scale), "blinks": bool(blinks), "seed": int(seed)},
        )
        return _at_rate(coeffs, fps, heard.duration_s, {} if own is None else {REFERENCE_EXP: own})

    @torch.inference_mode()
    def _listen(self, heard: Heard, faces: F32, closed: F32) -> F32:
        exp = np.empty((heard.n_frames, N_EXP), np.float32)
        start = 0
        for windows in heard.windows(_heard_at_a_time(self._device)):
            frames = np.arange(start, start + len(windows))
            inputs = (windows[:, None], faces[frames % len(faces)], closed[frames, None])
            exp[frames] = self._expnet(*(_tensor(x, self._device, self._dtype) for x in inputs)).float().cpu().numpy()
            start += len(windows)
        return exp


class SadTalkerPose:
    """PoseVAE's decoder as an `AudioToPose` (section 3.2).

    Args:
        encoder, decoder: in eval mode. device, dtype: where they are and their number format.
    """

    def __init__(
        self, encoder: AudioEncoder, decoder: PoseDecoder, device: str | torch.device, dtype: torch.dtype
    ) -> None:
        self._encoder, self._decoder = encoder, decoder
        self._device, self._dtype = torch.device(device), dtype

    def __call__(
        self,
        speech: Speech | None,
        *,
        fps: float,
        seed: int,
        style: str | int = "natural",
        motion: float = 1.0,
        reference: Coeffs | None = None,
        ref_pose: Coeffs | None = None,
        duration_s: float | None = None,
    ) -> Coeffs:
        """Head motion for a voice.

        The numbers are the published ones, so the smoothed track starts near the reference pose, not exactly there.

        Args:
            speech: mono speech, any length, read twice; None for an idle head of `duration_s` seconds.
            fps: frames per second. seed: of the draws from the Gaussian, one for 32 frames.
            style: a number 0..45, "natural" (0, the published default), or "still": no motion at all.
            motion: factor on all angles and shifts, 0..3.
            reference: coefficients of the face that will speak, space `bfm`; the pose of its first frame counts.
            ref_pose: coefficients of a clip whose head motion is added, over and over.
        Returns:
            `rot` and `trans` (T, 3), relative to the reference pose, which is `extra["reference_pose"]` (6,) then.
        Raises:
            InputError: the sound has no samples. UsageError: no such style, or motion out of range.
            CoeffFileError: a reference in another space or without a pose.
        """
        number = style_number(style, self._decoder.config.n_styles)
        if not 0.0 <= motion <= _MAX_MOTION:
            raise UsageError(f"motion is {motion:g}, expected 0..{_MAX_MOTION:g}")
        own = None if reference is None else _pose_of(reference, "the reference", absolute=True)[0]
        heard = Heard.of(speech, duration_s)
        start = np.zeros(N_POSE, np.float32) if own is None else own
        moved = np.zeros((heard.n_frames, N_POSE), np.float32)
        if number is not None:
            with repeatable(str(self._device)):
                moved = smoothed_pose(self._listen(heard, start, number, seed)) - start
        if ref_pose is not None:
            pose = _pose_of(_at_network_rate(ref_pose), "the clip of head motion")
            moved = moved + (pose - pose[0])[np.arange(heard.n_frames) % len(pose)]
        moved = np.float32(motion) * moved
        coeffs = Coeffs(
            space=POSE_SPACE,
            fps=FPS,
            n_frames=heard.n_frames,
            rot=moved[:, :3].copy(),
            trans=moved[:, 3:].copy(),
            relative=frozenset({"rot", "trans"}),
            params={"pose_style": str(style), "motion": float(motion), "seed": int(seed)},
        )
        return _at_rate(coeffs, fps, heard.duration_s, {} if own is None else {REFERENCE_POSE: own})

    @torch.inference_mode()
    def _listen(self, heard: Heard, reference: F32, style: int, seed: int) -> F32:
        chunks = (
            _tensor(windows[:, None], self._device, self._dtype)
            for windows in heard.windows(_heard_at_a_time(self._device))
        )
        audio = torch.cat([self._decoder.audio_map(self._encoder(chunk)) for chunk in chunks])
        generator = torch.Generator().manual_seed(seed)
        n_latent = self._decoder.config.n_latent
        return pose_track(
            self._decoder,
            audio[1:],
            _tensor(reference, self._device, torch.float32),
            style,
            lambda: torch.randn(1, n_latent, generator=generator).to(self._device, self._dtype),
        )


def style_number(style: str | int, n_styles: int) -> int | None:
    """The row of PoseVAE's table that a style means; None is no motion.

    Raises:
        UsageError: no such style.
    """
    word = str(style)
    if word == STILL:
        return None
    if word in STYLES:
        return STYLES[word]
    if word.isascii() and word.isdecimal() and int(word) < n_styles:
        return int(word)
    names = ", ".join([*STYLES, STILL])
    raise UsageError(f"unknown style {word!r}", hint=f"styles: {names}, or a number from 0 to {n_styles - 1}")


def pose_track(decoder: PoseDecoder, audio: Tensor, reference: Tensor, style: int, draw: Callable[[], Tensor]) -> F32:
    """Head poses before smoothing (section 3.2, figure 4): frame 0 is the reference, the rest comes 32 at a time.

    What is left over at the end is the last part of a piece that hears the last 32 frames, or, where there are fewer,
    the first of them repeated in front.

    Args:
        decoder: PoseVAE's. audio: `audio_map` of the embeddings of frames 1 .. T - 1, (T - 1, 6). reference: (6,), f4.
        style: 0..45. draw: the next draw from the Gaussian, (1, 64).
    Returns:
        (T, 6): angles in radians, translation in units.
    """
    if not len(audio):
        return reference.cpu().numpy()[None]
    length = decoder.config.seq_len
    n_pieces, n_left = divmod(len(audio), length)
    heard = [audio[: n_pieces * length].view(n_pieces, length, audio.shape[1])]
    if n_left:
        last = audio[-length:]
        heard.append(torch.cat([last[:1].expand(length - len(last), -1), last])[None])
    track = [torch.zeros_like(reference)[None]]
    for pieces in torch.split(torch.cat(heard), _DECODED_AT_A_TIME):
        z = torch.cat([draw() for _ in pieces])
        styles = torch.full((len(pieces),), style, device=audio.device)
        condition = reference.to(audio.dtype).expand(len(pieces), -1)
        track.append(decoder(condition, z, styles, pieces).flatten(0, 1).float())
    motion = torch.cat(track)
    if n_left:
        motion = torch.cat([motion[: 1 + n_pieces * length], motion[-n_left:]])
    poses: F32 = (reference + motion).cpu().numpy()
    return poses


def keypoint_track(
    mapping: MappingNet,
    canonical: Tensor,
    source_row: F32,
    rows: F32,
    *,
    yaw: Sequence[float] | F32 | None = None,
    pitch: Sequence[float] | F32 | None = None,
    roll: Sequence[float] | F32 | None = None,
    chunk: int = _KEYPOINT_CHUNK,
) -> tuple[Tensor, Iterator[Tensor]]:
    """Keypoints of the photo and of all frames (section 3.3).

    Args:
        mapping: decides the device and the number format. canonical: keypoints of the photo, (15, 3).
        source_row: the photo's coefficients, at least as many as `mapping` takes. rows: of the frames, (T, 70) or
            (T, 73). yaw, pitch, roll: angles in degrees per frame, (T,), instead of what the rows say. chunk: frames
            at a time.
    Returns:
        Keypoints of the photo, (1, 15, 3), and an iterator over those of consecutive frames, (n, 15, 3); float32 on the
        device of `mapping`.
    """
    like = mapping.first.weight
    canonical = canonical.reshape(-1, 3).to(like.device)
    window = source_window(np.asarray(source_row[: mapping.n_in], np.float32), mapping.n_rows)
    with torch.no_grad():
        source = keypoints(canonical, mapping(_tensor(window[None], like.device, like.dtype)))
    angles = {
        name: None if track is None else torch.as_tensor(np.asarray(track, np.float32), device=like.device)
        for name, track in (("yaw", yaw), ("pitch", pitch), ("roll", roll))
    }
    return source, _keypoint_chunks(mapping, canonical, rows, angles, chunk)


def _keypoint_chunks(
    mapping: MappingNet, canonical: Tensor, rows: F32, angles: dict[str, Tensor | None], chunk: int
) -> Iterator[Tensor]:
    like = mapping.first.weight
    for start in range(0, len(rows), chunk):
        stop = min(start + chunk, len(rows))
        around = _tensor(surrounded(rows, start, stop, mapping.n_rows), like.device, like.dtype)
        given = {name: None if track is None else track[start:stop] for name, track in angles.items()}
        with torch.no_grad():
            points = keypoints(canonical, mapping.sequence(around), **given)
        yield points


def _tensor(array: npt.NDArray[Any], device: torch.device, dtype: torch.dtype) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, np.float32)).to(device, dtype)


def _heard_at_a_time(device: torch.device) -> int:
    """Frames per call of an audio encoder; fixed per kind of device, for equal bits."""
    return CHUNK if device.type == "cpu" else 20 * CHUNK


def _at_network_rate(coeffs: Coeffs) -> Coeffs:
    return resample(coeffs, FPS)


def _at_rate(coeffs: Coeffs, fps: float, duration_s: float, extra: dict[str, F32]) -> Coeffs:
    if fps != FPS:
        coeffs = resample(coeffs, fps).held(count_frames(duration_s, fps))
    return coeffs.replace(extra=extra)


def _check_expression_options(exp_scale: float, articulation: float, phonemes: object) -> None:
    if not 0.0 <= exp_scale < np.inf:
        raise UsageError(f"exp_scale is {exp_scale:g}, expected 0 or more")
    if articulation != 1.0:
        raise UsageError(
            f"articulation is {articulation:g}: sadtalker has no such control", hint="--exp-scale changes its strength"
        )
    if phonemes is not None:
        raise UsageError("sadtalker hears sound only: phonemes and transcripts mean nothing to it")


def _codes_of(coeffs: Coeffs, what: str) -> F32:
    if coeffs.exp is None or space_family(coeffs.space) != SPACE or coeffs.exp.shape[1] != N_EXP:
        raise CoeffFileError(
            f"{what} has no expression codes of space {SPACE}: its space is {coeffs.space}",
            hint=f"make it with extract --space {SPACE}",
        )
    if "exp" in coeffs.relative:
        raise CoeffFileError(f"{what} has expressions relative to a face, not those of a face")
    return coeffs.exp


def _pose_of(coeffs: Coeffs, what: str, absolute: bool = False) -> F32:
    """(T, 6); a missing translation is zero where only differences count."""
    if coeffs.rot is None:
        raise CoeffFileError(f"{what} has no head rotations")
    if absolute and (space_family(coeffs.space) != SPACE or coeffs.trans is None or "rot" in coeffs.relative):
        raise CoeffFileError(
            f"{what} has no pose of a face in space {SPACE}: its space is {coeffs.space}",
            hint=f"make it with extract --space {SPACE}",
        )
    trans = np.zeros_like(coeffs.rot) if coeffs.trans is None else coeffs.trans
    return np.concatenate([coeffs.rot, trans], 1)
