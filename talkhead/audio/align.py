"""Transcript + speech -> phone times, by pocketsphinx's forced alignment with its own English model. No network.

The words' sequence is laid over the sound in one streaming pass (pauses may come between any two words); then each
stretch of some ten seconds is aligned phone by phone. Words that explain the sound clearly worse than free phones do
(Witt and Young's goodness of pronunciation, 2000) were misheard or not said, and are left out. Memory holds a stretch
and the list of words. On flite speech, whose phone times are known, half of the boundaries are right within 7 ms.
"""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from talkhead.audio.framing import SAMPLE_RATE, Speech, speech_samples
from talkhead.audio.phoneme_files import read_text
from talkhead.audio.phonemes import PhoneTiming, Row, phone_timing
from talkhead.audio.prosody import analyse
from talkhead.errors import EnvironmentProblem, InputError

_FRAMES_PER_S = 100
_BOUNDARY_S = 0.0078  # frame k spans k / 100 s + 0 to 25.6 ms, so it changes over half a hop before its centre
_SPEECH_DB = -20.0  # loud speech is brought to this level before it becomes 16-bit
# Wide enough for accents and noise, narrow enough that a text of another sound does not reach its end.
_SETTINGS = {"bestpath": False, "beam": 1e-100, "wbeam": 1e-100, "pbeam": 1e-100, "silprob": 0.5}
_STRETCH_S, _LONGEST_STRETCH_S = 10.0, 40.0
_LOOP_SHARE = 0.01  # of each phone in a word without pronunciation
_MOST_UNKNOWN = 0.5
_SUFFIXES = (".txt", ".srt", ".vtt")  # a word that ends so names a file, be it there or not
_CUE = re.compile(r"^\s*(\d+|WEBVTT.*|.*-->.*)\s*$", re.MULTILINE)
_SCORE_UNIT = 1024.0  # pocketsphinx shifts its log-likelihoods by ten bits
# Natural logarithms per frame. Words of right transcripts of two voices score -0.2 and more (mean 1.9), words laid over
# other speech -2.7 (mean); the threshold was set with these in view.
_DOUBTFUL = -0.6
_FIT_HINT = "every spoken word is needed, in order and in English; or give phone times with --phonemes"
_GAP = 20  # frames; shorter pauses are not seen in the level of the sound
_PHONES = (
    "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH".split()  # noqa: SIM905
)

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Word:
    """A word or pause of the sound, named with its pronunciation: `and(2)`.

    Attributes:
        start, end: frames, `end` exclusive. score: mean log-likelihood of its frames.
    """

    name: str
    start: int
    end: int
    score: float

    @property
    def is_pause(self) -> bool:
        """Whether nothing is said."""
        return self.name == "<sil>"

    @property
    def is_noise(self) -> bool:
        """Whether it is a phone of an unknown word, or no speech."""
        return self.name.startswith(("<", "[")) and not self.is_pause

    @property
    def is_word(self) -> bool:
        """Whether it is of the dictionary."""
        return not (self.is_pause or self.is_noise)


def read_transcript(text_or_file: str | Path) -> tuple[str, str]:
    """The words of a text file (subtitles lose their times), or the text itself, and what to call it in messages.

    Raises:
        InputError: a file that is missing or no text.
    """
    text = str(text_or_file)
    path = Path(text_or_file)
    looks_named = text.lower().endswith(_SUFFIXES) and not re.search(r"\s", text.strip())
    if not (isinstance(text_or_file, Path) or looks_named or _is_file(path)):
        return text, "the transcript"
    content = read_text(path)
    return (_CUE.sub("", content) if path.suffix.lower() in (".srt", ".vtt") else content), str(path)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # text that is too long for a name, or impossible in one
        return False


def align(speech: Speech, transcript: str, source: str = "the transcript") -> PhoneTiming:
    """When each sound of the words is spoken.

    Words that the dictionary lacks (names, digits) take the time they need and stay out of the result, so that the
    sound alone decides there; they are named in a warning.

    Args:
        speech: mono speech in English, read several times, never held. transcript: its words in order, each one that is
            spoken; case and punctuation do not matter. source: what to call it in messages.
    Returns:
        Phones in ARPAbet without stress; pauses are `SIL`.
    Raises:
        EnvironmentProblem: pocketsphinx is not installed.
        InputError: no words, hardly any English ones, no speech, or words that do not fit the sound.
    """
    decoder = decoder_with(lm=None, **_SETTINGS)
    words = words_of(transcript)
    if not words:
        raise InputError(f"{source} has no words in Latin letters", hint="--transcript takes English text or a file")
    words, unknown = _looked_up(words, decoder, source)
    pcm = LevelledPcm(speech, source)
    for phone in _PHONES:
        decoder.add_word(f"<{phone}>", phone, phone == _PHONES[-1])
    free = _search(decoder, pcm, list(_loop(0, 1)), 1)
    spoken = _word_times(decoder, pcm, words, unknown, source)
    left_out = [*_doubtful(spoken, free, pcm.is_speech, source), *(word for word in spoken if word.is_noise)]
    rows: list[Row] = []
    for stretch, samples in _stretches(spoken, pcm):
        rows += _phone_rows(decoder, stretch, samples, left_out)
    return phone_timing(rows, source, "arpabet")


def words_of(transcript: str) -> list[str]:
    """Words in small letters without accents and punctuation; what is in brackets is not spoken."""
    text = re.sub(r"\[[^\]]*\]|<[^>]*>", " ", transcript.replace("\u2019", "'"))
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c)).lower()
    found = (word.strip("'-.") for word in re.findall(r"[a-z0-9'.-]+", plain))
    return [word for word in found if word]


def decoder_with(**settings: Any) -> Any:
    """Start pocketsphinx's decoder with its English model.

    Raises:
        EnvironmentProblem: it is not installed.
    """
    try:
        from pocketsphinx import Decoder
    except ImportError as cause:
        raise EnvironmentProblem(
            "aligning a transcript needs pocketsphinx, which is not installed", hint="pip install 'talkhead[align]'"
        ) from cause
    return Decoder(loglevel="FATAL", samprate=SAMPLE_RATE, **settings)


def _looked_up(words: Sequence[str], decoder: Any, source: str) -> tuple[list[str], frozenset[str]]:
    """The words with compounds taken apart where only their parts are known, and those without a pronunciation.

    Raises:
        InputError: most of the words are unknown.
    """
    out: list[str] = []
    for word in words:
        out += [word] if decoder.lookup_word(word) else [part for part in re.split(r"[-.]+", word) if part]
    unknown = frozenset(word for word in out if not decoder.lookup_word(word))
    listed = ", ".join(sorted(unknown)[:12]) + (f" and {len(unknown) - 12} more" if len(unknown) > 12 else "")
    if sum(word in unknown for word in out) > _MOST_UNKNOWN * len(out):
        raise InputError(
            f"{source}: most words are in no English dictionary: {listed}",
            hint="transcripts are aligned in English only; for other languages give phone times with --phonemes",
        )
    if unknown:
        _LOG.warning("%s: no pronunciation of %s; the sound alone decides there", source, listed)
    return out, unknown


class LevelledPcm:
    """Speech as 16-bit samples at a common level, block by block.

    Attributes:
        n_samples: at 16 kHz. is_speech: (n,) at 100 steps per second.
    """

    def __init__(self, speech: Speech, source: str) -> None:
        """Measure the level.

        Raises:
            InputError: there is no speech in the sound.
        """
        prosody = analyse(speech)
        if not prosody.is_speech.any():
            raise InputError(f"{source} cannot be aligned: there is no speech in the sound")
        self._speech = speech
        self._gain = 10.0 ** (min(_SPEECH_DB - prosody.speech_db, 40.0) / 20.0)
        self.n_samples, self.is_speech = prosody.n_samples, prosody.is_speech
        self._means = ""

    def blocks(self) -> Iterator[npt.NDArray[np.int16]]:
        """The whole sound, a block at a time."""
        for block in speech_samples(self._speech):
            yield (np.clip(block * self._gain, -1.0, 1.0) * 32767.0).astype(np.int16)

    def cepstral_means(self, decoder: Any) -> str:
        """Mean cepstra over the whole sound: the recording's colour, taken out before sounds are compared."""
        if not self._means:
            decoder.start_utt()
            for block in self.blocks():
                decoder.process_raw(block.tobytes(), no_search=True)
            self._means = decoder.get_cmn(True)
            decoder.end_utt()
        return self._means


def _word_times(
    decoder: Any, pcm: LevelledPcm, words: Sequence[str], unknown: frozenset[str], source: str
) -> list[_Word]:
    """Words, pauses, and phones of unknown words in order, over the whole sound.

    Raises:
        InputError: there is no way through the words within this sound.
    """
    found = _search(decoder, pcm, list(_transitions(words, unknown)), len(words))
    n_found, n_expected = sum(word.is_word for word in found), sum(word not in unknown for word in words)
    if n_found != n_expected:
        lost = next((_plain(word.name) for word in reversed(found) if word.is_word), None)
        where = f": lost after {n_found} of {n_expected} words, at {lost!r}" if lost else ""
        raise InputError(f"{source} does not fit the sound{where}", hint=_FIT_HINT)
    return found


def _search(decoder: Any, pcm: LevelledPcm, edges: list[tuple[Any, ...]], last_state: int) -> list[_Word]:
    """The likeliest way from state 0 to the last one of a grammar; empty when none was found."""
    decoder.add_fsg("words", decoder.create_fsg("words", 0, last_state, edges))
    decoder.activate_search("words")
    decoder.set_cmn(pcm.cepstral_means(decoder))
    decoder.start_utt()
    for block in pcm.blocks():
        decoder.process_raw(block.tobytes())
    decoder.end_utt()
    if decoder.hyp() is None:
        return []
    return [
        _Word(
            s.word,
            s.start_frame,
            s.end_frame + 1,
            _SCORE_UNIT * np.log(max(s.ascore, 1e-300)) / (s.end_frame + 1 - s.start_frame),
        )
        for s in decoder.seg()
        if s.word not in ("<s>", "</s>", "(NULL)")
    ]


def _doubtful(
    spoken: Sequence[_Word], free: Sequence[_Word], is_speech: npt.NDArray[np.bool_], source: str
) -> list[_Word]:
    """Words that explain the sound clearly worse than free phones do, and pauses laid over speech.

    Raises:
        InputError: they fill half of the sound.
    """
    free_score = np.zeros(max([word.end for word in [*spoken, *free]], default=0))
    for word in free:
        free_score[word.start : word.end] = word.score
    known = [word for word in spoken if not word.is_noise]
    bad = [word for word in known if word.is_word and word.score - free_score[word.start : word.end].mean() < _DOUBTFUL]
    # The model of silence is no judge of pauses: it likes speech too.
    bad += [p for p in known if p.is_pause and p.end - p.start > _GAP and is_speech[p.start : p.end].mean() > 0.5]
    names = [_plain(word.name) for word in bad if word.is_word]
    lasting, bad_lasting = (sum(word.end - word.start for word in some) for some in (known, bad))
    if bad_lasting > _MOST_UNKNOWN * lasting:
        raise InputError(
            f"{source} does not fit the sound: it explains {(lasting - bad_lasting) / _FRAMES_PER_S:.1f} of "
            f"{lasting / _FRAMES_PER_S:.1f} s",
            hint=_FIT_HINT,
        )
    if names:
        listed = ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
        _LOG.warning("%s: not heard in the sound: %s; the sound alone decides there", source, listed)
    return bad


def _transitions(words: Sequence[str], unknown: frozenset[str]) -> Iterator[tuple[Any, ...]]:
    """Edges of the grammar: the words in a row; for an unknown one, a loop of any phones."""
    loop = len(words) + 1
    for place, word in enumerate(words):
        if word not in unknown:
            yield (place, place + 1, 1.0, word)
            continue
        yield from _loop(place, loop)
        yield (loop, place + 1, 1.0)
        loop += 1


def _loop(start: int, loop: int) -> Iterator[tuple[Any, ...]]:
    """One phone or more, any ones."""
    for phone in _PHONES:
        yield (start, loop, _LOOP_SHARE, f"<{phone}>")
        yield (loop, loop, _LOOP_SHARE, f"<{phone}>")


def _plain(name: str) -> str:
    return re.sub(r"\(\d+\)$", "", name)


def _stretches(spoken: Sequence[_Word], pcm: LevelledPcm) -> Iterator[tuple[list[_Word], npt.NDArray[np.int16]]]:
    """Runs of words of about ten seconds, cut in pauses where there are any, with their sound."""
    cuts = [0]
    frames = [word.start for word in spoken]
    for place in range(1, len(spoken)):
        length_s = (frames[place] - frames[cuts[-1]]) / _FRAMES_PER_S
        rest_s = (spoken[-1].end - frames[place]) / _FRAMES_PER_S
        in_pause = spoken[place].is_pause and length_s >= _STRETCH_S and rest_s >= _STRETCH_S / 2
        if in_pause or length_s >= _LONGEST_STRETCH_S:
            cuts.append(place)
    buffer, first = np.zeros(0, np.int16), 0
    blocks = pcm.blocks()
    hop = SAMPLE_RATE // _FRAMES_PER_S
    for low, high in zip(cuts, [*cuts[1:], len(spoken)], strict=True):
        begin, end = frames[low] * hop, (frames[high] * hop if high < len(spoken) else pcm.n_samples)
        while first + len(buffer) < end and (block := next(blocks, None)) is not None:
            buffer = np.concatenate([buffer, block])
        yield list(spoken[low:high]), buffer[begin - first : end - first]
        buffer, first = buffer[end - first :], end


def _phone_rows(
    decoder: Any, stretch: Sequence[_Word], samples: npt.NDArray[np.int16], left_out: Sequence[_Word]
) -> list[Row]:
    """Phones of a stretch, none in the middle of what is left out; none if it cannot be aligned."""
    names = [word.name for word in stretch if not (word.is_pause or word.name.startswith("["))]
    offset = stretch[0].start
    if not names:
        return []
    try:
        decoder.set_align_text(" ".join(names))
        _decode(decoder, samples)
        decoder.set_alignment()
        _decode(decoder, samples)
    except RuntimeError:
        _LOG.warning("the sounds from %.1f s on could not be aligned", offset / _FRAMES_PER_S)
        return []
    spans = [(word.start, word.end) for word in left_out if word.end > offset and word.start < stretch[-1].end]
    rows = []
    for word in decoder.get_alignment() or ():  # its entries live no longer than their turn
        for phone in word:
            start, end = offset + phone.start, offset + phone.start + phone.duration
            if not any(low <= (start + end) / 2 < high for low, high in spans):
                rows.append(Row(start / _FRAMES_PER_S + _BOUNDARY_S, end / _FRAMES_PER_S + _BOUNDARY_S, phone.name, 0))
    return rows


def _decode(decoder: Any, samples: npt.NDArray[np.int16]) -> None:
    decoder.start_utt()
    decoder.process_raw(samples.tobytes(), full_utt=True)
    decoder.end_utt()
