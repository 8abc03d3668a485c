"""SadTalker's drawing networks on this machine: `python -m benchmarks.sadtalker [--size 256] [--device cuda]`.

Milliseconds per stage, and the renderer for use beside the plain one, which computes in the order of the papers: the
same frames, in turns, so that other work on the machine slows both. Without `--weights` the networks have the tests'
random weights: the same arithmetic, but pictures of noise. Needs a checkout.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from benchmarks.machine import facts
from benchmarks.processes import once
from talkhead.device import resolve_device
from talkhead.systems.sadtalker.convert import Checkpoint
from talkhead.systems.sadtalker.draw import Drawer, best_batch, to_pixels
from talkhead.systems.sadtalker.load_motion import load_mapping
from talkhead.systems.sadtalker.load_renderer import load_keypoints, load_renderer, plain_renderer
from talkhead.systems.sadtalker.model_renderer import Renderer
from talkhead.systems.sadtalker.model_renderer_fast import FastRenderer

TESTS = Path(__file__).resolve().parents[1] / "tests"
PARTS = {"kp_extractor.": "kp_detector", "generator.": "generator_256"}
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True, slots=True)
class Scene:
    """What is drawn: a picture (1, 3, S, S), its keypoints (1, K, 3), those of the frames (T, K, 3)."""

    image: Tensor
    source: Tensor
    driving: Tensor


@dataclass(frozen=True, slots=True)
class Variant:
    """One way of drawing, and how far its pictures are from the plain one's.

    Attributes:
        ms_per_frame: median by the clock. counted_ms: median of what the ratio is of: processor time of all threads on
            a CPU, the clock on a card. ratio: times the plain one's speed, median of the turns.
    """

    name: str
    ms_per_frame: float
    counted_ms: float
    ratio: float
    max_abs: float
    rms: float
    psnr_db: float


def main() -> None:
    """Parse the options, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sadtalker", description=__doc__)
    parser.add_argument("--size", type=int, default=256, choices=(256, 512), help="side of the pictures")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    parser.add_argument("--frames", type=int, default=4, help="frames of each turn on a card; a CPU draws one")
    parser.add_argument("--turns", type=int, default=3, help="turns of all ways of drawing; the median counts")
    parser.add_argument("--threads", type=int, help="threads of PyTorch; its own choice if not given")
    parser.add_argument("--weights", type=Path, help="checkpoint instead of random weights")
    parser.add_argument("--compile", action="store_true", help="also with torch.compile; on a card always")
    parser.add_argument("--memory-of", choices=DTYPES, help=argparse.SUPPRESS)  # of the process that is measured
    parser.add_argument("--json", action="store_true", help="print the figures as JSON on standard output")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    console = Console(stderr=options.json)
    with tempfile.TemporaryDirectory(prefix="talkhead-bench-") as folder, torch.inference_mode():
        path = options.weights or random_weights(Path(folder), console)
        if options.memory_of:
            draw_a_little(path, options)
            return
        report = bench(path, options, console)
    if options.json:
        json.dump(report, sys.stdout, indent=1)
        sys.stdout.write("\n")
    else:
        show(report, console)


def bench(path: Path, options: argparse.Namespace, console: Console) -> dict[str, Any]:
    """All figures, as plain values."""
    device = torch.device(resolve_device(options.device))
    checkpoint = Checkpoint.open(path)
    picture = scene(options.size, options.frames if device.type == "cuda" else 1, device)
    report: dict[str, Any] = {
        "machine": facts() | {"device": device_name(device), "threads": str(torch.get_num_threads())},
        "weights": str(options.weights or "random, as in the tests"),
        "size": options.size,
        "stages": {},
        "variants": [],
    }
    console.log("stages")
    for name, dtype in DTYPES.items():
        report["stages"][name] = stages(checkpoint, picture, device, dtype)
    console.log("ways of drawing, in turns")
    report["variants"] = [asdict(variant) for variant in compare(checkpoint, picture, device, options)]
    report["gmac"] = products(checkpoint, picture)
    if device.type == "cuda":
        rate = matmul_rate(device)
        report["bfloat16_tmac_s"] = rate
        for variant in report["variants"]:
            variant["share"] = report["gmac"]["drawn"] / variant["ms_per_frame"] / rate
    else:
        console.log("memory")
        report["peak_mib"] = {name: memory(name, path, options.size) for name in DTYPES}
    return report


def stages(checkpoint: Checkpoint, picture: Scene, device: torch.device, dtype: torch.dtype) -> dict[str, float]:
    """Milliseconds, those after the first three per frame."""
    start = time.perf_counter()
    fast = load_renderer(checkpoint, device, dtype)
    found = {"load the renderer (once)": 1000 * (time.perf_counter() - start)}
    detector = load_keypoints(checkpoint, device, dtype)
    found["keypoints (once)"] = milliseconds(lambda: detector(picture.image), device)
    found["encode (once)"] = milliseconds(lambda: fast.encode(picture.image, picture.source), device)
    source = fast.encode(picture.image, picture.source)
    n = len(picture.driving)
    found["mapping"] = mapping_ms(device)
    found["dense motion"] = milliseconds(lambda: fast.motion(source, picture.driving), device) / n
    motion_and_warp = milliseconds(lambda: fast.condition(source, picture.driving), device) / n
    found["warp"] = max(motion_and_warp - found["dense motion"], 0.0)
    condition = fast.condition(source, picture.driving)
    found["decode"] = milliseconds(lambda: fast.decoder(condition), device) / n
    drawn = fast.decoder(condition)
    found["to bytes"] = milliseconds(lambda: to_pixels(drawn).cpu(), device) / n
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        fast.draw(source, picture.driving)
        found["peak MiB of the card"] = torch.cuda.max_memory_allocated(device) / 2**20
    return found


def compare(checkpoint: Checkpoint, picture: Scene, device: torch.device, options: argparse.Namespace) -> list[Variant]:
    """The plain renderer and ours, frame by frame in turns."""
    plain = plain_renderer(checkpoint.config.renderer, checkpoint.part("generator.")).eval().to(device)
    ways: dict[str, Callable[[], Tensor]] = {"plain": lambda: draw_plain(plain, picture)}
    for name, dtype in DTYPES.items():
        fast = load_renderer(checkpoint, device, dtype)
        ways[name] = drawing(fast, picture)
        if options.compile or device.type == "cuda":
            compiled = load_renderer(checkpoint, device, dtype)
            compiled.decoder.compile(dynamic=False)
            ways[f"{name}, compiled"] = drawing(compiled, picture)
    pictures = {name: way().float() for name, way in ways.items()}  # the first call also warms up
    walls: dict[str, list[float]] = {name: [] for name in ways}
    busy: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(options.turns):
        for name, way in ways.items():
            start = time.process_time()
            walls[name].append(once_ms(way, device) / len(picture.driving))
            busy[name].append(1000 * (time.process_time() - start) / len(picture.driving))
    # On a CPU the time of our own threads, of which other work on the machine takes less away.
    counted = walls if device.type == "cuda" else busy
    plain_ms = counted["plain"]
    return [
        Variant(
            name,
            statistics.median(walls[name]),
            statistics.median(counted[name]),
            statistics.median(a / b for a, b in zip(plain_ms, counted[name], strict=True)),
            *distance(pictures[name], pictures["plain"]),
        )
        for name in ways
    ]


def drawing(fast: FastRenderer, picture: Scene) -> Callable[[], Tensor]:
    """Drawing with the source encoded beforehand."""
    source = fast.encode(picture.image, picture.source)
    return lambda: fast.draw(source, picture.driving)


def draw_plain(plain: Renderer, picture: Scene) -> Tensor:
    """As the published code: the source copied and encoded again for every frame."""
    n = len(picture.driving)
    return plain(picture.image.repeat(n, 1, 1, 1), picture.source.repeat(n, 1, 1), picture.driving)


def distance(drawn: Tensor, truth: Tensor) -> tuple[float, float, float]:
    """Largest difference, root mean square, PSNR in dB."""
    difference = (drawn - truth).double()
    rms = difference.square().mean().sqrt()
    return float(difference.abs().max()), float(rms), float(-20 * torch.log10(rms.clamp(min=1e-12)))


def products(checkpoint: Checkpoint, picture: Scene) -> dict[str, float]:
    """Thousand millions of multiply-adds of a frame, in the plain order and as drawn."""
    from torch.utils.flop_counter import FlopCounterMode

    def count(draw: Callable[[], Any]) -> float:
        with FlopCounterMode(display=False) as counter:
            draw()
        return counter.get_total_flops() / 2e9

    with torch.device("meta"):
        plain = Renderer(checkpoint.config.renderer).eval()
        still = Scene(
            *(torch.empty_like(x[:1], device="meta") for x in (picture.image, picture.source, picture.driving))
        )
    fast = load_renderer(checkpoint, picture.image.device)
    source = fast.encode(picture.image, picture.source)
    return {
        "plain": count(lambda: draw_plain(plain, still)),
        "drawn": count(lambda: fast.draw(source, picture.driving[:1])),
    }


def mapping_ms(device: torch.device) -> float:
    """Per frame of 10 s, all at once."""
    with tempfile.TemporaryDirectory() as folder:
        save(Path(folder) / "mapping.safetensors", {"": "mapping_crop"})
        mapping = load_mapping(Path(folder) / "mapping.safetensors", 70, device)
    rows = torch.randn(250 + mapping.n_rows - 1, 70, device=device)
    return milliseconds(lambda: mapping.sequence(rows), device) / 250


def matmul_rate(device: torch.device) -> float:
    """What the card reaches on a large product of bfloat16 matrices, 10^12 multiply-adds a second."""
    a = torch.randn(8192, 8192, device=device, dtype=torch.bfloat16)
    return 8192**3 / milliseconds(lambda: a @ a, device, 10) / 1e9


def milliseconds(work: Callable[[], Any], device: torch.device, repeats: int = 3) -> float:
    """The fastest run after one to warm up."""
    work()
    return min(once_ms(work, device) for _ in range(repeats))


def once_ms(work: Callable[[], Any], device: torch.device) -> float:
    """One run, until the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return 1000 * (time.perf_counter() - start)


def memory(dtype: str, path: Path, size: int) -> float:
    """Peak memory of a process that loads the renderer and draws, MiB."""
    command = [sys.executable, "-m", "benchmarks.sadtalker", "--weights", str(path), "--memory-of", dtype]
    return once([*command, "--size", str(size)])["peak_mib"]


def draw_a_little(path: Path, options: argparse.Namespace) -> None:
    """Three frames, as commands draw them."""
    picture = scene(options.size, 3, torch.device("cpu"))
    drawer = Drawer(
        load_renderer(Checkpoint.open(path), "cpu", DTYPES[options.memory_of]),
        to_pixels(picture.image)[0].numpy(),
        picture.source,
    )
    for _ in drawer.draw([picture.driving]):
        pass


def scene(size: int, n_frames: int, device: torch.device) -> Scene:
    """Noise with keypoints where faces have theirs, about, and their motion."""
    generator = torch.Generator().manual_seed(0)
    source = 0.3 * torch.randn(1, 15, 3, generator=generator)
    driving = source + 0.05 * torch.randn(n_frames, 15, 3, generator=generator)
    image = torch.rand(1, 3, size // 16, size // 16, generator=generator)
    image = torch.nn.functional.interpolate(image, size=(size, size), mode="bicubic").clamp(0, 1)
    return Scene(image.to(device), source.to(device), driving.to(device))


def random_weights(folder: Path, console: Console) -> Path:
    """The tests' weights under published names; the detector and the renderer alone."""
    console.log("random weights")
    save(folder / "sadtalker.safetensors", PARTS)
    return folder / "sadtalker.safetensors"


def save(path: Path, parts: dict[str, str]) -> None:
    """Random tensors of networks, as the tests make them."""
    from safetensors.numpy import save_file

    spec = importlib.util.spec_from_file_location("recipe", TESTS / "recipe.py")
    assert spec is not None
    assert spec.loader is not None
    recipe = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(recipe)
    records = json.loads((TESTS / "golden" / "sadtalker" / "state_dicts.json").read_text())["networks"]
    save_file(
        {key: value for name in parts.values() for key, value in recipe.build_network(records[name]).items()}, path
    )


def device_name(device: torch.device) -> str:
    """What `device` is."""
    if device.type != "cuda":
        return device.type
    frames = best_batch(256, device, torch.bfloat16)
    return f"{torch.cuda.get_device_name(device)}, {frames} frames at a time by default"


def show(report: dict[str, Any], console: Console) -> None:
    """Print the report as tables."""
    about = Table("machine", "", title="Machine")
    for name, value in report["machine"].items():
        about.add_row(name, value)
    about.add_row("weights", report["weights"])
    console.print(about)

    columns = report["stages"]
    table = Table("stage", *columns, title=f"Stages at {report['size']} px, ms (per frame, where not once)")
    for name in next(iter(columns.values())):
        table.add_row(name, *(f"{stage[name]:.1f}" for stage in columns.values()))
    if "peak_mib" in report:
        table.add_row("peak MiB of a process that draws", *(f"{report['peak_mib'][name]:.0f}" for name in columns))
    console.print(table)

    gmac = report["gmac"]
    products = f"{gmac['plain']:.0f} G multiply-adds plain, {gmac['drawn']:.0f} G ours in float32"
    title = f"Drawing at {report['size']} px: {products}"
    heads = ("way", "ms per frame", "counted ms", "times plain", "max abs", "rms", "PSNR dB")
    table = Table(*heads, *(["of bf16 peak"] if "bfloat16_tmac_s" in report else []), title=title)
    for row in report["variants"]:
        share = [f"{row['share']:.0%}"] if "share" in row else []
        speed = (f"{row['ms_per_frame']:.0f}", f"{row['counted_ms']:.0f}", f"{row['ratio']:.2f}")
        figures = (*speed, f"{row['max_abs']:.1e}", f"{row['rms']:.1e}")
        table.add_row(row["name"], *figures, f"{row['psnr_db']:.1f}", *share)
    console.print(table)


if __name__ == "__main__":
    main()
