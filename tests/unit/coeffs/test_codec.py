"""Chunks of motion as bytes and back: exactness of the raw formats, steps and models of the compact one."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from talkhead.coeffs import codec
from talkhead.coeffs.codec import CompactDecoder, CompactEncoder, RawCodec, Track, chunks, reference_of, widths_of
from talkhead.coeffs.container import Coeffs
from talkhead.errors import CoeffFileError, CompressedStreamError
from talkhead.geometry import euler_to_matrix

PAPER = ("exp", "rot", "trans", "scale")
STEP = {"exp": 0.02, "rot": 0.01, "trans": 0.005, "scale": 0.004, "eyelid": 0.05, "gaze": 0.02, "tongue": 0.05}


def tracks_of(motion, names=codec.TRACKS, steps=STEP, relative=frozenset()):
    first = motion.at(slice(0, 1))
    return tuple(
        Track(n, reference_of(first, n), n in relative, np.full(w, steps[n], np.float32))
        for n, w in widths_of(motion).items()
        if n in names
    )


def smooth_motion(n_frames=75, n_exp=28, seed=0):
    """Motion as smooth as a face's, about 80 px per unit."""
    rng = np.random.default_rng(seed)

    def wander(columns, size):
        steps = rng.normal(size=(n_frames + 12, columns))
        kernel = np.hanning(13)
        smooth = np.stack([np.convolve(c, kernel / kernel.sum(), "valid") for c in steps.T], 1)
        return (size * smooth * 3).astype(np.float32)

    return Coeffs(
        space="toy-00000001",
        fps=25.0,
        n_frames=n_frames,
        exp=wander(n_exp, 0.3),
        rot=wander(3, 0.2),
        trans=wander(3, 0.3),
        scale=(80 + 8 * wander(1, 0.5)[:, 0]).astype(np.float32),
        eyelid=wander(2, 0.3),
        gaze=wander(2, 0.1),
        tongue=np.abs(wander(1, 0.3))[:, 0],
    )


def round_trip(motion, tracks, chunk_frames=codec.CHUNK_FRAMES):
    """The decoded tracks, and the payloads."""
    encoder, decoder = CompactEncoder(tracks, chunk_frames), CompactDecoder(tracks, chunk_frames)
    payloads, pieces = [], []
    for chunk in chunks(motion, chunk_frames):
        payloads.append(encoder.encode(chunk))
        pieces.append(decoder.decode(payloads[-1], len(chunk)))
    return {t.name: np.concatenate([p[t.name] for p in pieces]) for t in tracks}, payloads


def test_float32_keeps_every_bit():
    motion = smooth_motion()
    raw = RawCodec(tracks_of(motion, PAPER), "float32")
    assert raw.record_bytes == 140
    records = raw.encode(motion)
    assert len(records) == 140 * len(motion)
    decoded = raw.decode(records)
    assert decoded.keys() == set(PAPER)
    for name in PAPER:
        assert decoded[name].tobytes() == getattr(motion, name).tobytes(), name


def test_float16_is_as_exact_as_promised():
    """HeadGAN's bound: 0.02 degrees up to 30 degrees, 0.07 px in a picture of 256 px."""
    rng = np.random.default_rng(1)
    n = 20_000
    scale = rng.uniform(30, 200, n).astype(np.float32)
    place = rng.uniform(-128, 128, (n, 3))  # anywhere in the picture
    motion = Coeffs(
        space="toy-00000001",
        fps=25.0,
        n_frames=n,
        exp=rng.normal(size=(n, 28)).astype(np.float32),
        rot=np.radians(rng.uniform(-30, 30, (n, 3))).astype(np.float32),
        trans=(place / scale[:, None]).astype(np.float32),
        scale=scale,
    )
    raw = RawCodec(tracks_of(motion, PAPER), "float16")
    assert raw.record_bytes == 70
    got = raw.decode(raw.encode(motion))
    assert np.degrees(np.abs(got["rot"] - motion.rot).max()) < 0.02
    where = got["trans"].astype(float) * got["scale"].astype(float)[:, None]
    assert np.abs(where - motion.trans.astype(float) * scale[:, None].astype(float)).max() < 0.07
    assert np.abs(got["scale"] / scale - 1).max() < 2**-11


def test_values_beyond_16_bits_are_refused():
    motion = smooth_motion(3)
    raw = RawCodec(tracks_of(motion, PAPER), "float16")
    with pytest.raises(CoeffFileError, match="16 bits"):
        raw.encode(motion.replace(exp=np.full((3, 28), 7e4, np.float32)))


def test_compact_errors_are_of_the_size_of_the_steps():
    motion = smooth_motion()
    tracks = tracks_of(motion)
    decoded, payloads = round_trip(motion, tracks)
    # The transform keeps lengths: errors of at most 0.6 steps a symbol are as many a frame, in the mean square.
    for name in ("exp", "rot", "eyelid", "gaze", "tongue"):
        error = decoded[name] - getattr(motion, name)
        assert 0 < np.sqrt((error**2).mean()) < 0.5 * STEP[name], name
    size = motion.scale[0]
    place = (decoded["trans"] * decoded["scale"][:, None] - motion.trans * motion.scale[:, None]) / size
    assert np.sqrt((place**2).mean()) < 0.5 * STEP["trans"]
    assert np.sqrt((np.log(decoded["scale"] / motion.scale) ** 2).mean()) < 0.5 * STEP["scale"]
    assert sum(map(len, payloads)) < 0.2 * 160 * len(motion)


def test_finer_steps_cost_more_and_err_less():
    motion = smooth_motion()
    sizes, errors = [], []
    for factor in (4, 2, 1, 0.5):
        decoded, payloads = round_trip(motion, tracks_of(motion, steps={k: factor * v for k, v in STEP.items()}))
        sizes.append(sum(map(len, payloads)))
        errors.append(float(np.abs(decoded["exp"] - motion.exp).mean()))
    assert sizes == sorted(sizes) and sizes[0] < sizes[-1] / 2
    assert errors == sorted(errors, reverse=True) and errors[-1] < errors[0] / 4


def test_stillness_costs_next_to_nothing():
    motion = smooth_motion(1).at(np.zeros(320, int))
    decoded, payloads = round_trip(motion, tracks_of(motion))
    assert sum(map(len, payloads[1:])) <= 24 * len(payloads)
    np.testing.assert_allclose(decoded["exp"], motion.exp, rtol=1e-6)


@pytest.mark.parametrize("n_frames", [1, 2, 15, 16, 17, 31])
@pytest.mark.parametrize("chunk_frames", [1, 16, 255])
def test_any_length_in_any_chunks(n_frames, chunk_frames):
    motion = smooth_motion(n_frames, n_exp=3)
    decoded, payloads = round_trip(motion, tracks_of(motion), chunk_frames)
    assert len(payloads) == -(-n_frames // chunk_frames)
    assert decoded["exp"].shape == (n_frames, 3)
    assert decoded["scale"].shape == decoded["tongue"].shape == (n_frames,)
    assert np.abs(decoded["rot"] - motion.rot).max() < 3 * STEP["rot"]


def test_borders_of_chunks_do_not_jump():
    """The waves start at 0 before a chunk: steps across borders are as large as steps within."""
    motion = smooth_motion(320)
    decoded, _ = round_trip(motion, tracks_of(motion))
    jumps = np.abs(np.diff(decoded["exp"] - motion.exp, axis=0)).mean(1)
    borders = np.arange(len(jumps)) % codec.CHUNK_FRAMES == codec.CHUNK_FRAMES - 1
    assert jumps[borders].mean() < 1.5 * jumps[~borders].mean()


def test_cuts_are_coded_by_escapes():
    """A leap of thousands of steps, both ways, comes through as exactly as a twitch."""
    motion = smooth_motion(64)
    exp = motion.exp.copy()
    exp[20:40] += 300.0
    exp[40:] -= 700.0
    motion = motion.replace(exp=exp)
    decoded, _ = round_trip(motion, tracks_of(motion))
    assert np.abs(decoded["exp"] - exp).max() < 3 * STEP["exp"]


def test_what_cannot_be_counted_is_refused():
    motion = smooth_motion(4)
    far = motion.replace(exp=np.full((4, 28), 1e9, np.float32))
    with pytest.raises(CoeffFileError, match="more steps") as refused:
        CompactEncoder(tracks_of(motion)).encode(far)
    assert refused.value.hint == "use --format float32"
    with pytest.raises(CoeffFileError, match="size 0"):
        CompactEncoder(tracks_of(motion)).encode(motion.replace(scale=np.zeros(4, np.float32)))
    with pytest.raises(CoeffFileError, match="no gaze"):
        CompactEncoder(tracks_of(motion)).encode(motion.replace(gaze=None))


def test_angles_that_pass_half_a_turn_go_on():
    motion = smooth_motion(40)
    rot = motion.rot.copy()
    rot[:, 2] = np.linspace(2.8, 3.5, 40)
    wrapped = rot.copy()
    wrapped[wrapped > np.pi] -= 2 * np.pi
    plain, a = round_trip(motion.replace(rot=rot), tracks_of(motion.replace(rot=rot)))
    folded, b = round_trip(motion.replace(rot=wrapped), tracks_of(motion.replace(rot=wrapped)))
    assert abs(sum(map(len, a)) - sum(map(len, b))) <= 8
    np.testing.assert_allclose(euler_to_matrix(folded["rot"]), euler_to_matrix(plain["rot"]), atol=0.02)


def test_relative_tracks_are_not_mixed():
    """Offsets of position and size are coded as they are: their product is no place."""
    motion = smooth_motion(32)
    motion = motion.replace(scale=motion.scale / 80, relative=frozenset({"trans", "scale"}))
    rest = tuple(
        Track(t.name, np.ones_like(t.reference) if t.name == "scale" else np.zeros_like(t.reference), True, t.steps)
        if t.name in motion.relative
        else t
        for t in tracks_of(motion)
    )
    decoded, _ = round_trip(motion, rest)
    assert np.sqrt(((decoded["trans"] - motion.trans) ** 2).mean()) < 0.5 * STEP["trans"]
    raw = RawCodec(rest, "float16")
    np.testing.assert_allclose(raw.decode(raw.encode(motion))["trans"], motion.trans, atol=1e-3)


def test_heads_far_and_near_are_treated_alike():
    """A picture of twice the size costs the same bytes: positions count in sizes of the head."""
    motion = smooth_motion(64)
    _, one = round_trip(motion, tracks_of(motion))
    twice = motion.replace(scale=2 * motion.scale)
    _, two = round_trip(twice, tracks_of(twice))
    assert one == two


def test_damaged_payloads_end_in_an_error_or_in_numbers():
    motion = smooth_motion(16)
    tracks = tracks_of(motion)
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(200):
        payload = rng.bytes(4 * rng.integers(0, 60))
        try:
            decoded = CompactDecoder(tracks).decode(payload, 16)
            assert decoded["exp"].shape == (16, 28)
        except CompressedStreamError:
            refused += 1
    assert refused > 100
    with pytest.raises(CompressedStreamError, match="whole words"):
        CompactDecoder(tracks).decode(b"abc", 16)


def test_bytes_are_the_same_everywhere():
    """Streams written today are read by every later version: tables, order and coder may not change."""
    t = np.arange(40, dtype=np.float32)
    exp = np.stack([np.round(np.float32(0.01) * (t % 17) * (t - 20)), np.round(t / 7) / 4], 1).astype(np.float32)
    motion = Coeffs(space="toy-00000001", fps=25.0, n_frames=40, exp=exp)
    track = Track("exp", np.zeros(2, np.float32), False, np.full(2, 0.25, np.float32))
    _, payloads = round_trip(motion, (track,))
    assert [p.hex() for p in payloads] == GOLDEN_PAYLOADS
    tables = codec._probabilities()
    assert tables.shape == (len(codec._levels()), 65)
    np.testing.assert_allclose(tables.sum(1), 1, atol=1e-6)
    assert hashlib.sha256(tables.astype("<f4").tobytes()).hexdigest() == GOLDEN_TABLES


GOLDEN_PAYLOADS = [
    "7b1814007fdd443a27fd29bb",
    "c3b4ccfe7f234f87076a25cd",
    "1471f126fc3c4bd2",
]
GOLDEN_TABLES = "fa5e373c1fd881899572b669e0e6aa092cbc0c1d5aadc9b4756151422f0ad1f2"


def test_basis_is_orthonormal():
    for n in (1, 2, 16, 255):
        np.testing.assert_allclose(codec._basis(n) @ codec._basis(n).T, np.eye(n), atol=1e-12)


def test_importing_the_codec_loads_no_coder():
    code = "import sys\nimport talkhead.coeffs.stream\nprint('constriction' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
