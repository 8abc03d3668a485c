"""A compressed stream -> the video it stands for, drawn by any system that reads its space."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from talkhead.coeffs.anchor import anchored
from talkhead.coeffs.file import write_coeffs
from talkhead.coeffs.stream import StreamReader
from talkhead.pipelines.choose import choose_system
from talkhead.pipelines.config import RenderKeywords, RenderSettings, Result
from talkhead.pipelines.inputs import PathLike, stamped
from talkhead.pipelines.opened_stream import check_space, described, open_stream
from talkhead.pipelines.outputs import check_coeff_output, check_destination
from talkhead.pipelines.render import (
    fitted_to,
    has_codes,
    heard_in_file,
    one_frame,
    open_renderer,
    picture_wishes,
    readable,
    result_of,
    write_frames,
)

if TYPE_CHECKING:
    from typing_extensions import Unpack

COEFF_SUFFIX = ".safetensors"


def decompress(
    stream: PathLike, output: PathLike, *, frame: int | None = None, **words: Unpack[RenderKeywords]
) -> Result:
    """Draw a compressed stream.

    Args:
        stream: file that `compress` wrote, or "-". output: a video, a picture (one frame), a folder for pictures of all
            frames, or a coefficient file (`.safetensors`) for the motion alone. frame: only this frame, from 0.
        words: who draws, and how to make and write the pictures; see `RenderSettings`.
    Raises:
        CompressedStreamError: no such stream, damaged, cut off, or of a space that nobody here knows.
        FaceNotFoundError: no face in its picture. WeightsError: of a learned system. UsageError: options that do not
            fit.
    """
    from talkhead.media.stdin import spooled_input

    settings = RenderSettings.of(words)
    if Path(output).suffix.lower() == COEFF_SUFFIX:
        check_coeff_output(output, overwrite=settings.overwrite, inputs=[stream])
        with spooled_input(stream) as path:
            return _write_motion(path, stream, output, settings)
    kind = check_destination(output, overwrite=settings.overwrite, inputs=[stream])
    with spooled_input(stream) as path, open_stream(path, name=_name(stream)) as opened:
        coeffs = opened.coeffs
        frame = one_frame(coeffs, kind, frame)
        space = coeffs.space if has_codes(coeffs) else None
        chosen = choose_system(settings.machine, "render", space=space, wishes={"render": picture_wishes(settings)})
        renderer = open_renderer(chosen, opened.source, settings)
        if chosen.is_aligned or not chosen.reads(coeffs.space):
            coeffs = fitted_to(
                readable(coeffs, chosen, settings, opened.source), opened.source, chosen, settings.machine
            )
        else:
            coeffs = anchored(coeffs, opened.reference, renderer.rest_coeffs())
        if not settings.dry_run:
            sound = opened.sound if kind == "video" else None
            features = heard_in_file(chosen, renderer, opened.sound, coeffs, settings)
            write_frames(renderer, coeffs, output, kind, audio=sound, settings=settings, features=features, frame=frame)
        return result_of(output, renderer, coeffs, chosen, settings, frame)


def _write_motion(path: Path, stream: PathLike, output: PathLike, settings: RenderSettings) -> Result:
    with StreamReader(path, _name(stream)) as reader:
        check_space(reader)
        coeffs = stamped(described(reader, _name(stream)), "decompress", {}, stream)
    if not settings.dry_run:
        write_coeffs(output, coeffs, settings.overwrite)
    return Result(output=str(output), n_frames=len(coeffs), fps=coeffs.fps, written=not settings.dry_run)


def _name(stream: PathLike) -> str:
    return "standard input" if str(stream) == "-" else str(stream)
