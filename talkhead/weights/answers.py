"""What the user has answered about weights: licences accepted, notices seen, copies pinned.

Kept in `weights.json` in the user's configuration folder, apart from the cache, which may be emptied at any time.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from talkhead.config import from_mapping, nearest
from talkhead.errors import InputError, UsageError, WeightsError
from talkhead.files import atomic_output
from talkhead.weights.manifest import Manifest, WeightFile, load_manifest

log = logging.getLogger(__name__)

ACCEPT_VARIABLE = "TALKHEAD_ACCEPT_LICENCES"


@dataclass(frozen=True, kw_only=True, slots=True)
class Answers:
    """The content of the file.

    Attributes:
        accepted: names of licences of non-commercial weights. seen: hashes of notices that were shown.
        pins: sha256 of the copy that the user chose, by name of the weights; for those nobody published a sha256 of.
    """

    accepted: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    pins: dict[str, str] = field(default_factory=dict)


def answers_path() -> Path:
    """`weights.json` in `TALKHEAD_CONFIG`, else in the platform's folder for settings."""
    named = os.environ.get("TALKHEAD_CONFIG")
    if named:
        return Path(named) / "weights.json"
    if sys.platform == "win32":
        base = Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming")
    else:
        base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return base / "talkhead" / "weights.json"


def read_answers() -> Answers:
    """What is stored; nothing where no file is.

    Raises:
        WeightsError: the file is damaged.
    """
    path = answers_path()
    try:
        return from_mapping(json.loads(path.read_text(encoding="utf-8")), Answers, where=str(path))
    except FileNotFoundError:
        return Answers()
    except (OSError, ValueError, InputError) as error:
        raise WeightsError(f"cannot read {path}: {error}", hint="remove it, and answer again") from error


def consent(entry: WeightFile, accept: Iterable[str] = (), *, manifest: Manifest | None = None) -> None:
    """Check that these weights may be used: ask for non-commercial ones, tell once about unclear ones.

    Args:
        entry: the weights. accept: licences accepted now, as `--accept-licence`; those in `TALKHEAD_ACCEPT_LICENCES`
            (separated by commas) count too. Both are stored. manifest: where misspelt names are looked up.
    Raises:
        UsageError: an accepted licence that no weights have.
        WeightsError: the weights are for non-commercial use and nobody accepted that.
    """
    answers = read_answers()
    licence = entry.licence.weights
    named = _known_licences(accept, manifest) | {
        name.strip() for name in os.environ.get(ACCEPT_VARIABLE, "").split(",") if name.strip()
    }
    new = {name for name in named if not _is_among(name, answers.accepted)}
    if new:
        answers = replace(answers, accepted=sorted({*answers.accepted, *new}))
        _store(answers)
    if entry.commercial == "no" and not _is_among(licence, answers.accepted):
        raise WeightsError(
            f"{entry.name} may not be used commercially ({licence}), and its licence is not accepted yet"
            + (f": {entry.note}" if entry.note else ""),
            hint=f"if that is fine: --accept-licence {licence}, or {ACCEPT_VARIABLE}={licence}; the answer is stored",
        )
    if entry.commercial == "unclear":
        notice = f"weights of {', '.join(entry.systems)}: commercial use is unclear (licence: {licence}). {entry.note}"
        key = hashlib.sha256(notice.encode()).hexdigest()[:16]
        if key not in answers.seen:
            log.warning("%s", notice.strip())
            _store(replace(answers, seen=sorted({*answers.seen, key})))


def is_accepted(entry: WeightFile) -> bool:
    """Whether `consent` would pass without asking."""
    named = [name.strip() for name in os.environ.get(ACCEPT_VARIABLE, "").split(",")]
    return entry.commercial != "no" or _is_among(entry.licence.weights, [*read_answers().accepted, *named])


def expected_sha256(entry: WeightFile) -> str | None:
    """The sha256 a copy must have: the manifest's, or else the pinned one; None if there is neither."""
    return entry.sha256 if entry.is_hash_known else read_answers().pins.get(entry.name)


def pin(entry: WeightFile, sha256: str) -> None:
    """From now on, only this copy counts."""
    answers = read_answers()
    if answers.pins.get(entry.name) != sha256 and not _store(
        replace(answers, pins=answers.pins | {entry.name: sha256})
    ):
        raise WeightsError(f"cannot write {answers_path()}, where pins are kept", hint="set TALKHEAD_CONFIG")


def _known_licences(names: Iterable[str], manifest: Manifest | None) -> set[str]:
    known = sorted({entry.licence.weights for entry in (manifest or load_manifest()).files})
    found = set()
    for name in names:
        matching = [licence for licence in known if _is_among(licence, [name])]
        if not matching:
            close = nearest(name, known)
            hint = f"did you mean {close!r}?" if close else f"licences of weights: {', '.join(known) or 'none'}"
            raise UsageError(f"no weights have the licence {name!r}", hint=hint)
        found.add(matching[0])
    return found


def _is_among(name: str, names: Iterable[str]) -> bool:
    return name.casefold() in {other.casefold() for other in names}


def _store(answers: Answers) -> bool:
    """Whether it could be written: a read-only home must not stop a run, it is asked again then."""
    path = answers_path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_output(path, overwrite=True) as temporary:
            temporary.write_text(json.dumps(asdict(answers), indent=2) + "\n", encoding="utf-8")
    except (OSError, InputError) as error:
        log.debug("cannot write %s: %s", path, error)
        return False
    return True
