"""Measure talkhead on this machine: `python -m benchmarks.run`, or `make bench`.

Nothing here passes or fails; the budgets beside the figures are goals for two cores.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import wave
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.machine import facts
from benchmarks.processes import measure, once, talkhead
from benchmarks.stages import render_rates, video_rates

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
FPS = 25
BUDGETS = {
    "help": "<= 0.30 s",
    "animate 512": "<= 10 s for 10 s of speech",
    "render + encode 512": ">= 120 frames/s",
    "render + encode 1024": ">= 45 frames/s",
    "extract 512": ">= 30 frames/s",
    "memory": "<= 1.2 x the memory of 10 s",
}


def main() -> None:
    """Parse the options, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("--face", type=Path, default=EXAMPLES / "face.jpg", help="photo with one face")
    parser.add_argument("--speech", type=Path, default=EXAMPLES / "speech.wav", help="16-bit WAV, repeated as needed")
    parser.add_argument("--video", type=Path, help="video to track instead of one made from the photo")
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 1024], help="longer side in pixels")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of the speech")
    parser.add_argument(
        "--long", type=float, default=60.0, help="length for the memory test in seconds, 0 leaves it out"
    )
    parser.add_argument("--repeats", type=int, default=2, help="runs of each command after one to warm up")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON on standard output")
    options = parser.parse_args()
    console = Console(stderr=options.json)
    with tempfile.TemporaryDirectory(prefix="talkhead-bench-") as folder:
        report = bench(options, Path(folder), console)
    if options.json:
        json.dump(report, sys.stdout, indent=1)
        sys.stdout.write("\n")
    else:
        show(report, console)


def bench(options: argparse.Namespace, folder: Path, console: Console) -> dict[str, Any]:
    """All figures, as plain values."""
    report: dict[str, Any] = {"machine": facts(), "seconds": options.seconds, "commands": {}, "stages": {}}
    speech = repeated(options.speech, options.seconds, folder / "speech.wav")
    console.log("start-up")
    report["help"] = measure(talkhead("--help"), 5)
    report["import"] = measure([sys.executable, "-c", "import talkhead"], 5)
    for size in options.sizes:
        console.log(f"{size} px: commands")
        face = scaled(options.face, size, folder / f"face{size}.png")
        report["commands"] |= commands(face, speech, size, options, folder)
        console.log(f"{size} px: stages")
        video = options.video or folder / f"animate{size}.mp4"
        rates = video_rates(video) | render_rates(face, folder / f"extract{size}.safetensors", folder)
        report["stages"][str(size)] = rates
    if options.long:
        console.log(f"memory over {options.long:g} s")
        face = scaled(options.face, 512, folder / "face.png")
        short = once(talkhead("animate", face, speech, "-o", folder / "short.mp4", "--overwrite", "-q"))
        longer = repeated(options.speech, options.long, folder / "long.wav")
        long = once(talkhead("animate", face, longer, "-o", folder / "long.mp4", "--overwrite", "-q"))
        report["memory"] = {"seconds": options.long, "short": short, "long": long}
    return report


def commands(face: Path, speech: Path, size: int, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """`animate`, `extract` of its video, and `render` of what was extracted, from start to finished file."""
    made, motion = folder / f"animate{size}.mp4", folder / f"extract{size}.safetensors"
    drawn = folder / f"render{size}.mp4"
    lines = {
        "animate": ("animate", face, speech, "-o", made),
        "extract": ("extract", options.video or made, "-o", motion),
        "render": ("render", face, motion, "-o", drawn),
    }
    found = {}
    for name, line in lines.items():
        run = measure(talkhead(*line, "--overwrite", "-q"), options.repeats)
        n_frames = n_frames_of(motion) if name != "animate" else round(options.seconds * FPS)
        found[f"{name} {size}"] = {**run, "n_frames": n_frames, "frames_per_s": n_frames / run["wall_s"]}
    return found


def n_frames_of(motion: Path) -> int:
    """Frames in a coefficient file."""
    from talkhead.coeffs.file import read_coeffs

    return len(read_coeffs(motion))


def scaled(photo: Path, size: int, output: Path) -> Path:
    """The photo with its longer side at `size` pixels."""
    from PIL import Image

    with Image.open(photo) as image:
        factor = size / max(image.size)
        shape = (max(round(image.width * factor), 1), max(round(image.height * factor), 1))
        image.convert("RGB").resize(shape, Image.Resampling.LANCZOS).save(output)
    return output


def repeated(sound: Path, seconds: float, output: Path) -> Path:
    """A WAV file played over and over for so many seconds."""
    with wave.open(str(sound)) as source, wave.open(str(output), "wb") as target:
        target.setparams(source.getparams())
        data = source.readframes(source.getnframes())
        need = round(seconds * source.getframerate()) * source.getsampwidth() * source.getnchannels()
        for start in range(0, need, len(data)):
            target.writeframes(data[: need - start])
    return output


def show(report: dict[str, Any], console: Console) -> None:
    """Print the report as tables."""
    about = Table("machine", "", title="Machine")
    for name, value in report["machine"].items():
        about.add_row(name, value)
    console.print(about)

    title = f"Commands, {report['seconds']:g} s of speech at {FPS} frames/s, start to finished file"
    table = Table("command", "wall s", "cpu s", "peak MiB", "frames/s", "budget", title=title)
    for name, run in report["commands"].items():
        table.add_row(name, *_run_cells(run), f"{run['frames_per_s']:.0f}", BUDGETS.get(name, ""))
    table.add_row("--help", *_run_cells(report["help"]), "", BUDGETS["help"])
    table.add_row("import talkhead", *_run_cells(report["import"]), "", "")
    if "memory" in report:
        memory = report["memory"]
        factor = memory["long"]["peak_mib"] / memory["short"]["peak_mib"]
        cells = _run_cells(memory["long"])
        table.add_row(f"animate 512, {memory['seconds']:g} s", *cells, "", f"{factor:.2f} x; {BUDGETS['memory']}")
    console.print(table)

    names = list(next(iter(report["stages"].values())))
    table = Table("stage", *(f"{size} px" for size in report["stages"]), "budget", title="Stages, frames/s once warm")
    for name in names:
        cells = [
            f"{rates[name]:.2f}" if name.endswith("_s") else f"{rates[name]:.0f}" for rates in report["stages"].values()
        ]
        budgets = [f"{size}: {BUDGETS[f'{name} {size}']}" for size in report["stages"] if f"{name} {size}" in BUDGETS]
        table.add_row(name.replace("_s", ", seconds"), *cells, "; ".join(budgets))
    console.print(table)


def _run_cells(run: dict[str, Any]) -> list[str]:
    return [f"{run['wall_s']:.2f}", f"{run['cpu_s']:.2f}", f"{run['peak_mib']:.0f}"]


if __name__ == "__main__":
    main()
