"""festival: voices of several languages cut from recordings of their speakers, with the time of every phone.

A tool of training only, like espeak.py.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
import time
import wave
from pathlib import Path

import numpy as np

from scripts.train_mouth.espeak import Utterance
from scripts.train_mouth.flite import read_wave
from talkhead.systems.meshwarp.visemes import flite_classes, segments

VOICES = {
    "kal_diphone": "en-us",
    "ked_diphone": "en-us",
    "cmu_us_slt_arctic_hts": "en-us",
    "lp_diphone": "it",
    "pc_diphone": "it",
    "czech_dita": "cs",
    "czech_krb": "cs",
    "czech_machac": "cs",
    "czech_ph": "cs",
    "msu_ru_nsh_clunits": "ru",
    "suo_fi_lj_diphone": "fi",
    "hy_fi_mv_diphone": "fi",
    "upc_ca_ona_hts": "ca",
    "hindi_NSK_diphone": "hi",
    "marathi_NSK_diphone": "mr",
    "telugu_NSK_diphone": "te",
}
"""Name: language of `sentences`."""
_ENCODINGS = {"it": "latin-1", "ca": "latin-1", "cs": "iso8859-2", "fi": "iso8859-15"}  # UTF-8 else
_PATIENCE_S = 30.0

# Phone names by class of sound, for each phone set.
_INDIC = """
A aa | AX a @ | E eh ee ay | I iy | IH ih | O oo oh aw | UH uh | U uw | AE ae | SH sh ch jh j zh | S s z | L l L
T t d n th dh td tth ddh T D N dd | K k g kh gh ng x | P p b m ph bh | F f | W v w | RR r R | J y | H h | SIL pau #
"""
_PHONES = {
    "it": """A a a1 | E e e1 E E1 | I i i1 | O o o1 | AO O O1 | U u u1 | J j | W w | L l L | SH S tS dZ Z | S s z ts dz
             K k g ng | T t d n J nf | P p b m | F f v | RR r | SIL # pau""",
    "cs": """A a a: | E e e: | I i i: | O o o: | U u u: | SH c~ s~ z~ r~ r~* dz~ | T t d n t~ d~ n~ n* | K k g ch
             H h | S s z c dz | P p b m m* | F f v | RR r | L l | J j | SIL # _ pau""",
    "fi": """A a a: | AE @ @: | E e e: | I i i: | O o o: | U u u: | Y y y: | OE 7 7: | T t t: d d: n n: | S s s: z z:
             K k k: g g: N N: | SH S S: | H h h: | P p p: b b: m m: | F f f: v v: | RR r r: | L l l: | J j j:
             SIL # ## pau""",
    "ru": """A a aa | AX ay ae | E e ee | I i ii | IH y yy ur | O o oo | U u uu | SH sh zh ch sch | S s ss z zz c
             T t tt d dd n nn | K k kk g gg h hh | P p pp b bb m mm | F f ff v vv | RR r rr | L l ll | J j
             SIL pau #""",
    "ca": """A a a1 | AX ax | E e e1 E E1 | I i i1 | O o o1 | AO O O1 | U u u1 | SH S Z | S s z | T t d n J | K k g
             P p b m | F f | W w | J j | RR r rr | L l L | SIL pau # _""",
    "hi": _INDIC,
    "mr": _INDIC,
    "te": _INDIC,
}


def _classes_by_phone(table: str) -> dict[str, str]:
    rows = [row.split() for row in re.split(r"[|\n]", table) if row.strip()]
    return {phone: row[0] for row in rows for phone in row[1:]}


_CLASSES = {language: _classes_by_phone(table) for language, table in _PHONES.items()}


def phone_classes(language: str, phone: str) -> list[str]:
    """Classes of a phone of a voice's phone set; empty when the set does not have it."""
    if language.startswith("en"):
        return flite_classes(phone)
    found = _CLASSES[language].get(phone)
    return [found] if found else []


class Festival:
    """Running festival programs, one for each voice: a voice leaves its phone set behind for the next."""

    def __init__(self) -> None:
        self._programs: dict[str, subprocess.Popen[bytes]] = {}

    def close(self) -> None:
        """Stop the programs."""
        for voice in list(self._programs):
            self._stop(voice)

    def _stop(self, voice: str) -> None:
        program = self._programs.pop(voice)
        program.kill()
        program.wait()

    def _program(self, voice: str) -> subprocess.Popen[bytes]:
        if voice not in self._programs:
            self._programs[voice] = subprocess.Popen(
                ["festival", "--pipe"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        return self._programs[voice]

    def say(self, text: str, voice: str, rng: np.random.Generator) -> Utterance | None:
        """Samples, rate and segments of a text; None if the program refuses or answers in another voice's phones."""
        language = VOICES[voice]
        plain = re.sub(r'["\\]', "", text)
        stretch = rng.uniform(0.75, 1.3)
        with tempfile.TemporaryDirectory() as folder:
            orders = (
                f"(voice_{voice}) (Parameter.set 'Duration_Stretch {stretch:.2f})\n"
                f'(set! u (utt.synth (Utterance Text "{plain}")))\n'
                f'(utt.save.wave u "{folder}/f.wav") (utt.save.segs u "{folder}/f.lab")\n'
                f'(system "touch {folder}/said")\n'
            )
            if not self._told(
                voice, orders.encode(_ENCODINGS.get(language, "utf-8"), "replace"), Path(folder) / "said"
            ):
                return None
            try:
                sound, rate = read_wave(Path(folder) / "f.wav")
                rows = (Path(folder) / "f.lab").read_text("latin-1").splitlines()
            except (OSError, wave.Error, EOFError):
                return None
        labels = [(fields[2], float(fields[0])) for fields in map(str.split, rows) if len(fields) > 2]
        starts = [0.0, *(end for _, end in labels[:-1])]
        events = [(phone_classes(language, phone), start) for (phone, _), start in zip(labels, starts, strict=True)]
        if len(events) < 4 or not all(names for names, _ in events):
            return None
        return sound, rate, segments(events, len(sound) / rate)

    def _told(self, voice: str, orders: bytes, said: Path) -> bool:
        """Whether the program carried the orders out (its output is buffered, so a file says); else it is stopped."""
        program, deadline = self._program(voice), time.monotonic() + _PATIENCE_S
        assert program.stdin
        try:
            program.stdin.write(orders)
            program.stdin.flush()
        except BrokenPipeError:
            deadline = 0.0
        while program.poll() is None and time.monotonic() < deadline:
            if said.exists():
                return True
            time.sleep(0.005)
        self._stop(voice)
        return False
