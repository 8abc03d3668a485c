"""Which sounds are spoken when: phone names and times, checked, and the labels that mean silence or nothing known.

What a mouth does for a name is the business of a system.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from talkhead.errors import InputError, UsageError

Alphabet = Literal["ipa", "arpabet"]
PhonemeSet = Literal["auto", "ipa", "arpabet"]

OVERLAP_S = 0.02  # aligners round; phones that overlap more are out of order
_PAUSES = frozenset(
    str.split("sil sp pau h# #h epi # ## _ __ - <p:> <sil> <eps> <s> </s> silence pause <pause> (pause) ssil q#")
)
_UNKNOWN = frozenset(str.split("spn nsn unk <unk> <nib> <spn> <nsn> +spn+ +nsn+ +noise+ noise [noise] oov <oov> ?"))
_ARPABET = frozenset(
    str.split(
        "aa ae ah ao aw ax axh axr ay b ch d dh dx eh el em en eng er ey f g hh hv ih ix iy jh k l m n ng nx ow oy p "
        "q r s sh t th uh uw ux v w y z zh bcl dcl gcl pcl tcl kcl"
    )
)


@dataclass(frozen=True, slots=True)
class Phone:
    """One spoken sound: name in its alphabet, start and end in seconds."""

    name: str
    start_s: float
    end_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class PhoneTiming:
    """Which sounds are spoken when.

    Attributes:
        phones: in order; pauses are named as `is_pause` knows them, stretches without a phone are unknown.
        alphabet: of the names. source: file or maker, for messages.
    """

    phones: tuple[Phone, ...]
    alphabet: Alphabet
    source: str

    @property
    def end_s(self) -> float:
        """Where the last phone ends."""
        return self.phones[-1].end_s if self.phones else 0.0

    def check_fits(self, duration_s: float) -> None:
        """Refuse times that cannot belong to a sound of this length.

        Raises:
            InputError: no phone lies within the sound, or a fifth of the phones lie after its end.
        """
        spoken = [phone for phone in self.phones if not is_pause(phone.name)]
        outside = sum(1 for phone in spoken if phone.start_s >= duration_s)
        if spoken and outside > 0.2 * len(spoken):
            raise InputError(
                f"{self.source}: {outside} of {len(spoken)} phones start after the sound's end "
                f"({spoken[0].start_s:.2f} to {self.end_s:.2f} s, the sound lasts {duration_s:.2f} s)",
                hint="is this the timing of another sound? times are seconds, or HTK's 100 ns as whole numbers",
            )


class Row(NamedTuple):
    """A label as a file has it, unchecked; `line` is 0 where the format has none."""

    start_s: float
    end_s: float
    name: str
    line: int


def is_pause(name: str) -> bool:
    """Whether a label means silence, as the common aligners write it; the empty label does."""
    return not name or name.lower() in _PAUSES


def phone_timing(rows: Iterable[Row], source: str, phoneme_set: PhonemeSet = "auto") -> PhoneTiming:
    """Checked `PhoneTiming` of labels in order; those of unknown or non-speech sounds (spn) are left out.

    Raises:
        UsageError: no such phoneme set.
        InputError: times that are negative, not finite, out of order or overlapping; not one phone.
    """
    if phoneme_set not in get_args(PhonemeSet):
        raise UsageError(f"phoneme set is {phoneme_set!r}, expected {', '.join(get_args(PhonemeSet))}")
    phones: list[Phone] = []
    for row in rows:
        where = f"{source}, line {row.line}" if row.line else source
        if not (math.isfinite(row.start_s) and math.isfinite(row.end_s)) or row.start_s < 0:
            raise InputError(f"{where}: {row.name!r} lasts from {row.start_s:g} to {row.end_s:g} s")
        if row.end_s < row.start_s:
            raise InputError(f"{where}: {row.name!r} ends at {row.end_s:g} s, before its start at {row.start_s:g} s")
        if phones and row.start_s < phones[-1].end_s - OVERLAP_S:
            last = phones[-1]
            raise InputError(
                f"{where}: {row.name!r} starts at {row.start_s:g} s, within {last.name!r} (to {last.end_s:g} s)",
                hint="phones of one speaker, in order of time",
            )
        start = max(row.start_s, phones[-1].end_s) if phones else row.start_s
        name = re.sub(r"_[BIES]$", "", row.name.strip())  # Kaldi marks the place in the word
        if row.end_s > start:
            phones.append(Phone(name, start, row.end_s))
    if not phones:
        raise InputError(f"{source} holds no phones")
    kept = tuple(phone for phone in phones if phone.name.lower() not in _UNKNOWN)
    alphabet = _alphabet_of(kept) if phoneme_set == "auto" else phoneme_set
    return PhoneTiming(phones=kept, alphabet=alphabet, source=source)


def _alphabet_of(phones: Iterable[Phone]) -> Alphabet:
    names = [phone.name for phone in phones if not is_pause(phone.name)]
    if not names or any(not name.isascii() for name in names):
        return "ipa"
    known = sum(name.lower().rstrip("012") in _ARPABET for name in names)
    loud = sum(name.upper() == name for name in names)
    return "arpabet" if known >= 0.8 * len(names) or loud >= 0.8 * len(names) else "ipa"
