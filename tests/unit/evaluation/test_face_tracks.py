import numpy as np
import pytest

from talkhead.errors import ShapeError, UsageError
from talkhead.evaluation.face_tracks import CropPlace, FaceTrack, crop_places, cut_crop, find_tracks, whole_crop


def box(x=100.0, y=80.0, side=150.0):
    return (x, y, x + side, y + side)


def test_a_still_face_is_one_track():
    (track,) = find_tracks([[box()]] * 101)
    assert (track.first, len(track), track.end, track.n_found, track.side) == (0, 101, 101, 101, 150.0)
    assert find_tracks([[box()]] * 100) == []


def test_gaps_up_to_25_frames_are_filled_in():
    seen = [[box(100)]] * 60 + [[]] * 24 + [[box(112.5)]] * 60
    (track,) = find_tracks(seen)
    assert (len(track), track.n_found) == (144, 120)
    np.testing.assert_allclose(np.diff(track.boxes[59:85, 0]), 0.5)
    seen = [[box()]] * 60 + [[]] * 25 + [[box()]] * 60
    assert [(t.first, t.end) for t in find_tracks(seen, min_track=50)] == [(0, 60), (85, 145)]


def test_two_faces_are_told_apart_in_any_order():
    left, right = box(0), box(400)
    tracks = find_tracks([[left, right] if t % 2 else [right, left] for t in range(120)])
    assert sorted(set(track.boxes[:, 0].tolist()).pop() for track in tracks) == [0.0, 400.0]
    assert [track.n_found for track in tracks] == [120, 120]


def test_a_jump_by_more_than_half_begins_another_track():
    tracks = find_tracks([[box(100)]] * 110 + [[box(180)]] * 110)
    assert [(track.first, track.end) for track in tracks] == [(0, 110), (110, 220)]


def test_small_faces_are_left_out():
    assert find_tracks([[box(side=100)]] * 120) == []
    assert len(find_tracks([[box(side=60)]] * 120, min_side=50)) == 1


def test_tracks_too_short_for_the_crops_are_refused():
    with pytest.raises(UsageError, match="min_track is 5"):
        find_tracks([], min_track=5)
    with pytest.raises(ShapeError):
        FaceTrack(first=0, boxes=np.zeros((0, 4)), n_found=0)


def test_crops_reach_below_the_face():
    place = crop_places(np.array([[100.0, 80, 200, 180]] * 30))[15]
    assert place == CropPlace(padding=90, y0=170, y1=310, x0=170, x1=310)


def test_the_medians_let_the_ends_shrink():
    sides = np.linspace(100, 130, 40)
    places = crop_places(np.stack([np.full(40, 50.0), np.full(40, 50.0), 50 + sides, 50 + sides], 1))
    heights = [place.y1 - place.y0 for place in places]
    true = [1.4 * side for side in sides]
    assert heights[20] == pytest.approx(true[20], abs=1)
    assert heights[-1] < true[-1] - 5


def test_pixels_outside_the_frame_are_gray():
    frame = np.full((120, 160, 3), 200, np.uint8)
    crop = cut_crop(frame, CropPlace(padding=100, y0=50, y1=150, x0=50, x1=150))  # top left quarter outside
    assert crop.shape == (224, 224, 3)
    assert (crop[:110] == 110).all()
    assert (crop[:, :110] == 110).all()
    assert (crop[114:, 114:] == 200).all()


def test_a_crop_that_is_cut_equals_one_of_a_padded_frame():
    import cv2

    frame = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    place = CropPlace(padding=30, y0=10, y1=140, x0=60, x1=200)
    padded = np.pad(frame, ((30, 30), (30, 30), (0, 0)), constant_values=110)
    np.testing.assert_array_equal(cut_crop(frame, place), cv2.resize(padded[10:140, 60:200], (224, 224)))


def test_a_crop_beside_the_frame_is_an_error():
    with pytest.raises(ShapeError):
        cut_crop(np.zeros((50, 50, 3), np.uint8), CropPlace(padding=10, y0=90, y1=120, x0=0, x1=20))


def test_whole_frames_are_resized():
    assert (whole_crop(np.full((96, 128, 3), 7, np.uint8)) == 7).all()
