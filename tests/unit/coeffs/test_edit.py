import dataclasses

import numpy as np
import pytest

from talkhead.coeffs.container import Coeffs
from talkhead.coeffs.edit import EDITS, Edit, apply_edits, edit_kind, is_edit, parse_edit
from talkhead.coeffs.retime import stretch
from talkhead.errors import CoeffFileError, UsageError
from talkhead.geometry import euler_to_matrix


@pytest.fixture
def edit(space):
    """`edit(coeffs, "yaw=5", "smile", ("exp-pc1", "+=2"))`: apply edits given as on a command line."""

    def run(coeffs: Coeffs, *edits: str | tuple[str, str] | Edit) -> Coeffs:
        parsed = [e if isinstance(e, Edit) else parse_edit(*([e] if isinstance(e, str) else e)) for e in edits]
        return apply_edits(coeffs, parsed, space=space)

    return run


@pytest.fixture
def speech_motion(space):
    return Coeffs(
        space=space.name,
        fps=25.0,
        n_frames=50,
        exp=np.ones((50, 6), np.float32),
        relative=frozenset({"exp"}),
    )


def test_components_count_from_one_in_standard_deviations(motion, edit):
    moved = edit(motion, ("exp-pc2", "2"))
    np.testing.assert_allclose(moved.exp[:, 1] - motion.exp[:, 1], 6, atol=1e-5)
    np.testing.assert_array_equal(np.delete(moved.exp, 1, 1), np.delete(motion.exp, 1, 1))
    assert edit(motion, ("exp-pc2", "=2")).exp[:, 1] == pytest.approx(6)
    np.testing.assert_allclose(edit(motion, ("exp-pc2", "*=2")).exp[:, 1], 2 * motion.exp[:, 1], atol=1e-6)
    with pytest.raises(UsageError, match="components 1 to 6"):
        edit(motion, ("exp-pc7", "1"))


def test_adding_and_taking_away_is_nothing(motion, edit):
    for name, value in (("exp-pc3", "1.5"), ("smile", "0:0,1:1"), ("yaw", "7"), ("trans-x", "0.3"), ("gaze-y", "0.5")):
        there = edit(motion, (name, "+=" + value))
        assert any(not np.array_equal(v, motion.tensors()[k]) for k, v in there.tensors().items())
        back = edit(there, (name, "-=" + value))
        for track, values in motion.tensors().items():
            np.testing.assert_allclose(back.tensors()[track], values, atol=1e-5)


def test_edits_add_up(motion, edit):
    both = edit(motion, ("smile", "0.5"), ("jaw-open", "0.2"))
    np.testing.assert_allclose(both.exp, edit(edit(motion, ("smile", "0.5")), ("jaw-open", "0.2")).exp, atol=1e-6)
    np.testing.assert_allclose(both.exp, edit(motion, ("jaw-open", "0.2"), ("smile", "0.5")).exp, atol=1e-6)


def test_controls_move_along_their_direction(motion, edit, space):
    moved = edit(motion, ("smile", "0:0,2:1"))
    np.testing.assert_array_equal(moved.exp[0], motion.exp[0])
    half = moved.exp[25] - motion.exp[25]
    np.testing.assert_allclose(half, 0.5 * space.controls["smile"], atol=1e-6)


def test_setting_a_control_acts_on_what_lies_along_it(motion, edit, space):
    closed = edit(motion, ("jaw-open", "=0"))
    assert closed.exp @ space.controls["jaw-open"] == pytest.approx(0, abs=1e-5)
    np.testing.assert_allclose(edit(closed, ("jaw-open", "=0")).exp, closed.exp, atol=1e-6)
    np.testing.assert_array_equal(closed.exp[:, 2:], motion.exp[:, 2:])


def test_a_control_the_space_lacks_is_named(motion, edit):
    with pytest.raises(UsageError, match="has no control 'frown'") as failure:
        edit(motion, ("frown", "1"))
    assert "jaw-open" in str(failure.value.hint)


def test_codes_need_their_own_space(motion, space):
    with pytest.raises(CoeffFileError, match="space toy-00000001, expected other-1"):
        apply_edits(motion, [parse_edit("smile", "1")], space=dataclasses.replace(space, name="other-1"))
    with pytest.raises(UsageError, match="unknown"):
        apply_edits(motion, [parse_edit("exp-pc1", "1")])
    with pytest.raises(CoeffFileError, match="exp has 5 components"):
        apply_edits(motion.replace(exp=motion.exp[:, :5]), [parse_edit("smile", "1")], space=space)


def test_angles_in_degrees_set_add_and_follow_keys(motion, edit):
    assert np.degrees(edit(motion, ("yaw", "10")).rot[:, 1]) == pytest.approx(10)
    np.testing.assert_array_equal(edit(motion, ("yaw", "10")).rot[:, [0, 2]], motion.rot[:, [0, 2]])
    np.testing.assert_allclose(edit(motion, ("pitch", "+=3")).rot[:, 0], motion.rot[:, 0] + np.radians(3), atol=1e-6)
    np.testing.assert_allclose(edit(motion, ("roll", "-=3")).rot[:, 2], motion.rot[:, 2] - np.radians(3), atol=1e-6)
    keyed = np.degrees(edit(motion, ("yaw", "0:-5,1.96:5")).rot[:, 1])
    assert (keyed[0], keyed[-1]) == pytest.approx((-5, 5))


def test_missing_tracks_are_made_as_offsets(speech_motion, edit):
    moved = edit(speech_motion, ("yaw", "10"), ("trans-x", "0.1"), ("scale", "1.2"), ("gaze-x", "1"), ("blink", "0.5"))
    assert moved.relative == {"exp", "rot", "trans", "scale", "gaze"}
    assert np.degrees(moved.rot[0]) == pytest.approx([0, 10, 0])
    assert moved.trans[0] == pytest.approx([0.1, 0, 0])
    assert moved.scale[0] == pytest.approx(1.2)
    assert np.degrees(moved.gaze[0]) == pytest.approx([25, 0])
    assert moved.eyelid[0].tolist() == [0.5, 0.5]


def test_a_missing_expression_is_made_in_the_known_space(motion, edit, space):
    pose = motion.replace(id=None, exp=None, space="unknown")
    smiling = edit(pose, ("smile", "1"))
    assert (smiling.space, smiling.relative) == (space.name, {"exp"})
    np.testing.assert_allclose(smiling.exp, np.tile(space.controls["smile"], (50, 1)))


def test_a_head_grows_where_it_is(motion, edit):
    """In its picture; and it is moved afterwards, in units of its new size, whatever is said first."""
    aside = motion.replace(trans=motion.trans + np.float32(0.7))
    larger = edit(aside, ("scale", "0:1,1:2"))
    np.testing.assert_allclose(larger.trans * larger.scale[:, None], aside.trans * aside.scale[:, None], rtol=1e-5)
    first, last = edit(aside, ("trans-x", "0.1"), ("scale", "2")), edit(aside, ("scale", "2"), ("trans-x", "0.1"))
    np.testing.assert_array_equal(first.trans, last.trans)
    offsets = aside.replace(relative=frozenset({"trans"}))
    np.testing.assert_array_equal(edit(offsets, ("scale", "2")).trans, offsets.trans)


def test_scale_multiplies_sets_and_stays_positive(motion, edit):
    np.testing.assert_allclose(edit(motion, ("scale", "1.5")).scale, 1.5 * motion.scale, rtol=1e-6)
    assert edit(motion, ("scale", "=80")).scale == pytest.approx(80)
    with pytest.raises(UsageError, match="scale would become"):
        edit(motion, ("scale", "-=500"))
    with pytest.raises(UsageError, match="scale would become 0"):
        edit(motion, ("scale", "0"))


def test_blinks_add_to_what_is_there_and_stay_in_range(motion, edit):
    blinking = edit(motion, ("blink-left", "0:0,1:1,1.2:0"))
    assert blinking.eyelid[25, 0] == 1
    np.testing.assert_array_equal(blinking.eyelid[:, 1], motion.eyelid[:, 1])
    np.testing.assert_array_equal(blinking.eyelid[40:], motion.eyelid[40:])
    assert (edit(motion, ("blink", "=0.3")).eyelid == np.float32(0.3)).all()
    assert edit(motion, ("blink", "-=1")).eyelid.min() == -0.5


def test_the_tongue_rises_to_the_teeth_and_no_further(motion, edit):
    raised = edit(motion, ("tongue", "0.5")).tongue
    np.testing.assert_allclose(raised, np.clip(motion.tongue + 0.5, 0, 1), atol=1e-6)
    np.testing.assert_array_equal(edit(motion.replace(tongue=None), ("tongue", "=0.5")).tongue, 0.5)
    np.testing.assert_allclose(edit(motion, ("exp-scale", "2")).tongue, np.clip(2 * motion.tongue, 0, 1), atol=1e-6)
    assert not edit(motion, ("neutral", "1")).tongue.any()


def test_action_units_are_found_by_number_or_made(motion, edit):
    made = edit(motion, ("au12", "2"), ("au4", "1"))
    assert made.au_names == ("AU12", "AU04")
    assert made.au[0].tolist() == [2, 1]
    again = edit(made, ("au12", "-=5"))
    assert again.au_names == made.au_names
    assert again.au[0].tolist() == [0, 1]
    labelled = motion.replace(au=np.ones((50, 2), np.float32), au_names=("AU12_r", "au1"))
    assert edit(labelled, ("au12", "3"), ("au01", "4")).au[0].tolist() == [3, 4]


def test_expression_scale(motion, speech_motion, edit):
    np.testing.assert_allclose(edit(motion, ("exp-scale", "0.5")).exp, 0.5 * motion.exp, atol=1e-6)
    fading = edit(speech_motion, ("exp-scale", "0:1,1.96:0")).exp[:, 0]
    assert (fading[0], fading[-1]) == pytest.approx((1, 0))
    with pytest.raises(UsageError, match="no expression"):
        edit(motion.replace(exp=None), ("exp-scale", "2"))


def test_scaling_comes_before_adding(motion, edit):
    moved = edit(motion, ("exp-pc1", "1"), ("exp-scale", "0"))
    assert moved.exp[:, 0] == pytest.approx(4)


def test_pose_scale_is_about_the_mean_or_the_source(motion, edit):
    still = edit(motion, ("pose-scale", "0"))
    assert still.rot.std(0).max() < 1e-6
    assert still.trans.std(0).max() < 1e-6
    np.testing.assert_allclose(still.trans[0], motion.trans.mean(0), atol=1e-6)
    relative = motion.replace(relative=frozenset({"rot", "trans"}))
    assert np.abs(edit(relative, ("pose-scale", "0")).rot).max() == 0
    np.testing.assert_allclose(edit(motion, ("pose-scale", "1")).rot, motion.rot, atol=1e-6)


def test_pose_scale_of_one_axis(motion, edit):
    nodless = edit(motion.replace(relative=frozenset({"rot"})), ("pose-scale-pitch", "0"))
    vectors = nodless.rot
    assert np.abs(vectors[:, 0]).max() < 0.05  # pitch is gone but for the coupling of the angles
    assert np.corrcoef(vectors[:, 1], motion.rot[:, 1])[0, 1] > 0.98
    np.testing.assert_array_equal(nodless.trans, motion.trans)
    with pytest.raises(UsageError, match="have no trans"):
        edit(motion.replace(trans=None), ("pose-scale-trans", "0"))


def test_neutral_leaves_pose_and_identity(motion, edit):
    plain = edit(motion, "neutral")
    assert plain.exp.any() == plain.eyelid.any() == plain.gaze.any() == False  # noqa: E712
    np.testing.assert_array_equal(plain.rot, motion.rot)
    np.testing.assert_array_equal(plain.id, motion.id)
    np.testing.assert_allclose(edit(motion, ("neutral", "0.25")).exp, 0.75 * motion.exp, atol=1e-6)


def test_mirror_twice_is_nothing(motion, edit):
    once = edit(motion, "mirror")
    np.testing.assert_array_equal(once.exp[:, 3], motion.exp[:, 4])
    np.testing.assert_array_equal(once.eyelid[:, 0], motion.eyelid[:, 1])
    np.testing.assert_array_equal(once.trans[:, 0], -motion.trans[:, 0])
    flip = np.diag([-1, 1, 1])
    np.testing.assert_allclose(euler_to_matrix(once.rot), flip @ euler_to_matrix(motion.rot) @ flip, atol=1e-6)
    twice = edit(once, "mirror")
    for name, track in motion.tensors().items():
        np.testing.assert_array_equal(twice.tensors()[name], track)


def test_mirror_needs_a_map_for_codes_only(motion, space):
    blind = dataclasses.replace(space, mirror=None)
    with pytest.raises(UsageError, match="no mirror map"):
        apply_edits(motion, [parse_edit("mirror")], space=blind)
    assert apply_edits(motion.replace(exp=None), [parse_edit("mirror")]).rot is not None


def test_cut_and_retime_come_first(motion, edit):
    result = edit(motion, ("yaw", "0:0,1:10"), ("retime", "2"), ("end", "1.0"), ("start", "0.2"))
    assert len(result) == 40
    assert np.degrees(result.rot[25, 1]) == pytest.approx(10)
    np.testing.assert_allclose(result.exp[::2], motion.exp[5:25], atol=1e-5)


@pytest.mark.parametrize(
    ("word", "n_frames", "fps"), [("50fps", 100, 50), ("3s", 75, 25), ("1.5", 75, 25), ("0.5x", 25, 25)]
)
def test_retime_words(motion, edit, word, n_frames, fps):
    result = edit(motion, ("retime", word))
    assert (len(result), result.fps) == (n_frames, fps)


@pytest.mark.parametrize("word", ["fast", "1e", "..s", "-1", "0fps", "1e400s"])
def test_retime_nonsense(motion, edit, word):
    with pytest.raises(UsageError):
        edit(motion, ("retime", word))


def test_smooth_goes_before_what_is_added(motion, edit):
    result = edit(motion, ("smooth", "0.3"), ("smile", "0:0,1:0,1:1"))
    jump = np.diff(result.exp[:, 3])[24]
    assert jump == pytest.approx(1, abs=0.3)


def test_identity_of_another_file(motion, edit):
    other = motion.replace(id=np.full(3, 7, np.float32), exp=None)
    assert edit(motion, Edit(name="id-from", coeffs=other)).id.tolist() == [7, 7, 7]
    with pytest.raises(CoeffFileError, match="no identity"):
        edit(motion, Edit(name="id-from", coeffs=motion.replace(id=None)))
    with pytest.raises(CoeffFileError, match="space"):
        edit(motion, Edit(name="id-from", coeffs=other.replace(space="other-1")))


def test_of_two_spaces_only_the_later_is_converted_to(motion, space):
    asked = []

    def conversion(coeffs, target):
        asked.append(target)
        return coeffs.replace(space=f"{target}-1")

    for names in (("bfm", "clay"), ("clay", "clay")):
        edits = [parse_edit("space", name) for name in names]
        assert apply_edits(motion, edits, space=space, conversion=conversion).space == "clay-1"
    assert asked == ["clay", "clay"]


def test_space_is_converted_last(motion, space):
    edits = [parse_edit("space", "big"), parse_edit("exp-pc1", "=1")]
    result = apply_edits(motion, edits, space=space, conversion=lambda c, to: c.replace(space=f"{to}-1", exp=2 * c.exp))
    assert (result.space, result.exp[0, 0]) == ("big-1", 8)
    with pytest.raises(UsageError, match="no conversion from space toy to bfm"):
        apply_edits(motion, [parse_edit("space", "bfm")], space=space)


def test_landmarks_go_when_the_motion_changes(motion, edit):
    marked = motion.replace(landmarks=np.zeros((50, 68, 2), np.float32))
    assert edit(marked, ("yaw", "3")).landmarks is None
    assert edit(marked, ("au1", "3"), ("start", "1")).landmarks is not None


def test_inputs_are_left_alone(motion, edit):
    before = {name: track.copy() for name, track in motion.tensors().items()}
    edit(motion, ("blink", "1"), ("yaw", "3"), ("exp-pc1", "1"), ("scale", "2"), "mirror", "neutral", ("au1", "1"))
    for name, track in before.items():
        np.testing.assert_array_equal(motion.tensors()[name], track)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("wink", "1", "unknown edit 'wink'"),
        ("exp-pc0", "1", "unknown edit 'exp-pc0'"),
        ("yaw", "x", "yaw: 'x' is no value"),
        ("yaw", "", "yaw: '' is no value"),
        ("yaw", "+=", "yaw: '' is no value"),
        ("yaw", "100", "yaw 100 degrees: expected -89 to 89"),
        ("smile", "3", "smile 3: expected -2 to 2"),
        ("exp-scale", "-1", "exp-scale -1: expected 0 to 10"),
        ("exp-scale", "+=1", "expected a plain value"),
        ("smooth", "0:1,1:2", "smooth: expected one number"),
        ("smooth", "-1", "smooth -1 s: expected 0 or more"),
        ("mirror", "1", "mirror: expected no value"),
        ("retime", "", "retime: expected a value"),
        ("id-from", "", "id-from: expected coefficients"),
        ("trans-x", "inf", "finite"),
    ],
)
def test_what_cannot_be_read_is_named(name, text, message):
    with pytest.raises(UsageError, match=message):
        parse_edit(name, text)


def test_every_edit_has_a_kind_and_a_help_line():
    for name, kind in EDITS.items():
        assert edit_kind(name) is kind
        assert kind.help
    assert edit_kind("exp-pc12").name == "exp-pcN"
    assert is_edit("au45")
    assert not is_edit("output")


def test_a_photo_can_be_held_for_a_while(motion, edit):
    photo = motion.at(slice(0, 1))
    held = edit(photo, ("retime", "2s"), ("yaw", "0:-10,1:10"))
    assert len(held) == 50
    assert stretch(photo, 50.0).tensors()["exp"][-1].tolist() == photo.exp[0].tolist()
