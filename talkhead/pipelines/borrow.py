"""Head motion and eyelids taken from a reference clip or coefficient file, repeated to the length that is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import numpy.typing as npt

from talkhead.coeffs.container import Coeffs
from talkhead.errors import CoeffFileError
from talkhead.geometry import euler_to_matrix, matrix_to_euler
from talkhead.pipelines.choose import weights_for
from talkhead.pipelines.config import Machine
from talkhead.pipelines.inputs import Motion, name_of, read_motion
from talkhead.protocols import SystemInfo

POSE_SPACE = "pose"  # rotations and translations mean the same in every space
_TURN_S = 0.6  # a head played to and fro takes this long to turn back
_JOIN_S, _JOIN_WITHIN_S = 0.3, 4.0  # eyelids: calm time around a join, and how far from the clip's ends it may lie
_LOSS = 0.1  # leaving out as much of the clip as a join takes is as bad as this much closure at the join
_HOW_TO_MAKE = "give a clip of a face, or make coefficients of one: talkhead extract CLIP -o REF"


def open_reference(
    reference: Motion,
    fps: float,
    system: SystemInfo | None = None,
    machine: Machine | None = None,
    *,
    needs: Sequence[str] = (),
    absolute: bool = True,
) -> Coeffs:
    """Motion to learn from or to borrow: coefficients, or a photo or video that is measured first.

    Args:
        reference: coefficients, a coefficient file, or a picture or video. fps: rate to bring it to.
        system: whose space the codes shall be in; None leaves them. machine: where that system computes.
        needs: tracks that must be there. absolute: and say how a face is, not how it differs from another.
    Raises:
        MediaError: neither. FaceNotFoundError: nobody in the video. UsageError: codes nobody can convert.
        CoeffFileError: `needs` is not in it.
    """
    from talkhead.coeffs.retime import resample
    from talkhead.pipelines.extract import extract, looks_like_media

    machine = machine or Machine()
    if not isinstance(reference, Coeffs) and looks_like_media(reference):
        offers = system is not None and "extract" in system.stages
        words = {f.name: getattr(machine, f.name) for f in fields(machine)}
        return extract(reference, fps=fps, **(words | {"system": system.name if system and offers else "auto"}))
    coeffs = read_motion(reference)
    _check_tracks(coeffs, needs, absolute, name_of(reference))
    if system is not None and (coeffs.exp is not None or coeffs.id is not None) and not system.reads(coeffs.space):
        from talkhead.pipelines.convert import in_space

        coeffs = in_space(
            coeffs, system.spaces[0], device=machine.device, dtype=machine.dtype, weights=weights_for(machine)
        )
    return coeffs if coeffs.fps == fps else resample(coeffs, fps)


def _check_tracks(coeffs: Coeffs, needs: Sequence[str], absolute: bool, name: str | None) -> None:
    for track in needs:
        if getattr(coeffs, track) is None:
            raise CoeffFileError(f"{name} has no {track} track", hint=_HOW_TO_MAKE)
        if absolute and track in coeffs.relative:
            raise CoeffFileError(f"{name}: {track} says how a face moves, not how it is", hint=_HOW_TO_MAKE)


def borrowed_eyelids(reference: Motion, n_frames: int, fps: float) -> npt.NDArray[np.float32]:
    """The eyelids of a reference, (n_frames, 2), played forwards over and over: blinks close fast and open slowly.

    A pass ends and the next begins where the eyes are open and still; what is left between the two fades out.

    Raises:
        CoeffFileError: the reference has no eyelids.
    """
    eyelid = open_reference(reference, fps).eyelid
    if eyelid is None:
        raise CoeffFileError(f"{name_of(reference)} has no eyelid track", hint=_HOW_TO_MAKE)
    if len(eyelid) >= n_frames:
        return np.ascontiguousarray(eyelid[:n_frames])
    width = max(1, round(_JOIN_S * fps))
    entry, leave = calm_join(eyelid, width, round(_JOIN_WITHIN_S * fps))
    step = eyelid[leave] - eyelid[entry]
    n_first, n_pass = leave, max(1, leave - entry)
    since = np.maximum(np.arange(n_frames) - n_first, 0) % n_pass
    order = np.where(np.arange(n_frames) < n_first, np.arange(n_frames), entry + since)
    fading = np.where(np.arange(n_frames) < n_first, 0.0, 0.5 + 0.5 * np.cos(np.pi * np.minimum(since / width, 1.0)))
    return np.asarray(eyelid[order] + fading[:, None] * step, np.float32)


def calm_join(eyelid: npt.NDArray[np.float32], width: int, within: int) -> tuple[int, int]:
    """The frame to go back to and the frame to leave at, near a track's start and end, where lids (T, 2) are open.

    Args:
        eyelid: closure. width: frames before leaving and after going back that should be calm. within: frames at either
            end to look in.
    """
    within = min(within, len(eyelid) // 4)
    closed = np.pad(eyelid.max(1), width, mode="edge")
    before = np.lib.stride_tricks.sliding_window_view(closed, width + 1).max(1)  # the most in the frames up to each
    lost = np.arange(within + 1)
    entries, leaves = lost, len(eyelid) - 1 - lost
    jump = np.abs(eyelid[entries, None] - eyelid[None, leaves]).max(2)
    cost = jump + before[entries + width, None] + before[None, leaves]
    cost += _LOSS / width * (lost[:, None] + lost)
    entry, leave = np.unravel_index(np.argmin(cost), cost.shape)
    return int(entries[entry]), int(leaves[leave])


def borrowed_pose(reference: Motion, n_frames: int, fps: float) -> Coeffs:
    """The head motion of a reference as offsets from its first frame, so that a photo starts from its own pose."""
    coeffs = open_reference(reference, fps)
    where = slowed_turns(to_and_fro(len(coeffs), n_frames), min(round(_TURN_S * fps), len(coeffs) // 2))
    kept: dict[str, Any] = {
        name: _between(track, where) for name in ("rot", "trans") if (track := getattr(coeffs, name)) is not None
    }
    if not kept:
        raise CoeffFileError(f"{name_of(reference)} has no rot or trans track", hint=_HOW_TO_MAKE)
    coeffs = Coeffs(space=POSE_SPACE, fps=fps, n_frames=n_frames, relative=coeffs.relative & set(kept), **kept)
    changes = {}
    if coeffs.rot is not None and "rot" not in coeffs.relative:
        turns = euler_to_matrix(coeffs.rot)
        changes["rot"] = matrix_to_euler(turns @ turns[0].T).astype(np.float32)
    if coeffs.trans is not None and "trans" not in coeffs.relative:
        changes["trans"] = coeffs.trans - coeffs.trans[0]
    present = frozenset(name for name in ("rot", "trans") if getattr(coeffs, name) is not None)
    return coeffs.replace(relative=present, **changes)


def to_and_fro(n_have: int, n_need: int) -> npt.NDArray[np.intp]:
    """Frame numbers 0 1 .. n-1 n-2 .. 1 0 1 .., (n_need,)."""
    if n_have == 1:
        return np.zeros(n_need, np.intp)
    phase = np.arange(n_need) % (2 * (n_have - 1))
    return np.where(phase < n_have, phase, 2 * (n_have - 1) - phase)


def slowed_turns(order: npt.NDArray[np.intp], width: int) -> npt.NDArray[np.float64]:
    """Frame positions whose turning points are rounded over `width` frames: a head that turns back slows down first.

    A moving mean leaves straight stretches as they are, the start included.
    """
    half = min(width, len(order) - 1) // 2
    if half < 1 or len(order) < 3:
        return order.astype(np.float64)
    kernel = np.hanning(2 * half + 3)[1:-1]
    steps = np.arange(1, half + 1)
    before = order[0] - steps[::-1] * (order[1] - order[0])
    after = order[-1] + steps * (order[-1] - order[-2])
    return np.convolve(np.concatenate([before, order, after]), kernel / kernel.sum(), "valid")


def _between(track: npt.NDArray[np.float32], where: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """A track read between its frames, linearly; neighbouring frames turn too little for that to show."""
    left = np.clip(where.astype(int), 0, max(0, len(track) - 2))
    share = np.clip(where - left, 0.0, 1.0)[:, None]
    right = np.minimum(left + 1, len(track) - 1)
    return np.asarray((1.0 - share) * track[left] + share * track[right], np.float32)
