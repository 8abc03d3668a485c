"""Photo + coefficients -> frames -> video, picture or folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from talkhead.coeffs.change import scale_exp
from talkhead.coeffs.container import Coeffs
from talkhead.coeffs.edit import apply_edits, parse_edit
from talkhead.coeffs.retarget import retarget
from talkhead.errors import UsageError
from talkhead.pipelines.choose import build, build_extractor, choose_system, understood, weights_for
from talkhead.pipelines.config import DEFAULTS, Machine, RenderKeywords, RenderSettings, Result, check_scale
from talkhead.pipelines.inputs import (
    Motion,
    PathLike,
    Photo,
    check_sound,
    known_space,
    open_source,
    open_speech,
    read_motion,
)
from talkhead.pipelines.outputs import (
    Frame,
    Kind,
    check_destination,
    open_frames,
    size_in_file,
    video_options,
    write_picture,
)
from talkhead.progress import NoProgress, tracked
from talkhead.protocols import F32, Drive, Renderer, Source, Speech, SystemInfo

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from talkhead.enhance.enhancer import Enhancer

_PORTRAIT = 1.6  # side of the picture by which an enhancer knows a face, in widths of the face


def render(
    face: Photo,
    motion: Motion | Sequence[Motion],
    output: PathLike,
    *,
    audio: PathLike | None = None,
    frame: int | None = None,
    still: bool = False,
    exp_scale: float = DEFAULTS.exp_scale,
    yaw: str | float | None = None,
    pitch: str | float | None = None,
    roll: str | float | None = None,
    **words: Unpack[RenderKeywords],
) -> Result:
    """Move a photo by coefficients.

    Args:
        face: photo. motion: coefficients, files or "-", merged in order. output: a video, a picture (one frame), or a
            folder for pictures of all frames. audio: sound track to put in,
            and what networks that listen hear; these may draw pictures with it too. frame: only this frame, from 0.
        still: leave the head as it is in the photo. exp_scale: strength of the expression.
        yaw, pitch, roll: head angles in degrees instead of the motion's own, as in `animate`.
        words: how to make and write the pictures; see `RenderSettings`.
    Raises:
        CoeffFileError: broken. UsageError: codes of a space that the system does not read and nobody can convert, or
            options that do not fit. FaceNotFoundError: no face in the photo. WeightsError: of a learned system.
        OutputExistsError: the output is there and `overwrite` is false.
    """
    settings = RenderSettings.of(words)
    files = [motion] if isinstance(motion, (str, Path, Coeffs)) else motion
    kind = check_destination(output, overwrite=settings.overwrite, inputs=[face, *files, audio, settings.face_choice])
    check_sound(audio)
    check_scale("exp_scale", exp_scale)
    coeffs = read_motion(motion)
    frame = one_frame(coeffs, kind, frame)
    space = coeffs.space if has_codes(coeffs) else None
    chosen = choose_system(settings.machine, "render", space=space, wishes={"render": picture_wishes(settings)})
    goes_nowhere = audio is not None and kind != "video"
    if goes_nowhere and "listen" not in chosen.stages:
        raise _needs_a_video()
    source = open_source(face, settings.face_choice)
    angles = {name: None if a is None else str(a) for name, a in (("yaw", yaw), ("pitch", pitch), ("roll", roll))}
    renderer = open_renderer(chosen, source, settings, turned_by(chosen, angles))
    if goes_nowhere and not renderer.hears:
        raise _needs_a_video()
    coeffs = shaped(readable(coeffs, chosen, settings, source), still, exp_scale)
    coeffs = turned(fitted_to(coeffs, source, chosen, settings.machine), chosen, angles)
    if settings.dry_run:
        return result_of(output, renderer, coeffs, chosen, settings, frame)
    sound = None if audio is None else Path(audio)
    features = heard_in_file(chosen, renderer, sound, coeffs, settings)
    track = sound if kind == "video" else None
    write_frames(renderer, coeffs, output, kind, audio=track, settings=settings, features=features, frame=frame)
    return result_of(output, renderer, coeffs, chosen, settings, frame)


def _needs_a_video() -> UsageError:
    return UsageError("--audio needs a video to go into", hint="end the output's name in .mp4")


def picture_wishes(settings: RenderSettings) -> dict[str, Any]:
    """What not every system can do of a picture's settings; see `SystemInfo.lacks`."""
    return {"size": settings.size, "preprocess": settings.preprocess, "blend": settings.blend}


def open_renderer(
    system: SystemInfo, source: Source, settings: RenderSettings, more: Mapping[str, Any] | None = None
) -> Renderer:
    """Prepare a source with a system's renderer, and the enhancer of its frames where one is asked for.

    Args:
        system: who draws. source: photo and face. settings: how. more: further options that the system understands.
    Raises:
        UsageError: an option that the system does not understand. WeightsError: weights cannot be had.
    """
    options = understood(system, {"preprocess": settings.preprocess, "blend": settings.blend, **(more or {})})
    for name in ("size", "framing"):
        if getattr(settings, name) is not None:
            options[name] = getattr(settings, name)
    factory = build(system, "render", settings.machine, settings.progress)
    renderer: Renderer = factory(source, **options)
    enhancer = open_enhancer_for(settings)
    return renderer if enhancer is None else Enhanced(renderer, enhancer, enhanced_face(source, settings))


@dataclass(frozen=True, slots=True)
class Enhanced:
    """A renderer whose frames are enhanced.

    Attributes:
        renderer: draws. enhancer: makes its frames better. face: which face of theirs.
    """

    renderer: Renderer
    enhancer: Enhancer
    face: Any

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the enhanced frames."""
        return self.enhancer.size(*self.renderer.size)

    @property
    def hears(self) -> tuple[str, ...]:
        """As the renderer's."""
        return self.renderer.hears

    def rest_coeffs(self) -> Coeffs:
        """As the renderer's."""
        return self.renderer.rest_coeffs()

    def render(self, drive: Drive) -> Iterator[Frame]:
        """As the renderer's, enhanced."""
        return self.enhancer.frames(self.renderer.render(drive), drive.coeffs.fps, face=self.face)


def has_codes(coeffs: Coeffs) -> bool:
    """Whether there is anything whose meaning depends on a face model."""
    return coeffs.exp is not None or coeffs.id is not None


def readable(coeffs: Coeffs, system: SystemInfo, settings: RenderSettings, source: Source) -> Coeffs:
    """The motion in a space that the system's renderer reads, converted if need be.

    Raises:
        UsageError: nobody knows the way. CoeffFileError: the conversion is too inexact to be of use.
    """
    if not has_codes(coeffs) or system.reads(coeffs.space):
        return coeffs
    from talkhead.pipelines.convert import in_space

    machine = settings.machine
    return in_space(
        coeffs,
        system.spaces[0],
        device=machine.device,
        dtype=machine.dtype,
        weights=weights_for(machine, settings.progress),
        source=source,
        progress=settings.progress,
    )


def shaped(coeffs: Coeffs, still: bool, exp_scale: float) -> Coeffs:
    """The motion without the head's, if it is to be still, and with the expression scaled."""
    if still:
        coeffs = without_head(coeffs)
    if exp_scale != 1.0 and coeffs.exp is not None:
        coeffs = scale_exp(coeffs, np.full(len(coeffs), exp_scale))
    return coeffs


def without_head(coeffs: Coeffs) -> Coeffs:
    """The motion of the face alone; a photo's head then stays as it is."""
    rest = {name: None for name in ("rot", "trans", "scale")}
    if not coeffs.tensors().keys() - rest.keys():  # nothing else is there: a head that does not move is still a motion
        zeros = np.zeros((len(coeffs), 3), np.float32)
        return coeffs.replace(rot=zeros, trans=None, scale=None, relative=coeffs.relative | {"rot"})
    return coeffs.replace(**rest)


def turned_by(system: SystemInfo, angles: Mapping[str, str | None]) -> dict[str, str]:
    """The angles that a system's renderer sets itself."""
    return {name: text for name, text in angles.items() if text is not None and name in system.understands}


def turned(coeffs: Coeffs, system: SystemInfo, angles: Mapping[str, str | None]) -> Coeffs:
    """Head angles set by the user in place of the motion's own, for renderers that do not set them themselves."""
    edits = [
        parse_edit(name, "=" + spread(text, coeffs.duration_s))
        for name, text in angles.items()
        if text is not None and name not in system.understands
    ]
    return apply_edits(coeffs, edits) if edits else coeffs


def spread(text: str, duration_s: float) -> str:
    """`v,v,v` -> keyframes at equal distances over the whole duration; anything else stays."""
    values = text.split(",")
    if len(values) == 1 or ":" in text:
        return text
    step = duration_s / (len(values) - 1)
    return ",".join(f"{i * step:.6f}:{value}" for i, value in enumerate(values))


def fitted_to(coeffs: Coeffs, source: Source, system: SystemInfo, machine: Machine) -> Coeffs:
    """Bring absolute motion to the place and size of the photo's head; relative motion needs nothing.

    Coefficients of a picture of the photo's size are taken at their word; from other pictures only the changes count.
    A system that measures heads in an aligned picture of their own knows no other places.
    """
    if system.is_aligned:
        return coeffs
    if not any(getattr(coeffs, name) is not None and name not in coeffs.relative for name in ("trans", "scale")):
        return coeffs
    own = build_extractor(system, machine).photo(source, fps=coeffs.fps, like=coeffs)
    height, width = source.image.shape[:2]
    if coeffs.size is not None and tuple(coeffs.size) != (width, height):
        coeffs = retarget(coeffs, source=own, mode="absolute", space=known_space(own.space))
    return placed(coeffs, own)


def own_coeffs(renderer: Renderer, source: Source, system: SystemInfo, machine: Machine, fps: float) -> Coeffs:
    """A photo's own coefficients in the photo's pixels, one frame; of a system that aligns heads, its renderer's."""
    if system.is_aligned:
        return renderer.rest_coeffs().replace(fps=fps)
    return build_extractor(system, machine).photo(source, fps=fps)


def placed(coeffs: Coeffs, own: Coeffs) -> Coeffs:
    """Absolute position and size as offsets from a photo's own, so that they hold at any output size and framing.

    Args:
        coeffs: motion measured in the photo's pixels, or in those of a picture of the same size. own: coefficients of
            the photo, one frame.
    """
    changes: dict[str, Any] = {}
    relative = set(coeffs.relative)
    if coeffs.trans is not None and own.trans is not None and "trans" not in relative:
        changes["trans"] = coeffs.trans - own.trans[:1]
        relative.add("trans")
    if coeffs.scale is not None and own.scale is not None and "scale" not in relative:
        changes["scale"] = coeffs.scale / own.scale[:1]
        relative.add("scale")
    return coeffs.replace(relative=frozenset(relative), **changes) if changes else coeffs


def one_frame(coeffs: Coeffs, kind: Kind, frame: int | None) -> int | None:
    """The only frame that is to be drawn, None: all; a picture shows frame 0 unless told otherwise.

    The motion stays whole: some systems look at a frame's neighbours; places, angles and sound count from its start.

    Raises:
        UsageError: there is no such frame, or `frame` with a video.
    """
    if frame is None and kind != "picture":
        return None
    if kind == "video":
        raise UsageError("--frame makes a picture, not a video", hint="end the output's name in .png")
    index = frame or 0
    if not 0 <= index < len(coeffs):
        raise UsageError(f"--frame is {index}, the motion has {len(coeffs)} frames, counted from 0")
    return index


def heard(
    system: SystemInfo, renderer: Renderer, speech: Speech, coeffs: Coeffs, settings: RenderSettings
) -> dict[str, F32]:
    """What a renderer that also listens hears in the speech, for each frame; nothing for the others."""
    if not renderer.hears:
        return {}
    listen = build(system, "listen", settings.machine, settings.progress)
    with (settings.progress or NoProgress()).stage("listen", None):
        found: dict[str, F32] = listen(speech, fps=coeffs.fps, n_frames=len(coeffs))
    return {name: found[name] for name in renderer.hears}


def heard_in_file(
    system: SystemInfo, renderer: Renderer, sound: Path | None, coeffs: Coeffs, settings: RenderSettings
) -> dict[str, F32]:
    """As `heard`, of a sound file or a video's sound; nothing without one."""
    if sound is None or not renderer.hears:
        return {}
    with open_speech(sound) as opened:
        return heard(system, renderer, opened.speech, coeffs, settings)


def write_frames(
    renderer: Renderer,
    coeffs: Coeffs,
    output: PathLike,
    kind: Kind,
    *,
    audio: Path | None,
    settings: RenderSettings,
    features: Mapping[str, F32] | None = None,
    frame: int | None = None,
) -> None:
    """Render and write frame by frame, or one alone (`one_frame`); only a few frames are in memory at a time."""
    options = video_options(settings)
    drive = Drive(coeffs=coeffs, features=dict(features or {}), frame=frame)
    frames = tracked(renderer.render(drive), settings.progress or NoProgress(), "render", len(drive.frames))
    if kind == "picture":
        write_picture(list(frames)[0], output, options)
        return
    with open_frames(output, kind, renderer.size, coeffs.fps, audio=audio, options=options) as writer:
        for image in frames:
            writer.write(image)


def open_enhancer_for(settings: RenderSettings) -> Enhancer | None:
    """The enhancer that was asked for, None if there is none.

    Raises:
        UsageError: no such enhancer. WeightsError: its weights cannot be had.
    """
    config = settings.enhancement
    if config is None:
        return None
    from talkhead.device import resolve_device, resolve_dtype
    from talkhead.enhance.enhancer import open_enhancer

    machine = settings.machine
    device = resolve_device(machine.device)
    weights = weights_for(machine, settings.progress)
    return open_enhancer(config, weights=weights, device=device, dtype=resolve_dtype(machine.dtype, device))


def enhanced_face(source: Source, settings: RenderSettings) -> Any:
    """How to find the animated face among the frames' faces: the largest, or the one like in the photo.

    An index counts the photo's faces, of which the frames may show only one.
    """
    if settings.face_choice == DEFAULTS.face:
        return DEFAULTS.face
    from talkhead.face.crop import face_crop

    x0, y0, x1, y1 = source.landmarks.bbox
    side = max(64, round(_PORTRAIT * max(x1 - x0, y1 - y0)))
    return face_crop(source.landmarks, side, width=_PORTRAIT).cut(source.image)


def result_of(
    output: PathLike,
    renderer: Renderer,
    coeffs: Coeffs,
    system: SystemInfo,
    settings: RenderSettings,
    frame: int | None = None,
) -> Result:
    """The result of rendering `coeffs`, or a frame of it."""
    return Result(
        output=str(output),
        system=system.name,
        n_frames=len(coeffs) if frame is None else 1,
        fps=coeffs.fps,
        size=size_in_file(output, renderer.size, settings.codec),
        written=not settings.dry_run,
    )
