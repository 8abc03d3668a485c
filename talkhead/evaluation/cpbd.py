"""CPBD: the share of edges whose blur cannot be seen (Narvekar & Karam 2009, 2011; edge width of Marziliano 2002).

No picture to compare with is needed. Two warnings: the value depends strongly on the size of the picture, and it is
not monotonic: the steps of 8 bits end the walk along a smooth edge, so that very blurred pictures may score higher
again. Published implementations differ by 0.03 on one picture.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from talkhead.errors import InputError, ShapeError, UsageError
from talkhead.evaluation.columns import Mean
from talkhead.evaluation.measurement import Measurement
from talkhead.evaluation.pixels import to_gray

F64 = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
U8 = npt.NDArray[np.uint8]

BLOCK = 64
EDGE_SHARE = 0.002  # of a block's pixels make it an edge block
LOW_CONTRAST, JND_LOW, JND_HIGH = 50, 5.0, 3.0  # contrast of a block; widths just noticeable below and above it
BETA = 3.6
JUST_NOTICEABLE = 63  # percent: the probability of seeing blur at the just noticeable width
LONGEST_WALK = 101
CANNY_SIGMA, CANNY_LOW, CANNY_HIGH = 1.0, 0.1, 0.2  # thresholds on the scale 0..255: any edge counts

_SOBEL = np.array([[1.0, 0.0, -1.0], [2.0, 0.0, -2.0], [1.0, 0.0, -1.0]]) / 8.0


def cpbd(frame: U8) -> float:
    """Share of edge pixels whose blur is seen with a probability of at most 63 %; 0 without edges.

    Args:
        frame: (H, W, 3) RGB or (H, W) gray, uint8.
    Raises:
        InputError: not bytes: values of 0..1 would silently give 0. ShapeError: not a picture.
    """
    if frame.dtype != np.uint8:
        raise InputError(f"CPBD needs bytes, 0..255, not {frame.dtype}", hint="values of 0..1 silently give 0")
    if frame.ndim not in (2, 3):
        raise ShapeError("frame", frame.shape, "(H, W, 3) or (H, W)")
    gray = (to_gray(frame) if frame.ndim == 3 else frame).astype(np.float64)
    if min(gray.shape) < BLOCK:
        raise ShapeError("frame", frame.shape, f"at least {BLOCK} pixels a side for CPBD")
    widths = edge_widths(gray, sobel_edges(gray))
    rows, columns = (side // BLOCK for side in gray.shape)
    is_edge, width, level = (
        _tiles(array[: rows * BLOCK, : columns * BLOCK], rows, columns)
        for array in (canny_edges(gray).astype(np.float64), widths, gray)
    )
    contrast = level.max(1) - level.min(1)
    jnd = np.where(contrast <= LOW_CONTRAST, JND_LOW, JND_HIGH)
    counted = (width > 0) & (is_edge.sum(1) > EDGE_SHARE * BLOCK**2)[:, None]
    percent = np.rint(100 * (1 - np.exp(-((width / jnd[:, None]) ** BETA))))[counted]
    return float((percent <= JUST_NOTICEABLE).mean()) if percent.size else 0.0


def canny_edges(gray: F64) -> Flags:
    """Which pixels are edges that make a block count, (H, W)."""
    from skimage.feature import canny

    return np.asarray(canny(gray, sigma=CANNY_SIGMA, low_threshold=CANNY_LOW, high_threshold=CANNY_HIGH), bool)


def sobel_edges(gray: F64) -> Flags:
    """Thin vertical edges, (H, W).

    The squared response itself is held against twice the root of its mean, as in the published code, although the two
    have different units.
    """
    from scipy.ndimage import convolve

    strength = convolve(gray, _SOBEL, mode="reflect") ** 2
    strength[strength <= 2 * math.sqrt(strength.mean())] = 0.0
    edges = np.zeros(gray.shape, bool)
    for axis in (0, 1):
        padded = np.pad(strength, [(1, 1) if i == axis else (0, 0) for i in (0, 1)])
        before, after = (np.take(padded, np.arange(start, start + gray.shape[axis]), axis) for start in (0, 2))
        edges |= (strength > before) & (strength > after)
    return edges


def edge_widths(gray: F64, edges: Flags) -> F64:
    """Width of each edge pixel along its row, from where brightness stops falling to where it stops rising.

    Args:
        gray: (H, W), 0..255. edges: (H, W).
    Returns:
        (H, W), pixels; 0 where there is no edge or the edge is not vertical. The outermost pixels are skipped.
    """
    gradient_y, gradient_x = np.gradient(gray)
    # Where nothing changes along the row the angle stays 0, as in the published code, and not +-90 degrees.
    degrees = np.where(gradient_x != 0, np.degrees(np.arctan2(gradient_y, gradient_x)), 0.0)
    widths = np.zeros(gray.shape)
    quarter = np.rint(degrees / 45)
    inside = np.zeros(gray.shape, bool)
    inside[1:-1, 1:-1] = True
    for turn, brighter_right in ((0, True), (4, False)):
        ys, xs = np.nonzero(edges & inside & (np.abs(quarter) == turn))
        rising = gray if brighter_right else -gray
        widths[ys, xs] = _walk(rising, ys, xs, -1) + _walk(rising, ys, xs, 1)
    return widths


def _walk(rising: F64, ys: npt.NDArray[np.intp], xs: npt.NDArray[np.intp], step: int) -> F64:
    """How many pixels until the slope ends, going left (-1) or right (1) from pixels of a slope that rises right."""
    ended = np.full(len(xs), float(LONGEST_WALK))
    active = np.arange(len(xs))
    for n in range(1, LONGEST_WALK + 1):
        far = xs[active] + step * (n + 1)
        is_inside = (far >= 0) & (far < rising.shape[1])
        ended[active[~is_inside]] = n
        active, far = active[is_inside], far[is_inside]
        goes_on = step * (rising[ys[active], far] - rising[ys[active], far - step]) > 0
        ended[active[~goes_on]] = n
        active = active[goes_on]
        if not len(active):
            break
    return ended


def _tiles(array: F64, rows: int, columns: int) -> F64:
    return array.reshape(rows, BLOCK, columns, BLOCK).swapaxes(1, 2).reshape(rows * columns, -1)


class CpbdScores:
    """CPBD of the frames of one clip, streamed.

    Args:
        every: score one frame of so many, the first included.
    Raises:
        UsageError: `every` is below 1.
    """

    def __init__(self, every: int = 1) -> None:
        if every < 1:
            raise UsageError(f"every is {every}, expected at least 1")
        self.every = every
        self._mean = Mean()
        self._n_seen = 0
        self._size = (0, 0)

    def add(self, frame: U8) -> float | None:
        """Score the next frame, (H, W, 3) uint8 RGB; None for one that is left out or smaller than a block."""
        is_due = self._n_seen % self.every == 0
        self._n_seen += 1
        self._size = (frame.shape[1], frame.shape[0])
        if not is_due or min(self._size) < BLOCK:
            return None
        value = cpbd(frame)
        self._mean.add(value)
        return value

    def measurement(self) -> Measurement:
        """The mean over the frames that were scored."""
        width, height = self._size
        why = f"frames of {width}x{height} hold no block of {BLOCK} pixels" if self._n_seen else "no frames"
        return Measurement(
            name="cpbd",
            definition="cpbd/narvekar2011",
            grade="exact",
            value=self._mean.value if self._mean.n else None,
            reason="" if self._mean.n else why,
            n_frames=self._mean.n,
            params={"every": self.every, "width": width, "height": height},
        )
