"""What a stream is made of: tracks, steps, the error that is reported, the sound."""

from __future__ import annotations

import numpy as np
import pytest

from talkhead.coeffs.codec import chunks
from talkhead.coeffs.container import Coeffs
from talkhead.coeffs.stream import StreamInfo, write_stream
from talkhead.errors import CoeffFileError, UsageError
from talkhead.face3d.leverage import landmark_errors
from talkhead.face3d.morphable import load_builtin
from talkhead.media.image import encode_image
from talkhead.media.probe import probe
from talkhead.pipelines.choose import build
from talkhead.pipelines.compress import STEPS, _errors, _measurer, _take_sound, stream_tracks
from talkhead.pipelines.config import COMPRESS_DEFAULTS, Machine
from talkhead.pipelines.opened_stream import open_stream, read_compressed
from talkhead.systems import info

MODEL = load_builtin()


def talking(n_frames=100, seed=0):
    """Motion of the size and speed of a speaker's."""
    rng = np.random.default_rng(seed)

    def wander(columns, size):
        kernel = np.hanning(15)
        steps = rng.normal(size=(n_frames + 14, columns))
        return size * np.stack([np.convolve(c, kernel / np.linalg.norm(kernel), "valid") for c in steps.T], 1)

    tracks = {
        "exp": wander(28, 1) * MODEL.space.exp_std,
        "rot": wander(3, 0.06),
        "trans": wander(3, 0.05) * [1, 1, 0],
        "scale": 150 * np.exp(wander(1, 0.01)[:, 0]),
        "eyelid": np.clip(wander(2, 0.3), 0, 1),
        "gaze": wander(2, 0.05),
        "id": np.zeros(MODEL.n_id),
        "size": np.array([512, 512]),
    }
    arrays = {name: np.ascontiguousarray(value, np.float32) for name, value in tracks.items()}
    return Coeffs(space=MODEL.space.name, fps=25.0, n_frames=n_frames, **arrays)


def stream_of(path, coeffs, step=STEPS["high"], picture=None):
    reference = coeffs.at(slice(0, 1))
    form = "float16" if step is None else "compact"
    tracks = stream_tracks(coeffs, reference, step=step, with_eyes=step is not None)
    about = StreamInfo(
        format=form, space=coeffs.space, fps=coeffs.fps, n_frames=len(coeffs), size=(512, 512), tracks=tracks,
        id=coeffs.id,
    )  # fmt: skip
    data = encode_image(np.zeros((512, 512, 3), np.uint8), "png") if picture is None else picture
    with path.open("wb") as out:
        return write_stream(out, about, chunks(coeffs, about.chunk_frames), picture=data, picture_kind="png")


def test_the_default_keeps_the_budget(tmp_path):
    """At most 2 kbit/s, and 95 % of the points within 1 % of the eye distance, of motion as lively as a speaker's."""
    coeffs = talking(500)
    sizes = stream_of(tmp_path / "x.thc", coeffs, STEPS[COMPRESS_DEFAULTS.quality])
    mean, p95 = _errors(coeffs, tmp_path / "x.thc")
    assert 8 * sizes.motion / coeffs.duration_s < 2000
    assert mean < 0.5 and p95 < 1.0


def test_the_error_is_that_of_what_a_decoder_gets(tmp_path):
    coeffs = talking()
    for step in (0.05, None):
        stream_of(tmp_path / "x.thc", coeffs, step)
        decoded = read_compressed(tmp_path / "x.thc")
        true = coeffs if step else coeffs.replace(eyelid=None, gaze=None)
        errors = 100 * landmark_errors(true, decoded, MODEL)
        mean, p95 = _errors(coeffs, tmp_path / "x.thc")
        assert mean == pytest.approx(errors.mean(), abs=1e-3)
        assert p95 == pytest.approx(np.percentile(errors, 95), abs=0.01)
    assert mean < 0.05


def test_tracks_and_their_steps():
    coeffs = talking(4).replace(relative=frozenset({"rot", "scale"}), tongue=np.zeros(4, np.float32))
    reference = coeffs.at(slice(2, 3)).replace(relative=frozenset(), tongue=None)
    tracks = {t.name: t for t in stream_tracks(coeffs, reference, step=0.01, with_eyes=True)}
    assert list(tracks) == ["exp", "rot", "trans", "scale", "eyelid", "gaze", "tongue"]
    np.testing.assert_array_equal(tracks["exp"].reference, coeffs.exp[2])
    assert tracks["rot"].relative and not tracks["rot"].reference.any()
    np.testing.assert_array_equal(tracks["scale"].reference, [1])
    np.testing.assert_array_equal(tracks["tongue"].reference, [0])
    # A step of a shift is 1 % of the eye distance, which is 0.9 units; the codes of mouth and brows move less.
    np.testing.assert_allclose(tracks["trans"].steps, 0.01 * 0.9, rtol=0.02)
    assert (tracks["exp"].steps > 0.05).all()
    raw = stream_tracks(coeffs, reference, step=None, with_eyes=False)
    assert sum(t.columns for t in raw) == 35 and all(t.steps is None for t in raw)
    with pytest.raises(CoeffFileError, match="no track"):
        stream_tracks(Coeffs(space="x", fps=25.0, n_frames=1, size=coeffs.size), reference, step=None, with_eyes=True)


def test_sound_goes_along_unless_it_is_not_wanted(tmp_path, clip, make_clip, chirp_wav):
    taken = _take_sound(clip, None, "copy", tmp_path)
    assert taken.kind == "mp4" and probe(taken.path).audio_codec == "aac"
    taken = _take_sound(clip, chirp_wav, "copy", tmp_path)
    assert taken.kind == "matroska" and probe(taken.path).audio_codec == "pcm_s16le"
    assert _take_sound(clip, None, "none", tmp_path) is None
    assert _take_sound(make_clip(3, audio=False), None, "copy", tmp_path) is None
    assert _take_sound(talking(1), None, "copy", tmp_path) is None
    assert _take_sound("-", None, "copy", tmp_path) is None


def test_who_measures():
    assert _measurer(Machine()).name == "meshwarp"
    with pytest.raises(UsageError, match="sadtalker measures in the space bfm"):
        _measurer(Machine(system="sadtalker"))


def test_opened_streams_show_their_picture(tmp_path, example_face):
    """The decoder needs the stream alone: its picture, the face in it, and the motion."""
    from PIL import Image

    with Image.open(example_face) as photo:
        pixels = np.asarray(photo.convert("RGB").resize((512, 512)))
    coeffs = talking(20)
    stream_of(tmp_path / "x.thc", coeffs, picture=encode_image(pixels, "png"))
    with open_stream(tmp_path / "x.thc", name="x.thc") as opened:
        np.testing.assert_array_equal(opened.source.image, pixels)
        assert opened.sound is None and len(opened.coeffs) == 20
        np.testing.assert_array_equal(opened.reference.exp, coeffs.exp[:1])
        renderer = build(info("meshwarp"), "render")(opened.source)
        assert renderer.size == (512, 512)


def test_pictures_of_another_size_are_refused(tmp_path):
    from talkhead.errors import CompressedStreamError

    coeffs = talking(4)
    stream_of(tmp_path / "x.thc", coeffs, picture=encode_image(np.zeros((8, 8, 3), np.uint8), "png"))
    with pytest.raises(CompressedStreamError, match="expected"), open_stream(tmp_path / "x.thc", name="x.thc"):
        pass
