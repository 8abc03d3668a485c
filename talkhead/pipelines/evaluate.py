"""How good a generated video is: one clip, or a set named by a table; numbers, files and a report."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from talkhead.errors import InputError, TalkheadError, UsageError
from talkhead.evaluation.evaluation import Evaluation, Failure, versions
from talkhead.evaluation.face_tracks import MIN_TRACK
from talkhead.evaluation.families import check_required, chosen_families
from talkhead.evaluation.protocol import DEFAULT, Pool, Protocol, protocol_of
from talkhead.pipelines.inputs import PathLike
from talkhead.progress import NoProgress, Progress

if TYPE_CHECKING:
    from talkhead.evaluation.action_units import ZeroDivision
    from talkhead.evaluation.clip import ClipResult, Pair
    from talkhead.evaluation.measurement import Measurement

log = logging.getLogger(__name__)

MANIFEST_COLUMNS = ("generated", "real", "audio", "source", "id", "au_real", "au_generated")


def evaluate(
    generated: PathLike | None = None,
    real: PathLike | None = None,
    *,
    audio: PathLike | None = None,
    source: PathLike | None = None,
    manifest: PathLike | None = None,
    metrics: Sequence[str] = (),
    require: Sequence[str] = (),
    protocol: str | None = None,
    pool: Pool | None = None,
    every: int | None = None,
    crop: bool | None = None,
    min_track: int | None = None,
    au_csv: tuple[PathLike, PathLike] | None = None,
    zero_division: ZeroDivision = "leave out",
    predictions: PathLike | None = None,
    work_seconds: float | None = None,
    load_seconds: float | None = None,
    cache: bool = False,
    resume: bool = False,
    output: PathLike | None = None,
    csv: PathLike | None = None,
    report: PathLike | None = None,
    overwrite: bool = False,
    device: str = "auto",
    dtype: str = "auto",
    progress: Progress | None = None,
) -> Evaluation:
    """Measure a generated video, or all of a set.

    Args:
        generated: the video. real: what it should look like; the same is then measured of it too. audio: the speech;
            default that of `generated`, else of `real`. source: the photo that was animated.
        manifest: instead, a CSV file with a row for each clip: `generated`, and optionally `real`, `audio`, `source`,
            `id`, `au_real`, `au_generated`; paths are relative to it.
        metrics: families or rows; default those of the protocol. require: rows that must have a value.
        protocol: settings of a paper (`talkhead.evaluation.protocol`); default `plain`. pool, every: change it.
        crop: whether clips are cropped around the face; default as the protocol says.
        min_track: frames in which SyncNet must see a face; fewer than the published 100 changes the definition.
        au_csv: OpenFace's files of the real and of the generated clip. zero_division: what the F1 of an action unit
            that no frame shows counts as. predictions: of a lip reader, CSV.
        work_seconds: how long `generated` took to make, for the real-time factor. load_seconds: and loading the models.
        cache: keep the tracked faces beside the videos. resume: take the clips of the set that an interrupted run has
            finished from the journal beside `output`. output, csv, report: JSON, CSV and HTML files to write.
        overwrite: replace them. device, dtype: of the networks, whose weights must be here. progress: is told.
    Returns:
        What was found; `Evaluation.value("psnr")` is one number.
    Raises:
        UsageError: arguments that do not go together, or an unknown name. MediaError, InputError: a single clip that
            cannot be judged (of a set they are `failures`), or a required row without value, when all is written.
    """
    from talkhead.evaluation.journal import journal_path, remove_journal

    started = time.monotonic()
    settings = protocol_of(protocol or DEFAULT, pool=pool, every=every, crop=crop)
    families = chosen_families(metrics, settings.metrics)
    check_required(require)
    for name, seconds in (("work_seconds", work_seconds), ("load_seconds", load_seconds)):
        if seconds is not None and not 0 < seconds < float("inf"):
            raise UsageError(f"{name} is {seconds:g}, expected more than 0")
    if resume and (manifest is None or output is None):
        raise UsageError("there is nothing to resume", hint="--resume goes on with a set: --manifest CSV -o JSON")
    pairs = _pairs(generated, real, audio, source, au_csv, manifest, work_seconds, load_seconds)
    has_journal = resume and output is not None and journal_path(Path(output)).exists()
    overwrite = overwrite or has_journal  # the output of a run that goes on is its own
    outputs = _checked_outputs(output, csv, report, overwrite, [manifest, predictions, *_files(pairs)])
    found = _measured(
        pairs, settings, families, is_set=manifest is not None, cache=cache,
        min_track=MIN_TRACK if min_track is None else min_track, zero_division=zero_division,
        predictions=None if predictions is None else Path(predictions), with_pictures=report is not None,
        machine=(device, dtype), progress=progress or NoProgress(), started=started,
        journal_of=outputs.get("json"), resume=resume, overwrite=overwrite,
    )  # fmt: skip
    _write(found, outputs, overwrite)
    if "json" in outputs and not found.failures:
        remove_journal(outputs["json"])
    check_requirements(found, require)
    return found


def check_requirements(found: Evaluation, require: Sequence[str]) -> None:
    """See that rows have values.

    Raises:
        InputError: one has none; the message says why.
    """
    for name in require:
        rows = [row for row in found.rows if row.name == name]
        if not any(row.value is not None for row in rows):
            why = rows[0].reason if rows else "it was not measured"
            raise InputError(f"{name} has no value: {why}", hint="--require asks for one")


def compare_runs(files: Sequence[PathLike]) -> str:
    """The table of two or more runs, from their JSON files.

    Raises:
        UsageError: fewer than two, or of different protocols. InputError: unreadable.
    """
    from talkhead.evaluation.table import compare

    return compare([Path(file) for file in files])[0]


def _pairs(
    generated: PathLike | None,
    real: PathLike | None,
    audio: PathLike | None,
    source: PathLike | None,
    au_csv: tuple[PathLike, PathLike] | None,
    manifest: PathLike | None,
    work_seconds: float | None,
    load_seconds: float | None,
) -> list[Pair]:
    from talkhead.evaluation.clip import Pair

    if manifest is not None:
        alone = (generated, real, audio, source, au_csv, work_seconds, load_seconds)
        if any(value is not None for value in alone):
            raise UsageError("a manifest names the files of every clip; give it alone")
        return _read_manifest(Path(manifest))
    if generated is None:
        raise UsageError("what is to be judged?", hint="give a video, or --manifest pairs.csv")
    one = Pair(
        generated=Path(generated),
        real=None if real is None else Path(real),
        audio=None if audio is None else Path(audio),
        source=None if source is None else Path(source),
        au_csv=None if au_csv is None else (Path(au_csv[0]), Path(au_csv[1])),
        work_s=work_seconds,
        load_s=load_seconds,
    )
    if one.au_csv is not None and one.real is None:
        raise UsageError("OpenFace's files compare two clips; REAL is missing")
    return [one]


def _read_manifest(path: Path) -> list[Pair]:
    """The clips of a set.

    Raises:
        InputError: unreadable, without clips, or with a column nobody knows.
    """
    import csv as tables

    from talkhead.evaluation.clip import Pair

    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(tables.DictReader(file, skipinitialspace=True))
    except (OSError, UnicodeDecodeError, tables.Error) as error:
        raise InputError(f"cannot read {path}: {error}") from error
    hint = f"columns: {', '.join(MANIFEST_COLUMNS)}; one row per clip"
    if not rows:
        raise InputError(f"{path} names no clips", hint=hint)
    unknown = [str(name) for name in rows[0] if name not in MANIFEST_COLUMNS]
    if unknown or "generated" not in rows[0]:
        what = f"has a column {unknown[0]!r}" if unknown else "has no column 'generated'"
        raise InputError(f"{path} {what}", hint=hint)

    pairs: list[Pair] = []
    for number, row in enumerate(rows, 2):

        def named(column: str, row: dict[str, str | None] = row) -> Path | None:
            text = (row.get(column) or "").strip()
            return path.parent / text if text else None

        judged, units = named("generated"), (named("au_real"), named("au_generated"))
        if judged is None:
            raise InputError(f"{path}, line {number}: no generated clip", hint=hint)
        pairs.append(
            Pair(
                generated=judged,
                real=named("real"),
                audio=named("audio"),
                source=named("source"),
                au_csv=(units[0], units[1]) if units[0] is not None and units[1] is not None else None,
                name=(row.get("id") or "").strip() or judged.stem,
            )  # fmt: skip
        )
    names = [pair.name for pair in pairs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"{path}: two clips are called {twice!r}", hint="give each an id of its own")
    return pairs


def _measured(
    pairs: list[Pair],
    protocol: Protocol,
    families: tuple[str, ...],
    *,
    is_set: bool,
    cache: bool,
    min_track: int,
    zero_division: ZeroDivision,
    predictions: Path | None,
    with_pictures: bool,
    machine: tuple[str, str],
    progress: Progress,
    started: float,
    journal_of: Path | None,
    resume: bool,
    overwrite: bool,
) -> Evaluation:
    from talkhead.device import resolve_device, resolve_dtype
    from talkhead.evaluation.clip import Wish, measure_clip
    from talkhead.evaluation.instruments import Instrument, Instruments
    from talkhead.evaluation.journal import Journal, remove_journal
    from talkhead.evaluation.pools import pools_of
    from talkhead.evaluation.suite import set_rows
    from talkhead.pipelines.head_fit import open_heads

    where = resolve_device(machine[0])
    tools = Instruments(
        device=where, dtype=resolve_dtype(machine[1], where), open_heads=functools.partial(open_heads, where)
    )
    tools.of(families, is_set=is_set)
    only_sets = Instrument(reason="compares sets of clips: --manifest pairs.csv")
    pools = pools_of(
        families,
        tools.inception() if is_set and "fid" in families else only_sets,
        tools.i3d() if is_set and "fvd" in families else only_sets,
        every=protocol.every,
        has_real=not is_set or any(pair.real is not None for pair in pairs),
        zero_division=zero_division,
    )
    wish = Wish(
        protocol=protocol, families=families, instruments=tools, keep_faces=cache, min_track=min_track,
        with_pictures=with_pictures and not is_set, zero_division=zero_division,
    )  # fmt: skip
    journal = None
    if is_set and journal_of is not None and (journal_of.is_file() or not journal_of.exists()):
        settings = {
            "protocol": protocol.as_dict(), "families": families, "min_track": min_track, "dtype": tools.dtype,
            "versions": versions(), "weights": tools.origins(),
        }  # fmt: skip
        if overwrite and not resume:
            remove_journal(journal_of)
        journal = Journal(journal_of, settings, pairs, pools, resume=resume)
    gathered = _lip_reading(predictions) if "lip_reading" in families else []
    clips: list[ClipResult] = []
    failures: list[Failure] = []
    n_resumed, resumed_s = 0, 0.0
    watched = progress if is_set else NoProgress()
    with watched.stage("measure", len(pairs), "clips") as advance:
        for pair in pairs:
            try:
                done = journal.finished(pair) if journal is not None else None
                if done is not None:
                    clips.append(done)
                    n_resumed, resumed_s = n_resumed + 1, resumed_s + done.seconds
                    advance(1)
                    continue
                with progress.stage(pair.name or "measure", _expected(pair, protocol)) as frames:
                    clips.append(measure_clip(pair, wish, pools if is_set else None, advance=frames))
                if journal is not None:
                    journal.write(pair, clips[-1])
            except TalkheadError as error:
                if not is_set:
                    raise
                failures.append(Failure(name=pair.name, message=error.message))
                log.warning("%s: %s", pair.name, error.message)
            advance(1)
    if is_set:
        gathered += pools.measurements()
    else:
        clips = [_joined(clips[0], [*gathered, *pools.missing])]
    return Evaluation(
        protocol=protocol,
        clips=tuple(clips),
        set_rows=set_rows([clip.rows for clip in clips], gathered) if is_set else (),
        real_set_rows=set_rows([clip.real_rows for clip in clips if clip.real_rows]) if is_set else (),
        failures=tuple(failures),
        notes=_notes(clips, n_resumed),
        versions=versions(),
        weights=tools.origins(),
        seconds=time.monotonic() - started + resumed_s,
    )


def _notes(clips: list[ClipResult], n_resumed: int) -> tuple[str, ...]:
    notes = []
    sizes = sorted({clip.size for clip in clips})
    if len(sizes) > 1:
        named = ", ".join(f"{width}x{height}" for width, height in sizes[:4])
        notes.append(
            f"clips are judged at different sizes ({named}): L1, CPBD, SSIM and distances in pixels depend on it"
        )
    n_cropped = sum(clip.crop is not None for clip in clips)
    if 0 < n_cropped < len(clips):
        notes.append(f"{n_cropped} of {len(clips)} clips were cropped, the others are square already")
    if n_resumed:
        notes.append(f"{n_resumed} of {len(clips)} clips were measured by an earlier run that was interrupted")
    return tuple(notes)


def _expected(pair: Pair, protocol: Protocol) -> int | None:
    """About how many frames a clip has; None if its header does not say, or says that it cannot be judged."""
    from talkhead.media.video import open_clip

    try:
        clip = open_clip(pair.generated, fps=protocol.fps, end_s=protocol.clip_s)
    except TalkheadError:
        return None
    return clip.n_frames


def _joined(clip: ClipResult, rows: list[Measurement]) -> ClipResult:
    from talkhead.evaluation.families import in_order

    return replace(clip, rows=in_order([*clip.rows, *rows]))


def _lip_reading(predictions: Path | None) -> list[Measurement]:
    from talkhead.evaluation.lip_reading import score_predictions
    from talkhead.evaluation.meters import absent

    if predictions is not None:
        return [score_predictions(predictions)]
    why = "needs what a lip reader understood: --predictions file.csv (label, prediction)"
    return [absent("lip_reading_acc", "lip_reading_acc/top-1", why)]


def _files(pairs: list[Pair]) -> list[Path]:
    named = [path for pair in pairs for path in (pair.generated, pair.real, pair.audio, pair.source)]
    return [path for path in [*named, *(path for pair in pairs for path in pair.au_csv or ())] if path is not None]


def _checked_outputs(
    output: PathLike | None, csv: PathLike | None, report: PathLike | None, overwrite: bool, inputs: list[object]
) -> dict[str, Path]:
    """Where to write what; refused before any work."""
    from talkhead.files import check_output
    from talkhead.pipelines.outputs import refuse_inputs

    named = {"json": output, "csv": csv, "html": report}
    outputs = {kind: Path(path) for kind, path in named.items() if path is not None}
    if len({path.resolve() for path in outputs.values()}) != len(outputs):
        raise UsageError("two of --output, --csv and --report name the same file")
    for path in outputs.values():
        refuse_inputs(path, inputs)
        check_output(path, overwrite)
    return outputs


def _write(found: Evaluation, outputs: dict[str, Path], overwrite: bool) -> None:
    from talkhead.evaluation.report import as_html
    from talkhead.files import atomic_output

    makers = {"json": Evaluation.as_json, "csv": Evaluation.as_csv, "html": as_html}
    for kind, path in outputs.items():
        with atomic_output(path, overwrite) as temporary:
            temporary.write_text(makers[kind](found), encoding="utf-8")
