"""The options that several commands share, in one spelling; the decorator that gives every command `-q -v --json`."""

from __future__ import annotations

import functools
import inspect
import re
import sys
import warnings
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from talkhead.cli import report
from talkhead.cli.report import Reporter
from talkhead.errors import UsageError
from talkhead.pipelines.config import DEFAULTS, MAX_POSE_SCALE, MAX_SIZE, MIN_SIZE, Result

if TYPE_CHECKING:
    from talkhead.coeffs.container import Coeffs

MACHINE, PICTURE, MESSAGES = "Machine", "Picture", "Messages"
SPEAKING = "Speaking and moving"


class Codec(str, Enum):
    """Video codecs that can be written."""

    h264 = "h264"
    h265 = "h265"
    vp9 = "vp9"
    av1 = "av1"
    ffv1 = "ffv1"


class Dtype(str, Enum):
    """Number formats of the learned systems."""

    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


class Framing(str, Enum):
    """What of the photo the video shows."""

    full = "full"
    crop = "crop"


class Preprocess(str, Enum):
    """SadTalker's words for what of the photo is drawn."""

    crop = "crop"
    extcrop = "extcrop"
    resize = "resize"
    full = "full"
    extfull = "extfull"


class Blend(str, Enum):
    """How a drawn head goes back into the whole picture."""

    feather = "feather"
    poisson = "poisson"


class MotionMode(str, Enum):
    """How a driver's motion is laid on another face."""

    auto = "auto"
    relative = "relative"
    absolute = "absolute"
    adapted = "adapted"


class PhonemeSet(str, Enum):
    """Alphabets of phone times."""

    auto = "auto"
    ipa = "ipa"
    arpabet = "arpabet"


Face = Annotated[str, typer.Argument(metavar="FACE", help="Photo, or a video whose first frame is taken.")]
Audio = Annotated[str, typer.Argument(metavar="AUDIO", help="Speech: a sound or video file; - is standard input.")]
Output = Annotated[str, typer.Option("--output", "-o", metavar="PATH", help="Where to write.")]
CoeffOutput = Annotated[
    str, typer.Option("--output", "-o", metavar="PATH", help="Coefficient file to write; - is standard output.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an output that is already there.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check the inputs, say what would be done, write nothing.")]
System = Annotated[
    str, typer.Option("--system", metavar="NAME", help="Who computes; see `talkhead systems`.", rich_help_panel=MACHINE)
]
Device = Annotated[
    str, typer.Option("--device", metavar="auto|cpu|cuda[:N]|mps", help="Where to compute.", rich_help_panel=MACHINE)
]
DtypeOption = Annotated[
    Dtype, typer.Option("--dtype", help="Number format of a learned system.", rich_help_panel=MACHINE)
]
Seed = Annotated[
    int, typer.Option("--seed", min=0, help="Same seed, same machine: same result.", rich_help_panel=MACHINE)
]
Fps = Annotated[float, typer.Option("--fps", min=1, max=240, help="Frames per second.")]
FpsOrSource = Annotated[
    str, typer.Option("--fps", metavar="NUMBER|source", help="Frames per second; source: those of the video.")
]
Size = Annotated[
    int | None,
    typer.Option(
        "--size",
        min=MIN_SIZE,
        max=MAX_SIZE,
        help="Longer side in pixels; sadtalker draws squares of 256 or 512.",
        show_default="the photo's; sadtalker: 256",
        rich_help_panel=PICTURE,
    ),
]
FaceChoice = Annotated[
    str,
    typer.Option(
        "--face",
        metavar="largest|INDEX|PICTURE",
        help="Which face: the largest, a number from left to right starting at 0, or the one like in PICTURE.",
        rich_help_panel=PICTURE,
    ),
]
FramingOption = Annotated[
    Framing | None,
    typer.Option(
        "--framing",
        help="The whole picture, or a square around the head.",
        show_default="full; sadtalker: crop",
        rich_help_panel=PICTURE,
    ),
]
PreprocessOption = Annotated[
    Preprocess | None,
    typer.Option(
        "--preprocess",
        help="SadTalker's finer word for --framing: full and extfull put the drawn head back into the whole picture.",
        rich_help_panel=PICTURE,
    ),
]
BlendOption = Annotated[
    Blend | None,
    typer.Option(
        "--blend",
        help="How the head goes back: with a soft border, or by Poisson blending as SadTalker does.",
        show_default="feather",
        rich_help_panel=PICTURE,
    ),
]
Enhance = Annotated[
    str | None,
    typer.Option(
        "--enhance",
        metavar="gfpgan|restoreformer|codeformer",
        help="Restore the face of every frame.",
        rich_help_panel=PICTURE,
    ),
]
EnhanceStrength = Annotated[
    float,
    typer.Option(
        "--enhance-strength", min=0, max=1, help="How much of the restored face is taken.", rich_help_panel=PICTURE
    ),
]
EnhanceBackground = Annotated[
    str | None,
    typer.Option(
        "--enhance-background",
        metavar="NAME",
        help="Upscale the rest of every frame too: realesrgan-x2, or realesrgan-general, which is faster.",
        rich_help_panel=PICTURE,
    ),
]
NoDownload = Annotated[
    bool, typer.Option("--no-download", help="Fetch no weights from the network.", rich_help_panel=MACHINE)
]
Checkpoint = Annotated[
    str | None,
    typer.Option(
        "--checkpoint",
        metavar="FILE",
        help="Weights of your own, as `talkhead train` writes them; headgan also knows the words warp and pncc.",
        rich_help_panel=MACHINE,
    ),
]
AcceptLicence = Annotated[
    list[str] | None,
    typer.Option(
        "--accept-licence",
        metavar="NAME",
        help="Accept a licence of weights, e.g. CC-BY-NC-4.0.",
        rich_help_panel=MACHINE,
    ),
]
Yaw = Annotated[
    str | None,
    typer.Option(
        metavar="DEGREES",
        help="Set the head's turn: a value, t:v,t:v keyframes, or v,v,v over the whole motion. 0 is as in the photo;"
        " with sadtalker frontal.",
        rich_help_panel=SPEAKING,
    ),
]
Pitch = Annotated[str | None, typer.Option(metavar="DEGREES", help="Set the head's nod.", rich_help_panel=SPEAKING)]
Roll = Annotated[str | None, typer.Option(metavar="DEGREES", help="Set the head's tilt.", rich_help_panel=SPEAKING)]
RefPose = Annotated[
    str | None,
    typer.Option(
        "--ref-pose",
        metavar="CLIP|COEFFS",
        help="Take the head motion of this clip, played to and fro; sadtalker adds it to the speech's own.",
        rich_help_panel=SPEAKING,
    ),
]
ExpScale = Annotated[
    float,
    typer.Option("--exp-scale", min=0, max=2, help="Strength of the face's motion.", rich_help_panel=SPEAKING),
]
Articulation = Annotated[
    float,
    typer.Option(
        "--articulation",
        min=0,
        max=2,
        help="How carefully the mouth speaks: 0 mumbled, 1 as the speech asks, 2 over-articulated.",
        rich_help_panel=SPEAKING,
    ),
]
Phonemes = Annotated[
    str | None,
    typer.Option(
        "--phonemes",
        metavar="FILE",
        help="When which sounds are spoken, from an aligner: TextGrid, .lab, .json, .csv.",
        rich_help_panel=SPEAKING,
    ),
]
PhonemeSetOption = Annotated[
    PhonemeSet,
    typer.Option("--phoneme-set", help="Alphabet of --phonemes; auto: told by the names.", rich_help_panel=SPEAKING),
]
Transcript = Annotated[
    str | None,
    typer.Option(
        "--transcript",
        metavar="TEXT|FILE|auto",
        help="What is said, word for word, English only; auto: recognise it. Needs the extra `align`.",
        rich_help_panel=SPEAKING,
    ),
]
Blinks = Annotated[bool, typer.Option("--blinks/--no-blinks", help="Blink now and then.", rich_help_panel=SPEAKING)]
RefEyeblink = Annotated[
    str | None,
    typer.Option(
        "--ref-eyeblink", metavar="CLIP|COEFFS", help="Take the blinks of this clip.", rich_help_panel=SPEAKING
    ),
]
PoseStyle = Annotated[
    str,
    typer.Option(
        "--pose-style",
        metavar="NAME|NUMBER",
        help="How the head moves: still, calm, natural, lively, presenter, or a person's number 0..45;"
        " sadtalker: still or 0..45.",
        rich_help_panel=SPEAKING,
    ),
]
PoseScale = Annotated[
    float,
    typer.Option(
        "--pose-scale", min=0, max=MAX_POSE_SCALE, help="Strength of the head's motion.", rich_help_panel=SPEAKING
    ),
]
Reference = Annotated[
    str | None,
    typer.Option(
        "--reference",
        metavar="CLIP|COEFFS",
        help="Move the head in the manner of this clip of at least 3 s; for sadtalker: the face that will speak.",
        rich_help_panel=SPEAKING,
    ),
]
Manner = Annotated[
    str | None,
    typer.Option(
        "--reference",
        metavar="CLIP|COEFFS",
        help="Move the head in the manner of this clip of at least 3 s; sadtalker cannot.",
        rich_help_panel=SPEAKING,
    ),
]
Crf = Annotated[
    int, typer.Option("--crf", min=0, max=51, help="Video quality: 0 best, 51 worst.", rich_help_panel=PICTURE)
]
CodecOption = Annotated[
    Codec | None, typer.Option("--codec", help="Video codec.", show_default="by the suffix", rich_help_panel=PICTURE)
]
NoMark = Annotated[
    bool,
    typer.Option("--no-mark", help="Leave out the invisible mark and the note of origin.", rich_help_panel=PICTURE),
]
VisibleMark = Annotated[
    bool, typer.Option("--visible-mark", help="Label the picture as synthetic.", rich_help_panel=PICTURE)
]

_Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Only errors on stderr, no result line.", rich_help_panel=MESSAGES)
]
_Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Debug messages, tracebacks of errors.", rich_help_panel=MESSAGES)
]
_Json = Annotated[
    bool, typer.Option("--json", help="Events and results as JSON lines on stdout.", rich_help_panel=MESSAGES)
]
_NoProgress = Annotated[bool, typer.Option("--no-progress", help="No progress bars.", rich_help_panel=MESSAGES)]


def reporting(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command `-q -v --json --no-progress`, and hand it the `Reporter` they make as `reporter`."""
    signature = inspect.signature(command, eval_str=True)
    own = [p for p in signature.parameters.values() if p.name != "reporter"]
    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=annotation)
        for name, annotation in (
            ("quiet", _Quiet), ("verbose", _Verbose), ("json_lines", _Json), ("no_progress", _NoProgress)
        )
    ]  # fmt: skip

    @functools.wraps(command)
    def run(*, quiet: bool, verbose: bool, json_lines: bool, no_progress: bool, **arguments: Any) -> None:
        verbosity = -1 if quiet else 1 if verbose else 0
        reporter = Reporter(verbosity=verbosity, json_lines=json_lines, bars=not no_progress)
        report.activate(reporter)
        if quiet and verbose:
            raise UsageError("--quiet and --verbose contradict each other")
        if json_lines and arguments.get("output") == "-":
            raise UsageError("--json and -o - both want standard output", hint="write the coefficients to a file")
        with warnings.catch_warnings():
            if not verbose:
                warnings.simplefilter("ignore")  # libraries' notes to developers
            command(**arguments, reporter=reporter)

    run.__signature__ = signature.replace(parameters=[*own, *shared])  # type: ignore[attr-defined]
    return run


# What every computing command, and every command that makes pictures, asks for: parameter, type, default.
_MACHINE: tuple[tuple[str, Any, Any], ...] = (
    ("system", System, DEFAULTS.system),
    ("device", Device, DEFAULTS.device),
    ("dtype", DtypeOption, Dtype.auto),
    ("no_download", NoDownload, False),
    ("accept_licence", AcceptLicence, None),
    ("checkpoint", Checkpoint, None),
)
_PICTURE: tuple[tuple[str, Any, Any], ...] = (
    ("overwrite", Overwrite, False),
    ("dry_run", DryRun, False),
    ("size", Size, None),
    ("framing", FramingOption, None),
    ("preprocess", PreprocessOption, None),
    ("blend", BlendOption, None),
    ("face_choice", FaceChoice, DEFAULTS.face),
    ("enhance", Enhance, None),
    ("enhance_strength", EnhanceStrength, 1.0),
    ("enhance_background", EnhanceBackground, None),
    ("crf", Crf, DEFAULTS.crf),
    ("codec", CodecOption, None),
    ("no_mark", NoMark, False),
    ("visible_mark", VisibleMark, False),
)


def computing(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of `Machine`; it gets them as `machine`, keywords of the public functions."""
    return _with_options(command, "machine", _MACHINE)


def rendering(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of `RenderSettings`; it gets them as `words`, keywords of the public functions."""
    return _with_options(command, "words", (*_PICTURE, *_MACHINE))


def _with_options(
    command: Callable[..., None], name: str, options: tuple[tuple[str, Any, Any], ...]
) -> Callable[..., None]:
    signature = inspect.signature(command, eval_str=True)
    own = [p for p in signature.parameters.values() if p.name != name]
    positional = [p for p in own if p.kind is not inspect.Parameter.KEYWORD_ONLY]
    keyword = [p for p in own if p.kind is inspect.Parameter.KEYWORD_ONLY]
    shared = [
        inspect.Parameter(option, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for option, annotation, default in options
    ]

    @functools.wraps(command)
    def run(**arguments: Any) -> None:
        given = {option: arguments.pop(option) for option, _, _ in options}
        command(**arguments, **{name: _as_keywords(given)})

    run.__signature__ = signature.replace(parameters=[*positional, *shared, *keyword])  # type: ignore[attr-defined]
    return run


def _as_keywords(given: dict[str, Any]) -> dict[str, Any]:
    """Values of options as the public functions take them."""
    words = {key: value.value if isinstance(value, Enum) else value for key, value in given.items()}
    words["device"] = checked_device(words["device"])
    words["download"] = not words.pop("no_download")
    words["accept_licences"] = words.pop("accept_licence") or ()
    if "no_mark" in words:
        words["mark"] = not words.pop("no_mark")
    return words


def names_of(command: Callable[..., None]) -> frozenset[str]:
    """All spellings of a command's own options."""
    found: set[str] = set()
    for parameter in inspect.signature(command).parameters.values():
        for info in get_args(parameter.annotation)[1:]:
            # Inside Annotated, Typer keeps the first name where a default would be.
            found |= {name for name in (info.default, *(info.param_decls or ())) if isinstance(name, str)}
    return frozenset(name for name in found if name.startswith("-"))


def parse_fps(text: str) -> float | None:
    """`source` -> None, a number -> the number.

    Raises:
        UsageError: neither, or out of range.
    """
    if text == "source":
        return None
    try:
        fps = float(text)
    except ValueError:
        fps = 0.0
    if not 1 <= fps <= 240:
        raise UsageError(f"--fps is {text!r}: expected a number from 1 to 240, or source")
    return fps


def checked_device(device: str) -> str:
    """Refuse a misspelt device before any work.

    Raises:
        UsageError: no such kind of device.
    """
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", device):
        raise UsageError(f"--device is {device!r}", hint="use auto, cpu, cuda, cuda:N or mps")
    return device


def refuse_terminal(output: str, what: str = "coefficients") -> None:
    """Refuse binary output to a terminal before any work; `what` it is.

    Raises:
        UsageError: standard output is a terminal.
    """
    if output == "-" and sys.stdout.isatty():
        raise UsageError(f"{what} are binary and standard output is a terminal", hint="use -o FILE, or pipe them on")


def report_result(reporter: Reporter, result: Result) -> None:
    """One line about a video, a picture or a folder."""
    from talkhead.pipelines.outputs import PICTURE_SUFFIXES

    width, height = result.size or (0, 0)
    made = "" if result.written else "would write "
    is_picture = Path(result.output).suffix.lower() in PICTURE_SUFFIXES
    length = "" if is_picture else f", {counted(result.n_frames)} at {result.fps:g} fps, {result.duration_s:.2f} s"
    text = f"{made}{result.output}: {width}x{height}{length}, {result.system}"
    reporter.result(text, **result.as_dict())


def counted(n_frames: int) -> str:
    """A number of frames in words."""
    return f"{n_frames} frame{'' if n_frames == 1 else 's'}"


def report_coeffs(reporter: Reporter, output: str, coeffs: Coeffs, *, written: bool = True) -> None:
    """One line about a coefficient file; nothing on standard output if that carries the file."""
    if output == "-" and written:
        return
    tracks = list(coeffs.tensors())
    target = "standard output" if output == "-" else output
    made = "" if written else "would write "
    text = f"{made}{target}: {counted(len(coeffs))} at {coeffs.fps:g} fps, {' '.join(tracks)}, space {coeffs.space}"
    reporter.result(
        text, output=output, n_frames=len(coeffs), fps=coeffs.fps, tracks=tracks, space=coeffs.space, written=written
    )
