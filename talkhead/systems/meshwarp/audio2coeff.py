"""Speech -> `exp`, `eyelid` and `gaze` tracks of the meshwarp space, relative to the source's rest."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from talkhead.audio.framing import Speech
from talkhead.audio.prosody import Prosody, analyse, phrase_ends, syllable_nuclei
from talkhead.audio.windows import frame_times
from talkhead.coeffs.container import Coeffs
from talkhead.coeffs.layout import Space
from talkhead.errors import UsageError
from talkhead.systems.meshwarp.articulation import MouthTracks, mouth_tracks
from talkhead.systems.meshwarp.blinks import blink_track, gaze_track

# How much of each control (value 1 = as strong as a person naturally does it) a full track means.
_SHARES = (
    ("lip-open", "open", 1.0),
    ("mouth-wide", "wide", 0.7),
    ("pucker", "pucker", 0.9),
    ("funnel", "funnel", 0.8),
    ("lip-press", "close", 0.35),
    ("lip-tuck", "tuck", 0.8),
    ("upper-lip-raise", "upper", 0.5),
    ("lower-lip-depress", "lower", 0.4),
)
_JAW_SHARE = 0.45  # of `jaw-open`, for what the chin does beyond the jaw share already inside `lip-open`
_JAW_IN_OPEN = 0.6
_BROW_RAISE = 0.35


def audio2coeff(
    speech: Speech,
    *,
    fps: float = 25.0,
    seed: int = 0,
    space: Space | None = None,
    articulation: float = 1.0,
    blinks: bool = True,
    gaze: bool = True,
    brows: bool = True,
) -> Coeffs:
    """What a face does while it speaks: mouth, blinks, small eye movements, brow accents.

    Args:
        speech: mono speech, any length; read twice at most, never held.
        fps: frames per second. seed: of blinks, gaze and brows; the mouth does not depend on it.
        space: names and directions of the controls; default the built-in face model's.
        articulation: factor on mouth motion, 0..2; lips still meet on p, b, m.
        blinks, gaze, brows: switch these off for a mouth alone.
    Returns:
        `exp` (T, n_exp) relative, `eyelid` (T, 2), `gaze` (T, 2) relative; T = duration * fps, at least 1.
    Raises:
        InputError: the sound has no samples. UsageError: fps or articulation out of range.
    """
    if not 0.0 <= articulation <= 2.0:
        raise UsageError(f"articulation is {articulation:g}, expected 0..2")
    space = space or _builtin_space()
    prosody = analyse(speech)
    mouth = mouth_tracks(speech, fps, prosody=prosody)
    n_frames = len(mouth.open)
    blink_rng, gaze_rng, brow_rng = (np.random.default_rng([seed, k]) for k in range(3))
    exp = mouth_to_exp(mouth, space, articulation)
    if brows:
        exp = exp + brow_accents(prosody, n_frames, fps, brow_rng)[:, None] * _control(space, "brow-raise")
    lids = (
        blink_track(n_frames, fps, blink_rng, phrase_ends(prosody)) if blinks else np.zeros((n_frames, 2), np.float32)
    )
    return Coeffs(
        space=space.name,
        fps=float(fps),
        n_frames=n_frames,
        exp=exp.astype(np.float32),
        eyelid=lids,
        gaze=gaze_track(n_frames, fps, gaze_rng) if gaze else None,
        relative=frozenset({"exp", "gaze"} if gaze else {"exp"}),
        params={"articulation": float(articulation), "seed": int(seed)},
    )


def mouth_to_exp(mouth: MouthTracks, space: Space, articulation: float = 1.0) -> npt.NDArray[np.float64]:
    """Expression codes of mouth tracks, (T, n_exp), as offsets from rest.

    Args:
        mouth: tracks (T,). space: with its controls. articulation: factor on everything but contact of the lips.
    """
    exp = np.zeros((len(mouth.open), len(space.exp_std)))
    for control, track, share in _SHARES:
        factor = 1.0 if track in ("close", "tuck") else articulation
        exp += (factor * share * getattr(mouth, track))[:, None] * _control(space, control)
    jaw = np.clip(mouth.jaw - _JAW_IN_OPEN * mouth.open, 0.0, 1.0) * (1.0 - mouth.close)
    return np.asarray(exp + (articulation * _JAW_SHARE * jaw)[:, None] * _control(space, "jaw-open"))


def brow_accents(prosody: Prosody, n_frames: int, fps: float, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Brow raises on some of the stressed syllables, (T,), 0 at rest.

    The strongest quarter of the syllables may get one, at least 1.5 s apart; 0.12 s up, 0.4 s down.
    """
    nuclei, stress = syllable_nuclei(prosody)
    track, moments = np.zeros(n_frames), frame_times(n_frames, fps)
    if len(nuclei) < 3:
        return track
    last = -np.inf
    for step, strength in zip(nuclei, stress, strict=True):
        when = step / 100.0
        if strength < np.percentile(stress, 75) or when - last < 1.5 or rng.random() < 0.35:
            continue
        t = moments - (when - 0.1)
        rise = np.clip(t / 0.12 + 0.5, 0.0, 1.0)
        fall = np.clip((t - 0.1) / 0.4, 0.0, 1.0)
        bump = np.sin(0.5 * np.pi * rise) ** 2 * np.cos(0.5 * np.pi * fall) ** 2
        track = np.maximum(track, _BROW_RAISE * float(rng.uniform(0.4, 1.0)) * bump)
        last = when
    return track


def _control(space: Space, name: str) -> npt.NDArray[np.float64]:
    if name not in space.controls:
        raise UsageError(f"space {space.name} has no control {name!r}", hint="speech needs the meshwarp face model")
    return np.asarray(space.controls[name], np.float64)


def _builtin_space() -> Space:
    from talkhead.face3d.morphable import load_builtin

    space: Space = load_builtin().space
    return space
