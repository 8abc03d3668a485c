"""Deterministic stand-in weights for parity tests.

No weights are stored next to the golden data.  Every tensor of a network is a
pure function of its published key, its shape and a *kind*; the kinds of a
network are listed in that system's ``state_dicts.json``.  See the README next
to each ``state_dicts.json`` for the formula in words.

Only numpy is required.

    net = json.load(open("state_dicts.json"))["networks"]["kp_detector"]
    arrays = build_network(net)          # {published key: numpy array}
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

__all__ = [
    "KINDS",
    "seed_for",
    "normal_for",
    "tensor_for",
    "infer_kinds",
    "build_state_dict",
    "build_network",
    "checksum",
]

KINDS = (
    "weight",  # conv / linear / embedding matrix: N * gain / sqrt(fan_in)
    "weight_transposed",  # conv-transpose, layout (in, out, ...): fan_in = shape[0]
    "bias",  # 0.05 * N
    "norm_weight",  # 1 + 0.1 * N
    "norm_bias",  # 0.05 * N
    "running_mean",  # 0.05 * N
    "running_var",  # 1 + |0.1 * N|
    "counter",  # zeros (num_batches_tracked)
    "table",  # N (learned style table and similar free parameters)
    "sn_u",  # spectral norm, left singular vector estimate
    "sn_v",  # spectral norm, right singular vector estimate
    "zeros",
    "ones",
    "gaussian_blur",  # fixed anti-alias kernel, computed, not random
)

_SN_ITERATIONS = 20


def seed_for(key: str, salt: str = "") -> int:
    """CRC-32 of the UTF-8 bytes of ``salt + key`` as an unsigned integer."""
    return zlib.crc32((salt + key).encode("utf-8")) & 0xFFFFFFFF


def normal_for(key: str, shape: Sequence[int], salt: str = "") -> np.ndarray:
    """Standard normal float32 draws owned by ``key`` (C order)."""
    rng = np.random.Generator(np.random.PCG64(seed_for(key, salt)))
    return rng.standard_normal(size=tuple(shape), dtype=np.float32)


def _gaussian_blur(shape: Sequence[int]) -> np.ndarray:
    # Depthwise (C, 1, k, k) kernel.  sigma follows from k = 2*round(4*sigma)+1
    # for a 1/4 reduction: sigma = (4 - 1) / 2 = 1.5, k = 13.
    k = int(shape[-1])
    sigma = (k - 1) / 8.0
    x = np.arange(k, dtype=np.float64) - (k - 1) / 2.0
    g = np.exp(-(x**2) / (2.0 * sigma**2))
    kernel = np.outer(g, g)
    kernel /= kernel.sum()
    return np.broadcast_to(kernel, tuple(shape)).astype(np.float32)


def tensor_for(
    key: str,
    shape: Sequence[int],
    dtype: str = "float32",
    kind: str = "weight",
    gain: float = 1.0,
    salt: str = "",
) -> np.ndarray:
    """The tensor of one key, for every kind except the spectral-norm vectors
    (those need the matching ``weight_orig``; see :func:`build_state_dict`)."""
    shape = tuple(int(s) for s in shape)
    if kind == "counter":
        return np.zeros(shape, dtype=dtype)
    if kind == "zeros":
        return np.zeros(shape, dtype=dtype)
    if kind == "ones":
        return np.ones(shape, dtype=dtype)
    if kind == "gaussian_blur":
        return _gaussian_blur(shape).astype(dtype)

    n = normal_for(key, shape, salt)
    if kind == "weight":
        fan_in = int(np.prod(shape[1:])) if len(shape) > 1 else int(shape[0])
        out = n * np.float32(gain / np.sqrt(fan_in))
    elif kind == "weight_transposed":
        out = n * np.float32(gain / np.sqrt(shape[0]))
    elif kind in ("bias", "norm_bias", "running_mean"):
        out = n * np.float32(0.05)
    elif kind == "norm_weight":
        out = np.float32(1.0) + np.float32(0.1) * n
    elif kind == "running_var":
        out = np.float32(1.0) + np.abs(np.float32(0.1) * n)
    elif kind == "table":
        out = n
    else:
        raise ValueError(f"kind {kind!r} of {key!r} needs build_state_dict()")
    return np.ascontiguousarray(out).astype(dtype)


def infer_kinds(entries: Iterable[tuple[str, Sequence[int], str]]) -> list[str]:
    """Best guess of each entry's kind from names and shapes.

    Norm layers are recognised by a sibling ``running_mean``; spectral norm by
    ``weight_orig`` / ``weight_u`` / ``weight_v``.  Conv-transpose weights,
    affine norms without running statistics and free parameters cannot be told
    from names alone: correct those by hand in ``state_dicts.json``.
    """
    entries = list(entries)
    keys = {e[0] for e in entries}
    kinds: list[str] = []
    for key, shape, _dtype in entries:
        stem, _, leaf = key.rpartition(".")
        is_norm = f"{stem}.running_mean" in keys
        if leaf == "num_batches_tracked":
            kinds.append("counter")
        elif leaf in ("running_mean", "running_var"):
            kinds.append(leaf)
        elif leaf == "weight":
            kinds.append("norm_weight" if is_norm or len(shape) == 1 else "weight")
        elif leaf == "bias":
            kinds.append("norm_bias" if is_norm else "bias")
        elif leaf == "weight_orig":
            kinds.append("weight")
        elif leaf == "weight_u":
            kinds.append("sn_u")
        elif leaf == "weight_v":
            kinds.append("sn_v")
        else:
            kinds.append("table")
    return kinds


def _spectral_vectors(u_key: str, weight: np.ndarray, salt: str) -> tuple[np.ndarray, np.ndarray]:
    """Power iteration in float64 from a start vector owned by ``u_key``."""
    mat = weight.reshape(weight.shape[0], -1).astype(np.float64)
    u = normal_for(u_key, (mat.shape[0],), salt).astype(np.float64)
    u /= np.linalg.norm(u)
    v = np.zeros(mat.shape[1])
    for _ in range(_SN_ITERATIONS):
        v = mat.T @ u
        v /= np.linalg.norm(v)
        u = mat @ v
        u /= np.linalg.norm(u)
    return u.astype(np.float32), v.astype(np.float32)


def build_state_dict(
    entries: Sequence[Sequence],
    gain: float = 1.0,
    gains: Mapping[str, float] | None = None,
    seed_prefix: str = "",
    salt: str = "",
) -> dict[str, np.ndarray]:
    """All tensors of a network.

    ``entries``: rows ``[key, shape, dtype, kind]``.
    ``gain``: default gain of the ``weight`` kinds; ``gains`` overrides it per key.
    ``seed_prefix``: put before the key when seeding (for files whose keys carry
    no network prefix of their own).  ``salt``: a different draw of everything.
    """
    gains = gains or {}
    out: dict[str, np.ndarray] = {}
    pending: list[tuple[str, str]] = []
    for key, shape, dtype, kind in entries:
        if kind in ("sn_u", "sn_v"):
            pending.append((key, kind))
            out[key] = np.empty(tuple(shape), dtype=dtype)  # keeps the order
            continue
        out[key] = tensor_for(seed_prefix + key, shape, dtype, kind, gains.get(key, gain), salt)
    for key, kind in pending:
        stem = key.rpartition(".")[0]
        u, v = _spectral_vectors(f"{seed_prefix}{stem}.weight_u", out[f"{stem}.weight_orig"], salt)
        out[key] = u if kind == "sn_u" else v
    return out


def build_network(net: Mapping, salt: str = "") -> dict[str, np.ndarray]:
    """State dict of one record of a ``state_dicts.json`` file."""
    return build_state_dict(
        net["entries"],
        gain=net.get("gain", 1.0),
        gains=net.get("gains"),
        seed_prefix=net.get("seed_prefix", ""),
        salt=salt,
    )


def checksum(arrays: Mapping[str, np.ndarray], entries: Sequence[Sequence]) -> str:
    """CRC-32 (hex) over the bytes of all tensors in entry order, leaving out the
    spectral-norm vectors, whose last bit may depend on the BLAS in use."""
    crc = 0
    for key, _shape, _dtype, kind in entries:
        if kind in ("sn_u", "sn_v"):
            continue
        crc = zlib.crc32(np.ascontiguousarray(arrays[key]).tobytes(), crc)
    return f"{crc & 0xFFFFFFFF:08x}"
