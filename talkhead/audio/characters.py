"""Which letters are spoken in which video frame, 27 numbers each: HeadGAN's high-level features (section 3.2).

26 letters and "other" (blanks, spaces, apostrophes, silence). The paper takes the logits of DeepSpeech, its published
code the decoded letters; here they come from whoever can tell: a file, a CTC recogniser, phones, or nobody.
"""

from __future__ import annotations

import dataclasses
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from talkhead.audio.framing import SAMPLE_RATE, Speech, speech_samples
from talkhead.audio.phonemes import PhoneTiming, is_pause
from talkhead.audio.windows import sample_track
from talkhead.errors import InputError, ShapeError, UsageError

if TYPE_CHECKING:
    import torch

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

LETTERS = "abcdefghijklmnopqrstuvwxyz"
OTHER = len(LETTERS)
N_CHARACTERS = OTHER + 1
WINDOW_BEFORE, WINDOW_AFTER = 4, 4
"""Frames t-4 to t+3 are heard in frame t. (The paper's a_{t-L-1:t+L} would be 10 parts; it counts 2 L = 8.)"""
N_WINDOW = WINDOW_BEFORE + WINDOW_AFTER

_DEEPSPEECH = (" ", *LETTERS, "'", "")  # columns of its published English models, the last is CTC's blank
_SPELT = (
    "aa:a ae:a ah:u ao:o aw:o ax:a axh:a axr:r ay:i b:b ch:c d:d dh:t dx:t eh:e el:l em:m en:n eng:n er:r ey:a f:f g:g "
    "hh:h hv:h ih:i ix:i iy:e jh:j k:k l:l m:m n:n ng:n nx:n ow:o oy:o p:p q:t r:r s:s sh:s t:t th:t uh:u uw:u ux:u "
    "v:v w:w y:y z:z zh:z"
)
_OF_ARPABET: Mapping[str, str] = dict(re.findall(r"(\w+):(\w)", _SPELT))
"""The letter that English most often spells a phone with."""
_WAV2VEC2_LABELS = ("-", *"|etaonihsrdlumwcfgypbvk'xjqz")  # first CTC's blank, then the space
_NEVER_SPOKEN = (1, 2, 3)  # columns of the published model: start, padding, end
# Of the convolution that is weight-normalised: PyTorch's old names and its present ones.
_WEIGHT_NORM = ((r"(.*pos_conv_embed\.conv)\.weight_g", r"\1.parametrizations.weight.original0"),
                (r"(.*pos_conv_embed\.conv)\.weight_v", r"\1.parametrizations.weight.original1"))  # fmt: skip


@dataclass(frozen=True, slots=True)
class CharacterTrack:
    """Probabilities over time.

    Attributes:
        probabilities: (N, 27) float32, rows sum to 1. rate: rows per second. start_s: the moment of row 0.
    """

    probabilities: F32
    rate: float
    start_s: float = 0.0

    def __post_init__(self) -> None:
        if self.probabilities.ndim != 2 or self.probabilities.shape[1] != N_CHARACTERS or not len(self.probabilities):
            raise ShapeError("probabilities", self.probabilities.shape, f"(N, {N_CHARACTERS})")
        if not (np.isfinite(self.rate) and self.rate > 0):
            raise UsageError(f"characters have a rate of {self.rate:g} a second, expected more than 0")

    def rows(self, fps: float, n_frames: int) -> F32:
        """What is spoken while each video frame is shown, from `i / fps` to `(i + 1) / fps`: (n_frames, 27)."""
        lead_s = 0.5 / fps - self.start_s
        return sample_track(self.probabilities, self.rate, n_frames, fps, lead_s=lead_s).astype(np.float32)


class CharacterProvider(Protocol):
    """Who can tell the letters: speech -> probabilities of video frames, (n_frames, 27)."""

    def __call__(self, speech: Speech, *, fps: float, n_frames: int) -> F32:
        """`fps` and `n_frames` are of the video."""
        ...


def no_characters(speech: Speech, *, fps: float, n_frames: int) -> F32:
    """The provider that knows nothing: every frame says "other"."""
    return others(n_frames)


def others(n_frames: int) -> F32:
    """Rows that say "other", (n_frames, 27)."""
    rows = np.zeros((n_frames, N_CHARACTERS), np.float32)
    rows[:, OTHER] = 1
    return rows


def windows(rows: npt.NDArray[np.floating[Any]]) -> F32:
    """Frames t-4 to t+3 side by side, the ends repeated: (T, 27) -> (T, 216).

    Raises:
        ShapeError: `rows` has another shape.
    """
    if rows.ndim != 2 or rows.shape[1] != N_CHARACTERS or not len(rows):
        raise ShapeError("rows", rows.shape, f"(T, {N_CHARACTERS})")
    index = np.arange(len(rows))[:, None] + np.arange(-WINDOW_BEFORE, WINDOW_AFTER)
    return np.asarray(rows, np.float32)[index.clip(0, len(rows) - 1)].reshape(len(rows), -1)


def character_number(text: str) -> int:
    """The column of a letter of either case; `OTHER` for everything else."""
    return LETTERS.find(text.lower()) if len(text) == 1 and text.lower() in LETTERS else OTHER


def fold(values: npt.NDArray[np.floating[Any]], labels: Sequence[str]) -> F32:
    """Probabilities over any alphabet as probabilities over the 27, by summing.

    Args:
        values: (N, L) probabilities, or logits, which are told from them by rows that do not sum to 1.
        labels: what each column means; a letter, or anything else.
    Returns:
        (N, 27) float32.
    Raises:
        ShapeError: there are not as many labels as columns.
    """
    if values.ndim != 2 or values.shape[1] != len(labels):
        raise ShapeError("values", values.shape, f"(N, {len(labels)})")
    p = values.astype(np.float64)
    if not ((p >= 0).all() and np.allclose(p.sum(1), 1, atol=1e-3)):
        p = np.exp(p - p.max(1, keepdims=True))
    p = p / p.sum(1, keepdims=True)
    folding = np.zeros((len(labels), N_CHARACTERS))
    folding[np.arange(len(labels)), [character_number(label) for label in labels]] = 1
    return (p @ folding).astype(np.float32)


@dataclass(frozen=True, slots=True)
class CharacterFile:
    """A provider that reads what another program found.

    Attributes:
        path: of a safetensors file with a tensor `characters` and the metadata `rate` (rows per second), or of an `npy`
            file, whose rows are spread evenly over the video. Columns: a-z and other (27), or DeepSpeech's 29.
            Probabilities or logits.
    """

    path: Path

    def __call__(self, speech: Speech, *, fps: float, n_frames: int) -> F32:
        """See `CharacterProvider`.

        Raises:
            InputError: the file is missing, not of this kind, or holds numbers that are not finite.
        """
        values, rate = _read_characters(self.path)
        labels = {N_CHARACTERS: (*LETTERS, ""), len(_DEEPSPEECH): _DEEPSPEECH}.get(values.shape[-1])
        if values.ndim != 2 or labels is None or not len(values):
            raise InputError(f"{self.path}: characters have shape {values.shape}, expected (N, 27) or (N, 29)")
        if not np.isfinite(values).all():
            raise InputError(f"{self.path}: characters that are not finite")
        track = CharacterTrack(fold(values, labels), rate or len(values) * fps / n_frames)
        # A row stands for its stretch of time, not for the moment at which that begins.
        return dataclasses.replace(track, start_s=0.5 / track.rate).rows(fps, n_frames)


def _read_characters(path: Path) -> tuple[npt.NDArray[Any], float | None]:
    from safetensors import SafetensorError, safe_open

    try:
        if path.suffix == ".npy":
            return np.asarray(np.load(path, allow_pickle=False), np.float64), None
        with safe_open(path, "numpy") as file:
            rate = float((file.metadata() or {})["rate"])
            values = np.asarray(file.get_tensor("characters"), np.float64)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise InputError(
            f"{path} is no file of characters: {error}",
            hint="a safetensors file with a tensor `characters` and the metadata `rate`, or an npy file",
        ) from error
    if not (np.isfinite(rate) and rate > 0):
        raise InputError(f"{path}: characters have a rate of {rate:g} a second, expected more than 0")
    return values, rate


@dataclass(frozen=True, slots=True)
class Token:
    """A character that a recogniser decoded, and when it begins, seconds."""

    text: str
    start_s: float


def token_rows(tokens: Sequence[Token], duration_s: float, n_frames: int) -> F32:
    """One-hot rows as the published code makes them of DeepSpeech's output, (n_frames, 27).

    Frame n takes the token of the moment `(n + 5) duration / n_frames` - five frames ahead, as published. A token lasts
    until the next begins, a blank comes before the first. Both of its ends are its own, so that a moment on a border
    belongs to whichever of the two a bisection meets first.

    Args:
        tokens: in order of time. duration_s: of the sound. n_frames: of the video.
    """
    rows = others(n_frames)
    if not tokens:
        return rows
    starts = [0.0, *(token.start_s for token in tokens)]
    ends = [*starts[1:], max(duration_s, starts[-1])]
    numbers = [OTHER, *(character_number(token.text) for token in tokens)]
    for n in range(n_frames):
        rows[n] = 0
        rows[n, numbers[_bisected(starts, ends, (n + 5) * duration_s / n_frames)]] = 1
    return rows


def _bisected(starts: Sequence[float], ends: Sequence[float], moment: float) -> int:
    """The interval of a moment, both ends closed; the last one beyond the end."""
    low, high = 0, len(starts)
    while low < high:
        middle = (low + high) // 2
        if moment < starts[middle]:
            high = middle
        elif moment > ends[middle]:
            low = middle + 1
        else:
            return middle
    return min(low, len(starts) - 1)


def phone_rows(timing: PhoneTiming, fps: float, n_frames: int) -> F32:
    """Letters of spoken phones: each frame's shares of the phones that sound in it, (n_frames, 27).

    Args:
        timing: ARPAbet phones become the letter they are most often spelt with, IPA ones their Latin base letter;
            pauses, stretches without a phone and what has no letter are "other". fps, n_frames: of the video.
    """
    shares = np.zeros((n_frames, N_CHARACTERS))
    for phone in timing.phones:
        number = OTHER if is_pause(phone.name) else _letter_of_phone(phone.name, timing.alphabet)
        start, end = phone.start_s * fps, phone.end_s * fps
        first, last = max(int(start), 0), min(int(np.ceil(end)), n_frames)
        frames = np.arange(first, max(last, first))
        shares[frames, number] += np.clip(np.minimum(end, frames + 1) - np.maximum(start, frames), 0, 1)
    shares[:, OTHER] += np.clip(1 - shares.sum(1), 0, 1)
    return (shares / shares.sum(1, keepdims=True)).astype(np.float32)


def _letter_of_phone(name: str, alphabet: str) -> int:
    if alphabet == "arpabet":
        return character_number(_OF_ARPABET.get(name.lower().rstrip("012"), ""))
    plain = unicodedata.normalize("NFKD", name)
    return next((number for c in plain if (number := character_number(c)) != OTHER), OTHER)


def recognised_characters(speech: Speech, *, fps: float, n_frames: int) -> F32:
    """The provider that needs nothing but pocketsphinx: English words are recognised, then their phones are timed.

    Speech in which no word is recognised says "other".

    Raises:
        EnvironmentProblem: pocketsphinx is not installed.
    """
    from talkhead.audio.align import align
    from talkhead.audio.recognise import recognise

    try:
        timing = align(speech, recognise(speech))
    except InputError:  # no speech, or none that this recogniser understands
        return others(n_frames)
    return phone_rows(timing, fps, n_frames)


@dataclass(frozen=True, slots=True)
class CtcCharacters:
    """A provider by a CTC recogniser, e.g. wav2vec 2.0 (Baevski et al. 2020) trained on 960 h of LibriSpeech.

    Attributes:
        model: waveforms (B, S) at 16 kHz -> (logits (B, N, L), anything), as torchaudio's wav2vec 2.0 models are.
        labels: meaning of the columns, L of them. rate: rows per second. window_s: of sound that a row sees directly.
        chunk_s: seconds recognised at a time. context_s: seconds heard before and after them.
        normalise: whether waveforms are brought to mean 0 and deviation 1.
    """

    model: torch.nn.Module
    labels: tuple[str, ...]
    rate: float = 50.0
    window_s: float = 0.025
    chunk_s: float = 20.0
    context_s: float = 2.0
    normalise: bool = False

    def __call__(self, speech: Speech, *, fps: float, n_frames: int) -> F32:
        """See `CharacterProvider`; any length in bounded memory."""
        parts = [fold(logits, self.labels) for logits in self._logits(speech)]
        if not parts:
            return others(n_frames)
        track = CharacterTrack(np.concatenate(parts), self.rate, start_s=self.window_s / 2)
        return track.rows(fps, n_frames)

    def _logits(self, speech: Speech) -> Iterable[F64]:
        """Logits (n, L) of consecutive chunks."""
        chunk, context = round(self.chunk_s * SAMPLE_RATE), round(self.context_s * SAMPLE_RATE)
        hop = round(SAMPLE_RATE / self.rate)
        head, tail = np.zeros(0), np.zeros(0)
        for block in speech_samples(speech):
            tail = np.concatenate([tail, block])
            while len(tail) >= chunk + context:
                yield self._of(np.concatenate([head, tail[: chunk + context]]), len(head) // hop, chunk // hop)
                head, tail = tail[max(chunk - context, 0) : chunk], tail[chunk:]
        if len(tail):
            yield self._of(np.concatenate([head, tail]), len(head) // hop, -(-len(tail) // hop))

    def _of(self, samples: F64, skip: int, n: int) -> F64:
        import torch

        window = round(self.window_s * SAMPLE_RATE)
        # Rows end a window before the sound does; zeros bring one for every hop.
        padded = np.pad(samples, (0, max(0, (skip + n - 1) * round(SAMPLE_RATE / self.rate) + window - len(samples))))
        if self.normalise:
            padded = (padded - padded.mean()) / np.sqrt(padded.var() + 1e-7)
        parameter = next(self.model.parameters(), torch.zeros(0))
        with torch.inference_mode():
            logits, _ = self.model(torch.from_numpy(padded).to(parameter)[None])
        found: F64 = logits[0].double().cpu().numpy()
        return found[skip : skip + n]


def load_wav2vec2(path: Path, device: str = "cpu") -> CtcCharacters:
    """The base model of wav2vec 2.0 with its letters, as torchaudio publishes it (`WAV2VEC2_ASR_BASE_960H`).

    Args:
        path: the published archive, or a safetensors file of its tensors. device: where it shall run.
    Raises:
        WeightsError: the file does not hold this network.
    """
    import torch
    from torchaudio.models import wav2vec2_base  # type: ignore[import-untyped, unused-ignore]

    from talkhead.weights.load import fill, read_tensors

    tensors, _ = read_tensors(path)
    for key in {"aux.weight", "aux.bias"} & tensors.keys():
        if len(tensors[key]) == len(_WAV2VEC2_LABELS) + len(_NEVER_SPOKEN):
            spoken = [i for i in range(len(tensors[key])) if i not in _NEVER_SPOKEN]
            tensors[key] = tensors[key][spoken]
    with torch.device("meta"):
        model = wav2vec2_base(aux_num_out=len(_WAV2VEC2_LABELS))
    fill(model, tensors, rename=_WEIGHT_NORM, name="wav2vec 2.0 with letters")
    return CtcCharacters(model.to(device).eval(), _WAV2VEC2_LABELS)
