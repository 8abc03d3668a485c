"""Speech -> `exp`, `tongue`, `eyelid` and `gaze` tracks of the meshwarp space, relative to the source's rest."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from talkhead.audio.framing import Speech
from talkhead.audio.phonemes import PhoneTiming
from talkhead.audio.prosody import Prosody, analyse, phrase_ends
from talkhead.audio.windows import frame_times
from talkhead.coeffs.container import Coeffs
from talkhead.coeffs.layout import Space
from talkhead.errors import UsageError
from talkhead.face.topology import CHIN, INNER_LIP_PAIRS
from talkhead.face3d.morphable import FaceModel, load_builtin
from talkhead.systems.meshwarp.accents import accents
from talkhead.systems.meshwarp.articulation import MouthTracks, mouth_tracks
from talkhead.systems.meshwarp.blinks import blink_track
from talkhead.systems.meshwarp.config import UNITS_PER_EYE_DISTANCE
from talkhead.systems.meshwarp.enunciation import check_articulation, enunciated
from talkhead.systems.meshwarp.gaze import gaze_of_seed, glances_of_seed, lids_with_gaze
from talkhead.systems.meshwarp.visemes import viseme_segments

# How much of each control (value 1 = as strong as a person naturally does it) a full track means.
_SHARES = (
    ("mouth-wide", "wide", 0.9),
    ("pucker", "pucker", 0.85),
    ("funnel", "funnel", 0.8),
    ("lip-press", "close", 1.0),
    ("lip-tuck", "tuck", 0.9),
    ("upper-lip-raise", "upper", 0.9),
    ("lower-lip-depress", "lower", 0.35),
    # a raised tongue shows below the upper teeth: that room is made by the lower lip
    ("lower-lip-depress", "tongue", 0.3),
    ("upper-lip-raise", "tongue", -0.3),
)
OPENING = 0.14  # eye distances between the inner lips at a track of 1: median of tracked speakers
_TEETH_ON_LIP = 0.035  # eye distances: the stripe of upper teeth above a fully tucked lower lip
_CHIN = 0.095  # eye distances the chin falls at a track of 1, likewise
_MAX_JAW = 0.6
_BROW_RAISE = 0.35


def audio2coeff(
    speech: Speech,
    *,
    fps: float = 25.0,
    seed: int = 0,
    model: FaceModel | None = None,
    articulation: float = 1.0,
    exp_scale: float = 1.0,
    phonemes: PhoneTiming | None = None,
    blinks: bool = True,
    gaze: bool = True,
    brows: bool = True,
) -> Coeffs:
    """What a face does while it speaks: mouth, blinks, small eye movements, brow accents.

    Args:
        speech: mono speech, any length; read three times, never held.
        fps: frames per second. seed: of blinks, gaze and brows; the mouth does not depend on it.
        model: face model with the named controls; default the built-in one.
        articulation: how carefully the mouth speaks, 0 = mumbled .. 2 = over-articulated (see `enunciated`).
        exp_scale: factor on the strength of mouth and brows, at least 0. Lips meet on p, b, m at any of both.
        phonemes: when which sounds are spoken, if somebody knows; joined with what is heard.
        blinks, gaze, brows: switch these off for a mouth alone.
    Returns:
        `exp` (T, n_exp) relative, `tongue` (T,), `eyelid` (T, 2), `gaze` (T, 2) relative; T = duration * fps,
        at least 1.
    Raises:
        InputError: the sound has no samples, or phonemes do not fit it. UsageError: a number out of range.
    """
    check_articulation(articulation)
    if not 0.0 <= exp_scale < np.inf:
        raise UsageError(f"exp_scale is {exp_scale:g}, expected 0 or more")
    model = model or load_builtin()
    prosody = analyse(speech)
    if phonemes is not None:
        phonemes.check_fits(prosody.duration_s)
    segments = None if phonemes is None else viseme_segments(phonemes)
    mouth = enunciated(mouth_tracks(speech, fps, prosody=prosody, phonemes=segments), articulation, fps)
    n_frames = len(mouth.open)
    blink_rng, brow_rng = np.random.default_rng([seed, 3]), np.random.default_rng([seed, 2])
    brow = brow_accents(prosody, n_frames, fps, brow_rng) if brows else None
    exp = mouth_to_exp(mouth, model, exp_scale, brow)
    look = gaze_of_seed(n_frames, fps, seed, prosody) if gaze else None
    lids = np.zeros((n_frames, 2), np.float32)
    if blinks:
        glances = [glance.start_s for glance in glances_of_seed(n_frames / fps, seed, prosody)] if gaze else []
        prompts = np.sort(np.concatenate([phrase_ends(prosody), glances]))
        lids = blink_track(n_frames, fps, blink_rng, prompts)
        if look is not None:
            lids = (lids + (1.0 - lids) * lids_with_gaze(look)).astype(np.float32)
    return Coeffs(
        space=model.space.name,
        fps=float(fps),
        n_frames=n_frames,
        exp=exp,
        tongue=np.clip(mouth.tongue, 0.0, 1.0).astype(np.float32),
        eyelid=lids,
        gaze=look,
        relative=frozenset({"exp", "gaze"} if gaze else {"exp"}),
        params={"articulation": float(articulation), "exp_scale": float(exp_scale), "seed": int(seed)},
    )


def mouth_to_exp(
    mouth: MouthTracks, model: FaceModel, exp_scale: float = 1.0, brow: npt.NDArray[np.float64] | None = None
) -> npt.NDArray[np.float32]:
    """Expression codes of mouth tracks, (T, n_exp), as offsets from rest.

    `jaw-open` and `lip-open` are solved so that the inner lips part by exactly what `open` says, whatever the other
    controls add, and the chin falls by what `jaw` says. On f and v they part far enough to show the teeth on the lip.

    Args:
        mouth: tracks (T,). model: with its controls. exp_scale: factor on everything, above 1 but for contact of
            the lips. brow: how far the brows are raised besides, (T,).
    """
    lips, chin = _opening_of(model), -model.exp_basis[:, CHIN, 1].astype(np.float64) / UNITS_PER_EYE_DISTANCE
    contact = min(exp_scale, 1.0)
    directions = [_control(model.space, control) for control, _, _ in _SHARES]
    amounts = [
        (contact if track in ("close", "tuck") else exp_scale) * share * getattr(mouth, track)
        for _, track, share in _SHARES
    ]
    if brow is not None:
        directions.append(_control(model.space, "brow-raise"))
        amounts.append(exp_scale * brow)
    jaw_open, lip_open = _control(model.space, "jaw-open"), _control(model.space, "lip-open")
    opening = np.maximum(exp_scale * OPENING * mouth.open, contact * _TEETH_ON_LIP * mouth.tuck)
    wanted = np.stack([opening, exp_scale * _CHIN * mouth.jaw])
    there = np.stack([[d @ lips, d @ chin] for d in directions], -1)
    missing = wanted - there @ np.stack(amounts)
    effect = np.array([[jaw_open @ lips, lip_open @ lips], [jaw_open @ chin, lip_open @ chin]])
    jaw = np.clip(np.linalg.solve(effect, missing)[0], 0.0, _MAX_JAW)
    parting = (missing[0] - jaw * effect[0, 0]) / effect[0, 1]
    tracks = np.stack([*amounts, jaw, parting], -1).astype(np.float32)
    return np.asarray(tracks @ np.stack([*directions, jaw_open, lip_open]).astype(np.float32))


def _opening_of(model: FaceModel) -> npt.NDArray[np.float64]:
    """Distance of the inner lips per unit of each code, eye distances, (n_exp,)."""
    gaps = [model.exp_basis[:, upper, 1] - model.exp_basis[:, lower, 1] for upper, lower in INNER_LIP_PAIRS]
    return np.asarray(np.mean(gaps, 0, dtype=np.float64) / UNITS_PER_EYE_DISTANCE)


def brow_accents(prosody: Prosody, n_frames: int, fps: float, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Brow raises on some of the accented syllables, (T,), 0 at rest.

    A quarter of the syllables may get one, at least 1.5 s apart; 0.12 s up, at the top just before the vowel (brows
    lead by 0.06 s, Flecha-Garcia 2010), 0.4 s down.
    """
    track, moments = np.zeros(n_frames), frame_times(n_frames, fps)
    for accent in accents(prosody, rng, share=0.25, apart_s=1.5, skipped=0.35):
        near = slice(*np.searchsorted(moments, [accent.when_s - 0.2, accent.when_s + 0.5]))
        t = moments[near] - (accent.when_s - 0.1)
        rise = np.clip(t / 0.12 + 0.5, 0.0, 1.0)
        fall = np.clip((t - 0.1) / 0.4, 0.0, 1.0)
        bump = np.sin(0.5 * np.pi * rise) ** 2 * np.cos(0.5 * np.pi * fall) ** 2
        track[near] = np.maximum(track[near], _BROW_RAISE * accent.size * float(rng.uniform(0.4, 0.9)) * bump)
    return track


def _control(space: Space, name: str) -> npt.NDArray[np.float64]:
    if name not in space.controls:
        raise UsageError(f"space {space.name} has no control {name!r}", hint="speech needs the meshwarp face model")
    return np.asarray(space.controls[name], np.float64)
