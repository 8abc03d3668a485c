"""Single stages in this process: frames a second once everything is loaded and compiled."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from talkhead.pipelines.inputs import open_source, read_motion
from talkhead.pipelines.render import open_renderer
from talkhead.protocols import Drive


def rate(items: Iterable[Any], n_warm: int = 5) -> float:
    """Items a second after the first few."""
    iterator: Iterator[Any] = iter(items)
    for _ in itertools.islice(iterator, n_warm):
        pass
    start = time.perf_counter()
    count = sum(1 for _ in iterator)
    return count / (time.perf_counter() - start)


def video_rates(video: Path) -> dict[str, float]:
    """Decoding, tracking the decoded frames, and fitting the tracked points of one video."""
    from talkhead.face.mesh import FaceTracker
    from talkhead.face3d.fit import fit_video
    from talkhead.face3d.morphable import load_builtin
    from talkhead.media.video import open_clip

    model = load_builtin()
    with open_clip(video) as clip:
        rates = {"decode": rate(clip)}
        frames = list(itertools.islice(clip, 150))
        tracker = FaceTracker(fps=clip.fps)
        tracked = [tracker.track(frame) for frame in frames[:5]]
        start = time.perf_counter()
        tracked += [tracker.track(frame) for frame in frames[5:]]
        rates["track"] = (len(frames) - 5) / (time.perf_counter() - start)
        fit_video(tracked[:10], clip.size, clip.fps, model)
        start = time.perf_counter()
        fit_video(tracked, clip.size, clip.fps, model)
        rates["fit"] = len(tracked) / (time.perf_counter() - start)
    return rates


def render_rates(face: Path, motion: Path, folder: Path) -> dict[str, float]:
    """Preparing a photo (seconds), drawing frames, encoding them, and both at once as commands do it."""
    from talkhead.media.video import VideoWriter
    from talkhead.pipelines.choose import choose_system
    from talkhead.pipelines.config import Machine, RenderSettings

    settings = RenderSettings(machine=Machine(system="meshwarp", device="cpu"))
    system = choose_system(settings.machine, "render")
    coeffs = read_motion(motion)
    source = open_source(face)
    open_renderer(system, source, settings)
    start = time.perf_counter()
    renderer = open_renderer(system, source, settings)
    rates = {"prepare_s": time.perf_counter() - start}
    drive = Drive(coeffs=coeffs)
    rates["render"] = rate(renderer.render(drive))

    frames = [np.ascontiguousarray(frame) for frame in itertools.islice(renderer.render(drive), 75)]
    start = time.perf_counter()
    with VideoWriter(folder / "encode.mp4", renderer.size, coeffs.fps, overwrite=True) as writer:
        for frame in itertools.chain(frames, frames):
            writer.write(frame)
    rates["encode"] = 2 * len(frames) / (time.perf_counter() - start)

    with VideoWriter(folder / "both.mp4", renderer.size, coeffs.fps, overwrite=True) as writer:
        rates["render + encode"] = rate(map(writer.write, renderer.render(drive)))
    return rates
