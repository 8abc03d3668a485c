"""A photo or coefficients -> the same with the head turned to the camera."""

from __future__ import annotations

from typing import TYPE_CHECKING

from talkhead.coeffs.container import Coeffs
from talkhead.coeffs.frontalize import frontalize as frontal
from talkhead.pipelines.choose import choose_system
from talkhead.pipelines.config import DEFAULTS, RenderKeywords, RenderSettings, Result
from talkhead.pipelines.inputs import Motion, PathLike, Photo, open_source, read_motion, stamped
from talkhead.pipelines.outputs import check_coeff_output, check_destination, write_if_asked
from talkhead.pipelines.render import one_frame, open_renderer, own_coeffs, placed, result_of, write_frames

if TYPE_CHECKING:
    from typing_extensions import Unpack


def frontalize(face: Photo, output: PathLike, *, strength: float = 1.0, **words: Unpack[RenderKeywords]) -> Result:
    """Turn the head of a photo to the camera.

    Args:
        face: photo. output: picture. strength: 1 all the way, 0 not at all. words: how to make and write the picture;
            see `RenderSettings`.
    Raises:
        FaceNotFoundError: no face. UsageError: a system that cannot do this.
    """
    settings = RenderSettings.of(words)
    kind = check_destination(output, overwrite=settings.overwrite, inputs=[face, settings.face_choice])
    chosen = choose_system(settings.machine, "frontalize")
    source = open_source(face, settings.face_choice)
    renderer = open_renderer(chosen, source, settings)
    own = own_coeffs(renderer, source, chosen, settings.machine, DEFAULTS.fps)
    coeffs = placed(one_frame(frontal(own, strength=strength), kind, None), own)
    if not settings.dry_run:
        write_frames(renderer, coeffs, output, kind, audio=None, settings=settings)
    return result_of(output, renderer, coeffs, chosen, settings)


def frontalize_coeffs(
    motion: Motion, output: PathLike | None = None, *, strength: float = 1.0, overwrite: bool = False
) -> Coeffs:
    """Turn the head of every frame to the camera; expression, eyelids and gaze stay.

    Args:
        motion: coefficients, a file or "-". output: file to write too. strength: 1 all the way, 0 not at all.
    """
    check_coeff_output(output, overwrite=overwrite, inputs=[motion])
    coeffs = read_motion(motion)
    result = stamped(frontal(coeffs, strength=strength), "frontalize", {"frontalize": strength})
    return write_if_asked(result, output, overwrite=overwrite)
