"""The inside of the mouth: cavity, tongue and teeth behind the driven lips; the photo's own teeth if it shows them.

Upper teeth are rigid with the skull, lower teeth and tongue with the jaw. Colours follow the photo: its skin
luminance, its eye-whites, its lips. Works in place on the composited frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from talkhead.face.topology import (
    CHIN,
    INNER_LIP_LOWER,
    INNER_LIP_PAIRS,
    INNER_LIP_UPPER,
    OUTER_LIP_LOWER,
    OUTER_LIP_UPPER,
)
from talkhead.face3d.compiled import compiled
from talkhead.systems.meshwarp.config import UNITS_PER_EYE_DISTANCE
from talkhead.systems.meshwarp.lens import (
    box_around,
    curve_table,
    fit_affine,
    lens_frame,
    look_up,
    ramp,
    sample,
)
from talkhead.systems.meshwarp.mesh import Pose

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
U8 = npt.NDArray[np.uint8]

TEETH_RESOLUTION = 320  # pixels per eye distance of the painted rows
_HALF_WIDTH = 0.40  # painted rows reach this far to either side, eye distances
_HEIGHT = 0.16
# Lips roll inwards: the dark begins this far inside the inner-lip line, eye distances. Without it a rendered mouth
# reads as opened wider than asked.
_LIP_ROLL = 0.009
_TEETH_DEPTH = 0.10  # teeth lie this far behind the lips, eye distances
# Upper teeth reach this far below the line where the lips meet, lower ones up to a little below that; eye distances
# (3 mm: incisors of a relaxed mouth show 2 to 4 mm).
_UPPER_EDGE, _LOWER_EDGE = 0.034, 0.046
# Pursed lips stand before the teeth: they cover this much more of the upper ones (painted; those of a laughing photo
# hang lower), eye distances, and shade them.
_PURSED_COVER, _PURSED_COVER_OWN, _PURSED_SHADE = 0.022, 0.10, 0.55
_LIT = (0.012, 0.034)  # lips this near let no light on the teeth: a dark line, no white one; eye distances
_ROW_UPPER_EDGE, _ROW_LOWER_EDGE = 0.135, 0.020  # biting edges within the painted rows
# Widths from the middle outwards, seen from the front: incisor, lateral, canine, premolars, molar (eye distances).
_UPPER_WIDTHS = (0.092, 0.072, 0.074, 0.056, 0.046, 0.036)
_LOWER_WIDTHS = (0.058, 0.062, 0.066, 0.054, 0.048, 0.040)
_LIP_RING = INNER_LIP_UPPER + INNER_LIP_LOWER[1:-1]
_SKIN_POINTS = (50, 280, 205, 425, 4, 6)


@dataclass(frozen=True, kw_only=True, slots=True)
class Mouth:
    """A prepared mouth.

    Attributes:
        upper, lower: (h, w, 4) uint8 painted rows. own: (h, w, 4) uint8 crop of the photo's own interior with its
            tooth mask, or an empty array. own_origin: x, y of that crop. seam: (3,) head-frame point where closed
            lips meet. cavity, tongue, line: (3,) colours. opening: of the photo, eye distances.
            rest_scale: of the photo's pose.
    """

    upper: U8
    lower: U8
    own: U8
    own_origin: tuple[int, int]
    seam: F64
    cavity: F32
    tongue: F32
    line: F32
    opening: float
    eye_px: float
    rest_scale: float


def prepare_mouth(image: U8, landmarks: F64, face: F64, eye_px: float, scale: float) -> Mouth:
    """Measure the photo's colours, paint two rows of teeth, and cut out its own teeth if it shows some.

    Args:
        image: (H, W, 3) uint8. landmarks: (478, 3) pixels. face: (478, 3) head frame. eye_px: eye distance, pixels.
        scale: of the photo's pose, pixels per unit.
    """
    skin = np.median([_mean_color(image, landmarks[i, :2], 0.03 * eye_px) for i in _SKIN_POINTS], 0)
    luma = float(skin @ np.array([0.299, 0.587, 0.114]))
    white = _eye_white(image, landmarks, luma)
    tint = skin / max(luma, 1.0)
    neutral = 0.6 * np.array([1.03, 1.0, 0.93]) + 0.4 * tint  # enamel is a little warm, more so in warm light
    teeth = np.clip(1.14 * white * neutral / max(neutral @ np.array([0.299, 0.587, 0.114]), 0.1), 0, 250)
    chroma = float(np.clip((tint.max() - tint.min()) / 0.12, 0.0, 1.0))  # a grey photo gets a grey mouth
    lips = np.median([_mean_color(image, landmarks[i, :2], 0.01 * eye_px) for i in (14, 17, 84, 314, 0, 37, 267)], 0)
    gap = _inner_gap(face)
    own, own_origin = _own_teeth(image, landmarks, gap, lips, eye_px)
    return Mouth(
        upper=_paint_row(_UPPER_WIDTHS, 0.112, teeth, np.array([0.62, 0.38, 0.36]) * luma, chroma, lower=False),
        lower=_paint_row(_LOWER_WIDTHS, 0.095, 0.90 * teeth, np.array([0.58, 0.34, 0.33]) * luma, chroma, lower=True),
        own=own,
        own_origin=own_origin,
        seam=_seam(face, gap),
        cavity=_toned(np.array([0.42, 0.185, 0.175]) * luma, chroma),
        tongue=_toned(np.array([0.84, 0.48, 0.47]) * luma, chroma),
        line=(0.45 * lips).astype(np.float32),
        opening=gap,
        eye_px=eye_px,
        rest_scale=scale,
    )


def paint_mouth(
    out: U8, mouth: Mouth, source: F64, rest: F64, target: F64, face: F64, still: F64, pose: Pose,
    size: tuple[int, int], origin: tuple[int, int], pursing: float = 0.0, tongue: float = 0.0, speaks: bool = False,
    teeth: bool = True,
) -> None:  # fmt: skip
    """Draw the inside of the mouth into a frame, in place; leaves it alone when the lips did not part or move.

    Args:
        out: (H, W, 3) uint8. source: (478, 2) landmarks of the photo. rest: (478, 2) the photo's face under the
            frame's pose without expression. target: (478, 2) the driven face. face: (478, 3) driven vertices in the
            head frame, `still` those of the photo. pose: of the frame. size: picture width, height. origin: x, y of
            `out` in the frame. pursing: how far the lips stand before the teeth, 0..1. tongue: how far its
            tip is raised, 0..1. speaks: never show what lay between the lips of the photo as it was.
    """
    gap = _inner_gap(face)
    moved = float(np.abs(face[list(_LIP_RING)] - still[list(_LIP_RING)])[:, :2].max()) / UNITS_PER_EYE_DISTANCE
    closed_photo = mouth.opening < 0.03
    seam = 0.0
    if closed_photo:
        show = _smooth(0.006, 0.034, gap) * _smooth(0.002, 0.012, moved)
    else:  # whatever lay between the lips is squeezed to flecks when they come nearer: all of it is painted anew
        changed = 1.0 if speaks else _smooth(0.004, 0.03, moved)
        show = _smooth(0.002, 0.010, gap) * changed
        # lips of a laughing photo that close leave slivers of squeezed teeth: a seam covers them
        seam = (1 - _smooth(0.010, 0.030, gap)) * changed
    if show <= 0.002 and seam <= 0.002:
        return
    frame = lens_frame(target[INNER_LIP_UPPER[0]], target[INNER_LIP_UPPER[-1]])
    upper = curve_table(frame, target[list(INNER_LIP_UPPER)])
    lower = np.maximum(curve_table(frame, target[list(INNER_LIP_LOWER)]), upper)
    points = target[list(_LIP_RING)]
    box = box_around(points - origin, 0.03 * mouth.eye_px + 2, (out.shape[1], out.shape[0]))
    jaw = max(0.0, float(still[CHIN, 1] - face[CHIN, 1])) / UNITS_PER_EYE_DISTANCE
    lip_drop = max(0.0, gap - 0.35 * jaw)
    lit = _smooth(*_LIT, gap)
    exposure = (1 - _PURSED_SHADE * pursing) * (0.25 + 0.75 * lit)
    lower_edge = _LOWER_EDGE + 0.75 * jaw + 0.18 * lip_drop
    loop = list(_LIP_RING) + [0, 37, 267, 61, 291]
    own = fit_affine(rest[loop], source[loop])
    across = (source[INNER_LIP_UPPER[-1]] - source[INNER_LIP_UPPER[0]])[:2]
    downwards = np.array([-across[1], across[0]]) / max(float(np.hypot(*across)), 1e-6)
    own[:, 2] += _PURSED_COVER_OWN * pursing * mouth.eye_px * downwards - mouth.own_origin
    soft = max(0.007 * mouth.eye_px, 0.65) / frame.length
    _paint_mouth(
        out, np.array(box), np.array(origin, np.float64), frame.matrix, _skull_matrix(mouth, pose, size), own, upper,
        lower, mouth.upper, mouth.lower, mouth.own, mouth.cavity, mouth.tongue, mouth.line, soft,
        frame.length / mouth.eye_px * mouth.rest_scale / pose.scale, _UPPER_EDGE - _PURSED_COVER * pursing, lower_edge,
        exposure, lit * (1 - _smooth(0.6, 1.0, pursing)), tongue, show, seam, 1.0 if teeth else 0.0,
        _LIP_ROLL if closed_photo else 0.3 * _LIP_ROLL,
    )  # fmt: skip


def _skull_matrix(mouth: Mouth, pose: Pose, size: tuple[int, int]) -> F64:
    """Pixels -> mouth plane of the skull, (2, 3): eye distances right and down from the seam's centre."""
    unit = UNITS_PER_EYE_DISTANCE
    corner = mouth.seam + np.array([0, 0, -_TEETH_DEPTH * unit])
    points = pose.place(np.stack([corner, corner + (unit, 0, 0), corner - (0, unit, 0)]), size)[:, :2]
    (a, c), (b, d) = points[1] - points[0], points[2] - points[0]
    determinant = a * d - b * c
    inverse = np.array([[d, -b], [-c, a]]) / (determinant if abs(determinant) > 1e-6 else 1e-6)
    return np.column_stack([inverse, -inverse @ points[0]])


@compiled(fastmath=True)
def _paint_mouth(  # noqa: PLR0913
    out: U8,
    box: npt.NDArray[np.int64],
    origin: F64,
    frame: F64,
    skull: F64,
    own_map: F64,
    upper: F32,
    lower: F32,
    upper_row: U8,
    lower_row: U8,
    own: U8,
    cavity: F32,
    tongue: F32,
    line: F32,
    soft: float,
    chord: float,
    upper_edge: float,
    lower_edge: float,
    exposure: float,
    own_shown: float,
    raised: float,
    show: float,
    seam: float,
    teeth: float,
    lip_roll: float,
) -> None:
    """The pixel loop of `paint_mouth`; `chord` is the frame's length in eye distances.

    `upper_edge`, `lower_edge`: biting edges below the seam. `exposure`: light that the lips leave. `own_shown`: of the
    photo's own teeth. `raised`: tip of the tongue.
    """
    res = TEETH_RESOLUTION
    upper_top, lower_top = upper_edge - _ROW_UPPER_EDGE, lower_edge - _ROW_LOWER_EDGE
    tip_top = lower_edge - 0.01 + raised * (upper_edge - 0.012 - lower_edge + 0.01)
    tip_shown = ramp(0.1, 0.45, raised)
    inset = lip_roll / chord
    for y in range(box[1], box[3]):
        for x in range(box[0], box[2]):
            px, py = x + 0.5 + origin[0], y + 0.5 + origin[1]
            fx = frame[0, 0] * px + frame[0, 1] * py + frame[0, 2]
            if fx < 0.0 or fx > 1.0:
                continue
            fy = frame[1, 0] * px + frame[1, 1] * py + frame[1, 2]
            top, bottom = look_up(upper, fx), look_up(lower, fx)
            inside = ramp(-soft, soft, fy - top - inset) * ramp(-soft, soft, bottom - fy - inset)
            inside *= min(1.0, (bottom - top) / (1.2 * soft)) * show
            centre = 0.5 * (top + bottom)
            width = 0.014 / chord
            stripe = seam * np.exp(-(((fy - centre) / width) ** 2)) * ramp(0.0, 0.08, fx) * ramp(0.0, 0.08, 1.0 - fx)
            if inside < 0.004 and stripe < 0.004:
                continue
            mx = skull[0, 0] * px + skull[0, 1] * py + skull[0, 2]
            my = skull[1, 0] * px + skull[1, 1] * py + skull[1, 2]
            u = 2.0 * fx - 1.0
            edge = min(fy - top, bottom - fy) * chord
            # light falls in from the front: darker under the upper lip and towards the corners
            light = (0.70 + 0.30 * ramp(-0.005, 0.040, (fy - top) * chord)) * (0.84 + 0.16 * ramp(-0.005, 0.03, edge))
            light *= (1.0 - 0.34 * u * u) * exposure
            depth = ramp(0.0, 0.16, (fy - top) * chord)
            # the tongue rests behind the lower teeth
            tx, ty = mx / 0.23, (my - lower_edge - 0.03) / 0.115
            body = ramp(1.20, 0.55, np.sqrt(tx * tx + ty * ty))
            groove = 1.0 - 0.16 * np.exp(-((mx / 0.02) ** 2))
            # its raised tip lies between the rows, nearer to the light than its body
            tx, ty = mx / 0.135, (my - tip_top) / 0.055 - 1.0
            reach = np.sqrt(tx * tx + ty * ty) if ty < 0.0 else abs(tx)
            tip = teeth * tip_shown * ramp(1.0, 0.78, reach)
            tip_light = (0.98 - 0.20 * tx * tx - 0.16 * ramp(-0.2, 1.2, ty)) * groove * (0.45 + 0.55 * light)
            column = (mx + _HALF_WIDTH) * res
            lower_a = teeth * sample(lower_row, column, (my - lower_top) * res, 3) / 255.0
            # shade draws teeth to the colour of the cavity: warm where the photo is
            upper_a = exposure * teeth * sample(upper_row, column, (my - upper_top) * res, 3) / 255.0
            own_a, ox, oy = 0.0, 0.0, 0.0
            if own.shape[0] > 1:
                ox = own_map[0, 0] * px + own_map[0, 1] * py + own_map[0, 2]
                oy = own_map[1, 0] * px + own_map[1, 1] * py + own_map[1, 2]
                own_a = own_shown * sample(own, ox, oy, 3) / 255.0
            tooth_light = (0.80 + 0.20 * ramp(-0.01, 0.035, (fy - top) * chord)) * (1.0 - 0.22 * u * u)
            lower_light = light * (0.70 + 0.25 * depth)
            for c in range(3):
                value = np.float64(cavity[c]) * (0.66 + 0.34 * depth)
                value += body * (tongue[c] * groove * (0.74 + 0.24 * depth) - value)
                value += tip * (tongue[c] * tip_light / max(light, 0.2) - value)
                value += lower_a * (
                    sample(lower_row, column, (my - lower_top) * res, c) * lower_light / max(light, 0.2) - value
                )
                value *= light
                value += upper_a * (sample(upper_row, column, (my - upper_top) * res, c) * tooth_light - value)
                if own_a > 0:
                    value += own_a * (sample(own, ox, oy, c) - value)
                value = out[y, x, c] + inside * (value - out[y, x, c])
                value += stripe * (line[c] - value)
                out[y, x, c] = np.uint8(min(max(value + 0.5, 0.0), 255.0))


def _inner_gap(face: F64) -> float:
    """Mean inner-lip distance at three places, eye distances."""
    gaps = [np.linalg.norm(face[upper, :2] - face[lower, :2]) for upper, lower in INNER_LIP_PAIRS]
    return float(np.mean(gaps)) / UNITS_PER_EYE_DISTANCE


def _seam(face: F64, gap: float) -> F64:
    """Where the lips would meet, head frame: an open mouth closes mostly from below."""
    share = 0.5 if gap < 0.03 else 0.25
    point: F64 = face[13] + share * (face[14] - face[13])
    return point


def _smooth(low: float, high: float, value: float) -> float:
    t = min(max((value - low) / (high - low), 0.0), 1.0)
    return t * t * (3 - 2 * t)


def _toned(color: F64, chroma: float) -> F32:
    """A colour drawn to grey as far as the photo itself is grey."""
    gray = float(color @ np.array([0.299, 0.587, 0.114]))
    toned = gray + chroma * (color - gray)
    return np.clip(toned, 0, 255).astype(np.float32)


def _mean_color(image: U8, centre: F64, radius: float) -> F64:
    height, width = image.shape[:2]
    r = max(1, round(radius))
    x, y = int(np.clip(centre[0], 0, width - 1)), int(np.clip(centre[1], 0, height - 1))
    return image[max(0, y - r) : y + r + 1, max(0, x - r) : x + r + 1].reshape(-1, 3).mean(0)


def _eye_white(image: U8, landmarks: F64, luma: float) -> float:
    """Luminance of the brightest part of the eye-whites, held near the skin's."""
    values = []
    for ids in ((33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7),
                (362, 398, 384, 385, 386, 387, 388, 466, 263, 249, 390, 373, 374, 380, 381, 382)):  # fmt: skip
        mask = np.zeros(image.shape[:2], np.uint8)
        cv2.fillPoly(mask, [np.round(landmarks[list(ids), :2]).astype(np.int32)], 1)
        values.append(image[mask > 0].reshape(-1, 3) @ np.array([0.299, 0.587, 0.114]))
    pixels = np.concatenate(values)
    brightest = float(np.percentile(pixels, 90)) if len(pixels) else luma
    return float(np.clip(brightest, 0.98 * luma, 1.15 * luma))


def _paint_row(widths: tuple[float, ...], height: float, color: F64, gum: F64, chroma: float, *, lower: bool) -> U8:
    """One row of teeth with its gum as an RGBA strip."""
    res = TEETH_RESOLUTION
    rows, columns = round(_HEIGHT * res), round(2 * _HALF_WIDTH * res)
    my, mx = np.mgrid[0:rows, 0:columns].astype(np.float64)
    my, mx = (my + 0.5) / res, (mx + 0.5) / res - _HALF_WIDTH
    side = np.abs(mx)
    borders = np.concatenate([[0.0], np.cumsum(widths)])
    which = np.clip(np.searchsorted(borders, side, side="right") - 1, 0, len(widths) - 1)
    middle, half = (borders[which] + borders[which + 1]) / 2, np.array(widths)[which] / 2
    across = np.clip((side - middle) / half, -1, 1)
    lengths = np.array([1.0, 0.90, 0.97, 0.84, 0.76, 0.70])[which] * height
    # the row follows the arch of the smile; corners of each tooth are rounded
    arch = 0.010 * (side / 0.12) ** 2
    rounding = 0.016 * np.abs(across) ** 4 + np.where(which == 2, 0.010 * across**2, 0.0)
    if lower:
        edge = _ROW_LOWER_EDGE + 0.6 * arch + 0.7 * rounding
        along = (my - edge) / lengths
    else:
        edge = _ROW_UPPER_EDGE - arch - rounding - np.where(which == 1, 0.006, 0.0)
        along = (edge - my) / lengths
    soft = 0.006 / lengths
    body = np.clip(along / soft + 0.5, 0, 1)
    gap = np.exp(-(((1 - np.abs(across)) * half / 0.0045) ** 2))
    falloff = np.clip(1 - 1.0 * side - 1.6 * side**2, 0.15, 1)
    bulge = 1.0 - 0.10 * across**2
    enamel = 0.86 + 0.16 * np.clip(along / 0.35, 0, 1) - 0.10 * np.clip((along - 0.6) / 0.4, 0, 1)
    shine = 0.06 * np.exp(-(((across + 0.2) / 0.35) ** 2) - ((along - 0.45) / 0.25) ** 2)
    light = falloff * bulge * (enamel + shine) * (1 - 0.17 * gap)
    tooth = color[None, None] * light[..., None]
    gums = _toned(gum, chroma)[None, None] * (falloff * (0.9 - 0.2 * across**2))[..., None]
    in_gum = np.clip((along - 1 + 0.10 * across**2) / (0.010 / lengths) + 0.5, 0, 1)[..., None]
    colors = tooth + in_gum * (gums - tooth)
    alpha = body * np.clip((borders[-1] - side) / 0.05, 0, 1)
    return np.dstack([np.clip(colors, 0, 255), alpha * 255]).astype(np.uint8)


def _own_teeth(image: U8, landmarks: F64, gap: float, lips: F64, eye_px: float) -> tuple[U8, tuple[int, int]]:
    """The photo's own interior with a mask of its tooth-like pixels; an empty array if the mouth is shut."""
    if gap < 0.03:
        return np.zeros((1, 1, 4), np.uint8), (0, 0)
    height, width = image.shape[:2]
    ring = np.concatenate([landmarks[list(INNER_LIP_UPPER), :2], landmarks[list(INNER_LIP_LOWER[-2:0:-1]), :2]])
    outer = landmarks[list(OUTER_LIP_UPPER + OUTER_LIP_LOWER), :2]
    x0, y0, x1, y1 = box_around(outer, 4, (width, height))
    crop = np.ascontiguousarray(image[y0:y1, x0:x1])
    mask = np.zeros(crop.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.round((ring - (x0, y0) - 0.5) * 256).astype(np.int32)], 255, cv2.LINE_AA, shift=8)
    reach = max(1, round(0.010 * eye_px))
    inner = cv2.erode(mask, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)).astype(np.float32) / 255
    lab = cv2.cvtColor(crop, cv2.COLOR_RGB2LAB).astype(np.float32)
    lip_lab = cv2.cvtColor(np.clip(lips, 0, 255).astype(np.uint8).reshape(1, 1, 3), cv2.COLOR_RGB2LAB)[0, 0].astype(
        float
    )
    redness = np.clip((lab[..., 1] - 128) / max(lip_lab[1] - 128, 4.0), 0, 2)
    bright = lab[..., 0] / max(float(lip_lab[0]), 1.0)
    toothlike = np.clip((0.85 - redness) / 0.4, 0, 1) * np.clip((bright - 0.55) / 0.35, 0, 1)
    alpha = cv2.GaussianBlur(inner * toothlike, (0, 0), max(0.5, 0.006 * eye_px))
    # Only a row shown nearly whole is worth keeping; a strip of it would lie on the painted row like a brace.
    columns = alpha[:, alpha.shape[1] // 3 : -(alpha.shape[1] // 3) or None]
    alpha *= _smooth(0.045, 0.08, float(columns.sum(0).mean()) / eye_px)
    return np.dstack([crop, np.clip(alpha * 255, 0, 255).astype(np.uint8)]), (x0, y0)
