"""espeak-ng through its C library: speech of many languages with the time of every phoneme.

A tool of training only: nothing of it is shipped, the trained weights hold none of its data.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import numpy.typing as npt

from talkhead.systems.meshwarp.visemes import Segment, ipa_classes, is_plosive, segments

Utterance = tuple[npt.NDArray[np.float32], int, list[Segment]]

_SYNCHRONOUS, _PHONEME_EVENTS, _PHONEME_IPA, _DONT_EXIT = 2, 0x1, 0x2, 0x8000
_RATE, _PITCH, _RANGE, _WORD_GAP = 1, 3, 4, 7
_UTF8, _EVENT_END, _EVENT_PHONEME = 1, 0, 7
_VARIANTS = """
m1 m2 m3 m4 m5 m6 m7 m8 f1 f2 f3 f4 f5 Alex Andrea Andy Annie Lee Mike Michael Mario Denis Diogo Gene Hugo Jacky John
Kaukovalta Marcelo Max Michel Mr_serious Nguyen Pablo Paul Quincy Reed Rob Robert Steph Storm Tweaky aunty anika antonio
belinda ed edward grandma grandpa linda rob shelby steph travis victor zac
klatt klatt2 klatt3 klatt4 klatt5 klatt6 adam benjamin boris caleb david norbert sandro miguel pedro whisper whisperf
"""
_STEPS = 200  # of loudness, per second
_ONSET = 3  # steps before its event in which a burst may already be heard
ESPEAK_VARIANTS = tuple(_VARIANTS.split())


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
        hop = rate // _STEPS
        loud = np.sqrt((sound[: len(sound) // hop * hop].reshape(-1, hop) ** 2).mean(1)) > 0.01 * np.abs(sound).max()
        events: list[tuple[list[str], float]] = []
        for name, sample in self._events:
            start = sample / rate
            if is_plosive(name) and events:
                # A word boundary is an event without a name: where there is one, the closure takes its place.
                least = 0.0 if events[-1][0] == ["SIL"] else 0.02
                start = _closed_since(loud, start, max(events[-1][1] + least, start - 0.08))
            events.append((ipa_classes(name), start))
        return segments(events, len(sound) / rate)


def _closed_since(loud: npt.NDArray[np.bool_], burst_s: float, earliest_s: float) -> float:
    """When the lips (or tongue) met for a burst: espeak-ng counts the silence before it to the sound before."""
    burst = min(int(burst_s * _STEPS), len(loud) - 1)
    onset = next((k for k in range(burst, max(burst - _ONSET, 0) - 1, -1) if not loud[k]), None)
    if onset is None:
        return burst_s
    while onset > 0 and not loud[onset - 1] and (onset - 1) / _STEPS > earliest_s:
        onset -= 1
    return max(earliest_s, min(burst_s, onset / _STEPS))
