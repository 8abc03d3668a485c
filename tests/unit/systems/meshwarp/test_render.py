"""The renderer on the example photograph: what must hold for every frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from talkhead.coeffs.container import Coeffs
from talkhead.errors import CoeffFileError, InputError
from talkhead.face.landmarks import Landmarks
from talkhead.face.mesh import choose_face
from talkhead.face3d.lips import closing_codes
from talkhead.media.image import read_image
from talkhead.protocols import Drive, Source
from talkhead.systems.meshwarp.config import RenderConfig
from talkhead.systems.meshwarp.mesh import deepened
from talkhead.systems.meshwarp.motion import MotionResolver
from talkhead.systems.meshwarp.render import MeshwarpRenderer, frame_source

SIZE = 320


@pytest.fixture(scope="module")
def source(example_face: Path) -> Source:
    image = read_image(example_face)
    return Source(image=image.pixels, landmarks=choose_face(image.pixels, name="face.jpg"), name="face.jpg")


@pytest.fixture(scope="module")
def renderer(source: Source) -> MeshwarpRenderer:
    return MeshwarpRenderer(source, RenderConfig(size=SIZE))


def _motion(renderer: MeshwarpRenderer, n_frames=1, **tracks) -> Drive:
    arrays = {name: np.asarray(value, np.float32) for name, value in tracks.items()}
    relative = frozenset(arrays) - {"eyelid", "tongue"}
    space = renderer.model.space.name
    return Drive(coeffs=Coeffs(space=space, fps=25, n_frames=n_frames, relative=relative, **arrays))


def _frame(renderer: MeshwarpRenderer, **tracks) -> np.ndarray:
    return next(iter(renderer.render(_motion(renderer, **tracks))))


def _gap(image: np.ndarray) -> float:
    points = choose_face(image, name="frame").points
    return float(np.linalg.norm(points[13] - points[14]) / np.linalg.norm(points[33] - points[263]))


def test_zero_motion_is_the_photo_bit_for_bit(renderer):
    assert np.array_equal(_frame(renderer, rot=np.zeros((1, 3))), renderer.image)
    own = renderer.rest_coeffs()
    assert np.array_equal(next(iter(renderer.render(Drive(coeffs=own)))), renderer.image)


def test_deeper_faces_project_to_the_same_pixels(renderer):
    pose = renderer.mesh.pose
    deeper = deepened(renderer.fit.vertices, pose, 1.5)
    before, after = (pose.place(v, renderer.size) for v in (renderer.fit.vertices, deeper))
    assert np.abs(after - before)[:, :2].max() < 1e-9
    assert np.ptp(deeper[:, 2]) == pytest.approx(1.5 * np.ptp(renderer.fit.vertices[:, 2]))


def test_frames_are_fresh_repeatable_and_of_the_photos_size(renderer):
    drive = _motion(renderer, n_frames=3, rot=[[0, 0.1, 0], [0.05, 0, 0], [0, 0.1, 0]])
    first = list(renderer.render(drive))
    assert [f.shape for f in first] == [renderer.image.shape] * 3
    assert renderer.size == (renderer.image.shape[1], renderer.image.shape[0])
    assert np.array_equal(first[0], first[2])
    assert all(np.array_equal(a, b) for a, b in zip(first, renderer.render(drive), strict=True))


@pytest.fixture(scope="module")
def close_up(source: Source) -> MeshwarpRenderer:
    return MeshwarpRenderer(source, RenderConfig(size=SIZE, framing="crop"))


def _between_lips(renderer: MeshwarpRenderer, codes: np.ndarray, tongue: float = 0.0) -> np.ndarray:
    """Greatest of red, green, blue on the line between the middles of the inner lips, from above, (n,)."""
    drive = _motion(renderer, exp=[codes], tongue=[tongue])
    resolver = MotionResolver(renderer.fit, renderer.landmarks, renderer.model, drive.coeffs)
    motion = resolver.at(0)
    x, y = motion.pose.place(motion.face[[13, 14]], renderer.size)[:, :2].T
    frame = renderer.draw(motion)
    return frame[round(y[0]) + 2 : round(y[1]) - 1, round(x.mean())].max(-1).astype(int)


def test_a_raised_tongue_shows_between_open_lips(close_up):
    wide = close_up.model.space.controls["jaw-open"]
    low, half, raised = (_between_lips(close_up, wide, t) for t in (0.0, 0.5, 1.0))
    assert 1 < np.flatnonzero(raised - low > 15).min() < np.flatnonzero(half - low > 15).min()
    np.testing.assert_array_equal(_between_lips(close_up, wide, 7.0), raised)
    assert np.array_equal(_frame(close_up, tongue=[1.0]), close_up.image)


def test_rounded_lips_hide_the_teeth_and_flared_ones_do_not(close_up):
    controls = close_up.model.space.controls
    rounded = _between_lips(close_up, controls["pucker"] + 0.35 * controls["jaw-open"])
    flared = _between_lips(close_up, controls["pucker"] + 0.6 * controls["lip-open"])
    assert np.median(rounded) < 0.6 * np.median(flared)


def test_who_smiles_gives_it_up_to_round_the_lips(renderer):
    controls = renderer.model.space.controls
    resolver = MotionResolver(
        renderer.fit, renderer.landmarks, renderer.model,
        _motion(renderer, 2, exp=np.stack([0 * controls["pucker"], controls["pucker"]])).coeffs,
    )  # fmt: skip
    width = [np.ptp(resolver.at(t).face[[61, 291], 0]) / 0.9 for t in (0, 1)]
    assert width[0] - width[1] > 0.16  # the control alone gives 0.13


def test_speech_does_not_show_what_the_photo_had_between_its_lips(source):
    marked = source.image.copy()
    (x0, y0), (x1, y1) = source.landmarks.points[[82, 317], :2].astype(int)
    inside = np.s_[y0 + 2 : y1 - 1, x0:x1]
    marked[inside] = (220, 20, 20)  # no colour of teeth, which may stay
    renderer = MeshwarpRenderer(Source(image=marked, landmarks=source.landmarks, name="marked"), RenderConfig())
    own = closing_codes(renderer.fit.vertices, renderer.model)  # minus these, relative codes are the photo's own
    frame = _frame(renderer, exp=[-own])[inside].astype(int)
    assert frame.size > 100
    assert (np.ptp(frame, -1) > 150).mean() < 0.1
    rest = next(iter(renderer.render(Drive(coeffs=renderer.rest_coeffs()))))
    assert np.array_equal(rest, renderer.image)


def test_lips_part_and_close_as_asked(renderer):
    lips = renderer.model.space.controls["lip-open"]
    wide = _frame(renderer, exp=[1.2 * lips])
    shut = _frame(renderer, exp=[0 * lips])
    assert _gap(wide) > 0.10
    assert _gap(shut) < 0.03  # the photograph itself smiles with its teeth showing


def test_a_blink_changes_the_eyes_only(renderer):
    frame = _frame(renderer, eyelid=[[1.0, 1.0]])
    points, eye_px = renderer.landmarks.points[:, :2], renderer.landmarks.eye_distance
    changed = np.argwhere(np.abs(frame.astype(int) - renderer.image).max(2) > 0)[:, ::-1]
    assert len(changed) > 50
    eyes = points[[33, 133, 362, 263]]
    assert np.linalg.norm(changed[:, None] - eyes[None], axis=2).min(1).max() < 0.35 * eye_px


def test_one_eye_closes_alone(renderer):
    left = _frame(renderer, eyelid=[[1.0, 0.0]])
    changed = np.argwhere(np.abs(left.astype(int) - renderer.image).max(2) > 0)[:, 1]
    assert changed.min() > renderer.landmarks.points[168, 0]  # the subject's left eye is the one at image right


def test_the_head_turns_where_it_should(renderer):
    before = renderer.landmarks.points
    for rot, check in (
        ([0, 0.2, 0], lambda d: d[0] > 2),  # yaw > 0: nose to image right
        ([0.2, 0, 0], lambda d: d[1] > 1),  # pitch > 0: nose down
    ):
        after = choose_face(_frame(renderer, rot=[rot]), name="frame").points
        eyes = [33, 133, 362, 263]
        assert check((after[1] - after[eyes].mean(0)) - (before[1] - before[eyes].mean(0)))


def test_background_far_from_the_head_never_changes(renderer):
    frame = _frame(renderer, rot=[[0.1, -0.15, 0.05]])
    points, eye_px = renderer.landmarks.points, renderer.landmarks.eye_distance
    x = np.arange(renderer.size[0])
    far = np.abs(x - points[:468, 0].mean()) > 3.4 * eye_px
    assert np.array_equal(frame[:, far], renderer.image[:, far])


def test_heads_move_in_a_part_of_the_photo_as_in_the_whole(source):
    """Also one beside its middle that comes nearer."""
    wide = np.concatenate([np.full_like(source.image, 90), source.image], 1)
    points = source.landmarks.points + (source.image.shape[1], 0, 0)
    beside = Source(image=wide, landmarks=Landmarks(points))
    moved = []
    for framing in ("full", "crop"):
        renderer = MeshwarpRenderer(beside, RenderConfig(framing=framing))
        coeffs = _motion(renderer, scale=[1.2], trans=[[-0.3, 0.1, 0]]).coeffs
        pose = (
            MotionResolver(
                renderer.fit, renderer.landmarks, renderer.model, coeffs, frame_source(beside, renderer.config).aside
            )
            .at(0)
            .pose
        )
        before, after = (p.place(renderer.fit.vertices, renderer.size)[:, :2] for p in (renderer.mesh.pose, pose))
        moved.append(after - before)
    assert np.abs(moved[0]).max() > 20
    np.testing.assert_allclose(moved[0], moved[1], atol=0.5)


def test_turning_too_far_is_held_and_said_once(renderer, caplog):
    resolver_of = lambda rot: MotionResolver(  # noqa: E731
        renderer.fit, renderer.landmarks, renderer.model, _motion(renderer, rot=[rot]).coeffs
    )
    far, near = resolver_of([0, 1.2, 0]), resolver_of([0, 0.2, 0])
    rest = renderer.fit.rotation
    turned = lambda r: np.degrees(np.arccos((np.trace(r.at(0).pose.rotation @ rest.T) - 1) / 2))  # noqa: E731
    assert turned(near) == pytest.approx(np.degrees(0.2), abs=0.01)
    assert turned(far) < 39
    far.at(0)
    assert sum("turns 69 degrees" in r.message for r in caplog.records) == 1


def test_closing_codes_bring_the_photos_lips_together(renderer):
    codes = closing_codes(renderer.fit.vertices, renderer.model)
    face = renderer.fit.vertices + renderer.model.offset(codes)
    gap = np.mean([face[a, 1] - face[b, 1] for a, b in ((13, 14), (82, 87), (312, 317))]) / 0.9
    assert gap == pytest.approx(0.008, abs=0.004)


def test_gaze_moves_the_irises_and_nothing_else(renderer):
    frame = _frame(renderer, gaze=[[0.3, 0.0]])
    changed = np.argwhere(np.abs(frame.astype(int) - renderer.image).max(2) > 0)[:, ::-1]
    irises = renderer.landmarks.points[[468, 473], :2]
    assert len(changed) > 4
    distance = np.linalg.norm(changed[:, None] - irises[None], axis=2).min(1)
    assert distance.max() < 0.3 * renderer.landmarks.eye_distance


def test_shading_follows_the_turn_unless_switched_off(source):
    drive = {"rot": [[0, 0.35, 0]]}
    lit = MeshwarpRenderer(source, RenderConfig(size=SIZE))
    flat = MeshwarpRenderer(source, RenderConfig(size=SIZE, shading=0.0))
    a, b = _frame(lit, **drive).astype(int), _frame(flat, **drive).astype(int)
    assert np.abs(a - b).max() > 2


@pytest.mark.parametrize("framing", ["full", "crop"])
@pytest.mark.parametrize("size", [150, 200, 401])
def test_zero_motion_is_exact_at_any_size_and_framing(source, size, framing):
    renderer = MeshwarpRenderer(source, RenderConfig(size=size, framing=framing))
    assert max(renderer.size) == size
    assert framing == "full" or renderer.size == (size, size)
    assert np.array_equal(_frame(renderer, rot=np.zeros((1, 3))), renderer.image)


def test_transparent_photos_lie_on_white(source):
    alpha = np.zeros(source.image.shape[:2], np.uint8)
    alpha[:, alpha.shape[1] // 4 :] = 255
    renderer = MeshwarpRenderer(
        Source(image=source.image, landmarks=source.landmarks, alpha=alpha), RenderConfig(size=SIZE)
    )
    assert (renderer.image[:, :40] == 255).all()


def test_codes_of_another_space_are_refused(renderer):
    other = Coeffs(space="bfm-1", fps=25, n_frames=1, exp=np.zeros((1, 64), np.float32))
    with pytest.raises(CoeffFileError, match="bfm-1"):
        next(iter(renderer.render(Drive(coeffs=other))))


def test_tiny_pictures_are_refused(source):
    with pytest.raises(InputError, match="pixels"):
        MeshwarpRenderer(source, RenderConfig(size=20))


def test_a_face_turned_in_the_photo_is_completed_from_its_near_half(media):
    image = read_image(media / "faces" / "painting_threequarter.jpg")
    painting = Source(image=image.pixels, landmarks=choose_face(image.pixels, name="painting"), name="painting")
    renderer = MeshwarpRenderer(painting, RenderConfig(size=SIZE))
    completion = renderer._completion
    assert completion.is_needed
    assert completion.surface(renderer.fit.vertices, renderer.mesh.pose)[:, 0].max() == 0
    assert np.array_equal(_frame(renderer, rot=np.zeros((1, 3))), renderer.image)
    turned = _frame(renderer, rot=[[0, 0.35, 0]])
    assert choose_face(turned, name="turned").deviation < 0.03
