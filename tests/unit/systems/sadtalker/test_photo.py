"""A photo made ready: square, proportions and coefficients in one space, whatever is drawn of it."""

import cv2
import numpy as np
import pytest
import torch

from talkhead.errors import InputError
from talkhead.face.landmarks import Landmarks
from talkhead.face.topology import LANDMARKS_68
from talkhead.protocols import Source
from talkhead.systems.sadtalker.align import aligned_face
from talkhead.systems.sadtalker.config import RenderOptions
from talkhead.systems.sadtalker.measure import Measurer
from talkhead.systems.sadtalker.paste import Paster
from talkhead.systems.sadtalker.photo import framed, prepare

MODES = ("crop", "extcrop", "resize", "full", "extfull")


class Regressor(torch.nn.Module):
    """Means of the picture's columns as coefficients; remembers what it was given."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))
        self.seen = []

    def forward(self, pictures):
        self.seen.append(pictures)
        columns = pictures.mean((1, 2))  # (B, 224)
        return torch.cat([columns, columns[:, :33]], 1) * self.weight


@pytest.fixture(autouse=True)
def mesh_points(monkeypatch):
    monkeypatch.setenv("TALKHEAD_LANDMARKS68", "mesh")


@pytest.fixture
def source(face):
    """A made-up photo of 400 x 300 whose face lies around (200, 130)."""
    points = np.zeros((478, 3))
    points[:, :2] = (200, 150)
    place = face(200, 130)
    place[30] = (200, 155)
    points[list(LANDMARKS_68), :2] = place
    image = cv2.resize(np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8), (400, 300))
    return Source(image=image, landmarks=Landmarks(points=points), name="made.png")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [256, 512])
def test_prepare(source, mode, size):
    regressor = Regressor()
    prepared = prepare(source, RenderOptions(preprocess=mode, size=size), regressor)
    assert prepared.square.shape == (size, size, 3)
    assert (prepared.crop is None) == (mode == "resize")
    width, height = prepared.display
    assert (width, height) == ((400, 300) if mode == "resize" else (width, width))
    (seen,) = regressor.seen
    assert seen.shape == (1, 3, 224, 224)
    assert seen.dtype == torch.float32
    assert 0 <= float(seen.min()) < float(seen.max()) <= 1
    coeffs = prepared.coeffs
    assert coeffs.space == "bfm"
    assert len(coeffs) == 1
    assert coeffs.id.shape == (80,)
    assert not coeffs.relative
    assert prepared.row.shape == (73,)
    assert prepared.row.dtype == np.float32
    assert np.array_equal(prepared.row[:64], coeffs.exp[0])
    assert np.array_equal(prepared.row[64:67], coeffs.rot[0])
    assert np.array_equal(prepared.row[67:70], coeffs.trans[0])
    assert np.array_equal(prepared.row[70:], coeffs.extra["alignment"][0])


def test_columns_of_the_regressor_find_their_place(source):
    def count(pictures):
        return torch.arange(257.0)[None].repeat(len(pictures), 1) / 100

    coeffs = prepare(source, RenderOptions(), count).coeffs
    assert np.allclose(coeffs.id, np.arange(80) / 100)
    assert np.allclose(coeffs.exp[0], np.arange(80, 144) / 100)
    assert np.allclose(coeffs.rot[0], np.arange(224, 227) / 100)
    assert np.allclose(coeffs.trans[0], np.arange(254, 257) / 100)
    assert coeffs.scale[0] == pytest.approx(1015 / (10 - 2.56))


def test_what_the_regressor_sees_does_not_depend_on_the_side(source):
    """The face lies at the same place of the aligned picture, cut from 256 or 512 pixels."""
    seen = []
    for size in (256, 512):
        regressor = Regressor()
        prepare(source, RenderOptions(size=size), regressor)
        seen.append(regressor.seen[0].numpy())
    assert np.abs(seen[0] - seen[1]).mean() < 0.02


def test_the_points_are_those_of_the_photo_mapped_through_the_crop(source):
    framing, points = framed(source, "crop", 256)
    square = framing.square(source.image)
    picture, alignment = framing.aligned(square, points)
    x0, y0, x1, y1 = framing.crop.box("crop")
    by_hand = (points - (x0, y0)) * 256 / np.array([x1 - x0, y1 - y0])
    expected, wanted = aligned_face(square, by_hand)
    assert np.allclose(alignment, wanted)
    assert np.abs(picture.astype(int) - expected).max() <= 1


def test_a_face_outside_the_photo_is_named(source):
    far = Landmarks(points=source.landmarks.points + 2000)
    with pytest.raises(InputError, match=r"made\.png: the face lies outside"):
        prepare(Source(image=source.image, landmarks=far, name="made.png"), RenderOptions(), Regressor())


def test_where_and_in_what_the_network_computes():
    regressor = Regressor().to(torch.bfloat16)
    picture = np.full((224, 224, 3), 255, np.uint8)
    measured = Measurer(regressor)([picture], [np.arange(5.0)])
    assert regressor.seen[0].dtype == torch.bfloat16
    assert measured.rows.dtype == np.float32
    assert np.array_equal(measured.rows[0, 70:], [2, 3, 4])
    Measurer(regressor, "cpu", "float32")([picture], [np.arange(5.0)])
    assert regressor.seen[1].dtype == torch.float32
    assert not regressor.seen[1].requires_grad


@pytest.mark.parametrize(
    "name",
    ["portrait_smile.jpg", "painting_threequarter.jpg", "full_body.png", "robot_glasses.png", "two_people.jpg"],
)
def test_real_faces(media, name):
    from talkhead.pipelines.inputs import open_source

    source = open_source(media / "faces" / name)
    for mode in MODES:
        prepared = prepare(source, RenderOptions(preprocess=mode), Regressor())
        scale, x, y = prepared.row[70:]
        assert 0.5 < scale < 6
        assert 60 < x < 200
        assert 80 < y < 230, "measured from below"
        if mode in ("full", "extfull"):
            pasted = Paster(source.image, prepared.crop, mode).paste(prepared.square)
            assert pasted.shape == source.image.shape
            assert np.abs(pasted.astype(int) - source.image).mean() < 6
