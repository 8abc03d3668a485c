"""What a training set says about itself: `set.json`, how it was made; `videos.jsonl`, a line for every video done.

The second is the journal too: what it does not name does not count, so a set is whole at any time.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from talkhead.config import from_mapping
from talkhead.errors import InputError
from talkhead.files import atomic_output
from talkhead.training.clips import Outcome
from talkhead.training.config import FPS, PrepareConfig
from talkhead.training.shards import Place

FORMAT, FORMAT_VERSION = "talkhead.set", 1
ABOUT, JOURNAL, SHARDS, WORK = "set.json", "videos.jsonl", "shards", "work"


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingSet:
    """A folder with a prepared set.

    Attributes:
        folder: where. config: how it was made. space: of its coefficients. created_by: version that made it.
        outcomes: every video looked at, in the order in which they were stored.
    """

    folder: Path
    config: PrepareConfig
    space: str
    created_by: str
    outcomes: tuple[Outcome, ...]

    @property
    def shards(self) -> Path:
        """The folder of the shards."""
        return self.folder / SHARDS

    @property
    def kept(self) -> list[Outcome]:
        """Videos of which something was kept."""
        return [outcome for outcome in self.outcomes if outcome.samples]

    @property
    def n_frames(self) -> int:
        """Frames of all samples."""
        return sum(outcome.kept_frames for outcome in self.kept)

    def places(self) -> list[Place]:
        """Where every sample lies, in the order of the shards."""
        return [
            Place(
                shard=outcome.shard,
                offset=outcome.begin + offset,
                n_bytes=n_bytes,
                video=number,
                start=start,
                n_frames=n_frames,
                video_frames=outcome.n_frames,
            )
            for number, outcome in enumerate(self.kept)
            for offset, n_bytes, start, n_frames in outcome.samples
        ]

    def ends(self) -> dict[int, int]:
        """How many bytes of each shard count, by number."""
        found: dict[int, int] = {}
        for outcome in self.kept:
            found[outcome.shard] = max(found.get(outcome.shard, 0), outcome.begin + outcome.n_bytes)
        return found

    def reasons(self) -> dict[str, int]:
        """Why videos were not kept, and how many each."""
        return dict(Counter(outcome.reason for outcome in self.outcomes if outcome.reason))

    def summary(self) -> dict[str, Any]:
        """What is in it, in numbers; for `set.json` and `--json`."""
        clips = Counter(str(dropped["reason"]) for outcome in self.kept for dropped in outcome.dropped)
        sizes = [path.stat().st_size for path in self.shards.glob("*.tar")]
        return {
            "n_videos": len(self.outcomes),
            "n_kept": len(self.kept),
            "n_persons": len({outcome.person for outcome in self.kept}),
            "n_samples": sum(len(outcome.samples) for outcome in self.kept),
            "n_frames": self.n_frames,
            "seconds": round(self.n_frames / FPS, 2),
            "n_shards": len(sizes),
            "bytes": sum(sizes),
            "dropped_videos": self.reasons(),
            "dropped_clips_of_kept_videos": dict(clips),
            "dropped": [
                {"video": o.label, "reason": o.reason, "detail": o.detail} for o in self.outcomes if o.reason
            ],
        }  # fmt: skip


def read_set(folder: str | Path) -> TrainingSet:
    """Read what a set says about itself; no shard is opened.

    Raises:
        InputError: there is no set, it is of a newer version, or it is damaged.
    """
    place = Path(folder)
    try:
        about = json.loads((place / ABOUT).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{place} is no training set: it has no {ABOUT}", hint="talkhead prepare makes one") from error
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {place / ABOUT}: {error}") from error
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise InputError(f"{place / ABOUT} is not about a training set")
    if about.get("format_version") != FORMAT_VERSION:
        version = about.get("format_version")
        raise InputError(f"{place} is a set of version {version}, this talkhead reads {FORMAT_VERSION}")
    return TrainingSet(
        folder=place,
        config=from_mapping(about.get("settings"), PrepareConfig, where=f"settings in {place / ABOUT}"),
        space=str(about.get("space", "")),
        created_by=str(about.get("created_by", "")),
        outcomes=tuple(_read_journal(place / JOURNAL)),
    )


def write_about(found: TrainingSet, versions: Mapping[str, str]) -> None:
    """Write `set.json`; `versions` are those of what was used, by name."""
    data = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "created_by": found.created_by,
        "space": found.space,
        "settings": asdict(found.config),
        "versions": dict(versions),
        **found.summary(),
    }
    with atomic_output(found.folder / ABOUT, overwrite=True) as temporary:
        temporary.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def append_outcome(folder: Path, outcome: Outcome) -> None:
    """Make it count: one line of the journal, on the disk when this returns."""
    with (folder / JOURNAL).open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(asdict(outcome), ensure_ascii=False) + "\n")
        stream.flush()
        os.fsync(stream.fileno())


def rewrite_journal(folder: Path, outcomes: Iterable[Outcome]) -> None:
    """Replace the journal, leaving out a line that a crash cut."""
    with atomic_output(folder / JOURNAL, overwrite=True) as temporary, temporary.open("w", encoding="utf-8") as stream:
        stream.writelines(json.dumps(asdict(outcome), ensure_ascii=False) + "\n" for outcome in outcomes)


def outcome_of(data: object, where: str) -> Outcome:
    """An outcome from its JSON.

    Raises:
        InputError: it is none.
    """
    return from_mapping(data, Outcome, where=where)


def _read_journal(path: Path) -> list[Outcome]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}: {error}") from error
    outcomes = []
    for number, line in enumerate(lines, 1):
        try:
            data = json.loads(line)
        except ValueError as error:
            if number == len(lines):
                break  # cut by a crash: that video does not count
            raise InputError(f"{path}, line {number}: {error}") from error
        outcomes.append(outcome_of(data, f"{path}, line {number}"))
    return outcomes
