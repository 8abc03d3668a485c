from dataclasses import replace

import pytest

from talkhead.evaluation.measurement import Measurement, mean_over_clips, mean_over_frames, measurement_of

ONE = Measurement(
    name="lip_lag~mesh", definition="lips-lag/best-rs", grade="proxy", value=1.0, n_frames=100, params={"fps": 25.0}
)


@pytest.mark.parametrize(
    "broken",
    [
        {"name": "lip_lag"},
        {"grade": "exact"},
        {"value": None},
        {"reason": "no sound"},
        {"value": float("nan")},
        {"value": float("inf")},
    ],
)
def test_numbers_that_would_mislead_are_refused(broken):
    with pytest.raises(ValueError, match="lip_lag"):
        replace(ONE, **broken)


def test_the_mean_counts_each_clip_alike_and_leaves_out_those_without_a_value():
    longer = replace(ONE, value=4.0, n_frames=1000, frames_dropped=7, params={"fps": 25.0, "offset_frames": 2.0})
    absent = replace(ONE, value=None, reason="no silence in the clip")
    mean = mean_over_clips([absent, ONE, longer])
    assert (mean.value, mean.n_clips, mean.n_frames, mean.frames_dropped, mean.reason) == (2.5, 2, 1100, 7, "")
    assert mean_over_clips([ONE, longer]).params == {"fps": 25.0}
    nothing = mean_over_clips([absent, absent])
    assert (nothing.value, nothing.reason, nothing.n_clips) == (None, "no silence in the clip", 0)


def test_different_measurements_have_no_mean():
    with pytest.raises(ValueError, match="average"):
        mean_over_clips([ONE, replace(ONE, definition="lips-lag/other")])
    with pytest.raises(ValueError, match="average"):
        mean_over_clips([])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_do_not_exist_become_a_reason(value):
    about = {"name": "psnr", "definition": "psnr/frame", "grade": "exact", "n_frames": 1}
    absent = measurement_of(value, "identical", **about)
    assert (absent.value, absent.reason) == (None, "identical")
    there = measurement_of(30, "identical", **about)
    assert (there.value, there.reason) == (30.0, "")


def test_the_mean_over_frames_counts_long_clips_more():
    longer = replace(ONE, value=4.0, n_frames=300)
    absent = replace(ONE, value=None, reason="no silence in the clip", n_frames=0)
    mean = mean_over_frames([absent, ONE, longer])
    assert (mean.value, mean.n_clips, mean.n_frames, mean.params["pool"]) == (3.25, 2, 400, "frames")
    nothing = mean_over_frames([absent])
    assert (nothing.value, nothing.reason) == (None, "no silence in the clip")
