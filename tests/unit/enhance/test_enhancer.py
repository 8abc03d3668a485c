"""Videos, frame by frame, with made-up networks in place of the published ones."""

import logging
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from talkhead.enhance.align import Place, place_points
from talkhead.enhance.config import EnhanceConfig
from talkhead.enhance.enhancer import Enhancer, open_enhancer
from talkhead.enhance.networks import FaceRestorer, Upscaler
from talkhead.enhance.paste import cut_face
from talkhead.errors import ShapeError, WeightsError
from talkhead.face.landmarks import Landmarks

FACES = EnhanceConfig(faces="gfpgan")
BLANK = np.full((200, 180, 3), 120, np.uint8)


def same(faces):
    return faces


def sharper(faces):
    low = torch.nn.functional.avg_pool2d(torch.nn.functional.pad(faces, (4,) * 4, mode="replicate"), 9, 1)
    return faces + 2 * (faces - low)


def enhancer(network=sharper, config=FACES, **options):
    return Enhancer(config, restorer=FaceRestorer(network), **options)


def plain(frame, scale=2):
    return cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_LANCZOS4)


def shaken(portrait, n_frames):
    """The portrait moving about by pixels."""
    return [np.roll(portrait, (i % 3, 2 * i % 5), (0, 1)) for i in range(n_frames)]


@pytest.mark.parametrize("cut", [np.s_[:, :], np.s_[:199, 3:176]], ids=["even", "odd"])
def test_what_the_network_leaves_alone_is_plainly_enlarged(portrait, cut):
    frames = [np.ascontiguousarray(frame[cut]) for frame in shaken(portrait, 4)]
    made = list(enhancer(same).frames(iter(frames), 25.0))
    assert len(made) == 4
    for frame, out in zip(frames, made, strict=True):
        assert np.abs(out.astype(int) - plain(frame)).max() <= 1


def test_the_face_changes_and_the_rest_does_not(portrait, portrait_landmarks):
    (out,) = enhancer().frames([portrait], 25.0)
    difference = np.abs(out.astype(int) - plain(portrait)).max(-1)
    x, y = (2 * portrait_landmarks.points[[33, 263, 61, 291], :2]).astype(int).T
    assert all(difference[b - 4 : b + 5, a - 4 : a + 5].max() > 10 for a, b in zip(x, y, strict=True))
    x0, y0, x1, y1 = (2 * v for v in portrait_landmarks.bbox)
    outside = np.ones(difference.shape, bool)
    margin = 0.3 * (x1 - x0)
    outside[max(0, int(y0 - margin)) : int(y1 + margin), max(0, int(x0 - margin)) : int(x1 + margin)] = False
    assert outside.any() and difference[outside].max() == 0


def test_strength_mixes(portrait):
    outs = []
    for strength in (0.0, 0.5, 1.0):
        config = EnhanceConfig(faces="gfpgan", strength=strength)
        outs.append(next(enhancer(config=config).frames([portrait], 25.0)).astype(float))
    assert np.array_equal(outs[0], plain(portrait))
    inside = (outs[2] > 5) & (outs[2] < 250)  # where nothing was cut off
    assert np.abs(outs[1] - (outs[0] + outs[2]) / 2)[inside].max() <= 1
    assert np.abs(outs[2] - outs[0]).max() > 20


def test_no_strength_needs_no_weights(portrait):
    def refuse(name):
        raise WeightsError(name)

    made = open_enhancer(EnhanceConfig(faces="gfpgan", strength=0), weights=refuse).frames([portrait], 25.0)
    assert np.array_equal(next(made), plain(portrait))


def test_weights_are_asked_for_by_their_names(tmp_path):
    asked = []

    def weights(name) -> Path:
        asked.append(name)
        raise WeightsError("none here")

    for config in (FACES, EnhanceConfig(background="realesrgan-general")):
        with pytest.raises(WeightsError, match="none here"):
            open_enhancer(config, weights=weights)
    assert asked == ["gfpgan-v1.4", "realesr-general-x4v3"]


def test_same_frames_same_bits_whatever_the_batch(portrait):
    frames = shaken(portrait, 7)
    one = list(enhancer().frames(iter(frames), 25.0))
    four = list(enhancer(batch=4).frames(iter(frames), 25.0))
    assert len(one) == len(four) == 7
    assert all(np.array_equal(a, b) for a, b in zip(one, four, strict=True))


def test_few_frames_are_held(portrait, portrait_landmarks, tracked):
    taken = 0
    tracked([portrait_landmarks] * 60)

    def frames():
        nonlocal taken
        for _ in range(60):
            taken += 1
            yield portrait

    for given, _ in enumerate(enhancer(same, batch=3).frames(frames(), 25.0)):
        assert taken - given <= 11 + 2 * 3
    assert given == 59


def test_a_face_that_leaves_and_comes_back(portrait, portrait_landmarks, tracked):
    sights = [portrait_landmarks] * 12 + [None] * 15 + [portrait_landmarks] * 12
    frames = [BLANK if sight is None else portrait for sight in sights]
    tracked(sights)
    made = list(enhancer().frames(iter(frames), 25.0))
    assert len(made) == len(frames)
    change = [np.abs(out.astype(int) - plain(frame)).max() for out, frame in zip(made, frames, strict=True)]
    assert change[0] > 20 and change[-1] == change[0]
    assert all(c == 0 for c in change[12:27])
    assert 0 < change[11] < change[9] < change[0], "it fades"


def test_the_face_can_be_chosen(portrait):
    small = cv2.resize(portrait, None, fx=0.8, fy=0.8, interpolation=cv2.INTER_AREA)
    pair = np.full((200, 360, 3), 90, np.uint8)
    pair[:, :180] = portrait
    pair[: small.shape[0], 190 : 190 + small.shape[1]] = small
    for face, changed in (("largest", "left"), (1, "right")):
        (out,) = enhancer().frames([pair], 25.0, face=face)
        change = np.abs(out.astype(int) - plain(pair)).max(-1)
        assert (change[:, :360].max() > 20, change[:, 380:].max() > 20) == (changed == "left", changed == "right")


def test_a_trembling_tracker_does_not_shake_the_crop(portrait, portrait_landmarks, tracked):
    rng = np.random.default_rng(0)
    sights = [Landmarks(portrait_landmarks.points + (*rng.normal(0, 0.5, 2), 0)) for _ in range(30)]
    tracked(sights)
    seen = []

    def network(faces):
        seen.append((faces[0].permute(1, 2, 0).numpy() + 1) * 127.5)
        return faces

    list(enhancer(network).frames([portrait] * len(sights), 25.0))
    raw = [cut_face(portrait, Place(place_points(sight)).crop) for sight in sights]
    steps, raw_steps = (np.abs(np.diff(np.stack(cuts), axis=0)).mean() for cuts in (seen, raw))
    assert len(seen) == len(sights)
    assert steps < 0.3 * raw_steps


def test_no_face_at_all(caplog):
    with caplog.at_level(logging.WARNING):
        made = list(enhancer().frames([BLANK] * 3, 25.0))
    assert [record.message for record in caplog.records] == [
        "no face was found in 3 frames: nothing to restore, they were only enlarged"
    ]
    assert all(np.array_equal(out, plain(BLANK)) for out in made)


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (16, 9)])
def test_tiny_frames(size):
    frame = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    (out,) = enhancer().frames([frame], 25.0)
    assert out.shape == (2 * size[0], 2 * size[1], 3)


def test_a_clip_of_no_frames(caplog):
    assert list(enhancer().frames([], 25.0)) == []
    assert not caplog.records


@pytest.mark.parametrize("frame", [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 4), np.uint8), np.zeros((8, 8, 3))])
def test_other_arrays_are_refused(frame):
    with pytest.raises(ShapeError, match="frame has shape"):
        list(enhancer().frames([frame], 25.0))
    with pytest.raises(ShapeError, match="frame has shape"):
        list(Enhancer(EnhanceConfig()).frames([frame], 25.0))


def test_large_frames_keep_their_size(portrait):
    large = cv2.resize(portrait, (540, 600), interpolation=cv2.INTER_CUBIC)
    made = enhancer(same)
    assert made.size(540, 600) == (540, 600) and made.size(180, 200) == (360, 400)
    (out,) = made.frames([large], 25.0)
    assert np.array_equal(out, large)


def inverted(picture):
    return (1 - picture).repeat_interleave(2, -1).repeat_interleave(2, -2)


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_the_background_comes_from_its_network_and_the_face_does_not(portrait, portrait_landmarks, scale):
    config = EnhanceConfig(faces="gfpgan", background="realesrgan-x2", scale=scale)
    (out,) = enhancer(same, config, upscaler=Upscaler(inverted, scale=2)).frames([portrait], 25.0)
    assert out.shape == (200 * scale, 180 * scale, 3)
    expected = plain(portrait, scale) if scale > 1 else portrait
    x, y = (scale * portrait_landmarks.points[4, :2]).astype(int)
    assert np.abs(out[y, x].astype(int) - expected[y, x]).max() <= 1
    assert np.abs(out[2, 2].astype(int) - (255 - expected[2, 2])).max() <= 3


def test_background_alone(portrait):
    made = Enhancer(EnhanceConfig(background="realesrgan-x2"), upscaler=Upscaler(inverted, scale=2))
    (out,) = made.frames([portrait], 25.0)
    assert np.array_equal(out, 255 - portrait.repeat(2, 0).repeat(2, 1))
