"""Speech -> expression and eyelids over time."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from talkhead.audio.phonemes import PhonemeSet, PhoneTiming
from talkhead.coeffs.container import Coeffs
from talkhead.errors import UsageError
from talkhead.pipelines.borrow import borrowed_eyelids, open_reference
from talkhead.pipelines.choose import build, choose_system, understood
from talkhead.pipelines.config import DEFAULTS, Job, Machine, MachineKeywords, check_options, check_scale
from talkhead.pipelines.inputs import Audio, Motion, PathLike, name_of, open_speech, stamped
from talkhead.pipelines.outputs import check_coeff_output, write_if_asked
from talkhead.progress import NoProgress, Progress
from talkhead.protocols import Speech, SystemInfo

if TYPE_CHECKING:
    from typing_extensions import Unpack

Phonemes = PathLike | PhoneTiming
AUTOMATIC = "auto"  # a transcript that is to be recognised

_LOG = logging.getLogger(__name__)


def audio2coeff(
    audio: Audio,
    output: PathLike | None = None,
    *,
    seed: int = DEFAULTS.seed,
    fps: float = DEFAULTS.fps,
    exp_scale: float = DEFAULTS.exp_scale,
    articulation: float = DEFAULTS.articulation,
    phonemes: Phonemes | None = None,
    phoneme_set: PhonemeSet = DEFAULTS.phoneme_set,
    transcript: PathLike | None = None,
    blinks: bool = True,
    ref_eyeblink: Motion | None = None,
    reference: Motion | None = None,
    overwrite: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
    **machine: Unpack[MachineKeywords],
) -> Coeffs:
    """Make the expression track of speech, relative to the face that will speak.

    Args:
        audio: path, "-", (mono samples, sample_rate), or a `Speech`. output: coefficient file to write too.
        exp_scale: strength of the face's motion, at least 0. articulation: how carefully the mouth speaks, from 0
            (mumbled) over 1 to 2 (over-articulated). blinks: whether the eyes blink.
        phonemes: when which sounds are spoken, as an aligner wrote it (see `read_phonemes`); phoneme_set: their
            alphabet. transcript: instead, the English words or a file with them, or "auto" for the words that
            pocketsphinx hears; it aligns them.
        ref_eyeblink: clip or coefficients whose eyelids are taken instead, repeated as needed.
        reference: photo, clip or coefficients of the face that will speak, for systems that ask for it (sadtalker);
            others do not need it. dry_run: write nothing. machine: who computes, and where; see `Machine`.
    Returns:
        `exp` (relative; sadtalker's without a reference is absolute), perhaps `eyelid`, `tongue` and `gaze`.
    Raises:
        MediaError: the sound cannot be read. InputError: phonemes or transcript are unreadable or do not fit it.
        UsageError: a system that cannot do this, or a number out of range. EnvironmentProblem: no pocketsphinx.
        WeightsError: of a learned system.
    """
    check_options(seed=seed)
    check_coeff_output(output, overwrite=overwrite, inputs=[audio, ref_eyeblink, reference, phonemes, transcript])
    speaking = Speaking.of(exp_scale, articulation, blinks, phonemes, phoneme_set, transcript, ref_eyeblink)
    job = Job(machine=Machine.of({**machine, "is_dry": dry_run}), fps=fps, seed=seed, progress=progress or NoProgress())
    chosen = choose_system(job.machine, "audio2coeff", wishes={"audio2coeff": speaking.wishes()})
    own = None
    if "face" in chosen.understands:
        own = None if reference is None else open_reference(reference, fps, chosen, job.machine, needs=("exp",))
    elif reference is not None:
        _LOG.info("%s speaks alike for every face; the reference changes nothing", chosen.name)
    with open_speech(audio) as opened:
        coeffs = expression_of(opened.speech, chosen, speaking, job, reference=own)
        params = {"system": chosen.name, "seed": seed, "fps": fps, **speaking.params()}
        params["reference"] = name_of(reference)
        coeffs = stamped(coeffs, "audio2coeff", params, opened.path)
    return coeffs if dry_run else write_if_asked(coeffs, output, overwrite=overwrite)


@dataclass(frozen=True, kw_only=True, slots=True)
class Speaking:
    """How to speak, and what is known of the words.

    Attributes:
        exp_scale, articulation, blinks: as in `audio2coeff`. phonemes: timed sounds. transcript: words and their
            source. ref_eyeblink: clip or coefficients whose blinks are taken.
    """

    exp_scale: float
    articulation: float
    blinks: bool
    phonemes: PhoneTiming | None = None
    transcript: tuple[str, str] | None = None
    ref_eyeblink: Motion | None = None

    @classmethod
    def of(
        cls,
        exp_scale: float,
        articulation: float,
        blinks: bool,
        phonemes: Phonemes | None,
        phoneme_set: PhonemeSet,
        transcript: PathLike | None,
        ref_eyeblink: Motion | None,
    ) -> Speaking:
        """Options checked and files read, before any work.

        Raises:
            UsageError: both phonemes and transcript, or a negative strength. InputError: a file is unreadable.
        """
        from talkhead.audio.align import read_transcript
        from talkhead.audio.phoneme_files import read_phonemes

        check_scale("exp_scale", exp_scale)
        if phonemes is not None and transcript is not None:
            raise UsageError("phonemes and a transcript are two answers to one question; give one")
        if phonemes is not None and not isinstance(phonemes, PhoneTiming):
            phonemes = read_phonemes(phonemes, phoneme_set)
        return cls(
            exp_scale=exp_scale,
            articulation=articulation,
            blinks=blinks,
            phonemes=phonemes,
            transcript=None if transcript is None else read_transcript(transcript),
            ref_eyeblink=ref_eyeblink,
        )

    @property
    def is_automatic(self) -> bool:
        """Whether the words are to be recognised."""
        return self.transcript is not None and self.transcript[0].strip().lower() == AUTOMATIC

    def timing(self, speech: Speech, progress: Progress) -> PhoneTiming | None:
        """The timed sounds: those given, or the transcript's; None when nothing is known."""
        if self.transcript is None:
            return self.phonemes
        from talkhead.audio.align import align

        words, source = self.transcript
        if self.is_automatic:
            from talkhead.audio.recognise import recognise

            with progress.stage("recognise", None):
                words, source = recognise(speech), "the recognised words"
            _LOG.info("recognised: %s", words)
        with progress.stage("align", None):
            return align(speech, words, source)

    def wishes(self) -> dict[str, Any]:
        """What not every system can do; see `SystemInfo.lacks`."""
        return {
            "articulation": None if self.articulation == DEFAULTS.articulation else self.articulation,
            "phonemes": self.transcript if self.phonemes is None else self.phonemes,
        }

    def params(self) -> dict[str, Any]:
        """What a coefficient file notes; not the words themselves."""
        return {
            "exp_scale": self.exp_scale,
            "articulation": self.articulation,
            "blinks": self.blinks,
            "phonemes": None if self.phonemes is None else self.phonemes.source,
            "transcript": None if self.transcript is None else AUTOMATIC if self.is_automatic else self.transcript[1],
            "ref_eyeblink": name_of(self.ref_eyeblink),
        }


def expression_of(
    speech: Speech, system: SystemInfo, speaking: Speaking, job: Job, *, reference: Coeffs | None
) -> Coeffs:
    """Run a system's `AudioToCoeffs`; it hears of phonemes and references only where there are some.

    Args:
        speech: what is said. system: who listens. speaking: how to speak. job: where and how fast.
        reference: of the face that will speak, for systems that understand `face`.
    Raises:
        UsageError: the system knows nothing of phonemes, and some were given.
    """
    for name in ("phonemes", "transcript"):  # before the words are looked for in the sound
        if getattr(speaking, name) is not None and "phonemes" not in system.understands:
            raise UsageError(
                f"{system.name} has no --{name}: it hears the sound alone", hint="--system meshwarp has it"
            )
    known: dict[str, Any] = understood(system, {"phonemes": speaking.timing(speech, job.progress)})
    listen = build(system, "audio2coeff", job.machine, job.progress)
    if reference is not None:
        known["reference"] = reference
    borrowed = speaking.ref_eyeblink
    if borrowed is not None and "ref_eyeblink" in system.understands:
        known["ref_eyeblink"] = open_reference(borrowed, job.fps, system, job.machine, needs=("exp",))
        borrowed = None
    with job.progress.stage("listen", None):
        coeffs: Coeffs = listen(
            speech,
            fps=job.fps,
            seed=job.seed,
            articulation=speaking.articulation,
            exp_scale=speaking.exp_scale,
            blinks=speaking.blinks,
            **known,
        )
    if borrowed is None:
        return coeffs
    return coeffs.replace(eyelid=borrowed_eyelids(borrowed, len(coeffs), coeffs.fps))
