"""Real matrices of numbers out of MATLAB files of level 5 (MathWorks, "MAT-File Format"), and nothing else of them.

Written out here because the usual reader can crash the whole process on a damaged file.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_NUMERIC_CLASSES = range(6, 16)
_COMPLEX = 0x0800
# A week of motion at 100 frames a second is a tenth of this.
_MAX_BYTES = 1 << 31


def read_matrices(data: bytes) -> dict[str, npt.NDArray[np.float64]]:
    """The real numeric arrays of a file, by name; text, cells and structures are passed over.

    Raises:
        ValueError: no MATLAB file of level 5, or a damaged one.
    """
    if len(data) < _HEADER or data[126:128] not in (b"IM", b"MI"):
        raise ValueError("no MATLAB file of level 5")
    order = "<" if data[126:128] == b"IM" else ">"
    found = {}
    for kind, content in _elements(data[_HEADER:], order):
        if kind == _COMPRESSED:
            kind, content = next(_elements(_inflated(content), order), (0, b""))
        if kind == _MATRIX:
            name, array = _matrix(content, order)
            if array is not None:
                found[name] = array
    return found


def _elements(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position < len(data):
        if position + 8 > len(data):
            raise ValueError("the file is truncated")
        kind, size = struct.unpack_from(order + "II", data, position)
        start = position + 8
        # Four bytes or fewer sit in the tag itself, their number in its upper half.
        if kind >> 16:
            kind, size, start = kind & 0xFFFF, kind >> 16, position + 4
            position += 8
        else:
            position = start + (size if kind == _COMPRESSED else -(-size // 8) * 8)
        if start + size > len(data):
            raise ValueError("the file is truncated")
        yield kind, data[start : start + size]


def _inflated(data: bytes) -> bytes:
    stream = zlib.decompressobj()
    try:
        content = stream.decompress(data, _MAX_BYTES)
    except zlib.error as cause:
        raise ValueError(f"damaged: {cause}") from cause
    if not stream.eof:
        raise ValueError("the compressed data is truncated or too large")
    return content


def _matrix(content: bytes, order: str) -> tuple[str, npt.NDArray[np.float64] | None]:
    parts = list(_elements(content, order))
    if len(parts) < 3 or len(parts[0][1]) < 4 or len(parts[1][1]) % 4:
        raise ValueError("a damaged array")
    flags = int(np.frombuffer(parts[0][1], order + "u4", 1)[0])
    shape = tuple(int(n) for n in np.frombuffer(parts[1][1], order + "i4"))
    name = parts[2][1].decode("latin-1")
    if (flags & 0xFF) not in _NUMERIC_CLASSES or flags & _COMPLEX or len(parts) < 4:
        return name, None
    kind, numbers = parts[3]
    if kind not in _TYPES:
        raise ValueError(f"array {name} holds no numbers")
    dtype = np.dtype(order + _TYPES[kind])
    if (
        min(shape, default=0) < 0
        or len(shape) > 8
        or int(np.prod(shape, dtype=object)) * dtype.itemsize != len(numbers)
    ):
        raise ValueError(f"array {name} is not as large as it says")
    return name, np.frombuffer(numbers, dtype).astype(np.float64).reshape(shape, order="F")
