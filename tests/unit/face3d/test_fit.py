from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from talkhead.errors import FaceNotFoundError, ShapeError
from talkhead.face.landmarks import Landmarks
from talkhead.face.mesh import choose_face
from talkhead.face3d import eyes
from talkhead.face3d.codes import FitConfig
from talkhead.face3d.fit import VideoFitter, fit_photo, fit_video
from talkhead.geometry import project
from talkhead.media.image import read_image

SIZE = (256, 256)
# Without a prior and without smoothing, synthetic faces must come back exactly.
EXACT = FitConfig(ridge=1e-12, steadiness=0.0, rounds=6)


@pytest.fixture
def known(model):
    """Codes, poses and lids of 12 frames of one person."""
    rng = np.random.default_rng(3)
    n = 12
    return {
        "id_coeffs": rng.standard_normal(model.n_id) * model.space.id_std,
        "exp": 0.7 * rng.standard_normal((n, 28)) * model.space.exp_std,
        "rot": rng.uniform(-0.43, 0.43, (n, 3)),
        "trans": np.concatenate([rng.uniform(-0.3, 0.3, (n, 2)), np.zeros((n, 1))], axis=1),
        "scale": rng.uniform(70, 90, n),
    }


@pytest.fixture
def frames(known, make_landmarks):
    return [
        make_landmarks(known["id_coeffs"], known["exp"][t], known["rot"][t], known["trans"][t], known["scale"][t])
        for t in range(12)
    ]


def test_photo_gives_back_codes_and_pose(model, known, frames):
    """Algorithm 1 of HeadGAN with our fixes: codes to 1e-4, angles to 0.01 degrees, scale to 1e-4."""
    found = fit_photo(frames[0], SIZE, model, id_codes=known["id_coeffs"], config=EXACT).coeffs
    assert np.linalg.norm(found.exp[0] - known["exp"][0]) < 1e-4 * np.linalg.norm(known["exp"][0])
    np.testing.assert_allclose(found.rot[0], known["rot"][0], atol=np.radians(0.01))
    np.testing.assert_allclose(found.scale[0], known["scale"][0], rtol=1e-4)
    np.testing.assert_allclose(found.trans[0], known["trans"][0], atol=1e-4)


def test_unknown_identity_still_gives_the_pose(model, known, frames):
    for t in range(4):
        found = fit_photo(frames[t], SIZE, model).coeffs
        np.testing.assert_allclose(found.rot[0], known["rot"][t], atol=np.radians(1.0))
        np.testing.assert_allclose(found.scale[0], known["scale"][t], rtol=0.03)


def test_half_a_pixel_of_noise_turns_the_head_by_less_than_half_a_degree(model, known, make_landmarks):
    rng = np.random.default_rng(0)
    errors = []
    for t in range(12):
        noisy = make_landmarks(
            known["id_coeffs"],
            known["exp"][t],
            known["rot"][t],
            known["trans"][t],
            known["scale"][t],
            noise=0.5,
            rng=rng,
        )
        found = fit_photo(noisy, SIZE, model, id_codes=known["id_coeffs"]).coeffs
        errors.append(np.abs(found.rot[0] - known["rot"][t]))
    assert np.degrees(np.mean(errors)) < 0.5


def test_own_vertices_project_exactly_onto_the_landmarks(model, frames):
    rng = np.random.default_rng(0)
    landmarks = Landmarks(frames[0].points + rng.standard_normal((478, 3)))  # a face no code describes
    fit = fit_photo(landmarks, SIZE, model)
    seen = project(fit.vertices, fit.rotation, fit.trans, fit.scale, SIZE)
    np.testing.assert_allclose(seen[:, :2], landmarks.points[:, :2], atol=1e-4)


def test_depth_lies_between_detector_and_model(model, make_landmarks):
    flat = make_landmarks(scale=80.0)
    landmarks = Landmarks(flat.points * [1, 1, 0.8])
    halfway, detected = (
        fit_photo(landmarks, SIZE, model, config=FitConfig(depth_detected=share)).vertices for share in (0.5, 1.0)
    )
    spread = [np.ptp(v[:, 2]) for v in (detected, halfway, model.mean)]
    assert spread[0] < spread[1] < spread[2]


def test_coeffs_of_a_photo(model, frames):
    coeffs = fit_photo(frames[0], SIZE, model).coeffs
    assert (len(coeffs), coeffs.space) == (1, model.space.name)
    assert {"id", "exp", "rot", "trans", "scale", "eyelid", "gaze", "size"} <= set(coeffs.tensors())
    assert coeffs.size.tolist() == list(SIZE) and not coeffs.relative


@pytest.mark.parametrize("argument", [{"id_codes": np.zeros(3)}, {"eye_open": np.zeros(3)}])
def test_photo_refuses_codes_of_other_lengths(model, frames, argument):
    with pytest.raises(ShapeError):
        fit_photo(frames[0], SIZE, model, **argument)


def test_video_gives_back_what_moves(model, known, frames):
    found = fit_video(frames, SIZE, 25.0, model, config=EXACT)
    relative = known["exp"] - known["exp"].mean(0)
    difference = (found.exp - found.exp.mean(0) - relative) / model.space.exp_std
    # Identity and expression share what they have in common; what changes from frame to frame is expression.
    assert np.abs(difference).mean() < 0.05
    np.testing.assert_allclose(found.rot, known["rot"], atol=np.radians(0.5))


def test_video_and_photo_agree_on_a_frame(model, known, make_landmarks):
    rng = np.random.default_rng(1)
    frames = [
        make_landmarks(known["id_coeffs"], known["exp"][t // 4], known["rot"][0], noise=0.15, rng=rng)
        for t in range(48)
    ]
    clip = fit_video(frames, SIZE, 25.0, model)
    photo = fit_photo(frames[30], SIZE, model, id_codes=clip.id, eye_open=clip.params["eye_open"]).coeffs
    assert np.abs((photo.exp[0] - clip.exp[30]) / model.space.exp_std).mean() < 0.25
    np.testing.assert_allclose(photo.eyelid[0], clip.eyelid[30], atol=0.1)


def test_blinks_and_gaze_do_not_leak_into_the_expression(model, make_landmarks):
    closure = np.array([0, 0, 0, 0.5, 1, 0.5, 0, 0, 0, 0, 0, 0.3, 0.7, 0.3, 0, 0])
    frames = [make_landmarks(closure=(c, 0.0), gaze=(0.2 * np.sin(t / 3), 0.1)) for t, c in enumerate(closure)]
    found = fit_video(frames, SIZE, 25.0, model, config=EXACT)
    np.testing.assert_allclose(found.eyelid[:, 0], closure, atol=0.02)
    np.testing.assert_allclose(found.eyelid[:, 1], 0, atol=0.02)
    np.testing.assert_allclose(found.gaze[:, 1], 0.1, atol=0.01)
    np.testing.assert_allclose(found.gaze[:, 0], 0.2 * np.sin(np.arange(16) / 3), atol=0.01)
    assert np.abs(found.exp / model.space.exp_std).max() < 0.1


def test_eyes_wider_than_usual_are_negative(model, make_landmarks):
    closure = [0.0] * 20 + [-0.2] * 3
    found = fit_video([make_landmarks(closure=(c, c)) for c in closure], SIZE, 25.0, model, config=EXACT)
    np.testing.assert_allclose(found.eyelid[-1], -0.2, atol=0.02)


def test_a_photo_with_narrow_eyes_is_taken_for_half_closed(model, make_landmarks):
    closed = fit_photo(make_landmarks(closure=(0.8, 0.8)), SIZE, model).coeffs
    assert (closed.eyelid > 0.6).all()
    winking = fit_photo(make_landmarks(closure=(0.7, 0.0)), SIZE, model).coeffs
    assert winking.eyelid[0, 0] > 0.5 and winking.eyelid[0, 1] == 0


def test_frames_without_a_face_are_filled_and_counted(model, frames):
    gaps = [None, *frames[:4], None, None, *frames[4:8], None]
    found = fit_video(gaps, SIZE, 25.0, model, config=EXACT)
    assert len(found) == 12 and found.params["frames_without_face"] == 4
    np.testing.assert_allclose(found.exp[0], found.exp[1])
    assert min(found.scale[4], found.scale[7]) <= found.scale[6] <= max(found.scale[4], found.scale[7])


def test_no_face_at_all(model):
    fitter = VideoFitter(SIZE, 25.0, model)
    fitter.add(None)
    with pytest.raises(FaceNotFoundError, match="no face found in any of 1 frames"):
        fitter.finish()


def test_chunks_do_not_change_the_result(model, frames):
    def fitted(**changes):
        config = dataclasses.replace(EXACT, calibration_s=0.2, **changes)
        return fit_video(frames, SIZE, 25.0, model, config=config)

    one, many = fitted(chunk=100), fitted(chunk=2)
    np.testing.assert_allclose(one.exp, many.exp, atol=1e-5)
    np.testing.assert_allclose(one.rot, many.rot, atol=1e-6)


def test_points_are_not_kept_once_the_identity_is_known(model, frames):
    fitter = VideoFitter(SIZE, 25.0, model, config=FitConfig(calibration_s=0.2, chunk=4))
    held = []
    for landmarks in frames * 3:
        fitter.add(landmarks)
        held.append(len(fitter._waiting))
    assert max(held) <= 5 and len(fitter.finish()) == 36


def test_landmarks_track_on_request(model, frames):
    assert fit_video(frames, SIZE, 25.0, model).landmarks is None
    kept = fit_video(frames, SIZE, 25.0, model, keep_landmarks=True).landmarks
    np.testing.assert_allclose(kept[3], frames[3].view68())


def test_padded_components_stay_zero(model, frames):
    view = model.as_view(80, 64)
    coeffs = fit_photo(frames[0], SIZE, view).coeffs
    assert coeffs.id.shape == (80,) and coeffs.exp.shape == (1, 64)
    assert not coeffs.id[model.n_id :].any() and not coeffs.exp[:, 28:].any()


def test_real_portrait(model, media):
    image = read_image(media / "faces" / "portrait_smile.jpg").pixels
    size = (image.shape[1], image.shape[0])
    landmarks = choose_face(image)
    fit = fit_photo(landmarks, size, model)
    seen = project(fit.vertices, fit.rotation, fit.trans, fit.scale, size)
    np.testing.assert_allclose(seen[:, :2], landmarks.points[:, :2], atol=1e-3)
    assert np.abs(np.degrees(fit.coeffs.rot)).max() < 10
    assert fit.scale * 0.9 == pytest.approx(landmarks.eye_distance, rel=0.05)
    smile = model.space.controls["smile"]
    assert fit.coeffs.exp[0] @ (smile / model.space.exp_std**2) > 0
    assert (eyes.eye_openness(fit.vertices) > 0.02).all()
