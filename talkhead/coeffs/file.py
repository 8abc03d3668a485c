"""Coefficient files (docs/coefficient-file.md): safetensors with fixed metadata, checked tensor by tensor."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import math
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
import numpy.typing as npt

from talkhead.coeffs.container import Coeffs
from talkhead.coeffs.layout import FORMAT, FORMAT_VERSION, TENSORS, is_per_frame, space_family
from talkhead.errors import CoeffFileError, UsageError
from talkhead.files import atomic_output

PathLike = str | os.PathLike[str]
STDIO = "-"
_N = TypeVar("_N", int, float)
# The longest header the safetensors format allows.
_MAX_HEADER = 100_000_000
_NUMPY_DTYPES = frozenset(["F64", "F32", "F16", "I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8", "BOOL"])


def read_coeffs(file: PathLike | BinaryIO) -> Coeffs:
    """Read a whole coefficient file and check it.

    Args:
        file: path, `-` for standard input, or an open binary file.
    Raises:
        CoeffFileError: the file is missing, is no coefficient file, or breaks the format; the message says where.
    """
    if file != STDIO and isinstance(file, str | os.PathLike):
        with CoeffReader(file) as reader:
            return reader.read()
    if isinstance(file, str | os.PathLike):
        if sys.stdin.isatty():
            raise UsageError("standard input is a terminal, not a coefficient file", hint="pipe one in, or name a file")
        return _from_bytes(sys.stdin.buffer.read(), "standard input")
    return _from_bytes(file.read(), str(getattr(file, "name", "stream")))


def write_coeffs(file: PathLike | BinaryIO, coeffs: Coeffs, overwrite: bool = False) -> None:
    """Write a coefficient file; equal content gives equal bytes.

    Args:
        file: path, `-` for standard output, or an open binary file. overwrite: replace a file already there.
    Raises:
        UsageError: `-` while standard output is a terminal. OutputExistsError: the file is there. CoeffFileError: the
            file system refuses.
    """
    data = to_bytes(coeffs)
    if file != STDIO and isinstance(file, str | os.PathLike):
        with atomic_output(file, overwrite, error=CoeffFileError) as temporary:
            temporary.write_bytes(data)
        return
    stream: BinaryIO = sys.stdout.buffer if isinstance(file, str | os.PathLike) else file
    if stream.isatty():
        raise UsageError("binary coefficients are not written to a terminal", hint="use -o FILE, or pipe them on")
    stream.write(data)
    stream.flush()


def to_bytes(coeffs: Coeffs) -> bytes:
    """The bytes of a coefficient file."""
    from safetensors.numpy import save

    tensors: dict[str, npt.NDArray[Any]] = {**coeffs.extra, **coeffs.tensors()}
    tensors = {name: np.ascontiguousarray(tensors[name]) for name in sorted(tensors)}
    data = save(tensors, metadata=_metadata(coeffs))
    # safetensors writes the metadata in the order of a randomly seeded hash map; sorted, equal content is equal bytes.
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    ordered = {"__metadata__": dict(sorted(header.pop("__metadata__").items())), **header}
    text = json.dumps(ordered, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


def require_space(coeffs: Coeffs, space: str, name: str = "coefficients") -> None:
    """Refuse codes of another face model; coefficients without codes fit every space.

    Args:
        coeffs: what is about to be used. space: full name of the space that is understood. name: shown in the message.
    Raises:
        CoeffFileError: `id` or `exp` belong to another space.
    """
    if coeffs.space == space or (coeffs.id is None and coeffs.exp is None):
        return
    if space_family(coeffs.space) == space_family(space):
        hint = "the face model has changed since; extract them again"
    else:
        hint = f"convert them with edit --space {space_family(space)}, or use a system that reads {coeffs.space}"
    raise CoeffFileError(f"{name} are codes of space {coeffs.space}, expected {space}", hint=hint)


@dataclass(frozen=True, kw_only=True, slots=True)
class CoeffHeader:
    """What a coefficient file says about itself before any tensor is read.

    Attributes:
        space, fps, n_frames, au_names, relative, source_sha256, created_by, params: as in `Coeffs`.
        shapes: tensor name -> shape, the unknown ones too.
    """

    space: str
    fps: float
    n_frames: int
    au_names: tuple[str, ...]
    relative: frozenset[str]
    source_sha256: str
    created_by: str
    params: Mapping[str, Any]
    shapes: Mapping[str, tuple[int, ...]]


class CoeffReader:
    """An open coefficient file; frames are read when they are asked for, so that an hour of motion opens at once.

    Args:
        path: a file.
    Raises:
        CoeffFileError: the file is missing, is no coefficient file, or its metadata, dtypes or shapes break the format.
            Values are checked when they are read.
    """

    def __init__(self, path: PathLike) -> None:
        from safetensors import safe_open

        self.path = Path(path)
        with _failures_named(str(path)):
            with self.path.open("rb") as stream:
                self.header = _read_header(stream, self.path.stat().st_size)
            opened: Any = safe_open(self.path, framework="numpy")
            self._file = opened.__enter__()

    def __len__(self) -> int:
        return self.header.n_frames

    def __enter__(self) -> CoeffReader:
        return self

    def __exit__(self, *details: object) -> None:
        self._file.__exit__(*details)

    def read(self, start: int = 0, stop: int | None = None) -> Coeffs:
        """The frames `start` to `stop`, all of them by default; per-clip tensors come along.

        Raises:
            UsageError: no such frames. CoeffFileError: values that are not finite, or negative where they cannot be.
        """
        stop = len(self) if stop is None else stop
        if not 0 <= start < stop <= len(self):
            raise UsageError(f"frames {start} to {stop} asked for, {self.path} has {len(self)}")
        arrays = {}
        with _failures_named(str(self.path)):
            for name, shape in self.header.shapes.items():
                whole = not is_per_frame(name, shape, len(self))
                arrays[name] = self._file.get_tensor(name) if whole else self._file.get_slice(name)[start:stop]
            return _coeffs(self.header, arrays, stop - start)

    def windows(self, n_frames: int) -> Iterator[Coeffs]:
        """The whole file in consecutive pieces of `n_frames` frames; the last may be shorter."""
        for start in range(0, len(self), n_frames):
            yield self.read(start, min(start + n_frames, len(self)))


def _from_bytes(data: bytes, name: str) -> Coeffs:
    from safetensors.numpy import load

    with _failures_named(name):
        header = _read_header(io.BytesIO(data), len(data))
        return _coeffs(header, load(data), header.n_frames)


def _coeffs(header: CoeffHeader, arrays: dict[str, npt.NDArray[Any]], n_frames: int) -> Coeffs:
    fields: dict[str, Any] = {f.name: getattr(header, f.name) for f in dataclasses.fields(header)}
    del fields["shapes"]
    fields["n_frames"] = n_frames
    fields["extra"] = {name: array for name, array in arrays.items() if name not in TENSORS}
    fields.update((name, array) for name, array in arrays.items() if name in TENSORS)
    return Coeffs(**fields)


@contextlib.contextmanager
def _failures_named(name: str) -> Iterator[None]:
    """Put the file's name before whatever is wrong with it."""
    from safetensors import SafetensorError

    try:
        yield
    except CoeffFileError as cause:
        raise CoeffFileError(f"{name}: {cause.message}", hint=cause.hint) from cause
    except SafetensorError as cause:
        raise CoeffFileError(f"{name}: not a valid safetensors file: {cause}") from cause
    except OSError as cause:
        reason = (cause.strerror or str(cause)).lower()
        raise CoeffFileError(f"cannot read coefficients {name}: {reason}") from cause


def _metadata(coeffs: Coeffs) -> dict[str, str]:
    for name in coeffs.au_names:
        if not name or "," in name:
            raise CoeffFileError(f"action unit name {name!r}: expected a word without commas")
    return {
        "format": FORMAT,
        "format_version": str(FORMAT_VERSION),
        "space": coeffs.space,
        "fps": repr(float(coeffs.fps)),
        "n_frames": str(coeffs.n_frames),
        "relative": ",".join(sorted(coeffs.relative)),
        "au_names": ",".join(coeffs.au_names),
        "source_sha256": coeffs.source_sha256,
        "created_by": coeffs.created_by,
        "params": json.dumps(dict(coeffs.params), sort_keys=True),
    }


def _read_header(stream: BinaryIO, size: int) -> CoeffHeader:
    """Parse and check everything but the values. The library would refuse too, but could not say what was meant."""
    entries = _read_entries(stream, size)
    metadata = entries.pop("__metadata__", {})
    if not isinstance(metadata, dict) or "format" not in metadata:
        raise CoeffFileError(
            "a safetensors file, but not of coefficients: no metadata 'format'",
            hint=f"tensors in it: {' '.join(list(entries)[:8])}",
        )
    if metadata["format"] != FORMAT:
        raise CoeffFileError(f"format is {metadata['format']!r}, expected {FORMAT!r}")
    version = _number(metadata, "format_version", int)
    if version > FORMAT_VERSION:
        raise CoeffFileError(
            f"format_version is {version}, this talkhead reads up to {FORMAT_VERSION}", hint="install a newer talkhead"
        )
    n_frames = _number(metadata, "n_frames", int)
    shapes = {name: entry["shape"] for name, entry in entries.items()}
    for name, entry in entries.items():
        if name in TENSORS and entry["dtype"] != "F32":
            raise CoeffFileError(f"{name} has dtype {entry['dtype']}, expected F32")
        if entry["dtype"] not in _NUMPY_DTYPES:
            raise CoeffFileError(f"{name} has dtype {entry['dtype']}, which cannot be kept")
        if name in TENSORS:
            TENSORS[name].check_shape(name, shapes[name], n_frames)
    return CoeffHeader(
        space=_text(metadata, "space"),
        fps=_number(metadata, "fps", float),
        n_frames=n_frames,
        au_names=_names(metadata, "au_names"),
        relative=frozenset(_names(metadata, "relative")),
        source_sha256=str(metadata.get("source_sha256", "")),
        created_by=str(metadata.get("created_by", "")),
        params=_params(metadata),
        shapes=shapes,
    )


def _read_entries(stream: BinaryIO, size: int) -> dict[str, Any]:
    """The JSON header of a safetensors file; says apart an empty, a foreign and a truncated one."""
    if size == 0:
        raise CoeffFileError("the file is empty")
    length = int.from_bytes(stream.read(8), "little")
    if size < 9 or length > _MAX_HEADER or stream.read(1) != b"{":
        raise CoeffFileError("not a coefficient file", hint="extract, audio2coeff and pose make such files")
    if size < 8 + length:
        raise CoeffFileError(f"truncated: the header needs {8 + length} bytes, the file has {size}")
    try:
        entries = json.loads(b"{" + stream.read(length - 1))
        tensors = [entry for name, entry in entries.items() if name != "__metadata__"]
        needed = 8 + length + max((int(entry["data_offsets"][1]) for entry in tensors), default=0)
        for entry in tensors:
            entry["shape"], entry["dtype"] = tuple(int(n) for n in entry["shape"]), str(entry["dtype"])
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as cause:
        raise CoeffFileError("not a valid safetensors file: its header cannot be read") from cause
    if size < needed:
        raise CoeffFileError(f"truncated: the tensors need {needed} bytes, the file has {size}")
    found: dict[str, Any] = entries
    return found


def _text(metadata: Mapping[str, Any], key: str) -> str:
    if not metadata.get(key):
        raise CoeffFileError(f"metadata {key!r} is missing")
    return str(metadata[key])


def _number(metadata: Mapping[str, Any], key: str, kind: type[_N]) -> _N:
    text = _text(metadata, key)
    try:
        value = kind(text)
    except ValueError as cause:
        raise CoeffFileError(f"metadata {key!r} is {text!r}, expected a number") from cause
    if not 0 < value < math.inf:
        raise CoeffFileError(f"metadata {key!r} is {text!r}, expected a positive number")
    return value


def _names(metadata: Mapping[str, Any], key: str) -> tuple[str, ...]:
    return tuple(name for name in str(metadata.get(key, "")).split(",") if name)


def _params(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        params = json.loads(metadata.get("params", "{}"))
    except (TypeError, ValueError, RecursionError) as cause:
        raise CoeffFileError("metadata 'params' is not JSON") from cause
    if not isinstance(params, dict):
        raise CoeffFileError(f"metadata 'params' is a {type(params).__name__}, expected a JSON object")
    return params
