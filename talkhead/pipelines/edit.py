"""Edits: coefficients -> coefficients, or a photo -> a photo (or a film of it) with the edits applied."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from talkhead.coeffs.container import Coeffs
from talkhead.coeffs.convert import Conversion
from talkhead.coeffs.edit import Edit, apply_edits, parse_edit
from talkhead.coeffs.file import read_coeffs
from talkhead.coeffs.retime import stretch
from talkhead.errors import UsageError
from talkhead.face3d.spaces import require_known
from talkhead.pipelines.choose import choose_system, weights_for
from talkhead.pipelines.config import DEFAULTS, Machine, MachineKeywords, RenderKeywords, RenderSettings, Result
from talkhead.pipelines.inputs import Motion, PathLike, Photo, known_space, open_source, read_motion, stamped
from talkhead.pipelines.outputs import check_coeff_output, check_destination, write_if_asked
from talkhead.pipelines.render import (
    one_frame,
    open_renderer,
    own_coeffs,
    picture_wishes,
    placed,
    result_of,
    write_frames,
)

if TYPE_CHECKING:
    from typing_extensions import Unpack

Edits = Mapping[str, object] | Iterable[Edit]


def edit(
    motion: Motion | Sequence[Motion],
    edits: Edits,
    output: PathLike | None = None,
    *,
    overwrite: bool = False,
    **machine: Unpack[MachineKeywords],
) -> Coeffs:
    """Edit coefficients.

    Args:
        motion: coefficients, files or "-", merged in order. edits: name -> value as on the command line
            (`{"smile": 0.4, "yaw": "+=0:0,1:5", "mirror": ""}`), or ready `Edit`s. output: file to write too.
        machine: who converts to another space, and what may be downloaded for it; see `Machine`.
    Raises:
        UsageError: unknown edit, a value out of range, or no way to another space. CoeffFileError: broken file.
    """
    conversion = _conversion(Machine.of(machine))
    files = [motion] if isinstance(motion, (str, Path, Coeffs)) else list(motion)
    check_coeff_output(output, overwrite=overwrite, inputs=files)
    coeffs = read_motion(files)
    changes = as_edits(edits)
    for change in changes:
        if change.name == "space":
            require_known(change.word)  # before a network is fetched for another one
    edited = apply_edits(coeffs, changes, space=known_space(coeffs.space), conversion=conversion)
    edited = stamped(edited, "edit", {"edits": [change.name for change in changes]})
    return write_if_asked(edited, output, overwrite=overwrite)


def edit_photo(
    face: Photo, edits: Edits, output: PathLike, *, fps: float = DEFAULTS.fps, **words: Unpack[RenderKeywords]
) -> Result:
    """Edit a photo: extract its coefficients, edit them, render it with them.

    Args:
        face: photo. edits: as in `edit`; keyframes make a film as long as the last of them. output: picture, video, or
            folder. fps: of a film. words: how to make and write the pictures; see `RenderSettings`.
    Raises:
        UsageError: keyframes with a picture as output. Others: as `render`.
    """
    settings = RenderSettings.of(words)
    kind = check_destination(output, overwrite=settings.overwrite, inputs=[face, settings.face_choice])
    changes = as_edits(edits)
    chosen = choose_system(settings.machine, "render", wishes={"render": picture_wishes(settings)})
    source = open_source(face, settings.face_choice)
    renderer = open_renderer(chosen, source, settings)
    own = own_coeffs(renderer, source, chosen, settings.machine, fps)
    length_s = max((change.length_s for change in changes), default=0.0)
    if length_s > 0 and kind == "picture":
        raise UsageError("keyframes make a film, not a picture", hint="end the output's name in .mp4")
    still = stretch(own, max(1.0, round(length_s * fps) + 1.0)) if length_s else own
    edited = apply_edits(still, changes, space=known_space(own.space))
    coeffs, frame = placed(edited, own), one_frame(edited, kind, None)
    if not settings.dry_run:
        write_frames(renderer, coeffs, output, kind, audio=None, settings=settings, frame=frame)
    return result_of(output, renderer, coeffs, chosen, settings, frame)


def as_edits(edits: Edits) -> list[Edit]:
    """Edits from a mapping of names to values (False leaves an edit out), or as they are.

    Raises:
        UsageError: unknown name, or a value that does not fit.
    """
    if not isinstance(edits, Mapping):
        return list(edits)
    return [_as_edit(str(name), value) for name, value in edits.items() if value is not False]


def _conversion(machine: Machine) -> Conversion:
    def convert(coeffs: Coeffs, target: str) -> Coeffs:
        from talkhead.pipelines.convert import in_space

        return in_space(coeffs, target, weights=weights_for(machine), device=machine.device, dtype=machine.dtype)

    return convert


def _as_edit(name: str, value: object) -> Edit:
    if name == "id-from":
        return Edit(name=name, coeffs=value if isinstance(value, Coeffs) else read_coeffs(str(value)))
    return parse_edit(name, "" if value is True or value is None else str(value))
