"""Speech -> expression and eyelids over time."""

from __future__ import annotations

import numpy as np

from talkhead.coeffs.container import Coeffs
from talkhead.pipelines.choose import build, choose_system
from talkhead.pipelines.config import DEFAULTS, check_options
from talkhead.pipelines.inputs import Audio, Motion, PathLike, open_speech, stamped
from talkhead.pipelines.outputs import check_coeff_output, write_if_asked
from talkhead.pipelines.progress import NoProgress, Progress
from talkhead.protocols import AudioToCoeffs, Speech


def audio2coeff(
    audio: Audio,
    output: PathLike | None = None,
    *,
    system: str = DEFAULTS.system,
    device: str = DEFAULTS.device,
    dtype: str = DEFAULTS.dtype,
    seed: int = DEFAULTS.seed,
    fps: float = DEFAULTS.fps,
    exp_scale: float = DEFAULTS.exp_scale,
    blinks: bool = True,
    ref_eyeblink: Motion | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Coeffs:
    """Make the expression track of speech, relative to the face that will speak.

    Args:
        audio: path, "-", (samples, sample_rate), or a `Speech`. output: coefficient file to write too.
        exp_scale: how strongly the mouth articulates. blinks: whether the eyes blink.
        ref_eyeblink: clip or coefficients whose eyelids are taken instead, repeated as needed.
    Returns:
        `exp` (relative), `eyelid`, perhaps `gaze`.
    Raises:
        MediaError: the sound cannot be read. UsageError: a system that cannot do this.
    """
    check_options(seed=seed)
    check_coeff_output(output, overwrite=overwrite, inputs=[audio, ref_eyeblink])
    chosen = choose_system(system, "audio2coeff", device)
    listen = build(chosen, "audio2coeff", device=device, dtype=dtype)
    with open_speech(audio) as opened:
        coeffs = expression_of(opened.speech, listen, fps, seed, exp_scale, blinks, progress or NoProgress())
        if ref_eyeblink is not None:
            coeffs = with_eyelids(coeffs, ref_eyeblink)
        params = {"system": chosen.name, "seed": seed, "fps": fps, "exp_scale": exp_scale, "blinks": blinks}
        coeffs = stamped(coeffs, "audio2coeff", params, opened.path)
    return write_if_asked(coeffs, output, overwrite=overwrite)


def expression_of(
    speech: Speech, listen: AudioToCoeffs, fps: float, seed: int, exp_scale: float, blinks: bool, progress: Progress
) -> Coeffs:
    """Run a system's `AudioToCoeffs`."""
    with progress.stage("listen", None):
        return listen(speech, fps=fps, seed=seed, articulation=exp_scale, blinks=blinks)


def with_eyelids(coeffs: Coeffs, reference: Motion) -> Coeffs:
    """The same motion with the eyelids of a reference, played to and fro until the end."""
    from talkhead.pipelines.borrow import borrowed

    lids = borrowed(reference, ("eyelid",), len(coeffs), coeffs.fps)
    assert lids.eyelid is not None
    return coeffs.replace(eyelid=np.ascontiguousarray(lids.eyelid))
