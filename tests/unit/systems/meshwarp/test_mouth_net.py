import json

import numpy as np
import pytest
from safetensors import safe_open

from talkhead.audio.mel import mel_spectrogram
from talkhead.media.audio import Waveform
from talkhead.systems.meshwarp import mouth_net
from talkhead.systems.meshwarp.mouth_net import CHANNELS, DILATIONS, STRIDES, SpeechMean, forward, load_members


def random_weights(width=8, maps=(2, 3, 4)):
    rng = np.random.default_rng(0)
    shapes = {"join.weight": (width, maps[-1] * 10), "join.bias": (width,), "last.scale": (width,),
              "last.shift": (width,), "head.weight": (10, width), "head.bias": (10,)}  # fmt: skip
    for i, (a, b) in enumerate(zip((1, *maps), maps, strict=False)):
        shapes |= {f"front{i}.weight": (b, a, 3, 3), f"front{i}.bias": (b,)}
    for i in range(len(DILATIONS)):
        shapes |= {f"block{i}.{name}": (width,) for name in ("scale", "shift", "bias", "out_bias")}
        shapes |= {f"block{i}.weight": (width, width, 3), f"block{i}.out_weight": (width, width)}
    return {k: (rng.normal(size=s) / np.sqrt(np.prod(s[1:]))).astype(np.float32) for k, s in shapes.items()}


def torch_twin(x, weights):
    import torch
    from torch.nn import functional as f

    w = {name: torch.from_numpy(value) for name, value in weights.items()}
    h = torch.from_numpy(np.ascontiguousarray(x.T))[None, None]
    for i, stride in enumerate(STRIDES):
        h = f.conv2d(h, w[f"front{i}.weight"], w[f"front{i}.bias"], stride, 1).relu()
    h = f.conv1d(h.flatten(1, 2), w["join.weight"][:, :, None], w["join.bias"])
    for i, d in enumerate(DILATIONS):
        y = (h * w[f"block{i}.scale"][:, None] + w[f"block{i}.shift"][:, None]).relu()
        y = f.conv1d(y, w[f"block{i}.weight"], w[f"block{i}.bias"], padding=d, dilation=d).relu()
        h = h + f.conv1d(y, w[f"block{i}.out_weight"][:, :, None], w[f"block{i}.out_bias"])
    h = (h * w["last.scale"][:, None] + w["last.shift"][:, None]).relu()
    return f.conv1d(h, w["head.weight"][:, :, None], w["head.bias"]).sigmoid()[0].T.numpy()


@pytest.mark.parametrize("n_steps", [1, 2, 7, 40, 161])
def test_numpy_and_torch_agree(n_steps):
    x = np.random.default_rng(1).normal(size=(n_steps, 80)).astype(np.float32)
    ours, theirs = forward(x, random_weights()), torch_twin(x, random_weights())
    assert ours.shape == ((n_steps + 1) // 2, 10)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("seconds", [0.0001, 0.3, 19.99, 20.0, 20.02, 22.0, 47.3])
def test_chunks_equal_the_whole(seconds, monkeypatch):
    monkeypatch.setattr(mouth_net, "load_members", lambda: (random_weights(),))
    sound = Waveform(np.random.default_rng(2).normal(0, 0.1, max(1, int(seconds * 16000))).astype(np.float32))
    mel, mean = mel_spectrogram(sound).astype(np.float64), SpeechMean()
    mean.add(mel)
    whole = forward(((mel - mean.result()) * 0.25).astype(np.float32), random_weights())
    np.testing.assert_allclose(mouth_net.mouth_channels(sound), whole, atol=1e-4)


def test_mean_is_of_speech_not_of_silence():
    rng = np.random.default_rng(3)
    speech, silence = rng.normal(0.5, 0.3, (400, 80)), np.full((40_000, 80), -4.0)
    whole = SpeechMean()
    for block in (silence[:1000], speech, silence[1000:]):
        whole.add(block)
    expected = (speech.sum(0) + 0.25 * 400 * -4.0) / 500
    np.testing.assert_allclose(whole.result(), expected, atol=1e-6)


def test_shipped_weights_fit_and_react():
    members = load_members()
    assert len(members) >= 1
    x = np.random.default_rng(4).normal(0, 0.3, (80, 80)).astype(np.float32)
    for member in members:
        out = forward(x, member)
        assert out.shape == (40, len(CHANNELS))
        assert np.isfinite(out).all()
        assert (np.abs(out - forward(np.zeros_like(x), member)).max(0) > 0.01).all()


def test_the_shipped_file_says_where_it_comes_from():
    with safe_open(mouth_net.WEIGHTS_FILE, "numpy") as file:
        metadata = file.metadata()
    assert {"made_by", "commit", "data", "engines", "seed", "config", "channels", "licence"} <= set(metadata)
    assert len(metadata["commit"]) == 40 and metadata["channels"].split() == list(CHANNELS)
    assert len(load_members()) == json.loads(metadata["config"])["members"]
    scores = json.loads(metadata["scores"])
    assert all(-1 <= row["lip_rs0_opening"] <= 1 for row in scores.values()) and len(scores) >= 4
