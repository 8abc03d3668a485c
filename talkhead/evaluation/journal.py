"""The finished clips of a set, kept beside its output until the set is done, so that an interrupted run can go on.

Two files: `OUTPUT.journal`, JSON lines of which the first names the settings and each further one holds a clip; and,
where FID or FVD is measured, `OUTPUT.journal-N.safetensors`, the moments of the features of the first N clips. A line
is written when its moments are on the disk, so that what the last line names is always whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from talkhead.errors import InputError, OutputExistsError
from talkhead.evaluation.action_units import PresenceCounts
from talkhead.evaluation.clip import ClipResult, Pair
from talkhead.evaluation.evaluation import clip_as_dict, clip_from_dict
from talkhead.evaluation.frechet import FeatureStatistics
from talkhead.evaluation.lag import find_lag
from talkhead.evaluation.pools import FeatureSums, Pools
from talkhead.files import atomic_output
from talkhead.weights.store import sha256_of

log = logging.getLogger(__name__)

FORMAT, FORMAT_VERSION = "talkhead-evaluation-journal", 1
_BEGIN_ANEW = "--overwrite begins anew"


def journal_path(output: Path) -> Path:
    """Where the journal of a set lies."""
    return output.with_name(f"{output.name}.journal")


def remove_journal(output: Path) -> None:
    """Remove the journal of a set and its moments, if they are there."""
    path = journal_path(output)
    for file in [path, *_moments(path)]:
        with contextlib.suppress(OSError):
            file.unlink()


class Journal:
    """The journal of one set.

    Args:
        output: the file that the set will be written to. settings: what numbers depend on beside the clips. pairs: the
            clips of the set. pools: of the set; they get back what finished clips gave them. resume: go on with a
            journal that is there.
    Attributes:
        n_kept: clips of an earlier run that `finished` will give.
    Raises:
        OutputExistsError: a journal is there and `resume` is false. InputError: it is of other settings, or holds
            clips that are none of these.
    """

    def __init__(
        self, output: Path, settings: dict[str, Any], pairs: list[Pair], pools: Pools, *, resume: bool
    ) -> None:
        self._path, self._pools = journal_path(output), pools
        self._head = json.loads(json.dumps({"format": FORMAT, "format_version": FORMAT_VERSION, **settings}))
        lines = _read(self._path) if self._path.exists() else []
        if len(lines) > 1 and not resume:
            raise OutputExistsError(
                f"{self._path} holds {len(lines) - 1} finished clips of an earlier run",
                hint=f"--resume goes on, {_BEGIN_ANEW}",
            )
        if len(lines) > 1:
            _check_head(self._path, lines[0], self._head)
        self._lines = {line["key"]: line for line in lines[1:]}
        self.n_kept = len(self._lines)
        if self._lines:
            self._restore_moments(lines[-1].get("moments"), pairs)
        with atomic_output(self._path, overwrite=True, error=InputError) as temporary:
            # Whole lines only: the last one may have been cut short.
            temporary.write_text("".join(f"{json.dumps(line)}\n" for line in [self._head, *lines[1:]]), "utf-8")

    def finished(self, pair: Pair) -> ClipResult | None:
        """The result of a clip that an earlier run has finished; the pools then have its share."""
        line = self._lines.get(key_of(pair)) if self._lines else None
        if line is None:
            return None
        lags = [find_lag(np.array(curve)) for curve in line["lags"]]
        self._pools.add_share(lags, PresenceCounts.from_dict(line["units"]) if line["units"] else None)
        files = {key: str(path) for key in ("generated", "real", "audio", "source") if (path := getattr(pair, key))}
        return replace(clip_from_dict(line["clip"]), files=files)

    def write(self, pair: Pair, result: ClipResult) -> None:
        """Keep a clip that was just judged and has ended in the pools."""
        key = key_of(pair)
        lags, units = self._pools.last_share
        line = {
            "key": key,
            "clip": clip_as_dict(result),
            "lags": [lag.curve.tolist() for lag in lags],
            "units": None if units is None else units.as_dict(),
            "moments": self._write_moments(len(self._lines) + 1),
        }
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"{json.dumps(line)}\n")
            file.flush()
            os.fsync(file.fileno())
        self._lines[key] = line
        for old in _moments(self._path):
            if old.name != line["moments"]:
                old.unlink(missing_ok=True)

    def _write_moments(self, number: int) -> str | None:
        if not self._pools.networks:
            return None
        from safetensors.numpy import save_file

        tensors, counts = {}, {}
        for name, pool in self._pools.networks.items():
            for side in ("generated", "real"):
                sums: FeatureStatistics = getattr(pool.sums, side)
                tensors[f"{name}.{side}.mean"], tensors[f"{name}.{side}.scatter"] = sums.moments()
                counts[f"{name}.{side}"] = str(sums.n)
            counts |= {f"{name}.n_clips": str(pool.sums.n_clips), f"{name}.n_frames": str(pool.sums.n_frames)}
        path = self._path.with_name(f"{self._path.name}-{number}.safetensors")
        with atomic_output(path, overwrite=True, error=InputError) as temporary:
            save_file(tensors, temporary, counts)
        return path.name

    def _restore_moments(self, name: str | None, pairs: list[Pair]) -> None:
        if not self._pools.networks:
            return
        strange = set(self._lines) - {key_of(pair) for pair in pairs}
        if strange:
            clip = next(line["clip"]["name"] for key, line in self._lines.items() if key in strange)
            raise InputError(
                f"{self._path} counts the frames of clip {clip!r}, which the set lacks or which has changed",
                hint=_BEGIN_ANEW,
            )
        from safetensors import SafetensorError, safe_open

        path = self._path.with_name(name or "")
        try:
            with safe_open(str(path), framework="numpy") as file:
                counts = file.metadata() or {}
                for pool_name, pool in self._pools.networks.items():
                    sides = {
                        side: FeatureStatistics.of(
                            int(counts[f"{pool_name}.{side}"]),
                            file.get_tensor(f"{pool_name}.{side}.mean"),
                            file.get_tensor(f"{pool_name}.{side}.scatter"),
                        )
                        for side in ("generated", "real")
                    }
                    n_clips, n_frames = (int(counts[f"{pool_name}.{word}"]) for word in ("n_clips", "n_frames"))
                    pool.sums = FeatureSums(**sides, n_clips=n_clips, n_frames=n_frames)
        except (OSError, SafetensorError, LookupError, ValueError) as error:
            raise InputError(f"cannot read {path}: {error}", hint=_BEGIN_ANEW) from error


def key_of(pair: Pair) -> str:
    """What a clip is known by: its name and the contents of its files."""
    named = [("generated", pair.generated), ("real", pair.real), ("audio", pair.audio), ("source", pair.source)]
    named += [(f"au_{number}", path) for number, path in enumerate(pair.au_csv or ())]
    facts = [pair.name, *(f"{role} {_content(path)}" for role, path in named if path is not None)]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()


def _content(path: Path) -> str:
    """sha256 of a file; its name where it cannot be read, which is told when it is opened."""
    try:
        return sha256_of(path)
    except OSError:
        return f"unreadable {path.name}"


def _read(path: Path) -> list[dict[str, Any]]:
    """The lines of a journal that are whole.

    Raises:
        InputError: it is none.
    """
    lines: list[dict[str, Any]] = []
    try:
        text = path.read_text("utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}", hint=_BEGIN_ANEW) from error
    for line in text.splitlines():
        try:
            lines.append(json.loads(line))
        except ValueError:
            break
    if not lines or not isinstance(lines[0], dict) or lines[0].get("format") != FORMAT:
        raise InputError(f"{path} is no journal of a set", hint=_BEGIN_ANEW)
    return lines


def _check_head(path: Path, stored: dict[str, Any], wanted: dict[str, Any]) -> None:
    apart = [name for name in wanted if stored.get(name) != wanted[name]]
    if apart:
        raise InputError(f"{path} is of other settings ({', '.join(apart)})", hint=_BEGIN_ANEW)


def _moments(path: Path) -> list[Path]:
    return [file for file in path.parent.iterdir() if file.name.startswith(f"{path.name}-")]
