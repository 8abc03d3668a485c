import numpy as np
import pytest

from talkhead.errors import InputError, ShapeError, UsageError
from talkhead.evaluation.cpbd import CpbdScores, cpbd, edge_widths, sobel_edges


def ramp(width, n=128):
    """A vertical edge that rises over so many pixels, from 40 to 200."""
    return np.tile(np.interp(np.arange(n), [60, 60 + width], [40, 200]), (n, 1))


@pytest.mark.parametrize("width", [2, 5, 9])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_width_of_an_edge_is_the_length_of_its_slope(width, sign):
    gray = ramp(width) if sign > 0 else ramp(width)[:, ::-1]
    edges = np.zeros(gray.shape, bool)
    middle = 60 + width // 2
    edges[:, middle if sign > 0 else 127 - middle] = True
    widths = edge_widths(gray, edges)
    assert set(widths[1:-1].max(1)) == {width}
    assert not widths[[0, -1]].any()


def test_horizontal_edges_do_not_count():
    assert not sobel_edges(ramp(4).T).any()
    assert cpbd(ramp(4).T.astype(np.uint8)) == 0


def test_walks_end_at_the_border_and_after_101_pixels():
    gray = np.tile(np.linspace(0, 250, 400), (70, 1))
    edges = np.zeros(gray.shape, bool)
    edges[30, [50, 200]] = True
    widths = edge_widths(gray, edges)
    assert (widths[30, 50], widths[30, 200]) == (50 + 101, 202)


def test_sharp_edges_score_high_and_blurred_ones_low():
    sharp, blurred = (ramp(width).astype(np.uint8) for width in (2, 12))
    assert cpbd(sharp) == 1
    assert cpbd(blurred) == 0
    assert cpbd(np.repeat(sharp[..., None], 3, 2)) == 1


@pytest.mark.parametrize("frame", [np.ones((64, 64)), np.ones((64, 64, 3), np.float32) * 200])
def test_frames_that_are_no_bytes_are_refused(frame):
    with pytest.raises(InputError, match="bytes"):
        cpbd(frame)


def test_frames_without_a_block_are_refused_alone_and_have_a_reason_in_a_clip():
    small = np.zeros((48, 64, 3), np.uint8)
    with pytest.raises(ShapeError, match="64"):
        cpbd(small)
    scores = CpbdScores()
    assert scores.add(small) is None
    assert "64x48" in scores.measurement().reason
    assert CpbdScores().measurement().reason == "no frames"


def test_every_second_frame_is_scored_on_request():
    scores = CpbdScores(every=2)
    seen = [scores.add(np.repeat(ramp(w).astype(np.uint8)[..., None], 3, 2)) for w in (2, 2, 12)]
    assert seen == [1, None, 0]
    row = scores.measurement()
    assert (row.value, row.n_frames, row.params["every"]) == (0.5, 2, 2)
    with pytest.raises(UsageError, match="every is 0"):
        CpbdScores(every=0)
