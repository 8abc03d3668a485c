"""`prepare`: real videos -> a training set, one after the other or several at once, resumable at any point."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import logging
import multiprocessing
import shutil
import signal
from collections.abc import Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, replace
from pathlib import Path

from talkhead import __version__
from talkhead.errors import InputError, MediaError, OutputExistsError, UsageError
from talkhead.progress import NoProgress, Progress
from talkhead.training.clips import CRASHED, Outcome, VideoPreparer, build_listener, listening_system, started
from talkhead.training.config import PREPARE, PrepareConfig
from talkhead.training.index import (
    ABOUT,
    SHARDS,
    WORK,
    TrainingSet,
    append_outcome,
    outcome_of,
    read_set,
    rewrite_journal,
    write_about,
)
from talkhead.training.shards import ShardWriter
from talkhead.training.videos import Video, find_videos

log = logging.getLogger(__name__)
_PACKAGES = ("numpy", "opencv-contrib-python", "mediapipe", "torch")
_AHEAD = 2  # videos handed to each process before it asks: enough to keep it busy, few enough to stop at once


def prepare(
    videos: Sequence[str | Path],
    output: str | Path,
    *,
    config: PrepareConfig = PREPARE,
    jobs: int = 1,
    device: str = "cpu",
    overwrite: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> TrainingSet:
    """Make a training set of videos, or go on with one: videos that it has already looked at are passed over.

    A set is whole whenever this returns or is interrupted. With several jobs a script must guard its start
    with `if __name__ == "__main__"`, as always where processes are started.

    Args:
        videos: files, folders, tables (`find_videos`). output: folder of the set. config: what is kept.
        jobs: processes. device: for systems that listen. overwrite: throw a set that is there away first.
        dry_run: find the videos and check everything, write nothing.
        progress: is told of videos done.
    Returns:
        The set; `outcomes` has what became of every video, those of earlier runs too.
    Raises:
        UsageError: other settings than the set was begun with, or a system that does not listen.
        OutputExistsError: the folder holds something else. MediaError: it cannot be written.
        InputError: no videos are found, or nothing of them can be used.
    """
    folder = Path(output)
    if jobs < 1:
        raise UsageError(f"jobs is {jobs}, expected at least 1")
    for name in config.listen:
        listening_system(name)
    wanted = find_videos(videos)
    before = _begun(folder, config, overwrite=overwrite)
    done = {outcome.key: outcome for outcome in before.outcomes if not _is_changed(outcome)}
    todo = [video for video in wanted if video.key not in done]
    if dry_run:
        return before
    if not todo and before.kept:
        log.info("%s: all %d videos are in it already", folder, len(wanted))
        return before
    found = _run(before, todo, jobs, device, progress or NoProgress(), overwrite)
    if not found.kept:
        reasons = ", ".join(f"{reason} ({count})" for reason, count in found.reasons().items())
        raise InputError(f"nothing of {len(wanted)} videos can be used: {reasons}", hint=f"see {folder / ABOUT}")
    return found


def _begun(folder: Path, config: PrepareConfig, *, overwrite: bool) -> TrainingSet:
    """The set that is in the folder, or an empty one to be begun there; nothing is written."""
    from talkhead.face3d.morphable import load_builtin

    fresh = TrainingSet(
        folder=folder,
        config=config,
        space=load_builtin().space.name,
        created_by=f"talkhead {__version__} prepare",
        outcomes=(),
    )
    if folder.exists() and not folder.is_dir():
        raise MediaError(f"cannot write {folder}: it is a file")
    if not folder.exists():
        if not folder.parent.is_dir():
            raise MediaError(f"cannot write {folder}: there is no folder {folder.parent}", hint="create it first")
        return fresh
    if not (folder / ABOUT).exists():
        if any(folder.iterdir()):
            raise OutputExistsError(f"{folder} is not empty and holds no training set", hint="use another name")
        return fresh
    if overwrite:
        return fresh
    there = read_set(folder)
    settings, asked = asdict(there.config), asdict(config)
    settings["listen"], asked["listen"] = tuple(settings["listen"]), tuple(asked["listen"])
    for name, value in asked.items():
        if settings[name] != value:
            raise UsageError(
                f"{folder} was begun with {name}={settings[name]}, not {value}",
                hint="ask for the same again, use another folder, or --overwrite",
            )
    if there.space != fresh.space:
        raise UsageError(
            f"{folder} has codes of {there.space}, the face model is {fresh.space} now", hint="--overwrite"
        )
    return there


def _is_changed(outcome: Outcome) -> bool:
    """Whether a video that could not be read, or ended its process, deserves another try: its file is another one."""
    if not outcome.is_failure:
        return False
    try:
        status = Path(outcome.path).stat()
    except OSError:
        return False
    return (status.st_size, status.st_mtime_ns) != (outcome.file_bytes, outcome.mtime_ns)


def _run(
    before: TrainingSet, todo: list[Video], jobs: int, device: str, progress: Progress, overwrite: bool
) -> TrainingSet:
    folder = before.folder
    outcomes = [outcome for outcome in before.outcomes if outcome.key not in {video.key for video in todo}]
    if overwrite:
        for name in (SHARDS, WORK):
            shutil.rmtree(folder / name, ignore_errors=True)
    try:
        for name in (SHARDS, WORK):
            (folder / name).mkdir(parents=True, exist_ok=True)
        rewrite_journal(folder, outcomes)
    except OSError as error:
        raise MediaError(f"cannot write {folder}: {(error.strerror or str(error)).lower()}") from error
    write_about(replace(before, outcomes=tuple(outcomes)), _versions())
    writer = ShardWriter(folder / SHARDS, round(before.config.shard_mb * 1e6), before.ends())
    try:
        work = _outcomes(todo, before.config, folder / WORK, jobs, device, progress)
        with progress.stage("prepare", len(todo), "videos") as advance, contextlib.closing(work):
            for outcome in work:
                outcomes.append(_stored(folder, writer, outcome))
                if outcome.reason:
                    detail = f" ({outcome.detail})" if outcome.detail else ""
                    log.warning("%s: dropped, %s%s", outcome.label, outcome.reason, detail)
                advance(1)
        shutil.rmtree(folder / WORK, ignore_errors=True)
    finally:
        writer.close()
        found = replace(before, outcomes=tuple(outcomes))
        write_about(found, _versions())
    return found


def _stored(folder: Path, writer: ShardWriter, outcome: Outcome) -> Outcome:
    """Append the samples of a video to the shards, and make them count."""
    part = folder / WORK / f"{outcome.key}.tar"
    if outcome.samples:
        shard, begin = writer.append(part)
        outcome = replace(outcome, shard=shard, begin=begin)
    append_outcome(folder, outcome)
    part.unlink(missing_ok=True)
    part.with_suffix(".json").unlink(missing_ok=True)
    return outcome


def _outcomes(
    todo: list[Video], config: PrepareConfig, work: Path, jobs: int, device: str, progress: Progress
) -> Generator[Outcome, None, None]:
    """What becomes of each video; those that an interrupted run had finished come first."""
    left = []
    for video in todo:
        finished = _finished(work, video)
        if finished is None:
            left.append(video)
        else:
            yield finished
    for leftover in work.glob(".*.partial*"):
        leftover.unlink(missing_ok=True)
    if jobs == 1 or len(left) < 2:
        preparer = VideoPreparer(config, work, device)
        for video in left:
            with progress.stage("track", None) as advance:
                yield preparer.prepare(video, advance)
        return
    for name in config.listen:
        build_listener(name, device)  # what it lacks is said here, not by every process
    while left:
        suspects, left = yield from _pooled(left, config, work, min(jobs, len(left)), device)
        # A video that ends its process takes its neighbours down too; alone, each shows whether it is the one.
        for video in suspects:
            guilty, _ = yield from _pooled([video], config, work, 1, device)
            if guilty:
                yield started(video, reason=CRASHED, detail="the process that worked on it ended")


def _finished(work: Path, video: Video) -> Outcome | None:
    """The outcome of a video whose part is there, whole, but in no shard yet."""
    try:
        outcome = outcome_of(json.loads((work / f"{video.key}.json").read_text(encoding="utf-8")), video.key)
    except (OSError, ValueError, InputError):
        return None
    return outcome if not outcome.samples or (work / f"{video.key}.tar").is_file() else None


_preparer: VideoPreparer | None = None


def _start_worker(config: PrepareConfig, work: Path, device: str) -> None:
    global _preparer
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal tells every process; the parent ends them
    import cv2
    import torch

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    _preparer = VideoPreparer(config, work, device)


def _work(video: Video) -> Outcome:
    assert _preparer is not None
    return _preparer.prepare(video)


def _pooled(
    videos: list[Video], config: PrepareConfig, work: Path, jobs: int, device: str
) -> Generator[Outcome, None, tuple[list[Video], list[Video]]]:
    """Outcomes as they come; if a process ended by itself, returns the videos then in work, and those not begun."""
    waiting = list(reversed(videos))
    running: dict[Future[Outcome], Video] = {}
    before = set(multiprocessing.active_children())
    # Spawned, for threads of OpenCV and PyTorch do not survive a fork.
    pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _start_worker, (config, work, device))
    try:
        while waiting or running:
            while waiting and len(running) < jobs * _AHEAD:
                video = waiting.pop()
                running[pool.submit(_work, video)] = video
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                outcome = future.result()
                del running[future]
                yield outcome
    except BrokenProcessPool:
        return list(running.values()), waiting[::-1]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        if running:
            for process in set(multiprocessing.active_children()) - before:
                process.terminate()
        pool.shutdown()
    return [], []


def _versions() -> dict[str, str]:
    found = {"talkhead": __version__}
    for name in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found
