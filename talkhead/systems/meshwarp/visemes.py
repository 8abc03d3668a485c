"""Phones -> what the mouth does for each, how neighbours blend, and how that joins what the network hears.

Classes of phones share a posture of the mouth (a viseme). Neighbours blend by dominance functions (Cohen and Massaro,
1993). The network of mouth_net was trained towards these very targets (scripts/train_mouth), so both speak of the same
ten channels. Channel values are phonetic knowledge, except `open` (distance of the inner lips over the speaker's 95th
percentile), which are class means measured on public talking clips.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from talkhead.audio.phonemes import PhoneTiming, is_pause
from talkhead.errors import InputError
from talkhead.systems.meshwarp.mouth_net import CHANNELS, TARGET_RATE

RATE = 100.0  # targets are blended at this many steps per second
VISUAL_LEAD_S = 0.04
SHORT_PAUSE_S = 0.12
SHORTEST_CONTACT_S = 0.06  # lips that meet stay so this long, however fast the talk
# Shares of the phones where network and phones are joined; the network has the rest. Half and half is the mean of two
# about equally good witnesses (on four real clips 0.4 to 0.7 score within 0.02 of it; scripts/measure_phonemes.py).
# Whether lips touch is known from the phone and only guessed from the sound.
PHONE_SHARE, CONTACT_SHARE = 0.5, 0.8
_EDGE_S = 0.05  # over which the phones' say comes and goes at a stretch nobody labelled

F64 = npt.NDArray[np.float64]


class Segment(NamedTuple):
    """One sound: class name, start and end in seconds."""

    name: str
    start: float
    end: float


# class | IPA letters | ARPAbet | jaw close pucker funnel wide upper lower tuck tongue open | weight | falls per s
_TABLE = """
A   | a ɑ ä ɶ               | aa          | .85 0 0   0   .05 .15 .35 0 0   .80 | 1.0  | 12 12
AE  | æ                     | ae          | .70 0 0   0   .30 .25 .45 0 0   .76 | 1.0  | 12 12
E   | e ɛ                   | eh          | .48 0 0   0   .40 .20 .40 0 0   .72 | 1.0  | 12 12
AX  | ə ɘ ɜ ᵊ ɤ             | ax          | .35 0 0   0   .10 .10 .25 0 0   .45 | 0.5  | 12 12
AH  | ʌ ɐ                   | ah          | .55 0 0   0   .08 .12 .30 0 0   .60 | 1.0  | 12 12
ER  | ɝ ɚ                   | axr er      | .33 0 .25 .25 0   .10 .25 0 0   .42 | 1.0  | 12 12
I   | i                     | iy          | .22 0 0   0   .60 .20 .35 0 0   .52 | 1.0  | 12 12
IH  | ɪ ɨ ᵻ                 | ih          | .30 0 0   0   .38 .15 .32 0 0   .62 | 0.8  | 12 12
O   | o ɵ                   |             | .50 0 .35 .50 0   0   .20 0 0   .38 | 1.0  | 12 12
AO  | ɔ ɒ                   | ao          | .65 0 .20 .45 0   0   .25 0 0   .42 | 1.0  | 12 12
U   | u ʉ ɯ                 | uw          | .20 0 .80 .35 0   0   .08 0 0   .20 | 1.0  | 12 12
UH  | ʊ                     | uh          | .28 0 .45 .35 0   0   .12 0 0   .32 | 1.0  | 12 12
Y   | y ʏ                   |             | .20 0 .75 .40 0   0   .10 0 0   .20 | 1.0  | 12 12
OE  | ø œ                   |             | .40 0 .55 .45 0   0   .15 0 0   .35 | 1.0  | 12 12
P   | p b m ɓ ʙ             | b em m p    | 0   1 0   0   0   0   0   0 0   0   | 3.0  | 22 22
F   | f v ɱ ʋ β ɸ           | f v         | .10 0 0   0   0   .20 0   1 0   .12 | 2.0  | 18 18
W   | w ʍ ɥ ʷ               | w           | .12 0 .90 .30 0   0   0   0 0   .14 | 1.3  | 12 14
SH  | ʃ ʒ ɕ ʑ ʂ ʐ ʧ ʤ ɧ     | ch jh sh zh | .15 0 .45 .65 0   .25 .30 0 0   .50 | 1.3  | 12 14
S   | s z ʦ ʣ               | s z         | .08 0 0   0   .35 .20 .35 0 0   .62 | 1.0  | 16 16
TH  | θ ð                   | dh th       | .18 0 0   0   .15 .12 .25 0 .90 .45 | 0.7  | 14 14
T   | t d n ʈ ɖ ɳ ɗ ɲ c ɟ   | d dx en n nx t | .18 0 0 0 .15 .10 .25 0 .50 .60 | 0.45 | 14 14
L   | l ɫ ɭ ʎ ɬ ɮ ʟ         | el l        | .28 0 0   0   .12 .10 .25 0 .80 .65 | 0.5  | 14 14
R   | ɹ ɻ                   | r           | .22 0 .45 .35 0   0   .15 0 0   .38 | 0.7  | 12 14
RR  | r ɾ ɽ                 |             | .30 0 0   0   .10 .08 .22 0 .50 .50 | 0.4  | 14 14
K   | k g ɡ ŋ x ɣ q ɢ χ ʁ ɴ ɰ ʀ | g k ng  | .28 0 0   0   .10 .08 .22 0 0   .43 | 0.35 | 14 14
H   | h ɦ ʔ ħ ʕ ç           | hh hv       | .35 0 0   0   0   .08 .20 0 0   .60 | 0.15 | 14 14
J   | j ʝ                   | y           | .18 0 0   0   .50 .15 .30 0 0   .58 | 0.8  | 14 14
SIL |                       | pau         | 0   0 0   0   0   0   0   0 0   .04 | 0.9  | 14 10
"""
_ROWS = [[cell.strip() for cell in line.split("|")] for line in _TABLE.strip().splitlines()]
CLASSES = tuple(row[0] for row in _ROWS)
_INDEX = {name: i for i, name in enumerate(CLASSES)}
_TARGETS = np.array([[float(v) for v in row[3].split()] for row in _ROWS])
_WEIGHTS = np.array([float(row[4]) for row in _ROWS])
_FALLS = np.array([[float(v) for v in row[5].split()] for row in _ROWS])
_OF_IPA = {letter: row[0] for row in _ROWS for letter in row[1].split()}
_OF_FLITE = {name: row[0] for row in _ROWS for name in row[2].split()}
_FLITE_PAIRS = {"aw": ("A", "UH"), "ay": ("A", "IH"), "ey": ("E", "IH"), "ow": ("O", "UH"), "oy": ("AO", "IH")}
# TIMIT's finer ARPAbet -> the plain one; a closure ("bcl") belongs to its stop.
_TIMIT = {"ix": "ih", "ux": "uw", "axh": "ax", "eng": "ng", "q": "hh"} | {f"{stop}cl": stop for stop in "bdgptk"}
_PLOSIVES = set("pbtdkgɡʈɖcɟqɢʔ")
_VOWEL_GLIDES = {"j": "ɪ", "w": "ʊ"}  # "aj", "ow": how the Montreal aligner writes diphthongs
_VOWELS = frozenset(["A", "AE", "E", "AX", "AH", "ER", "I", "IH", "O", "AO", "U", "UH", "Y", "OE"])


def _channel_factors() -> F64:
    """How much each class says about each channel, (n_classes, n_channels)."""
    factors = np.ones((len(CLASSES), len(CHANNELS)))
    column = {name: i for i, name in enumerate(CHANNELS)}
    rounding = [column[c] for c in ("pucker", "funnel", "wide")]
    for name, share in {"P": 0.1, "F": 0.15, "T": 0.4, "L": 0.4, "K": 0.3, "RR": 0.3, "S": 0.5, "TH": 0.4}.items():
        factors[_INDEX[name], rounding] = share
    factors[_INDEX["P"], column["open"]] = 1.3
    for name in ("S", "SH", "T", "L", "K", "TH", "RR", "R", "J", "W"):
        factors[_INDEX[name], [column["close"], column["tuck"]]] = 4.0 if name in ("T", "L", "K", "RR") else 2.0
    factors[_INDEX["F"], column["close"]] = 1.5
    factors[_INDEX["P"], column["tuck"]] = 1.5
    # Their tongue is the point of these sounds, though their lips follow the neighbours.
    factors[[_INDEX[name] for name in ("TH", "L", "T", "RR")], column["tongue"]] = 3.0
    return factors


_FACTORS = _channel_factors()


def ipa_classes(name: str) -> list[str]:
    """Classes of an espeak-ng phoneme name; empty when it only lengthens its neighbour, `["SIL"]` for a pause."""
    if not name or name.startswith("("):
        return ["SIL"]
    plain = "".join(c for c in unicodedata.normalize("NFD", name) if not unicodedata.combining(c))
    plain = plain.replace("tʃ", "ʃ").replace("dʒ", "ʒ").replace("tɕ", "ɕ").replace("dʑ", "ʑ").replace("ts", "s")
    found = [_OF_IPA[c] for c in plain if c in _OF_IPA]
    kept = [c for i, c in enumerate(found) if i == 0 or c != found[i - 1]]
    return kept[:2]


def flite_classes(name: str) -> list[str]:
    """Classes of an ARPAbet phone as flite writes it, in small letters; empty when there is no such phone."""
    if name in _FLITE_PAIRS:
        return list(_FLITE_PAIRS[name])
    return [_OF_FLITE[name]] if name in _OF_FLITE else []


def arpabet_classes(name: str) -> list[str]:
    """Classes of an ARPAbet phone, any case, with or without stress; AH0 is the neutral vowel, empty if unknown."""
    plain = name.lower()
    if plain == "ah0":
        return ["AX"]
    plain = plain.rstrip("012")
    return flite_classes(_TIMIT.get(plain, plain))


def is_plosive(name: str) -> bool:
    """Whether an espeak-ng phoneme starts with a closure."""
    return bool(name) and name.lstrip("ˈˌ")[:1] in _PLOSIVES


def segments(events: Iterable[tuple[list[str], float]], end_s: float) -> list[Segment]:
    """Sounds in order from (classes, start) events; a diphthong is split 55 : 45, no class lengthens what is before."""
    out: list[Segment] = []
    listed = list(events)
    for (names, start), (_, stop) in zip(listed, [*listed[1:], ([], end_s)], strict=True):
        if stop <= start:
            continue
        if not names:
            if out:
                out[-1] = out[-1]._replace(end=stop)
            continue
        out += _split(names, start, stop)
    return out


def _split(names: Sequence[str], start: float, stop: float) -> list[Segment]:
    cut = start + (0.55 if len(names) == 2 else 1.0) * (stop - start)
    first = Segment(names[0], start, cut)
    return [first] if len(names) == 1 else [first, Segment(names[1], cut, stop)]


def viseme_segments(timing: PhoneTiming) -> list[Segment]:
    """The mouth's segments of timed phones; what the timing leaves out stays out.

    Raises:
        InputError: phones that are in no class, all listed.
    """
    out: list[Segment] = []
    unknown: dict[str, float] = {}
    for phone in timing.phones:
        names = _classes_of(phone.name, timing.alphabet)
        if names:
            out += _split(names, phone.start_s, phone.end_s)
        elif timing.alphabet == "ipa" and all(unicodedata.category(c) in ("Lm", "Mn", "Sk") for c in phone.name):
            if out:
                out[-1] = out[-1]._replace(end=phone.end_s)
        else:
            unknown.setdefault(phone.name, phone.start_s)
    if unknown:
        listed = ", ".join(f"{name!r} ({start:.2f} s)" for name, start in list(unknown.items())[:12])
        more = f" and {len(unknown) - 12} more" if len(unknown) > 12 else ""
        alphabet = "IPA" if timing.alphabet == "ipa" else "ARPAbet"
        raise InputError(
            f"{timing.source}: not {alphabet} phones: {listed}{more}",
            hint="phones are IPA or ARPAbet; --phoneme-set ipa or arpabet says which, sil is a pause, spn is unknown",
        )
    return out


def _classes_of(name: str, alphabet: str) -> list[str]:
    if is_pause(name):
        return ["SIL"]
    if alphabet == "arpabet":
        return arpabet_classes(name)
    if name[-1:] in _VOWEL_GLIDES and (vowel := ipa_classes(name[:-1])) and vowel[-1] in _VOWELS:
        return ipa_classes(name[:-1] + _VOWEL_GLIDES[name[-1]])
    return [] if name.startswith("(") else ipa_classes(name)


def blend(sounds: Sequence[Segment], n_steps: int, rate: float) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int8]]:
    """Channel targets and class labels over time.

    Args:
        sounds: segments in order. n_steps, rate: of the result; step k lies at k / rate seconds.
    Returns:
        (n_steps, 10) in 0..1, shown `VISUAL_LEAD_S` early; (n_steps,) class indices, early alike.
    """
    fine = np.arange(int(np.ceil((n_steps + 1) / rate * RATE)) + 1) / RATE + VISUAL_LEAD_S
    top, bottom = np.zeros((len(fine), len(CHANNELS))), np.full((len(fine), len(CHANNELS)), 1e-9)
    labels = np.full(len(fine), _INDEX["SIL"], np.int8)
    for sound in sounds:
        k = _INDEX[sound.name]
        low, high = np.searchsorted(fine, [sound.start - 0.5, sound.end + 0.5])
        dominance = _dominance(sound, fine[low:high])
        top[low:high] += dominance * _TARGETS[k]
        bottom[low:high] += dominance
        labels[(fine >= sound.start) & (fine < sound.end)] = k
    values = top / bottom
    kernel = np.exp(-0.5 * (np.arange(-6, 7) / RATE / 0.02) ** 2)
    padded = np.pad(values, ((6, 6), (0, 0)), mode="edge")
    values = np.stack([np.convolve(c, kernel / kernel.sum(), "valid") for c in padded.T], -1)
    where = np.arange(n_steps) / rate
    grid = fine - VISUAL_LEAD_S
    sampled = np.stack([np.interp(where, grid, c) for c in values.T], -1)
    return sampled.astype(np.float32), labels[np.minimum(np.round(where * RATE).astype(int), len(labels) - 1)]


def _dominance(sound: Segment, t: F64) -> F64:
    """How strongly a sound rules each channel at the seconds `t`, (n, n_channels)."""
    k, length = _INDEX[sound.name], sound.end - sound.start
    core = (sound.start + 0.3 * length, sound.start + 0.7 * length)
    weight = _WEIGHTS[k]
    if sound.name in ("P", "F"):
        parting = sound.start + 0.75 * length
        core = (min(sound.start, parting - SHORTEST_CONTACT_S), parting)
    if sound.name == "SIL":
        core = (sound.start + min(0.15, 0.4 * length), sound.end - min(0.1, 0.4 * length))
        weight *= 0.15 if length < SHORT_PAUSE_S else 1.0
    before, after = np.maximum(0.0, core[0] - t), np.maximum(0.0, t - core[1])
    dominance: F64 = (weight * np.exp(-_FALLS[k, 0] * before - _FALLS[k, 1] * after))[:, None] * _FACTORS[k]
    dominance **= 1.6
    return dominance


def fuse(channels: npt.NDArray[np.floating[Any]], sounds: Sequence[Segment], *, rate: float = TARGET_RATE) -> F64:
    """What the network hears joined with what the phones say, in the network's scale.

    A network trained on squared error moves less than its targets, so the phones' curves get the mean and the width
    that the network's have over the same steps, and so does the mean of both. `close`, `tuck` and `tongue` are taken as
    they are. Where nobody labelled anything the network stays alone.

    Args:
        channels: of `mouth_net.mouth_channels`, (n, 10). sounds: segments in order. rate: steps per second.
    Returns:
        (n, 10) in 0..1.
    """
    heard = np.asarray(channels, np.float64)
    told, labels = blend(sounds, len(heard), rate)
    say = _coverage(sounds, len(heard), rate)
    voiced = (say > 0.5) & (labels != _INDEX["SIL"])
    contact = np.isin(CHANNELS, ("close", "tuck", "tongue"))
    mixed = (1.0 - CONTACT_SHARE) * heard + CONTACT_SHARE * told
    if voiced.sum() > 1:
        mean, width = heard[voiced].mean(0), heard[voiced].std(0)
        z_heard = (heard - mean) / (width + 1e-3)
        z_told = (told - told[voiced].mean(0)) / (told[voiced].std(0) + 1e-3)
        z = (1.0 - PHONE_SHARE) * z_heard + PHONE_SHARE * z_told
        z /= z[voiced].std(0) + 1e-3
        mixed[:, ~contact] = (mean + width * z)[:, ~contact]
    return np.asarray(np.clip(heard + say[:, None] * (mixed - heard), 0.0, 1.0))


def _coverage(sounds: Sequence[Segment], n_steps: int, rate: float) -> F64:
    """1 where a segment says what is spoken, 0 in the gaps between them, with soft edges, (n_steps,)."""
    moments = np.arange(n_steps) / rate + VISUAL_LEAD_S
    known = np.zeros(n_steps)
    for sound in sounds:
        low, high = np.searchsorted(moments, [sound.start - 1e-9, sound.end + 1e-9])
        known[low:high] = 1.0
    half = max(1, round(_EDGE_S * rate / 2))
    kernel = np.hanning(2 * half + 3)[1:-1]
    return np.convolve(np.pad(known, half, mode="edge"), kernel / kernel.sum(), "valid")
