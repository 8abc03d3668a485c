"""Clips -> coefficients: batches do not matter, frames without a face are bridged, memory is bounded."""

import tracemalloc

import numpy as np
import pytest
import torch

from talkhead.errors import FaceNotFoundError
from talkhead.face.landmarks import Landmarks
from talkhead.face.topology import LANDMARKS_68
from talkhead.protocols import Source
from talkhead.systems.sadtalker import extract
from talkhead.systems.sadtalker.extract import BfmExtractor

SIZE = (320, 240)


def regressor(pictures):
    """Some numbers of the pictures."""
    columns = pictures.mean((1, 2))  # (B, 224)
    return torch.cat([columns, columns[:, :33]], 1)


@pytest.fixture(autouse=True)
def mesh_points(monkeypatch):
    monkeypatch.setenv("TALKHEAD_LANDMARKS68", "mesh")


@pytest.fixture
def mesh(face):
    """`mesh(x, y)` -> the 478 points of a face there."""

    def make(x=160, y=100):
        points = np.zeros((478, 3))
        points[:, :2] = (x, y)
        points[list(LANDMARKS_68), :2] = face(x, y)
        points[LANDMARKS_68[30], :2] = (x, y + 25)
        return Landmarks(points=points)

    return make


class Frames:
    """A clip as `open_clip` gives it, made up: bright columns that move."""

    def __init__(self, n_frames, size=SIZE):
        self.size, self.fps, self.n_frames = size, 25.0, n_frames

    def __iter__(self):
        rows, columns = np.mgrid[: self.size[1], : self.size[0]]
        for k in range(self.n_frames):
            yield np.stack([(columns + 3 * k) % 256, rows % 256, (rows + columns) % 256], -1).astype(np.uint8)


def test_a_clip(mesh):
    faces = [mesh(160 + k, 100) for k in range(7)]
    coeffs = BfmExtractor(regressor).video(Frames(7), faces, landmarks=True)
    assert len(coeffs) == 7
    assert coeffs.fps == 25
    assert coeffs.space == "bfm"
    assert coeffs.exp.shape == (7, 64)
    assert coeffs.extra["alignment"].shape == (7, 3)
    assert np.array_equal(coeffs.landmarks[3], faces[3].view68()[:, :2])
    assert coeffs.params["frames_without_face"] == 0
    assert np.ptp(coeffs.extra["alignment"][:, 1]) == pytest.approx(6 * 256 / 160, rel=0.05), "the box stays"


def test_identity_is_the_median_of_the_frames(mesh):
    values = iter([1.0, 5.0, 2.0])

    def by_frame(pictures):
        return torch.stack([torch.full((257,), next(values)) for _ in pictures])

    coeffs = BfmExtractor(by_frame).video(Frames(3), [mesh()] * 3)
    assert np.allclose(coeffs.id, 2)
    assert np.allclose(coeffs.exp[:, 0], [1, 5, 2])


def test_batches_do_not_matter(mesh, monkeypatch):
    faces = [mesh(150 + k, 100) for k in range(9)]
    whole = BfmExtractor(regressor).video(Frames(9), faces)
    monkeypatch.setattr(extract, "BATCH", 2)
    cut = BfmExtractor(regressor).video(Frames(9), faces)
    assert np.allclose(whole.exp, cut.exp, atol=1e-6)
    assert np.allclose(whole.extra["alignment"], cut.extra["alignment"])


def test_frames_without_a_face_keep_the_points_before(mesh):
    faces = [None, None, mesh(150, 100), None, mesh(170, 100)]
    coeffs = BfmExtractor(regressor).video(Frames(5), faces, landmarks=True)
    assert len(coeffs) == 5
    assert coeffs.params["frames_without_face"] == 3
    place = coeffs.extra["alignment"][:, 1]
    assert place[0] == place[1] == place[2] == place[3] != place[4]
    assert np.array_equal(coeffs.exp[0], coeffs.exp[2]), "before the first face there is nothing to measure"
    assert not np.array_equal(coeffs.exp[2], coeffs.exp[3]), "the picture is this frame's own"
    assert np.array_equal(coeffs.landmarks[3], coeffs.landmarks[2])


def test_a_first_face_outside_the_picture_is_passed_over(mesh):
    coeffs = BfmExtractor(regressor).video(Frames(3), [mesh(4000, 100), mesh(), mesh()])
    assert coeffs.params["frames_without_face"] == 1
    assert len(coeffs) == 3


@pytest.mark.parametrize("faces", [[None] * 4, []])
def test_no_face_at_all(faces):
    with pytest.raises(FaceNotFoundError, match=f"any of {len(faces)} frames"):
        BfmExtractor(regressor).video(Frames(len(faces)), faces)


def test_a_photo_is_a_clip_of_one_frame(mesh):
    (image,) = Frames(1)
    source = Source(image=image, landmarks=mesh(), name="made")
    photo = BfmExtractor(regressor).photo(source, fps=30, landmarks=True)
    clip = BfmExtractor(regressor).video(Frames(1), [mesh()], landmarks=True)
    assert photo.fps == 30
    assert photo.landmarks.shape == (1, 68, 2)
    assert np.allclose(photo.exp, clip.exp)
    assert np.allclose(photo.rot, clip.rot)
    assert BfmExtractor(regressor).photo(source, fps=30).landmarks is None


@pytest.mark.parametrize(("mode", "side"), [("crop", 160), ("full", 160), ("extcrop", 194), ("extfull", 194)])
def test_preprocess(mesh, mode, side):
    """A head of 160 pixels; what is cut wider is enlarged more to be aligned."""
    found = [
        BfmExtractor(regressor).video(Frames(2), [mesh()] * 2, preprocess=word).extra["alignment"][0, 0]
        for word in (mode, "crop")
    ]
    assert found[0] / found[1] == pytest.approx(side / 160, rel=0.03)


def test_memory_does_not_hold_the_frames(mesh):
    extractor, faces = BfmExtractor(regressor), [mesh()]
    extractor.video(Frames(1), faces)
    peaks = []
    for n_frames in (32, 160):
        tracemalloc.start()
        extractor.video(Frames(n_frames), faces * n_frames)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 128 * 4000  # a frame has 230 kB


def test_the_decoder_ends_when_the_network_fails(mesh):
    closed = []

    class Watched(Frames):
        def __iter__(self):
            try:
                yield from super().__iter__()
            finally:
                closed.append(True)

    def failing(pictures):
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError):
        BfmExtractor(failing).video(Watched(40), [mesh()] * 40)
    assert closed


def test_a_real_clip(media):
    from talkhead.face.mesh import FaceTracker
    from talkhead.media.video import open_clip

    with open_clip(media / "video" / "talking_hdtf_512_25fps.mp4", end_s=0.4) as clip:
        coeffs = BfmExtractor(regressor).video(clip, FaceTracker(clip.fps).track_clip(clip), landmarks=True)
    assert len(coeffs) == 10
    assert coeffs.params["frames_without_face"] == 0
    assert coeffs.extra["alignment"][:, 0].std() < 0.05
