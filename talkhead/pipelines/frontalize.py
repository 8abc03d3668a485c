"""A photo or coefficients -> the same with the head turned to the camera."""

from __future__ import annotations

from talkhead.coeffs.container import Coeffs
from talkhead.coeffs.frontalize import frontalize as frontal
from talkhead.pipelines.choose import choose_system
from talkhead.pipelines.config import DEFAULTS, Framing, Result, check_options
from talkhead.pipelines.extract import extract_photo
from talkhead.pipelines.inputs import Motion, PathLike, Photo, open_source, read_motion, stamped
from talkhead.pipelines.outputs import VideoOptions, check_coeff_output, check_destination, write_if_asked
from talkhead.pipelines.progress import NoProgress, Progress
from talkhead.pipelines.render import one_frame, open_renderer, placed, result_of, write_frames


def frontalize(
    face: Photo,
    output: PathLike,
    *,
    strength: float = 1.0,
    system: str = DEFAULTS.system,
    device: str = DEFAULTS.device,
    dtype: str = DEFAULTS.dtype,
    size: int | None = None,
    framing: Framing = DEFAULTS.framing,
    face_choice: str | int | PathLike = DEFAULTS.face,
    mark: bool = True,
    visible_mark: bool = False,
    overwrite: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Result:
    """Turn the head of a photo to the camera.

    Args:
        face: photo. output: picture. strength: 1 all the way, 0 not at all. Others: as in `render`.
    Raises:
        FaceNotFoundError: no face. UsageError: a system that cannot do this.
    """
    check_options(framing=framing, size=size)
    kind = check_destination(output, overwrite=overwrite, inputs=[face, face_choice])
    chosen = choose_system(system, "frontalize", device)
    source = open_source(face, face_choice)
    own = extract_photo(source)
    coeffs = placed(one_frame(frontal(own, strength=strength), kind, None), own)
    renderer = open_renderer(chosen, source, device=device, dtype=dtype, size=size, framing=framing)
    if not dry_run:
        options = VideoOptions(mark=mark, visible_mark=visible_mark, overwrite=overwrite)
        write_frames(renderer, coeffs, output, kind, audio=None, options=options, progress=progress or NoProgress())
    return result_of(output, renderer, coeffs, chosen, written=not dry_run)


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
