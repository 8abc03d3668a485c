"""Speech -> what the mouth does, as named tracks.

The network of mouth_net hears the sounds; here its curves get the amplitude of real mouths, rest in pauses, and firm
contact on p, b, m. Only `mouth_tracks` is used by the rest; a predictor with the same result can take its place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from talkhead.audio.framing import Speech
from talkhead.audio.prosody import STEPS_PER_SECOND, Prosody, analyse, runs, smoothed
from talkhead.audio.windows import count_frames, sample_track
from talkhead.systems.meshwarp.mouth_net import CHANNELS, TARGET_RATE, mouth_channels
from talkhead.systems.meshwarp.visemes import Segment, fuse

VISUAL_LEAD_S = 0.04  # lips are this much ahead of the sound (mean over tracked clips)
OPENS_BEFORE_S, FADE_S = 0.08, 0.18
# In a short pause the mouth waits as it is, in a long one it rests: on four real clips the mouth stayed open in all six
# pauses below 0.3 s, in two of four around 0.5 s and in none of 0.9 s.
HELD_PAUSE_S, REST_PAUSE_S = 0.3, 0.45
OPEN_EXPANSION = 2.2  # about the mean in speech; gives real closures without losing correlation
# Per standard deviation of the acoustic cues. On four real clips r of the opening rises by 0.05, of the chin by 0.08.
OPEN_CUE, JAW_CUE = 0.10, 0.10
OPEN_GAIN, JAW_GAIN = 1.1, 1.35  # bring the 95th percentiles to 1

_EDGE = 2  # steps of the network before and after a pause in which the mouth already moves for it

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class MouthTracks:
    """What the mouth does, (T,) each, 0 = at rest with the lips together.

    Attributes:
        open: distance of the inner lips, 1 = as wide as a speaker's widest vowels (95th percentile).
        jaw: lowering of the chin. wide: corners apart. pucker: corners together, lips forward. funnel: lips rounded
            and apart. close: lips pressed (p b m). tuck: lower lip under the upper teeth (f v). upper, lower: lips
            drawn off the teeth. tongue: tip raised to the teeth (l, th).
    """

    open: F64
    jaw: F64
    wide: F64
    pucker: F64
    funnel: F64
    close: F64
    tuck: F64
    upper: F64
    lower: F64
    tongue: F64

    def stacked(self) -> F64:
        """All tracks in the order of the fields, (T, 10)."""
        return np.stack([getattr(self, f.name) for f in fields(self)], -1)


def mouth_tracks(
    speech: Speech, fps: float = 25.0, *, prosody: Prosody | None = None, phonemes: Sequence[Segment] | None = None
) -> MouthTracks:
    """What the mouth does while these sounds are spoken.

    Args:
        speech: mono speech. fps: frames per second of the tracks. prosody: of the same speech, if at hand.
        phonemes: who knows what is spoken when says it here; joined with what the network hears (`visemes.fuse`).
    Returns:
        Tracks of `count_frames(duration, fps)` frames; all at rest where there is no speech.
    Raises:
        InputError: the sound has no samples.
    """
    prosody = prosody or analyse(speech)
    n_frames = count_frames(prosody.duration_s, fps)
    if not prosody.is_speech.any():
        return MouthTracks(**{f.name: np.zeros(n_frames) for f in fields(MouthTracks)})
    channels = mouth_channels(speech).astype(np.float64)
    if phonemes is not None:
        channels = fuse(channels, phonemes)
    tracks = _decoded(channels, _Cues.of(prosody, len(channels)))
    sampled = sample_track(tracks, TARGET_RATE, n_frames, fps)
    sampled *= sample_track(speech_gate(prosody), STEPS_PER_SECOND, n_frames, fps, lead_s=VISUAL_LEAD_S)[:, None]
    return MouthTracks(**{f.name: sampled[:, i] for i, f in enumerate(fields(MouthTracks))})


def speech_gate(prosody: Prosody) -> F64:
    """1 in speech and short pauses, 0 in long ones; rises 80 ms before the sound and falls over 180 ms after it.

    Returns:
        (n,) at 100 steps/s.
    """
    early, late = round(OPENS_BEFORE_S * STEPS_PER_SECOND), round(FADE_S * STEPS_PER_SECOND)
    rise = 0.5 - 0.5 * np.cos(np.pi * np.arange(1, early + 1) / (early + 1))
    fall = 0.5 + 0.5 * np.cos(np.pi * np.arange(1, late + 1) / (late + 1))
    spoken = prosody.is_speech.astype(np.float64)
    for start, end, held in _pauses(prosody.is_speech, STEPS_PER_SECOND):
        spoken[start:end] = held
    gate, n = spoken.copy(), len(spoken)
    for shift, weight in enumerate(rise[::-1][: n - 1], 1):
        gate[: n - shift] = np.maximum(gate[: n - shift], weight * spoken[shift:])
    for shift, weight in enumerate(fall[: n - 1], 1):
        gate[shift:] = np.maximum(gate[shift:], weight * spoken[: n - shift])
    return gate


def _pauses(is_speech: npt.NDArray[np.bool_], rate: float) -> Iterator[tuple[int, int, float]]:
    """Pauses between speech: first step, end, and how far (0..1) the mouth is held open in them."""
    for start, end in runs(~is_speech):
        if start > 0 and end < len(is_speech):
            held = (REST_PAUSE_S - (end - start) / rate) / (REST_PAUSE_S - HELD_PAUSE_S)
            yield int(start), int(end), float(np.clip(held, 0.0, 1.0))


def _waiting(track: F64, is_speech: npt.NDArray[np.bool_]) -> F64:
    """The track (n,) at the network's steps, held through short pauses from what was to what comes."""
    held_track = track.copy()
    for start, end, held in _pauses(is_speech, TARGET_RATE):
        before, after = max(start - _EDGE, 0), min(end + _EDGE, len(track)) - 1
        bridge = np.linspace(track[before], track[after], after - before + 1)
        held_track[before : after + 1] = np.maximum(held_track[before : after + 1], held * bridge)
    return held_track


@dataclass(frozen=True, kw_only=True, slots=True)
class _Cues:
    """What plain acoustics say at the network's steps, (n,): speech or not, open lips, low jaw (in deviations)."""

    is_speech: npt.NDArray[np.bool_]
    open: F64
    jaw: F64

    @classmethod
    def of(cls, prosody: Prosody, n_steps: int) -> _Cues:
        spoken = prosody.is_speech

        def scores(track: npt.NDArray[np.floating[Any]]) -> F64:
            values = smoothed(np.maximum(track, np.percentile(track[spoken], 2)).astype(np.float64), 0.08)
            return np.asarray(np.clip((values - values[spoken].mean()) / (values[spoken].std() + 1e-3), -2.5, 2.5))

        first_formant = scores(prosody.jaw_hz)
        tracks = np.stack(
            [spoken, first_formant + scores(prosody.bands_db[:, 3]), first_formant + 0.7 * scores(prosody.level_db)], -1
        )
        read = sample_track(tracks, STEPS_PER_SECOND, n_steps, TARGET_RATE, lead_s=VISUAL_LEAD_S)
        is_speech = read[:, 0] > 0.5
        return cls(is_speech=is_speech if is_speech.any() else read[:, 0] > 0, open=read[:, 1], jaw=read[:, 2])


def _decoded(channels: F64, cues: _Cues) -> F64:
    """Network channels (n, 10) -> tracks in the order of `MouthTracks`, (n, 10).

    A network trained on squared error shrinks its curves towards their mean; here they get their width back. Formant
    and loudness add what synthetic voices lack: how far a real speaker really opens.
    """
    heard = {name: channels[:, i] for i, name in enumerate(CHANNELS)}

    def widened(name: str, factor: float, more: F64 | float = 0.0, limit: float = 1.0) -> F64:
        mean = heard[name][cues.is_speech].mean()
        return np.asarray(np.clip(mean + factor * (heard[name] - mean) + more, 0.0, limit))

    close = np.clip((heard["close"] - 0.3) / 0.35, 0.0, 1.0)
    tuck = np.clip((heard["tuck"] - 0.15) / 0.45, 0.0, 1.0) * (1.0 - close)
    contact = (1.0 - 0.9 * close) * (1.0 - 0.7 * tuck)
    parted = np.minimum(OPEN_GAIN * widened("open", OPEN_EXPANSION, OPEN_CUE * cues.open, 2.0), 1.25)
    lowered = np.minimum(JAW_GAIN * widened("jaw", 1.3, JAW_CUE * cues.jaw, 2.0), 1.3)
    tracks = {
        # Contact comes last: the silence of a long p is no pause in which the mouth waits open.
        "open": _waiting(parted, cues.is_speech) * contact,
        "jaw": _waiting(lowered, cues.is_speech),
        "wide": widened("wide", 1.5) * (1.0 - 0.5 * close),
        "pucker": widened("pucker", 1.5),
        "funnel": widened("funnel", 1.4),
        "close": close,
        "tuck": tuck,
        "upper": widened("upper", 1.5) * contact,
        "lower": widened("lower", 1.5) * contact,
        "tongue": widened("tongue", 1.5),
    }
    return np.stack([tracks[f.name] for f in fields(MouthTracks)], -1)
