"""`talkhead extract`: photo or video -> coefficients."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from talkhead.cli import options
from talkhead.cli.report import Reporter
from talkhead.pipelines.config import DEFAULTS


@options.reporting
@options.computing
def command(
    face: Annotated[str, typer.Argument(metavar="PHOTO|VIDEO", help="Picture of a face, or a video of one.")],
    output: options.CoeffOutput = "-",
    fps: options.FpsOrSource = f"{DEFAULTS.fps:g}",
    landmarks: Annotated[bool, typer.Option("--landmarks", help="Also store 68 points a frame.")] = False,
    space: Annotated[
        str | None,
        typer.Option("--space", metavar="NAME", help="Codes of this space: bfm is SadTalker's; converted if need be."),
    ] = None,
    face_choice: options.FaceChoice = DEFAULTS.face,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    *,
    machine: dict[str, Any],
    reporter: Reporter,
) -> None:
    """Read shape, expression, pose, eyelids and gaze off a face: PHOTO or VIDEO -> coefficients."""
    from talkhead.pipelines.extract import extract

    rate = options.parse_fps(fps)
    if dry_run:
        return _report_plan(reporter, output, overwrite, face, space, machine)
    options.refuse_terminal(output)
    coeffs = extract(
        face,
        output,
        fps=rate,
        landmarks=landmarks,
        space=space,
        face_choice=face_choice,
        overwrite=overwrite,
        progress=reporter,
        **machine,
    )
    options.report_coeffs(reporter, output, coeffs)
    return None


def _report_plan(
    reporter: Reporter, output: str, overwrite: bool, face: str, space: str | None, machine: dict[str, Any]
) -> None:
    """The dry run, for this work is long: check input, output and who would work, say what would be done."""
    from talkhead.pipelines.choose import build_extractor, choose_system
    from talkhead.pipelines.config import Machine
    from talkhead.pipelines.outputs import check_coeff_output
    from talkhead.pipelines.plan import describe_face

    check_coeff_output(output, overwrite=overwrite, inputs=[face])
    found = describe_face(face)
    dry = Machine.of({**machine, "is_dry": True})
    build_extractor(choose_system(dry, "extract", space=space), dry)
    target = "standard output" if output == "-" else output
    reporter.result(f"would write {target}: {found}", output=output, written=False, input=found)
