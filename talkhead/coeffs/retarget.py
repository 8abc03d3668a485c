"""A driver's motion made fit for a source: whose rest is whose, where the head is in the picture, and how large.

Relative motion follows the usual recipe of relative motion transfer (e.g. Siarohin et al. 2019): what the driver does
beyond his own neutral face and mean pose is added to the source's rest. Absolute motion takes the driver's expression
and pose as they are and only puts the head where the source has it. Adapted motion takes them too, and the driver's
camera brought to the source's mean size and place and steadied, as in HeadGAN's published code (Doukas et al. 2021).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from talkhead.coeffs.adapt import AdaptConfig, adapt_scale_and_shift
from talkhead.coeffs.change import scale_exp, scale_pose
from talkhead.coeffs.container import Coeffs
from talkhead.coeffs.file import require_space
from talkhead.coeffs.layout import Space
from talkhead.coeffs.limits import soft_limit, soft_limit_length
from talkhead.coeffs.rotation import rot_of_vectors, vectors_about_mean
from talkhead.errors import ShapeError, UsageError
from talkhead.geometry import euler_to_matrix, matrix_to_rotvec

log = logging.getLogger(__name__)

F64 = npt.NDArray[np.float64]
MotionMode = Literal["auto", "relative", "absolute", "adapted"]
Transfer = Literal["relative", "adapted"]
"""Ways from one person to another."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RetargetConfig:
    """Bounds of motion transfer.

    Attributes:
        same_person: `auto` is absolute below this distance of identity codes (`identity_distance`).
        shift_knee, shift_limit: of the head's displacement in relative mode, model units (an eye distance is 0.9);
            a photo has nothing to show where a head has gone away farther.
        zoom_knee, zoom_limit: the same for the logarithm of the change of size.
        closed_percentile: of the mouth opening, open_eye_percentile: of the openness of the eyes; frames below the
            first and above the second are the driver's neutral face.
        camera_s: over how long adapted motion steadies size and place (15 frames at 25 a second).
    """

    same_person: float = 0.6
    shift_knee: float = 0.27
    shift_limit: float = 0.54
    zoom_knee: float = 0.12
    zoom_limit: float = 0.3
    closed_percentile: float = 30.0
    open_eye_percentile: float = 40.0
    camera_s: float = 0.6


DEFAULTS = RetargetConfig()


def retarget(
    driving: Coeffs,
    *,
    source: Coeffs,
    mode: MotionMode = "auto",
    transfer: Transfer = "relative",
    motion_scale: float = 1.0,
    space: Space | None = None,
    opening: npt.ArrayLike | None = None,
    config: RetargetConfig = DEFAULTS,
) -> Coeffs:
    """Turn a driver's coefficients into motion for a source.

    Tracks of the driver that are relative already pass as they are. Eyelid closure passes: it is relative to each
    person's open eye by definition. Rotation is not limited here; a renderer knows its own range.

    Args:
        driving: (T frames) of the driver. source: one frame, of the photo.
        mode: `relative`, `absolute`, `adapted`, or `auto`: absolute when both show the same person, else as `transfer`
            says. motion_scale: how much of expression and head motion is kept.
        space: of the codes, to tell an open mouth from a closed one. opening: (T,) mouth opening in any unit, instead.
        config: bounds.
    Returns:
        T frames; `params["motion"]` says which mode was taken.
    Raises:
        CoeffFileError: the codes are of different spaces. UsageError: `motion_scale` is not finite or negative.
        ShapeError: `opening` has another length.
    """
    if not 0 <= motion_scale <= 10:
        raise UsageError(f"motion scale {motion_scale:g}: expected 0 to 10")
    if source.exp is not None or source.id is not None:
        require_space(driving, source.space, "the driver's coefficients")
    same = is_same_person(driving, source, space, config)
    chosen = mode if mode != "auto" else "absolute" if same else transfer
    if chosen == "absolute":
        moved = _absolute(driving, source)
        identity = driving.id if same else source.id
    elif chosen == "adapted":
        moved, identity = _adapted(driving, source, config), source.id
    else:
        neutral = driver_neutral(driving, space=space, opening=opening, config=config)
        moved = _relative(driving, source, neutral, config)
        identity = source.id
    if motion_scale != 1:
        moved = _scaled(moved, motion_scale)
    why = f" ({'the same person' if same else 'different people'} in photo and driving video)" if mode == "auto" else ""
    log.info("motion is %s%s", chosen, why)
    params = dict(driving.params) | {"motion": chosen}
    return moved.replace(id=identity, landmarks=None, crop=None, size=source.size, params=params)


def driver_neutral(
    coeffs: Coeffs,
    *,
    space: Space | None = None,
    opening: npt.ArrayLike | None = None,
    config: RetargetConfig = DEFAULTS,
) -> Coeffs:
    """The driver at rest: expression and gaze with the lips together and the eyes open, pose on average.

    Args:
        coeffs: of the driver. space: of the codes. opening: (T,) mouth opening; default by `mouth_opening`, or else
            every frame counts as closed.
        config: percentiles.
    Returns:
        One frame. `trans` is such that `trans * scale` is the mean position in pixels.
    Raises:
        ShapeError: `opening` has another length.
    """
    resting = _resting_frames(coeffs, _given_opening(coeffs, space, opening), config)
    changes: dict[str, Any] = {
        name: np.median(track[resting], axis=0)[None].astype(np.float32)
        for name, track in coeffs.tensors().items()
        if name in ("exp", "gaze", "eyelid")
    }
    if coeffs.rot is not None:
        _, mean = vectors_about_mean(coeffs.rot)
        changes["rot"] = rot_of_vectors(np.zeros((1, 3)), mean)
    scale = np.ones(len(coeffs)) if coeffs.scale is None else coeffs.scale.astype(np.float64)
    middle = np.exp(np.log(np.maximum(scale, 1e-6)).mean())
    if coeffs.scale is not None:
        changes["scale"] = np.array([middle], np.float32)
    if coeffs.trans is not None:
        changes["trans"] = ((coeffs.trans * scale[:, None]).mean(0) / middle)[None].astype(np.float32)
    return coeffs.at(slice(0, 1)).replace(**changes)


def mouth_opening(coeffs: Coeffs, space: Space | None) -> F64 | None:
    """Distance of the inner lips, (T,), in eye distances, up to a constant of the person.

    Args:
        coeffs: any. space: of the codes; without it the `landmarks` track is measured.
    Returns:
        None where neither says anything.
    """
    if space is not None and space.name == coeffs.space and coeffs.exp is not None and space.opening is not None:
        by_codes: F64 = coeffs.exp.astype(np.float64) @ space.opening
        return by_codes
    if coeffs.landmarks is not None:
        points = coeffs.landmarks[..., :2].astype(np.float64)
        lips, eyes = points[:, 66] - points[:, 62], points[:, 45] - points[:, 36]
        measured: F64 = np.linalg.norm(lips, axis=-1) / np.maximum(np.linalg.norm(eyes, axis=-1), 1e-6)
        return measured
    return None


def identity_distance(a: Coeffs, b: Coeffs, space: Space | None = None) -> float:
    """How unlike two people's identity codes are: 0 the same, about 1 for unrelated people.

    The difference of the codes in standard deviations (plain codes where the space is not known), by the root of the
    summed squares of both. Measured in the built-in space: 42 stills are at most 0.56 from the clip they were taken
    from, and they and 7 other faces at least 0.64 from other people. Infinite when either has no codes or the spaces
    differ.
    """
    if a.id is None or b.id is None or a.space != b.space or a.id.shape != b.id.shape:
        return float("inf")
    std = np.ones(len(a.id)) if space is None or space.name != a.space else np.maximum(space.id_std, 1e-6)
    first, second = a.id / std, b.id / std
    size = float(first @ first + second @ second)
    return float(np.sqrt(((first - second) ** 2).sum() / size)) if size > 0 else 0.0


def is_same_person(
    driving: Coeffs, source: Coeffs, space: Space | None = None, config: RetargetConfig = DEFAULTS
) -> bool:
    """Whether identity codes say that driver and source are one person; no without codes or a known space."""
    return space is not None and identity_distance(driving, source, space) < config.same_person


def _relative(driving: Coeffs, source: Coeffs, neutral: Coeffs, config: RetargetConfig) -> Coeffs:
    changes: dict[str, Any] = {}
    absolute = driving.tensors().keys() - driving.relative
    if "exp" in absolute:
        changes["exp"] = _array(driving.exp) - _array(neutral.exp)
    if "gaze" in absolute:
        changes["gaze"] = _array(driving.gaze) - _array(neutral.gaze)
    if "rot" in absolute:
        vectors, _ = vectors_about_mean(_array(driving.rot), euler_to_matrix(_array(neutral.rot)[0]))
        changes["rot"] = rot_of_vectors(vectors, np.eye(3))
    changes |= _placed(driving, source, neutral, config)
    return driving.replace(relative=driving.relative | changes.keys(), **changes)


def _absolute(driving: Coeffs, source: Coeffs) -> Coeffs:
    anchor = driving.at(slice((frame := _frame_like(driving, source)), frame + 1))
    changes = _placed(driving, source, anchor, None)
    return driving.replace(relative=driving.relative | changes.keys(), **changes)


def _adapted(driving: Coeffs, source: Coeffs, config: RetargetConfig) -> Coeffs:
    """Expression and rotation as they are; size and place brought to the source's own and steadied.

    Places are measured from the source's own, about which a head then grows: from the picture's corner, as in the
    published code, or from its middle, one that is elsewhere would also wander.
    """
    width = max(1, round(config.camera_s * driving.fps))
    absolute = driving.tensors().keys() - driving.relative
    has_scale, has_trans = "scale" in absolute, "trans" in absolute
    scale = np.maximum(_array(driving.scale).astype(np.float64), 1e-6) if has_scale else np.ones(len(driving))
    trans = _array(driving.trans).astype(np.float64) if has_trans else np.zeros((len(driving), 3))
    aim = np.ones(1), np.zeros((1, 3))  # the source's: of size 1, where it is
    how = AdaptConfig(scale=has_scale, trans=has_trans, window=width)
    zoom, displaced = adapt_scale_and_shift((scale, trans * scale[:, None]), aim, how)
    changes: dict[str, Any] = {}
    if has_scale:
        changes["scale"] = zoom.astype(np.float32)
    if has_trans:
        changes["trans"] = _offset(displaced, zoom, source).astype(np.float32)
    return driving.replace(relative=driving.relative | changes.keys(), **changes)


def _placed(driving: Coeffs, source: Coeffs, rest: Coeffs, config: RetargetConfig | None) -> dict[str, Any]:
    """Position and size as offsets: the head goes through the picture as the driver's does, from the source's place.

    With `s = scale / rest scale`, the driver is displaced by `d = s trans - rest trans` at the size of rest; the source
    shall be at `s (own + offset) = own + d`.
    """
    changes: dict[str, Any] = {}
    zoom = np.ones(len(driving))
    if driving.scale is not None and "scale" not in driving.relative:
        zoom = driving.scale.astype(np.float64) / float(_array(rest.scale)[0])
        if config is not None:
            zoom = np.exp(soft_limit(np.log(np.maximum(zoom, 1e-6)), config.zoom_knee, config.zoom_limit))
        changes["scale"] = zoom.astype(np.float32)
    if driving.trans is not None and "trans" not in driving.relative:
        true_zoom = _true_zoom(driving, rest)
        displaced = driving.trans * true_zoom[:, None] - _array(rest.trans)[0].astype(np.float64)
        if config is not None:
            displaced = soft_limit_length(displaced, config.shift_knee, config.shift_limit)
        changes["trans"] = _offset(displaced, zoom, source).astype(np.float32)
    return changes


def _offset(displaced: F64, zoom: F64, source: Coeffs) -> F64:
    """Offsets of `trans` (T, 3) by which a source is displaced so far (T, 3), in units at its own size.

    A head `zoom` (T,) times as large at `zoom (own + offset)` shall be at `own + displaced`.
    """
    own = np.zeros(3) if source.trans is None or "trans" in source.relative else source.trans[0].astype(np.float64)
    return np.asarray((own + displaced) / zoom[:, None] - own, np.float64)


def _true_zoom(driving: Coeffs, rest: Coeffs) -> F64:
    if driving.scale is None or rest.scale is None or "scale" in driving.relative:
        return np.ones(len(driving))
    return driving.scale.astype(np.float64) / float(rest.scale[0])


def _frame_like(driving: Coeffs, source: Coeffs) -> int:
    """The frame in which the driver's head is posed most like the source's; in a like-sized picture also placed."""
    cost = np.zeros(len(driving))
    if _comparable(driving, source, "rot"):
        turned = euler_to_matrix(_array(driving.rot)) @ euler_to_matrix(_array(source.rot)[0]).T
        cost += (matrix_to_rotvec(turned) ** 2).sum(-1)
    if driving.size is not None and source.size is not None and np.array_equal(driving.size, source.size):
        if _comparable(driving, source, "trans"):
            cost += ((_array(driving.trans) - _array(source.trans))[:, :2] ** 2).sum(-1)
        if _comparable(driving, source, "scale"):
            ratio = np.maximum(_array(driving.scale), 1e-6) / np.maximum(_array(source.scale), 1e-6)
            cost += np.log(ratio) ** 2
    return int(cost.argmin())


def _comparable(a: Coeffs, b: Coeffs, name: str) -> bool:
    return all(name in c.tensors() and name not in c.relative for c in (a, b))


def _given_opening(coeffs: Coeffs, space: Space | None, opening: npt.ArrayLike | None) -> F64:
    if opening is None:
        found = mouth_opening(coeffs, space)
        return np.zeros(len(coeffs)) if found is None else found
    given = np.asarray(opening, np.float64)
    if given.shape != (len(coeffs),):
        raise ShapeError("opening", given.shape, f"({len(coeffs)},)")
    return given


def _resting_frames(coeffs: Coeffs, opening: F64, config: RetargetConfig) -> npt.NDArray[np.bool_]:
    closed: npt.NDArray[np.bool_] = opening <= np.percentile(opening, config.closed_percentile)
    if coeffs.eyelid is None:
        return closed
    openness = -coeffs.eyelid.mean(1)
    resting = closed & (openness >= np.percentile(openness[closed], config.open_eye_percentile))
    return resting if resting.any() else closed


def _scaled(coeffs: Coeffs, factor: float) -> Coeffs:
    curve = np.full(len(coeffs), factor)
    if coeffs.exp is not None:
        coeffs = scale_exp(coeffs, curve)
    if coeffs.rot is not None or coeffs.trans is not None:
        coeffs = scale_pose(coeffs, curve)
    return coeffs


def _array(track: npt.NDArray[np.float32] | None) -> npt.NDArray[np.float32]:
    assert track is not None
    return track
