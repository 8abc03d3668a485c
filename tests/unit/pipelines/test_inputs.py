import hashlib

import numpy as np
import pytest

from talkhead import __version__
from talkhead.coeffs.container import Coeffs
from talkhead.errors import MediaError, UsageError
from talkhead.pipelines import inputs
from talkhead.pipelines.inputs import (
    file_sha256,
    full_scale,
    open_source,
    open_speech,
    read_choice,
    read_motion,
    stamped,
)


def motion(n_frames=3, fps=25.0, **tracks):
    tracks = tracks or {"rot": np.zeros((n_frames, 3), np.float32)}
    return Coeffs(space="pose", fps=fps, n_frames=n_frames, **tracks)


def test_motion_is_merged_in_order():
    one = motion(rot=np.full((3, 3), 0.1, np.float32), eyelid=np.zeros((3, 2), np.float32))
    two = motion(rot=np.full((3, 3), 0.2, np.float32))
    merged = read_motion([one, two])
    assert merged.rot[0, 0] == np.float32(0.2)
    assert set(merged.tensors()) == {"rot", "eyelid"}
    assert read_motion(two) is two


@pytest.mark.parametrize("given", [[], ["-", "-"]])
def test_motion_that_cannot_be_read(given):
    with pytest.raises(UsageError):
        read_motion(given)


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (np.array([-32768, 0, 16384], np.int16), [-1.0, 0.0, 0.5]),
        (np.array([0, 128, 192], np.uint8), [-1.0, 0.0, 0.5]),
        (np.array([-(2**31), 0, 2**30], np.int32), [-1.0, 0.0, 0.5]),
        (np.array([-1.0, 0.0, 0.5]), [-1.0, 0.0, 0.5]),
        ([-1, 0, 1], [-1.0, 0.0, 1.0]),
    ],
)
def test_samples_as_sound_files_hold_them(samples, expected):
    found = full_scale(samples)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-7)


def test_rates_that_differ():
    with pytest.raises(UsageError, match="frame rates differ"):
        read_motion([motion(), motion(fps=30.0)])


def test_origin_is_stored(tmp_path):
    source = tmp_path / "a.bin"
    source.write_bytes(b"abc")
    coeffs = stamped(motion(), "pose", {"seed": 1, "unused": None}, source)
    assert coeffs.created_by == f"talkhead {__version__} pose"
    assert dict(coeffs.params) == {"seed": 1}
    assert coeffs.source_sha256 == hashlib.sha256(b"abc").hexdigest()
    assert file_sha256("-") == ""


@pytest.mark.parametrize(("text", "meaning"), [("largest", "largest"), ("1", 1), ("-1", -1), (2, 2)])
def test_face_choice(text, meaning):
    assert read_choice(text) == meaning


def test_face_choice_that_means_nothing():
    with pytest.raises(UsageError, match="biggest"):
        read_choice("biggest")


def test_photo_as_array_is_checked():
    with pytest.raises(UsageError, match="uint8"):
        open_source(np.zeros((8, 8), np.uint8))


def test_speech_as_samples():
    with open_speech((np.zeros(1600, np.float32), 16000)) as opened:
        assert opened.path is None
        assert sum(len(block) for block in opened.speech.blocks()) == 1600
    with pytest.raises(MediaError), open_speech((np.zeros(0, np.float32), 16000)):
        pass


def test_rivals_are_mentioned(monkeypatch, caplog):
    class Found:
        def __init__(self, width):
            self.bbox = (0, 0, width, width)

    for widths, mentioned in (((100, 80, 20), True), ((100, 20), False), ((100,), False)):
        caplog.clear()
        monkeypatch.setattr("talkhead.face.detect.detect_faces", lambda image, w=widths: [Found(x) for x in w])
        with caplog.at_level("INFO", logger="talkhead"):
            inputs._mention_others(np.zeros((4, 4, 3), np.uint8), "p.jpg")
        assert bool(caplog.messages) == mentioned
