import io
import json
import sys

import numpy as np
import pytest
from safetensors.numpy import save

from talkhead.coeffs.container import Coeffs
from talkhead.coeffs.file import CoeffReader, read_coeffs, require_space, to_bytes, write_coeffs
from talkhead.errors import CoeffFileError, OutputExistsError, UsageError

GOOD = {"format": "talkhead.coeffs", "format_version": "1", "space": "toy-1", "fps": "25.0", "n_frames": "2"}
ROT = {"rot": np.zeros((2, 3), np.float32)}


def assert_same(a: Coeffs, b: Coeffs) -> None:
    for field in ("space", "fps", "n_frames", "au_names", "relative", "source_sha256", "created_by", "params"):
        assert getattr(a, field) == getattr(b, field)
    assert a.tensors().keys() == b.tensors().keys()
    for name, value in a.tensors().items():
        np.testing.assert_array_equal(value, b.tensors()[name])
    assert a.extra.keys() == b.extra.keys()
    for name, value in a.extra.items():
        np.testing.assert_array_equal(value, b.extra[name])


@pytest.fixture
def full(motion):
    return motion.replace(
        fps=30000 / 1001,
        au=np.ones((50, 2), np.float32),
        au_names=("AU01", "AU12"),
        landmarks=np.zeros((50, 68, 2), np.float32),
        crop=np.arange(6, dtype=np.float32),
        relative=frozenset({"exp", "gaze"}),
        extra={"tension": np.arange(50), "note": np.array(3.5)},
        source_sha256="ab" * 32,
        created_by="talkhead 0.1 extract",
        params={"face": "largest", "größe": [1, 2.5, None]},
    )


def test_everything_survives_the_round_trip(full, tmp_path):
    write_coeffs(tmp_path / "c.safetensors", full)
    assert_same(read_coeffs(tmp_path / "c.safetensors"), full)
    assert_same(read_coeffs(io.BytesIO(to_bytes(full))), full)


def test_equal_content_is_equal_bytes(full):
    reordered = full.replace(params=dict(reversed(full.params.items())), extra=dict(reversed(full.extra.items())))
    assert len({to_bytes(c) for c in [full, reordered] * 4}) == 1


def test_the_file_is_plain_safetensors(full, tmp_path):
    from safetensors import safe_open

    write_coeffs(tmp_path / "c.safetensors", full)
    with safe_open(tmp_path / "c.safetensors", framework="numpy") as file:
        assert file.metadata()["format"] == "talkhead.coeffs"
        assert file.metadata()["relative"] == "exp,gaze"
        np.testing.assert_array_equal(file.get_tensor("rot"), full.rot)


def test_strided_arrays_are_written_as_seen(motion):
    motion = motion.replace(rot=np.asfortranarray(motion.rot), exp=motion.exp[:, ::-1])
    assert_same(read_coeffs(io.BytesIO(to_bytes(motion))), motion)


def test_windows_add_up(full, tmp_path):
    write_coeffs(tmp_path / "c.safetensors", full)
    with CoeffReader(tmp_path / "c.safetensors") as reader:
        assert (len(reader), reader.header.shapes["exp"], reader.header.fps) == (50, (50, 6), 30000 / 1001)
        pieces = list(reader.windows(20))
        assert [len(p) for p in pieces] == [20, 20, 10]
        np.testing.assert_array_equal(np.concatenate([p.tensors()["exp"] for p in pieces]), full.exp)
        np.testing.assert_array_equal(np.concatenate([p.extra["tension"] for p in pieces]), np.arange(50))
        np.testing.assert_array_equal(pieces[1].tensors()["id"], full.id)
        with pytest.raises(UsageError, match="frames 45 to 51"):
            reader.read(45, 51)


def test_an_hour_opens_without_reading_it(tmp_path):
    n = 3600 * 25
    write_coeffs(tmp_path / "c", Coeffs(space="toy-1", fps=25.0, n_frames=n, exp=np.zeros((n, 28), np.float32)))
    data = bytearray((tmp_path / "c").read_bytes())
    data[-4:] = np.float32("nan").tobytes()
    (tmp_path / "c").write_bytes(data)
    with CoeffReader(tmp_path / "c") as reader:
        assert len(reader.read(1000, 1010)) == 10
        with pytest.raises(CoeffFileError, match="not finite"):
            reader.read(n - 10)


def _write(tmp_path, data: bytes):
    path = tmp_path / "c.safetensors"
    path.write_bytes(data)
    return path


def _header(entries: dict) -> bytes:
    text = json.dumps(entries).encode()
    return len(text).to_bytes(8, "little") + text


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty"),
        (b"abc", "not a coefficient file"),
        (b"\x00\x00\x00\x18ftypmp42" + bytes(100), "not a coefficient file"),
        (b"RIFF\x00\x00\x00\x00WAVE" + bytes(100), "not a coefficient file"),
        (save(ROT, GOOD)[:60], "truncated: the header needs"),
        (save(ROT, GOOD)[:-4], "truncated: the tensors need"),
        (save(ROT, GOOD) + b"more", "not a valid safetensors file"),
        (b"\x10" + bytes(7) + b"{" + b"x" * 15, "header cannot be read"),
        (_header({"__metadata__": GOOD, "rot": {"dtype": "F32"}}), "header cannot be read"),
        (_header({"__metadata__": GOOD, "rot": 3}), "header cannot be read"),
        (b"\xff\xff" + bytes(6) + b"{" + b"[" * 70000, "header cannot be read"),
        (save(ROT), "not of coefficients"),
        (save(ROT, GOOD | {"format": "pt"}), "format is 'pt'"),
        (save(ROT, GOOD | {"format_version": "2"}), "format_version is 2, this talkhead reads up to 1"),
        (save(ROT, GOOD | {"format_version": "one"}), "'format_version' is 'one', expected a number"),
        *((save(ROT, {k: v for k, v in GOOD.items() if k != key}), f"metadata '{key}' is missing")
          for key in ("format_version", "space", "fps", "n_frames")),
        (save(ROT, GOOD | {"fps": "nan"}), "metadata 'fps' is 'nan', expected a positive number"),
        (save(ROT, GOOD | {"n_frames": "-2"}), "metadata 'n_frames' is '-2'"),
        (save(ROT, GOOD | {"n_frames": "3"}), r"rot has shape \(2, 3\), expected \(3, 3\)"),
        (save(ROT, GOOD | {"params": "{"}), "'params' is not JSON"),
        (save(ROT, GOOD | {"params": "[1]"}), "'params' is a list"),
        (save(ROT, GOOD | {"relative": "eyelid"}), "cannot be relative: eyelid"),
        (save({}, GOOD), "at least one tensor"),
        (save({"note": np.zeros(3)}, GOOD), "at least one tensor"),
        (save({"rot": np.zeros((2, 3))}, GOOD), "rot has dtype F64, expected F32"),
        (save({"rot": np.zeros((2, 4), np.float32)}, GOOD), "rot has shape"),
        (save({"exp": np.full((2, 4), np.nan, np.float32)}, GOOD), "exp has 8 values that are not finite"),
        (save({"au": np.zeros((2, 2), np.float32)}, GOOD | {"au_names": "AU01"}), "au has 2 columns and au_names 1"),
    ],
)  # fmt: skip
def test_each_malformed_file_is_named(tmp_path, data, message):
    path = _write(tmp_path, data)
    with pytest.raises(CoeffFileError, match=message) as failure:
        read_coeffs(path)
    assert str(path) in failure.value.message
    with pytest.raises(CoeffFileError, match=message):
        read_coeffs(io.BytesIO(data))


def test_an_unreadable_dtype_is_named(tmp_path):
    entry = {"dtype": "BF16", "shape": [2], "data_offsets": [24, 28]}
    rot = {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}
    path = _write(tmp_path, _header({"__metadata__": GOOD, "rot": rot, "other": entry}) + bytes(28))
    with pytest.raises(CoeffFileError, match="other has dtype BF16"):
        read_coeffs(path)


def test_a_pickle_is_never_opened(tmp_path):
    import pickle

    class Bomb:
        def __reduce__(self):
            return (sys.exit, (99,))

    with pytest.raises(CoeffFileError, match="not a coefficient file"):
        read_coeffs(_write(tmp_path, pickle.dumps(Bomb())))


def test_missing_files_and_folders_are_named(tmp_path):
    for path in (tmp_path / "none.safetensors", tmp_path):
        with pytest.raises(CoeffFileError, match="cannot read coefficients"):
            read_coeffs(path)


def test_an_existing_file_needs_overwrite(motion, tmp_path):
    write_coeffs(tmp_path / "c", motion)
    with pytest.raises(OutputExistsError):
        write_coeffs(tmp_path / "c", motion)
    write_coeffs(tmp_path / "c", motion.at(slice(0, 3)), overwrite=True)
    assert len(read_coeffs(tmp_path / "c")) == 3
    with pytest.raises(CoeffFileError, match="cannot write"):
        write_coeffs(tmp_path / "no" / "c", motion)


class _Standard:
    def __init__(self, data: bytes = b"", terminal: bool = False) -> None:
        self.buffer = io.BytesIO(data)
        self.buffer.isatty = lambda: terminal  # type: ignore[method-assign]
        self.isatty = lambda: terminal


def test_a_dash_is_standard_input_and_output(motion, monkeypatch):
    out = _Standard()
    monkeypatch.setattr(sys, "stdout", out)
    write_coeffs("-", motion)
    monkeypatch.undo()
    monkeypatch.setattr(sys, "stdin", _Standard(out.buffer.getvalue()))
    assert_same(read_coeffs("-"), motion)


def test_a_terminal_gets_no_binary(motion, monkeypatch):
    out = _Standard(terminal=True)
    monkeypatch.setattr(sys, "stdout", out)
    with pytest.raises(UsageError, match="terminal"):
        write_coeffs("-", motion)
    assert out.buffer.getvalue() == b""
    monkeypatch.setattr(sys, "stdin", _Standard(terminal=True))
    with pytest.raises(UsageError, match="terminal"):
        read_coeffs("-")


def test_names_with_commas_cannot_be_stored(motion):
    with pytest.raises(CoeffFileError, match="without commas"):
        to_bytes(motion.replace(au=np.zeros((50, 1), np.float32), au_names=("a,b",)))


def test_require_space(motion, space):
    require_space(motion, space.name)
    require_space(motion.replace(id=None, exp=None), "other-2")
    with pytest.raises(
        CoeffFileError, match="driving.safetensors are codes of space toy-00000001, expected other-2"
    ) as e:
        require_space(motion, "other-2", "driving.safetensors")
    assert "--space other" in str(e.value.hint)
    with pytest.raises(CoeffFileError) as e:
        require_space(motion, "toy-00000002")
    assert "extract them again" in str(e.value.hint)
