"""Eyes of a frame: the eyeball seen through the driven lids, the lid sheet drawn over it, gaze.

The photo's eye pixels, completed behind the lids, are rigid with the skull; a plate of skin without the eye supplies
the closing lid, so lashes are not stretched into spikes. Works in place on the composited frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from talkhead.face.matting import extend_colors
from talkhead.face.topology import (
    BROW_A,
    BROW_B,
    CREASE_A,
    CREASE_B,
    EYE_A_LOWER,
    EYE_A_UPPER,
    EYE_B_LOWER,
    EYE_B_UPPER,
    IRIS_A,
    IRIS_B,
)
from talkhead.face3d.compiled import compiled
from talkhead.systems.meshwarp.lens import (
    box_around,
    curve_table,
    fit_affine,
    lens_frame,
    look_up,
    ramp,
    sample,
)

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
U8 = npt.NDArray[np.uint8]

_LASH_LENGTH = 0.045  # eye distances
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True, kw_only=True, slots=True)
class EyeLoops:
    """Vertex numbers of one eye, all from image left to image right."""

    upper: tuple[int, ...]
    lower: tuple[int, ...]
    crease: tuple[int, ...]
    iris: tuple[int, ...]
    brow: tuple[int, ...]
    rigid: tuple[int, ...]


# Eye B's loops are listed outer corner first in the topology; from image left to right they run backwards.
EYE_A = EyeLoops(
    upper=EYE_A_UPPER,
    lower=EYE_A_LOWER,
    crease=(33, *CREASE_A, 133),
    iris=IRIS_A,
    brow=BROW_A,
    rigid=(33, 133, 130, 243, 226, 112, 25, 110, 24, 23, 22, 26),
)
EYE_B = EyeLoops(
    upper=EYE_B_UPPER[::-1],
    lower=EYE_B_LOWER[::-1],
    crease=(362, *CREASE_B[::-1], 263),
    iris=IRIS_B,
    brow=BROW_B,
    rigid=(362, 263, 359, 463, 446, 341, 255, 339, 254, 253, 252, 256),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Eye:
    """One prepared eye: textures cut from the photo and their place in it.

    Attributes:
        eyeball, lid: (h, w, 3) uint8 crops. origin: x, y of the crops in the photo. iris: x, y, radius in the photo.
        lash: (3,) colour. eye_px: eye distance, pixels.
    """

    loops: EyeLoops
    eyeball: U8
    lid: U8
    origin: tuple[int, int]
    iris: tuple[float, float, float]
    lash: F32
    eye_px: float


def prepare_eye(image: U8, landmarks: F64, loops: EyeLoops, eye_px: float, seed: int = 0) -> Eye:
    """Cut and complete the textures of one eye.

    Args:
        image: (H, W, 3) uint8. landmarks: (478, 3) pixels. loops: of this eye. eye_px: eye distance in pixels.
        seed: of the lid's grain.
    """
    height, width = image.shape[:2]
    ring = landmarks[list(loops.upper + loops.lower[::-1]), :2]
    box = box_around(landmarks[list(loops.upper + loops.lower + loops.brow), :2], 0.25 * eye_px, (width, height))
    x0, y0, x1, y1 = box
    crop = np.ascontiguousarray(image[y0:y1, x0:x1])
    local = ring - (x0, y0)
    mask = _polygon_mask(local, crop.shape[:2])
    iris_xy = landmarks[loops.iris[0], :2]
    radius = float(np.linalg.norm(landmarks[list(loops.iris[1:]), :2] - iris_xy, axis=1).mean())
    eyeball = _complete_eyeball(crop, mask, iris_xy - (x0, y0), radius, eye_px)
    brow = landmarks[list(loops.brow), :2] - (x0, y0)
    shown = _shown_lid(crop, landmarks[:, :2] - (x0, y0), loops, eye_px)
    lid, lash = _lid_plate(image, crop, local, brow, landmarks, shown, eye_px, seed)
    return Eye(
        loops=loops,
        eyeball=eyeball,
        lid=lid,
        origin=(x0, y0),
        iris=(float(iris_xy[0]), float(iris_xy[1]), radius),
        lash=lash,
        eye_px=eye_px,
    )


def paint_eye(
    out: U8, eye: Eye, source: F64, rest: F64, skin: F64, target: F64, closure: float, origin: tuple[int, int]
) -> None:
    """Draw one eye into a frame, in place; leaves it alone when neither lids nor iris moved against the skull.

    Args:
        out: (H, W, 3) uint8, the composited frame region. source: (478, 2) landmarks of the photo, pixels.
        rest: (478, 2) the photo's face under the frame's pose, without expression. skin: (478, 2) the
            face as warped so far. target: (478, 2) the driven face, lids included. closure: 0..1 beyond the photo's
            own. origin: x, y of `out` in the frame.
    """
    loops = eye.loops
    rigid = list(loops.rigid + loops.brow[:5])
    to_source = fit_affine(rest[rigid], source[rigid])
    around = list(loops.rigid)
    drift = (target[around] - rest[around]).mean(0)  # brows and cheeks carry the whole eye region a little
    lids = list(loops.upper + loops.lower)
    lid_motion = float(np.abs(target[lids] - rest[lids] - drift).max())
    gaze = to_source[:, :2] @ (target[loops.iris[0]] - rest[loops.iris[0]] - drift)
    active = min(1.0, 2.0 * max(lid_motion - 0.02, float(np.abs(gaze).max()) - 0.02))
    if active <= 0:
        return
    frame = lens_frame(target[loops.upper[0]], target[loops.upper[-1]])
    upper, lower = curve_table(frame, target[list(loops.upper)]), curve_table(frame, target[list(loops.lower)])
    warped_upper = curve_table(frame, skin[list(loops.upper)])
    lash_top = warped_upper - _LASH_LENGTH * eye.eye_px / frame.length
    crease = curve_table(frame, skin[list(loops.crease)])
    # what the photo shows of the lid's own skin stays above the lashes; its fold unrolls and fades under the sheet
    crease = np.minimum(crease, lash_top) - 0.06
    rest_upper = curve_table(frame, rest[list(loops.upper)] + drift)
    lower = np.maximum(lower, upper)
    points = target[list(loops.upper + loops.lower + loops.crease)]
    box = box_around(points - origin, 0.04 * eye.eye_px + 2, (out.shape[1], out.shape[0]))
    shifted = to_source[:, 2] - to_source[:, :2] @ drift
    affine = np.column_stack([to_source[:, :2], shifted - np.array(eye.origin)])
    iris = (eye.iris[0] - eye.origin[0], eye.iris[1] - eye.origin[1], eye.iris[2])
    soft = max(0.008 * eye.eye_px, 0.7) / frame.length
    plate = float(np.clip((closure - 0.10) / 0.30, 0, 1))
    _paint_eye(
        out, np.array(box), np.array(origin, np.float64), frame.matrix, affine, eye.eyeball, eye.lid,
        upper, lower, crease, lash_top, rest_upper, np.array(iris), gaze, eye.lash, soft, plate, active,
    )  # fmt: skip


@compiled(fastmath=True)
def _paint_eye(  # noqa: PLR0913
    out: U8,
    box: npt.NDArray[np.int64],
    origin: F64,
    frame: F64,
    affine: F64,
    eyeball: U8,
    lid: U8,
    upper: F32,
    lower: F32,
    crease: F32,
    lash_top: F32,
    rest_upper: F32,
    iris: F64,
    gaze: F64,
    lash: F32,
    soft: float,
    plate: float,
    active: float,
) -> None:
    """The pixel loop of `paint_eye`."""
    for y in range(box[1], box[3]):
        for x in range(box[0], box[2]):
            px, py = x + 0.5 + origin[0], y + 0.5 + origin[1]
            fx = frame[0, 0] * px + frame[0, 1] * py + frame[0, 2]
            fy = frame[1, 0] * px + frame[1, 1] * py + frame[1, 2]
            if fx < -0.08 or fx > 1.08:
                continue
            top, bottom, fold = look_up(upper, fx), look_up(lower, fx), look_up(crease, fx)
            begin = look_up(lash_top, fx)
            ends = ramp(-0.04, 0.10, fx) * ramp(-0.04, 0.10, 1.0 - fx)
            sx = affine[0, 0] * px + affine[0, 1] * py + affine[0, 2]
            sy = affine[1, 0] * px + affine[1, 1] * py + affine[1, 2]
            inside = (
                ramp(-soft, soft, fy - top)
                * ramp(-soft, soft, bottom - fy)
                * ramp(-0.01, 0.02, fx)
                * ramp(-0.01, 0.02, 1.0 - fx)
            )
            inside *= active
            # the lid sheet grows out of the photo's own skin above the lashes and ends at the driven lid line
            sheet = plate * ends * ramp(fold, begin, fy) * ramp(-soft, soft, top - fy)
            # below the lid line of a nearly shut eye the skin continues until the lower lid
            shut = (
                plate
                * ends
                * ramp(0.05, 0.0, bottom - top)
                * ramp(-soft, soft, fy - top)
                * ramp(-soft, 2 * soft, bottom + 0.05 - fy)
            )
            sheet = max(sheet, shut)
            t = min(max((fy - begin) / max(top - begin, 0.02), 0.0), 1.0)
            round_light = 1.0 + 0.05 * (4.0 * t * (1.0 - t)) - 0.12 * t * t
            dx, dy = sx - iris[0] - gaze[0], sy - iris[1] - gaze[1]
            reach = (dx * dx + dy * dy) / (1.25 * 1.25 * iris[2] * iris[2])
            pull = np.exp(-0.25 * reach * reach)
            ex, ey = sx - gaze[0] * pull, sy - gaze[1] * pull
            # a lid that has come down casts its shadow on the eyeball; the photo's own shadow stays where it was
            lowered = min(max((top - look_up(rest_upper, fx)) * 8.0, 0.0), 1.0)
            shadow = 1.0 - 0.28 * lowered * (1.0 - ramp(0.0, 0.10, fy - top))
            line = np.exp(-(((fy - top - 0.2 * soft) / (1.4 * soft)) ** 2)) * plate * ends
            line *= 0.55 + 0.35 * fx * (1.0 - fx) * 4.0
            for c in range(3):
                value = float(out[y, x, c])
                if sheet > 0:
                    value += sheet * (sample(lid, sx, sy, c) * round_light - value)
                if inside > 0:
                    value += inside * (sample(eyeball, ex, ey, c) * shadow - value)
                if line > 0.01:
                    value += min(line, 0.8) * (lash[c] - value)
                out[y, x, c] = np.uint8(min(max(value + 0.5, 0.0), 255.0))


def _polygon_mask(polygon: F64, shape: tuple[int, ...]) -> F32:
    """Anti-aliased filled polygon, (H, W) 0..1; positions with centres at +0.5."""
    mask = np.zeros(shape[:2], np.uint8)
    fixed = np.round((polygon - 0.5) * 256).astype(np.int32).reshape(-1, 1, 2)
    cv2.fillPoly(mask, [fixed], 255, cv2.LINE_AA, shift=8)
    return mask.astype(np.float32) / 255


def _complete_eyeball(crop: U8, mask: F32, centre: F64, radius: float, eye_px: float) -> U8:
    """Continue iris and white behind the lids: the iris by its radial profile, the white by its surroundings."""
    reach = max(1, round(0.012 * eye_px))
    sure = cv2.erode(mask, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    if sure.sum() < 4:  # an eye that is shut in the photo: a neutral eyeball
        sure = mask
    if sure.sum() < 4:
        return crop.copy()
    height, width = crop.shape[:2]
    ys, xs = np.mgrid[0:height, 0:width] + 0.5
    distance = np.hypot(xs - centre[0], ys - centre[1]).astype(np.float32)
    in_iris = distance < 1.02 * radius
    outside = (sure * ~in_iris).astype(np.float32)
    white = None
    if outside.sum() > 8:
        light = _light_part(crop @ _LUMA, outside, xs < centre[0])
        white = extend_colors(crop.astype(np.float32), light if light.sum() > 4 else outside)
    filled = extend_colors(crop.astype(np.float32), sure)
    if white is not None:
        filled = np.where(in_iris[..., None], filled, white)
    seen = (sure > 0.9) & in_iris
    if seen.sum() > 12:
        bins = np.arange(0, 1.02 * radius + 1, max(radius / 8, 0.75))
        which = np.digitize(distance[seen], bins)
        known = [b for b in range(1, len(bins) + 1) if (which == b).any()]
        profile = np.array([np.median(crop[seen][which == b], axis=0) for b in known])
        at = bins[np.array(known) - 1]
        radial = np.stack([np.interp(distance, at, profile[:, c]) for c in range(3)], -1)
        blend = np.clip((1.02 * radius - distance) / max(0.12 * radius, 0.7), 0, 1)[..., None]
        filled = filled + blend * (radial - filled)
    weight = cv2.GaussianBlur(sure, (0, 0), max(0.5, 0.006 * eye_px))[..., None] * (sure[..., None] > 0)
    mixed = crop * weight + filled * (1 - weight)
    return np.clip(mixed + 0.5, 0, 255).astype(np.uint8)


def _light_part(luma: F32, white: F32, left: npt.NDArray[np.bool_]) -> F32:
    """The lighter half of the white (H, W), on each side of the iris by itself.

    Lashes and the lid's shadow must not grow behind the lid, nor the bright side's white into a corner in shadow.
    """
    light = np.zeros_like(white)
    for side in (left, ~left):
        seen = (white > 0.5) & side
        if seen.any():
            light += white * side * (luma >= np.median(luma[seen]))
    return light


def _lid_plate(
    image: U8, crop: U8, ring: F64, brow: F64, landmarks: F64, shown: F32, eye_px: float, seed: int
) -> tuple[U8, F32]:
    """Skin where the eye was, and the lash colour.

    The eye with its lashes and the brow are removed and filled from the skin around, so the sheet meets its
    surroundings without an edge; towards its middle the colour is drawn to that of the lid skin the photo shows, or
    else to the cheeks' (eye sockets are in shadow, lids come out of it), and grain is put back, otherwise lids look
    flat and grey.
    """
    centre = ring.mean(0)
    wide = centre + (ring - centre) * 1.12
    wide[: len(wide) // 2, 1] -= _LASH_LENGTH * eye_px
    wide[len(wide) // 2 :, 1] += 0.03 * eye_px
    hidden = _polygon_mask(_hull(wide), crop.shape)
    brow_hull = _hull(brow)
    middle = brow_hull.mean(0)
    hidden_brow = _polygon_mask(middle + (brow_hull - middle) * (1.15, 1.5), crop.shape)
    colors = crop.astype(np.float32)
    luma = colors @ _LUMA
    near = (cv2.dilate(hidden, np.ones((3, 3), np.uint8), iterations=max(1, round(0.06 * eye_px))) > 0) & (
        hidden < 0.02
    )
    usual = float(np.median(luma[near])) if near.any() else float(np.median(luma))
    # liner, lashes and spectacle rims are no skin, however near they are
    skinlike = np.clip((luma / max(usual, 1.0) - 0.55) / 0.25, 0, 1)
    known = ((np.maximum(hidden, hidden_brow) < 0.02) * skinlike).astype(np.float32)
    filled = extend_colors(colors, known) if known.sum() > 16 else colors
    cheeks = np.concatenate([_patch(image, landmarks[i, :2], 0.06 * eye_px) for i in (50, 280, 205, 425)])
    skin = np.median(shown if len(shown) else cheeks, 0)
    skin_luma = max(float(skin @ _LUMA), 1.0)
    inner = (2 * cv2.GaussianBlur(hidden, (0, 0), max(0.6, 0.04 * eye_px)) - 0.6).clip(0, 1)[..., None]
    own_luma = (filled @ _LUMA)[..., None]
    if len(shown):
        filled = filled + 0.7 * inner * (skin - filled)
    else:
        lifted = own_luma + 0.4 * (np.minimum(0.95 * skin_luma, 1.3 * own_luma) - own_luma)
        filled = filled + 0.55 * inner * (skin * (lifted / skin_luma) - filled)
    blurred = cv2.GaussianBlur(colors, (0, 0), max(0.8, 0.01 * eye_px))
    residual = (colors - blurred)[near]
    grain_sd = float(np.clip(np.median(np.abs(residual)) * 1.48, 0, 6)) if len(residual) else 0.0
    noise = cv2.GaussianBlur(np.random.default_rng(seed).normal(0, 1, crop.shape[:2]), (0, 0), 0.8)
    plate = filled + (0.5 * grain_sd / float(noise.std())) * (noise * hidden)[..., None]
    inside = crop[_polygon_mask(ring, crop.shape) > 0.5]
    lash = np.percentile(inside, 6, axis=0) if len(inside) else skin * 0.3
    darkest = np.minimum(np.asarray(lash) * 0.9 + 4, 0.45 * skin)
    return np.clip(plate + 0.5, 0, 255).astype(np.uint8), darkest.astype(np.float32)


def _shown_lid(crop: U8, points: F64, loops: EyeLoops, eye_px: float) -> F32:
    """Colours (N, 3) of the lid skin between crease and lashes; none where the photo shows too little of it."""
    lashes = points[list(loops.upper[1:-1])] - (0, 0.8 * _LASH_LENGTH * eye_px)
    crease = points[list(loops.crease[1:-1])] + (0, 0.01 * eye_px)
    if float((lashes - crease)[2:-2, 1].mean()) < max(2.0, 0.02 * eye_px):
        return np.empty((0, 3), np.float32)
    zone = crop[_polygon_mask(np.concatenate([crease, lashes[::-1]]), crop.shape) > 0.5].astype(np.float32)
    if len(zone) < 12:
        return np.empty((0, 3), np.float32)
    luma = zone @ _LUMA
    return zone[luma > 0.8 * np.median(luma)]


def _hull(points: F64) -> F64:
    return cv2.convexHull(points.astype(np.float32)).reshape(-1, 2).astype(np.float64)


def _patch(image: U8, centre: F64, radius: float) -> F32:
    """Colours (N, 3) of a square patch; at least one pixel."""
    height, width = image.shape[:2]
    r = max(1, round(radius))
    x, y = int(np.clip(centre[0], 0, width - 1)), int(np.clip(centre[1], 0, height - 1))
    return image[max(0, y - r) : y + r + 1, max(0, x - r) : x + r + 1].reshape(-1, 3).astype(np.float32)
