"""Rewrites arguments before they are parsed: SadTalker's names, and the many options of `edit`.

`animate` understands SadTalker's command line, so that its users can paste what they have: `--source_image`,
`--driven_audio`, `--result_dir`, `--still`, `--pose_style`, `--expression_scale`, `--preprocess`, `--input_yaw`
(`_pitch`, `_roll`), `--ref_pose`, `--ref_eyeblink`, `--enhancer`, `--background_enhancer`, `--cpu`.
"""

from __future__ import annotations

import re

from talkhead.errors import UsageError

# SadTalker's option -> ours, with a value each.
RENAMED = {
    "--result_dir": "--result-dir",
    "--pose_style": "--pose-style",
    "--expression_scale": "--exp-scale",
    "--ref_pose": "--ref-pose",
    "--ref_eyeblink": "--ref-eyeblink",
    "--enhancer": "--enhance",
    "--background_enhancer": "--enhance-background",
}
ENHANCERS = {"RestoreFormer": "restoreformer", "realesrgan": "realesrgan-x2"}  # where the names differ
ANGLES = {"--input_yaw": "--yaw", "--input_pitch": "--pitch", "--input_roll": "--roll"}
_OPTION = re.compile(r"--(?P<name>[a-z][a-z0-9-]*?)(?:(?P<step>[-+*]?)=(?P<value>.*))?", re.DOTALL)
_NUMBER = re.compile(r"-?\d+(\.\d*)?|-?\.\d+")


def normalized(argv: list[str]) -> list[str]:
    """The arguments as our own parser wants them.

    Raises:
        UsageError: a SadTalker option without its value.
    """
    if not argv:
        return argv
    name, rest = argv[0], argv[1:]
    if name == "animate":
        return [name, *from_sadtalker(rest)]
    if name == "edit":
        return [name, *from_edits(rest)]
    return argv


def from_sadtalker(argv: list[str]) -> list[str]:
    """SadTalker's arguments as ours; anything else stays as it is."""
    argv = [part for arg in argv for part in _split_equals(arg)]
    out: list[str] = []
    face: list[str] = []
    audio: list[str] = []
    still: list[str] = []
    rest = iter(range(len(argv)))
    for i in rest:
        arg, value = argv[i], argv[i + 1] if i + 1 < len(argv) else None
        if arg in ANGLES:
            count = next((n for n, text in enumerate(argv[i + 1 :]) if not _NUMBER.fullmatch(text)), len(argv) - i - 1)
            out += [ANGLES[arg], ",".join(argv[i + 1 : i + 1 + count])]
            for _ in range(count):
                next(rest)
        elif arg in ("--source_image", "--driven_audio", *RENAMED):
            if value is None:
                raise UsageError(f"{arg} needs a value")
            next(rest)
            if arg == "--source_image":
                face = [value]
            elif arg == "--driven_audio":
                audio = [value]
            else:
                out += [RENAMED[arg], ENHANCERS.get(value, value) if arg.endswith("enhancer") else value]
        elif arg == "--still":
            still = ["--pose-style", "still"]
        elif arg == "--cpu":
            out += ["--device", "cpu"]
        else:
            out.append(arg)
    return [*face, *out, *still, *audio]  # what comes last counts: --still keeps the head, whatever its style


def from_edits(argv: list[str]) -> list[str]:
    """Every edit as one `--set` option: `--yaw+=5` -> `--set "yaw +=5"`, `--mirror` -> `--set mirror`."""
    from talkhead.cli.edit import OWN_OPTIONS
    from talkhead.coeffs.edit import EDITS, edit_kind, is_edit
    from talkhead.config import nearest

    out: list[str] = []
    rest = iter(range(len(argv)))
    for i in rest:
        if argv[i] == "--":
            return out + argv[i:]
        option = _OPTION.fullmatch(argv[i])
        if not option or not is_edit(option["name"]):
            if option and f"--{option['name']}" not in OWN_OPTIONS and (close := nearest(option["name"], list(EDITS))):
                raise UsageError(f"no such edit: --{option['name']}", hint=f"did you mean --{close}?")
            out.append(argv[i])
            continue
        name, value = option["name"], option["value"]
        value = f"{option['step']}={value}" if option["step"] else value
        follows = argv[i + 1] if i + 1 < len(argv) else None
        if value is None and edit_kind(name).takes != "nothing" and (name != "neutral" or _is_value(follows)):
            if follows is None:
                raise UsageError(f"--{name} needs a value")
            value = argv[next(rest)]
        out += ["--set", name if value is None else f"{name} {value}"]
    return out


def _is_value(text: str | None) -> bool:
    return text is not None and re.fullmatch(r"[-+*=\d.:,e]+", text) is not None


def _split_equals(arg: str) -> list[str]:
    """`--source_image=a.png` -> two parts; only for the names that are rewritten."""
    name, equals, value = arg.partition("=")
    known = equals and name in ("--source_image", "--driven_audio", *RENAMED, *ANGLES)
    return [name, value] if known else [arg]
