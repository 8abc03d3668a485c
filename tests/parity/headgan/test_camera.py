"""Fits, cameras and their adaptation against recorded numbers."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from talkhead.coeffs.adapt import AdaptConfig, adapt_scale_and_shift
from talkhead.coeffs.layout import Space
from talkhead.coeffs.smooth import box
from talkhead.face3d.camera import IMAGE_FLIP
from talkhead.face3d.dense_fit import RELEASE, DenseFitter, fit_frames
from talkhead.face3d.morphable import ShapeModel
from talkhead.face3d.weak_camera import affine_camera, decompose_affine
from talkhead.geometry import euler_to_matrix, fit_similarity, matrix_to_euler

N_VERTICES = 300
FRAMES = (0, 2, 3)  # of the recorded points; frame 1 had no detection


@pytest.fixture(scope="session")
def stand_in_face(recipe):
    """The recording's model, and the other mean shape its camera is measured on."""

    def normal(name, *shape):
        return recipe.normal_for(f"headgan/model/{name}", shape)

    root = np.float32(np.sqrt(np.float32(3 * N_VERTICES)))
    mean = normal("mean", 3 * N_VERTICES).astype(np.float64).reshape(-1, 3) * (0.8, 1.0, 0.5)
    id_basis, exp_basis = (
        (normal(name, 3 * N_VERTICES, n) / root).astype("f8") for name, n in (("id", 157), ("exp", 28))
    )
    crc = zlib.crc32(exp_basis.tobytes(), zlib.crc32(id_basis.tobytes(), zlib.crc32(mean.tobytes())))
    assert f"{crc:08x}" == "5539f980", "the random stream has changed"
    space = Space(name="stand-in", id_std=np.ones(157, "f4"), exp_std=np.ones(28, "f4"), controls={})
    model = ShapeModel(
        space=space,
        mean=mean,
        id_basis=id_basis.T.reshape(157, -1, 3),
        exp_basis=exp_basis.T.reshape(28, -1, 3),
        triangles=np.zeros((0, 3), np.int32),
        landmarks68=np.zeros(68, np.int32),
    )
    camera_mean = mean.astype("f4") + np.float32(0.01) * normal("camera_mean", 3 * N_VERTICES).reshape(-1, 3)
    return model, camera_mean


@pytest.fixture(scope="session")
def fitter(stand_in_face):
    model, camera_mean = stand_in_face
    return DenseFitter(model, np.arange(0, N_VERTICES, 2), RELEASE, camera_mean)


def test_angles(golden, assert_close):
    recorded = golden("camera")
    assert_close(euler_to_matrix(np.deg2rad(recorded["euler.deg"])), recorded["euler.R"], 1e-6)
    regular = np.abs(recorded["euler.deg"][:, 1]) < 89
    found = np.rad2deg(matrix_to_euler(recorded["euler.R"]))
    assert_close(found[regular], recorded["euler.back_deg"][regular], 1e-3)
    assert (~regular).sum() == 2
    # Where yaw is a right angle pitch and roll turn about one axis: other angles, the same rotation.
    assert_close(euler_to_matrix(np.deg2rad(found)), recorded["euler.R"], 1e-3)


def test_cameras_from_matrices(golden, assert_close):
    recorded = golden("camera")
    scale, rotation, shift = decompose_affine(recorded["P2sRt.P"], orthogonal=False)
    assert_close(scale, recorded["P2sRt.s"], 1e-4)
    assert_close(rotation, recorded["P2sRt.R"], 1e-4)
    assert_close(shift, recorded["P2sRt.t"], 1e-4)


@pytest.mark.parametrize("case", range(3))
def test_procrustes(golden, assert_close, case):
    recorded = {key[12:]: value for key, value in golden("camera").items() if key.startswith(f"procrustes{case}.")}
    scale, rotation, shift = fit_similarity(recorded["Y"], recorded["X"])
    placed = scale * recorded["Y"] @ rotation.T + shift
    assert_close([scale], recorded["scale"], 1e-8)
    assert_close(rotation.T, recorded["T"], 1e-8)
    assert_close(shift, recorded["shift"], 1e-8)
    assert_close(placed, recorded["Z"], 1e-8)
    spread = ((recorded["X"] - recorded["X"].mean(0)) ** 2).sum()
    assert_close([((placed - recorded["X"]) ** 2).sum() / spread], recorded["distance"], 1e-8)
    assert np.linalg.det(rotation) == pytest.approx(1)


def test_affine_camera(golden, assert_close):
    recorded = golden("camera")
    assert_close(affine_camera(recorded["procrustes0.X"], recorded["procrustes0.Y"]), recorded["affine.P"], 1e-4)


@pytest.mark.parametrize("row", range(3))
def test_whole_fit(golden, assert_close, fitter, row):
    recorded, frame = golden("camera"), FRAMES[row]
    found = fitter.fit(recorded["fit.points"][row])
    assert_close(found.id, recorded["fit.id"][frame], 1e-5)
    assert_close(found.exp, recorded["fit.exp"][frame], 1e-5)
    for name, value in (("s", found.scale), ("R", found.rotation), ("t", found.shift)):
        assert_close(value, recorded[f"fit.{name}"][frame], 1e-3)


def test_bounds_are_reached_in_the_recording(golden):
    """Else the box of the fit would not have been tested."""
    recorded = golden("camera")
    at_bounds = (np.abs(recorded["fit.id"][2]) > 0.8 - 1e-5).sum() + (np.abs(recorded["fit.exp"][2]) > 1.5 - 1e-5).sum()
    assert at_bounds >= 50


def test_a_frame_without_points_is_the_frame_before(golden, assert_close, fitter):
    recorded = golden("camera")
    points = recorded["fit.points"]
    id_codes, exp, camera = fit_frames(fitter, [points[0], None, points[1], points[2]])
    assert_close(id_codes, recorded["fit.id"].mean(0), 1e-5)
    assert_close(exp, recorded["fit.exp"], 1e-5)
    assert_close(camera[:, 0], recorded["fit.s"], 1e-3)
    assert_close(camera[:, 4:], recorded["fit.t"], 1e-3)


def test_posed_vertices(golden, assert_close, stand_in_face):
    """Frame 0's identity, each frame's expression and camera; the recording divides the shift by the scale."""
    model, _ = stand_in_face
    recorded = golden("camera")
    for row, frame in enumerate((0, 2)):
        scale = recorded["fit.s"][frame]
        shape = model.shape(recorded["fit.id"][0], recorded["fit.exp"][frame])
        placed = shape @ recorded["fit.R"][frame].astype("f8").T + recorded["fit.t"][frame] / scale
        assert_close(placed, recorded["posed.vertices"][row], 1e-4)
        half = 128 / scale
        assert_close(recorded["posed.ortho"][row], [half, -half, -half, half, -10, 10], 1e-4)


def test_posed_vertices_by_way_of_angles(golden, assert_close, fitter, stand_in_face):
    """The seven numbers draw the face where the fit's rotation does, once that is one."""
    from talkhead.coeffs.container import Coeffs
    from talkhead.face3d.pncc import posed_vertices
    from talkhead.face3d.weak_camera import with_camera

    model, _ = stand_in_face
    fit = fitter.fit(golden("camera")["fit.points"][0])
    still = Coeffs(space="stand-in", fps=25.0, n_frames=1, id=fit.id.astype("f4"), exp=fit.exp.astype("f4")[None])
    placed = posed_vertices(with_camera(still, fit.camera[None], (256, 256)), model, (256, 256))[0]
    u, _, vt = np.linalg.svd(fit.rotation)
    expected = fit.scale * model.shape(fit.id, fit.exp) @ (u @ vt).T + fit.shift
    assert_close(placed, expected, 1e-3)
    assert np.linalg.det(IMAGE_FLIP @ u @ vt) == pytest.approx(1)


@pytest.mark.parametrize("width", [4, 5, 15])
def test_smoothing(golden, assert_close, width):
    recorded = golden("camera")
    assert_close(box(recorded["smooth.in"], width), recorded[f"smooth{width}.out"], 1e-12)
    assert_close(box(recorded["smooth.in"][:, 0], width), recorded[f"smooth{width}.out_1d"], 1e-12)


@pytest.mark.parametrize(
    ("tag", "driver", "reference", "config"),
    [
        ("default", "drv", "ref1", AdaptConfig()),
        ("short", "short", "ref1", AdaptConfig()),
        ("ref12", "drv", "ref12", AdaptConfig()),
        ("scale_only", "drv", "ref1", AdaptConfig(trans=False)),
        ("standardize", "drv", "ref12", AdaptConfig(standardize=True)),
        ("off", "drv", "ref1", AdaptConfig(scale=False, trans=False)),
    ],
)
def test_adaptation(golden, assert_close, tag, driver, reference, config):
    recorded = golden("camera")
    driving, source = ((recorded[f"adapt.{name}.s"], recorded[f"adapt.{name}.t"]) for name in (driver, reference))
    scale, shift = adapt_scale_and_shift(driving, source, config)
    assert_close(scale, recorded[f"adapt.{tag}.out_s"], 1e-3)
    assert_close(shift, recorded[f"adapt.{tag}.out_t"], 1e-3)
