"""Synthetic speech with known phoneme times: espeak-ng (many languages) and flite (English, smoother voices).

Both are tools of this script only: nothing of them is shipped, the trained weights hold none of their data.
"""

from __future__ import annotations

import ctypes
import re
import subprocess
import tempfile
import wave
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from scripts.train_mouth.phonemes import Segment, flite_classes, ipa_classes, is_plosive, segments
from scripts.train_mouth.sentences import SENTENCES, lines, words

Utterance = tuple[npt.NDArray[np.float32], int, list[Segment]]

_SYNCHRONOUS, _PHONEME_EVENTS, _PHONEME_IPA, _DONT_EXIT = 2, 0x1, 0x2, 0x8000
_RATE, _PITCH, _RANGE, _WORD_GAP = 1, 3, 4, 7
_UTF8, _EVENT_END, _EVENT_PHONEME = 1, 0, 7
_VARIANTS = """
m1 m2 m3 m4 m5 m6 m7 m8 f1 f2 f3 f4 f5 Alex Andrea Andy Annie Lee Mike Michael Mario Denis Diogo Gene Hugo Jacky John
Kaukovalta Marcelo Max Michel Mr_serious Nguyen Pablo Paul Quincy Reed Rob Robert Steph Storm Tweaky aunty anika antonio
belinda ed edward grandma grandpa linda rob shelby steph travis victor zac
"""
ESPEAK_VARIANTS = tuple(_VARIANTS.split())
FLITE_VOICES = ("slt", "rms", "awb", "kal16", "kal")


class _EventId(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    ]


class Espeak:
    """The espeak-ng library: global state, may crash after hours, so use it in a short-lived process."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL("libespeak-ng.so.1")
        flags = _PHONEME_EVENTS | _PHONEME_IPA | _DONT_EXIT
        self.sample_rate: int = self._library.espeak_Initialize(_SYNCHRONOUS, 0, None, flags)
        if self.sample_rate <= 0:
            raise RuntimeError("espeak-ng does not start; install espeak-ng and libespeak-ng1")
        self._sound: list[npt.NDArray[np.int16]] = []
        self._events: list[tuple[str, int]] = []
        signature = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))
        self._callback = signature(self._receive)
        self._library.espeak_SetSynthCallback(self._callback)

    def _receive(self, samples: Any, count: int, events: Any) -> int:
        if count and samples:
            self._sound.append(np.ctypeslib.as_array(samples, (count,)).copy())
        i = 0
        while events and events[i].type != _EVENT_END:
            if events[i].type == _EVENT_PHONEME:
                name = events[i].id.string.decode("utf8", "ignore")
                self._events.append((name, events[i].sample))
            i += 1
        return 0

    def say(self, text: str, voice: str, rng: np.random.Generator) -> Utterance | None:
        """Samples, rate and segments of a text in a random manner; None if the library refuses."""
        variant = ESPEAK_VARIANTS[rng.integers(len(ESPEAK_VARIANTS))] if rng.random() < 0.85 else ""
        name = f"{voice}+{variant}" if variant else voice
        if self._library.espeak_SetVoiceByName(name.encode()) != 0:
            return None
        for parameter, low, high in ((_RATE, 110, 270), (_PITCH, 5, 95), (_RANGE, 20, 90), (_WORD_GAP, 0, 8)):
            value = 0 if parameter == _WORD_GAP and rng.random() < 0.6 else int(rng.integers(low, high + 1))
            self._library.espeak_SetParameter(parameter, value, 0)
        self._sound, self._events = [], []
        data = text.encode("utf8")
        self._library.espeak_Synth(data, len(data) + 1, 0, 1, 0, _UTF8, None, None)
        self._library.espeak_Synchronize()
        if not self._sound or len(self._events) < 3:
            return None
        sound = np.concatenate(self._sound).astype(np.float32) / 32768
        return sound, self.sample_rate, self._segments(sound)

    def _segments(self, sound: npt.NDArray[np.float32]) -> list[Segment]:
        rate = self.sample_rate
        hop = rate // 200
        loud = np.sqrt((sound[: len(sound) // hop * hop].reshape(-1, hop) ** 2).mean(1)) > 0.01 * np.abs(sound).max()
        events: list[tuple[list[str], float]] = []
        for name, sample in self._events:
            start = sample / rate
            if is_plosive(name) and events:
                # Its event sits on the burst; the lips met where the silence before it began.
                k, earliest = sample // hop - 1, max(events[-1][1] + 0.02, start - 0.08)
                while k > 0 and k < len(loud) and not loud[k] and k * hop / rate > earliest:
                    k -= 1
                start = max(earliest, min(start, (k + 1) * hop / rate))
            events.append((ipa_classes(name), start))
        return segments(events, len(sound) / rate)


def flite_say(text: str, rng: np.random.Generator) -> Utterance | None:
    """The same by flite."""
    voice = FLITE_VOICES[rng.choice(len(FLITE_VOICES), p=[0.3, 0.25, 0.25, 0.15, 0.05])]
    pitch = {"slt": 175, "rms": 100, "awb": 120, "kal16": 105, "kal": 105}[voice] * float(np.exp(rng.normal(0, 0.18)))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "f.wav"
        command = ["flite", "-voice", voice, "-psdur", "--setf", f"duration_stretch={rng.uniform(0.75, 1.35):.2f}",
                   "--setf", f"int_f0_target_mean={pitch:.0f}", "-t", text, "-o", str(out)]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode or not out.exists():
            return None
        with wave.open(str(out)) as file:
            rate = file.getframerate()
            sound = np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(np.float32) / 32768
    pairs = re.findall(r"([a-z]+):([0-9.]+)", done.stdout)
    starts = [0.0, *(float(end) for _, end in pairs[:-1])]
    events = [(flite_classes(name), start) for (name, _), start in zip(pairs, starts, strict=True)]
    return (sound, rate, segments(events, len(sound) / rate)) if len(events) > 2 else None


def random_text(voice: str, rng: np.random.Generator) -> str:
    """A sentence (35 %) or 3-14 shuffled words."""
    if rng.random() < 0.35:
        return str(rng.choice(lines(voice)))
    chosen = [str(w) for w in rng.choice(words(voice), int(rng.integers(3, 15)))]
    if len(chosen) > 6 and rng.random() < 0.5:
        chosen[len(chosen) // 2] += ","
    return " ".join(chosen) + "."


def random_utterance(espeak: Espeak, rng: np.random.Generator) -> Utterance | None:
    """60 % espeak-ng (45 % of it English), 40 % flite."""
    if rng.random() < 0.4:
        return flite_say(random_text("en-us", rng).replace("-", " "), rng)
    voices = sorted(SENTENCES)
    voice = "en-us" if rng.random() < 0.45 else voices[rng.integers(len(voices))]
    text = random_text(voice, rng)
    if voice == "en-us":
        voice = ("en-us", "en", "en-gb-scotland", "en-029")[rng.choice(4, p=[0.6, 0.2, 0.1, 0.1])]
    return espeak.say(text, voice, rng)
