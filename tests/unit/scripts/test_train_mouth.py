"""The making of the mouth network: labels stay where the sound is, and what is exported is what was trained."""

import shutil
import subprocess
import sys
from ctypes.util import find_library
from pathlib import Path

import numpy as np
import pytest

from scripts.train_mouth.espeak import _closed_since
from scripts.train_mouth.festival import VOICES, phone_classes
from scripts.train_mouth.sentences import SENTENCES, SPELLED, lines
from scripts.train_mouth.voices import random_text
from talkhead.systems.meshwarp.mouth_net import forward
from talkhead.systems.meshwarp.visemes import CLASSES, Segment

torch = pytest.importorskip("torch")
augment = pytest.importorskip("scripts.train_mouth.augment")
train = pytest.importorskip("scripts.train_mouth.train")


@pytest.mark.parametrize("seed", range(6))
def test_labels_stay_on_the_sound_through_augmentation(seed):
    rate = 22_050
    tone = np.sin(2 * np.pi * 700 * np.arange(int(0.3 * rate)) / rate)
    sound = np.concatenate([np.concatenate([tone, np.zeros_like(tone)]) for _ in range(4)]).astype(np.float32)
    sounds = [Segment("A" if k % 2 == 0 else "SIL", 0.3 * k, 0.3 * (k + 1)) for k in range(8)]
    heard, moved = augment.recorded(sound, rate, sounds, np.random.default_rng(seed), [])
    level: dict[str, list[float]] = {"A": [], "SIL": []}
    for segment in moved[1:-1]:  # without what augmentation put before and after
        middle = 0.5 * (segment.start + segment.end)
        span = slice(int((middle - 0.05) * augment.RATE), int((middle + 0.05) * augment.RATE))
        level[segment.name].append(float(np.sqrt(np.mean(heard[span] ** 2))))
    assert [s.start for s in moved[1:]] == pytest.approx([s.end for s in moved[:-1]])
    assert moved[-1].end == pytest.approx(len(heard) / augment.RATE, abs=0.01)
    assert np.median(level["A"]) > 2 * np.median(level["SIL"])


def test_another_rhythm_moves_sound_and_labels_alike():
    steps = np.arange(160, dtype=np.float32)
    mel = np.tile(np.arange(320, dtype=np.float32) / 2, (80, 1))
    heard, target, label = train._retimed(
        mel, np.tile(steps, (10, 1)), steps.astype(np.int64), 0.4, np.random.default_rng(0)
    )
    assert np.abs(target[0] - steps).max() > 3  # it did move
    np.testing.assert_allclose(heard[0, ::2], target[0], atol=0.51)
    np.testing.assert_allclose(label, target[0], atol=0.51)
    assert target[0, 0] == 0 and target[0, -1] == pytest.approx(159, abs=1e-3)


def test_exported_weights_hear_the_same():
    from scripts.train_mouth.network import MouthNet, exported

    torch.manual_seed(0)
    model = MouthNet(width=16)
    mel = torch.randn(1, 80, 96)
    for _ in range(3):  # running means that are not the start's
        model(torch.randn(4, 80, 64))
    with torch.no_grad():
        theirs = model.eval()(mel)[0].sigmoid()[0].T.numpy()
    ours = forward(mel[0].T.numpy(), {k: v.astype(np.float32) for k, v in exported(model).items()})
    np.testing.assert_allclose(ours, theirs, atol=5e-3)  # float16


@pytest.mark.parametrize(("burst_s", "expected_s"), [(0.2, 0.15), (0.21, 0.15), (0.05, 0.05)])
def test_a_closure_begins_with_the_silence_before_its_burst(burst_s, expected_s):
    loud = np.ones(80, bool)
    loud[30:40] = False  # 0.15-0.2 s
    assert _closed_since(loud, burst_s, burst_s - 0.08) == pytest.approx(expected_s)


def test_a_closure_leaves_the_sound_before_its_share():
    loud = np.ones(80, bool)
    loud[20:40] = False
    assert 0.18 <= _closed_since(loud, 0.2, 0.18) < 0.19


def test_texts_repeat_and_vary():
    texts = {random_text("it", np.random.default_rng(seed)) for seed in range(20)}
    assert len(texts) == 20
    assert random_text("it", np.random.default_rng(3)) == random_text("it", np.random.default_rng(3))


def test_every_language_has_words_and_phones():
    assert set(SPELLED) <= set(SENTENCES)
    for voice, language in VOICES.items():
        assert lines(language), voice
    for language in set(VOICES.values()):
        known = [phone_classes(language, phone) for phone in ("p", "m", "s", "l", "pau")]
        assert [names[0] for names in known] == ["P", "P", "S", "L", "SIL"]
        assert phone_classes(language, "no such phone") == []
        assert all(name in CLASSES for names in known for name in names)


@pytest.mark.slow
def test_the_same_seed_makes_the_same_speech(tmp_path):
    missing = [name for name in ("espeak-ng", "flite", "festival") if not shutil.which(name)]
    if missing or not find_library("espeak-ng"):
        pytest.skip("speech engines are not installed: " + " ".join(missing))
    pytest.importorskip("pyworld")
    made = []
    for run in range(2):  # a process each, as in training: espeak-ng remembers what it said
        out = tmp_path / f"{run}.npz"
        script = Path(train.__file__).with_name("data.py")
        subprocess.run([sys.executable, str(script), str(out), "--minutes", "0.3", "--seed", "7"], check=True)
        with np.load(out) as data:
            made.append({name: data[name] for name in data.files})
    assert made[0]["target"][:, 9].max() > 0.3
    assert len(made[0]["mel"]) >= 2 * len(made[0]["label"]) - len(made[0]["lengths"]) > 1000
    for name, values in made[0].items():
        np.testing.assert_array_equal(values, made[1][name])
