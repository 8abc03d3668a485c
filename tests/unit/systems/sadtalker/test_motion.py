from __future__ import annotations

import copy
import random
import tracemalloc

import numpy as np
import pytest
import torch

from talkhead.audio.mel import mel_spectrogram
from talkhead.audio.windows import mel_windows
from talkhead.coeffs.container import Coeffs
from talkhead.errors import CoeffFileError, UsageError
from talkhead.media.audio import Waveform
from talkhead.systems.sadtalker.config import AudioConfig, MappingConfig, PoseConfig
from talkhead.systems.sadtalker.model_audio import AudioEncoder, ExpNet
from talkhead.systems.sadtalker.model_mapping import MappingNet
from talkhead.systems.sadtalker.model_posevae import PoseDecoder
from talkhead.systems.sadtalker.motion import (
    SadTalkerExpression,
    SadTalkerPose,
    keypoint_track,
    pose_track,
    style_number,
)
from talkhead.systems.sadtalker.semantics import blink_track, keypoints, smoothed_pose, surrounded

AUDIO = AudioConfig(width=2)
LENGTHS = [1, 2, 3, 12, 13, 32, 33, 34, 64, 65, 170]


def speech_of(n_frames, seed=0, rate=16000):
    rng = np.random.default_rng(seed)
    n_samples = round(n_frames * rate / 25)
    loud = 0.1 + 0.1 * np.sin(np.arange(n_samples) / rate * 20)
    return Waveform((loud * rng.normal(size=n_samples)).astype(np.float32), rate)


def windows_of(speech, n_frames):
    return torch.from_numpy(mel_windows(mel_spectrogram(speech), n_frames, 25.0, first_frame=-2))[:, None]


def face(n_frames=3, seed=1, fps=25.0, **changes):
    rng = np.random.default_rng(seed)
    tracks = {name: rng.normal(size=(n_frames, n)).astype("f4") for name, n in (("exp", 64), ("rot", 3), ("trans", 3))}
    return Coeffs(space="bfm", fps=fps, n_frames=n_frames, **{**tracks, **changes})


@pytest.fixture(scope="module")
def expnet():
    torch.manual_seed(0)
    return ExpNet(AUDIO).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def listen(expnet):
    return SadTalkerExpression(expnet, "cpu", torch.float32)


@pytest.fixture(scope="module")
def vae():
    torch.manual_seed(1)
    config = PoseConfig(hidden=8, width=2)
    encoder = AudioEncoder(AUDIO).eval().requires_grad_(False)
    decoder = PoseDecoder(config, AUDIO.n_embedding).eval().requires_grad_(False)
    with torch.no_grad():
        decoder.styles.mul_(3.0)
        for layer in (decoder.mlp[0], decoder.mlp[2], decoder.pose_map, decoder.unet.leave):
            layer.weight.mul_(4.0)  # small random networks would hardly move
    return encoder, decoder


@pytest.fixture(scope="module")
def move(vae):
    encoder, decoder = vae
    return SadTalkerPose(encoder, decoder, "cpu", torch.float32)


# Expression


@pytest.mark.parametrize("n_frames", LENGTHS)
def test_expression_is_that_of_one_big_batch(listen, expnet, n_frames):
    speech, own = speech_of(n_frames), face()
    coeffs = listen(speech, fps=25.0, seed=5, exp_scale=1.5, reference=own)
    blink = torch.from_numpy(blink_track(n_frames, random.Random(5)))[:, None]
    reference = torch.from_numpy(own.exp[:1]).expand(n_frames, -1)
    expected = 1.5 * expnet(windows_of(speech, n_frames), reference, blink).numpy() - own.exp[0]
    assert coeffs.space == "bfm" and coeffs.fps == 25.0 and coeffs.relative == {"exp"}
    np.testing.assert_allclose(coeffs.exp, expected, atol=2e-6)
    np.testing.assert_array_equal(coeffs.extra["reference_exp"], own.exp[0])


def test_without_a_reference_expression_is_absolute(listen, expnet):
    coeffs = listen(speech_of(9), fps=25.0, seed=0)
    expected = expnet(windows_of(speech_of(9), 9), torch.zeros(9, 64), torch.zeros(9, 1)).numpy()
    np.testing.assert_allclose(coeffs.exp, expected, atol=2e-6)
    assert not coeffs.relative and not coeffs.extra


def test_the_seed_moves_blinks_only(listen):
    speech = speech_of(120)
    first, again, other = (listen(speech, fps=25.0, seed=seed).exp for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    np.testing.assert_array_equal(*(listen(speech, fps=25.0, seed=seed, blinks=False).exp for seed in (1, 2)))


@pytest.mark.parametrize("n_clip", [1, 7, 200])
def test_a_clip_of_eyes_is_repeated_and_replaces_blinks(listen, expnet, n_clip):
    speech, clip = speech_of(50), face(n_clip, seed=4)
    coeffs = listen(speech, fps=25.0, seed=0, ref_eyeblink=clip, reference=face())
    reference = torch.from_numpy(np.resize(clip.exp, (50, 64)) if n_clip < 50 else clip.exp[:50])
    expected = expnet(windows_of(speech, 50), reference, torch.zeros(50, 1)).numpy() - face().exp[0]
    np.testing.assert_allclose(coeffs.exp, expected, atol=2e-6)


def test_silence_and_idleness(listen, move):
    silent = Waveform(np.zeros(16000, np.float32))
    for speech, seconds in ((silent, None), (None, 1.0)):
        coeffs = listen(speech, fps=25.0, seed=0, duration_s=seconds, blinks=False)
        assert len(coeffs) == 25
        assert np.ptp(coeffs.exp, axis=0).max() < 1e-5
    assert len(move(None, fps=30.0, seed=0, duration_s=2.0)) == 60


@pytest.mark.parametrize("rate", [16000, 44100])
@pytest.mark.parametrize("n_frames", [1, 6, 33, 64])
def test_other_frame_rates_cover_the_sound(listen, move, rate, n_frames):
    speech = speech_of(n_frames + 0.4, rate=rate)
    for make, track, name in ((listen, "exp", "reference_exp"), (move, "rot", "reference_pose")):
        slow = make(speech, fps=25.0, seed=0, reference=face())
        fast = make(speech, fps=50.0, seed=0, reference=face())
        assert len(slow) == n_frames and len(fast) == max(1, round(speech.duration_s * 50))
        assert fast.fps == 50.0
        np.testing.assert_allclose(getattr(fast, track)[: 2 * n_frames : 2], getattr(slow, track), atol=1e-5)
        np.testing.assert_array_equal(slow.extra[name], fast.extra[name])


def test_what_expnet_cannot_do_is_refused(listen):
    speech = speech_of(3)
    with pytest.raises(UsageError, match="articulation is 1.5"):
        listen(speech, fps=25.0, seed=0, articulation=1.5)
    with pytest.raises(UsageError, match="phonemes"):
        listen(speech, fps=25.0, seed=0, phonemes=object())
    with pytest.raises(UsageError, match="exp_scale is -1"):
        listen(speech, fps=25.0, seed=0, exp_scale=-1.0)
    with pytest.raises(CoeffFileError, match="its space is meshwarp-1"):
        listen(speech, fps=25.0, seed=0, reference=face().replace(space="meshwarp-1"))
    with pytest.raises(CoeffFileError, match="relative"):
        listen(speech, fps=25.0, seed=0, reference=face().replace(relative=frozenset({"exp"})))


def test_a_long_voice_takes_little_memory(listen, move):
    class Long:
        sample_rate = 16000

        def blocks(self, seconds=20.0):
            rng = np.random.default_rng(0)
            for _ in range(240):
                yield rng.normal(scale=0.1, size=16000).astype(np.float32)

    tracemalloc.start()
    n_frames = len(listen(Long(), fps=25.0, seed=0)) + len(move(Long(), fps=25.0, seed=0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n_frames == 2 * 6000
    # The codes are 1.5 MB, the windows of all frames 31 MB.
    assert peak < 12e6


# Head motion


def as_written(vae, speech, n_frames, style, seed, reference):
    """Section 5 of the published behaviour, frame ranges written out one by one."""
    encoder, decoder = vae
    audio = decoder.audio_map(encoder(windows_of(speech, n_frames)))[1:]
    generator = torch.Generator().manual_seed(seed)
    reference = torch.from_numpy(reference)[None]

    def piece(heard):
        z = torch.randn(1, 64, generator=generator)
        return decoder(reference, z, torch.tensor([style]), heard[None])[0]

    moved = [torch.zeros(1, 6)]
    for start in range(0, len(audio) // 32 * 32, 32):
        moved.append(piece(audio[start : start + 32]))
    left = len(audio) % 32
    if left:
        heard = audio[-32:]
        while len(heard) < 32:
            heard = torch.cat([heard[:1], heard])
        moved.append(piece(heard)[32 - left :])
    return (reference + torch.cat(moved)).numpy()


@pytest.mark.parametrize("n_frames", LENGTHS)
def test_pose_follows_the_published_steps(move, vae, n_frames):
    speech, own = speech_of(n_frames), face()
    reference = np.concatenate([own.rot[0], own.trans[0]])
    coeffs = move(speech, fps=25.0, seed=3, style=7, motion=0.5, reference=own)
    expected = smoothed_pose(as_written(vae, speech, n_frames, 7, 3, reference)) - reference
    np.testing.assert_allclose(np.concatenate([coeffs.rot, coeffs.trans], 1), 0.5 * expected, atol=2e-6)
    np.testing.assert_array_equal(coeffs.extra["reference_pose"], reference)
    assert coeffs.relative == {"rot", "trans"}
    assert n_frames < 3 or np.ptp(coeffs.rot) > 1e-3, "nothing moves"


def test_draws_are_those_of_the_global_generator(vae):
    decoder, drawn = vae[1], []
    with torch.random.fork_rng():
        torch.manual_seed(11)
        expected = [torch.randn(1, 64) for _ in range(4)]
    generator = torch.Generator().manual_seed(11)

    def draw():
        drawn.append(torch.randn(1, 64, generator=generator))
        return drawn[-1]

    with torch.no_grad():
        pose_track(decoder, torch.zeros(100, 6), torch.zeros(6), 0, draw)
    torch.testing.assert_close(torch.cat(drawn), torch.cat(expected), atol=0, rtol=0)


def test_pieces_decoded_together_or_not(vae, monkeypatch):
    decoder = vae[1]
    audio = torch.randn(32 * 9 + 5, 6, generator=torch.Generator().manual_seed(0))

    def made():
        generator = torch.Generator().manual_seed(2)
        with torch.no_grad():
            return pose_track(decoder, audio, torch.ones(6), 3, lambda: torch.randn(1, 64, generator=generator))

    together = made()
    monkeypatch.setattr("talkhead.systems.sadtalker.motion._DECODED_AT_A_TIME", 2)
    np.testing.assert_allclose(made(), together, atol=1e-6)


def test_equal_seeds_equal_bits(move):
    speech = speech_of(80)
    first, again, other = (move(speech, fps=25.0, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.rot, again.rot)
    assert np.abs(first.rot - other.rot).max() > 1e-3


def test_styles(move):
    speech = speech_of(40)
    natural, zero, text, other = (move(speech, fps=25.0, seed=0, style=s).rot for s in ("natural", 0, "0", "45"))
    np.testing.assert_array_equal(natural, zero)
    np.testing.assert_array_equal(natural, text)
    assert (natural != other).any()
    still = move(speech, fps=25.0, seed=0, style="still", reference=face())
    assert not still.rot.any() and not still.trans.any() and len(still) == 40
    assert not move(speech, fps=25.0, seed=0, motion=0.0).rot.any()
    for wrong in ("lively", 46, -1, "4.5", "٣"):
        with pytest.raises(UsageError, match="unknown style") as caught:
            style_number(wrong, 46)
        assert caught.value.hint == "styles: natural, still, or a number from 0 to 45"
    with pytest.raises(UsageError, match="motion is 4"):
        move(speech, fps=25.0, seed=0, motion=4.0)


@pytest.mark.parametrize("n_clip", [1, 7, 100])
def test_a_clip_of_head_motion_is_added_over_and_over(move, n_clip):
    speech, clip = speech_of(50), face(n_clip, seed=4).replace(space="pose", exp=None)
    plain, added = move(speech, fps=25.0, seed=0), move(speech, fps=25.0, seed=0, ref_pose=clip)
    index = np.arange(50) % n_clip
    np.testing.assert_allclose(added.rot - plain.rot, (clip.rot - clip.rot[0])[index], atol=1e-5)
    np.testing.assert_allclose(added.trans - plain.trans, (clip.trans - clip.trans[0])[index], atol=1e-5)
    rotations_only = move(speech, fps=25.0, seed=0, ref_pose=clip.replace(trans=None))
    np.testing.assert_array_equal(rotations_only.trans, plain.trans)


def test_references_that_hold_no_pose(move):
    speech = speech_of(3)
    with pytest.raises(CoeffFileError, match="no head rotations"):
        move(speech, fps=25.0, seed=0, ref_pose=face().replace(rot=None))
    with pytest.raises(CoeffFileError, match="its space is pose"):
        move(speech, fps=25.0, seed=0, reference=face().replace(space="pose"))
    with pytest.raises(CoeffFileError, match="no pose of a face"):
        move(speech, fps=25.0, seed=0, reference=face().replace(relative=frozenset({"rot", "trans"})))


def test_other_number_formats(expnet, vae):
    speech, dtype = speech_of(40), torch.bfloat16
    listen = SadTalkerExpression(copy.deepcopy(expnet).to(dtype), "cpu", dtype)
    encoder, decoder = vae
    exact_move = SadTalkerPose(encoder, decoder, "cpu", torch.float32)
    move = SadTalkerPose(copy.deepcopy(encoder).to(dtype), copy.deepcopy(decoder).to(dtype), "cpu", dtype)
    exact_listen = SadTalkerExpression(expnet, "cpu", torch.float32)
    options = {"fps": 25.0, "seed": 0, "reference": face()}
    found, exact = listen(speech, **options), exact_listen(speech, **options)
    assert 0 < np.abs(found.exp - exact.exp).max() < 0.05
    found, exact = move(speech, **options), exact_move(speech, **options)
    assert found.rot.dtype == np.float32
    assert 0 < np.abs(found.rot - exact.rot).max() < 0.2 * np.ptp(exact.rot)


# Keypoints


@pytest.mark.parametrize("n_frames", [1, 2, 13, 40])
@pytest.mark.parametrize("n_in", [70, 73])
def test_keypoints_in_pieces_are_those_of_windows(n_frames, n_in):
    torch.manual_seed(2)
    net = MappingNet(MappingConfig(n_descriptor=8), n_in).eval()
    rng = np.random.default_rng(0)
    rows, row = rng.normal(size=(n_frames, n_in)).astype("f4"), rng.normal(size=73).astype("f4")
    canonical = torch.rand(15, 3)
    yaw = np.linspace(-20, 20, n_frames)
    with torch.no_grad():
        windows = np.stack([surrounded(rows, f, f + 1, 27).T for f in range(n_frames)])
        expected = keypoints(canonical, net(torch.from_numpy(windows)), yaw=torch.from_numpy(yaw).float())
        at_rest = keypoints(canonical, net(torch.from_numpy(row[:n_in, None].repeat(27, 1))[None]))
    for chunk in (3, 16, 256):
        source, track = keypoint_track(net, canonical, row, rows, yaw=yaw, chunk=chunk)
        pieces = list(track)
        assert [len(piece) for piece in pieces[:-1]] == [chunk] * ((n_frames - 1) // chunk)
        torch.testing.assert_close(torch.cat(pieces), expected, atol=2e-5, rtol=0)
        torch.testing.assert_close(source, at_rest, atol=1e-6, rtol=0)
        assert not source.requires_grad and not pieces[0].requires_grad
