"""`talkhead weights`: checkpoints of the learned systems, and where they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from talkhead.cli import options
from talkhead.cli.report import Reporter
from talkhead.errors import UsageError, WeightsError

if TYPE_CHECKING:
    from talkhead.weights.store import Standing

app = typer.Typer(no_args_is_help=True, help="Checkpoints of learned systems: list, pull, verify, path, import.")

Names = Annotated[
    list[str] | None, typer.Argument(metavar="NAME", help="Files or systems, as `talkhead weights list` shows.")
]
AcceptLicence = Annotated[
    list[str] | None,
    typer.Option("--accept-licence", metavar="NAME", help="Accept a non-commercial licence; the answer is stored."),
]
NoDownload = Annotated[bool, typer.Option("--no-download", help="Use what is here; fail if something is missing.")]
Pin = Annotated[
    bool,
    typer.Option("--pin", help="Trust this copy, and no other, of a file whose sha256 nobody published."),
]


@app.command("list")
@options.reporting
def list_command(names: Names = None, *, reporter: Reporter) -> None:
    """Show the known weights by system: size, licence, and whether they are here."""
    from talkhead.enhance.config import BACKGROUND_WEIGHTS, FACE_WEIGHTS
    from talkhead.systems import NAMES
    from talkhead.weights.catalogue import status
    from talkhead.weights.manifest import load_manifest, megabytes

    found = status(names or ())
    lines = []
    for system in dict.fromkeys(system for one in found for system in one.entry.systems):
        if system in NAMES:
            lines.append(system)
        elif system in FACE_WEIGHTS or system in BACKGROUND_WEIGHTS:
            lines.append(f"{system} (enhancer)")
        elif system.partition("-")[0] == "eval":
            lines.append(f"{system} (metrics)")
        else:
            lines.append(f"{system} (files only: this talkhead cannot run it)")
        for one in (one for one in found if system in one.entry.systems):
            entry = one.entry
            licence = f"{entry.licence.weights}, commercial use: {entry.commercial}"
            if entry.page and not one.is_here:
                licence += f", from {entry.page}"
            lines.append(
                f"  {entry.name:<24}{megabytes(entry.size) if entry.size else '':>9}  {_in_words(one):<12}  {licence}"
            )
    bundled = load_manifest().bundled if not names else ()
    if bundled:
        lines.append("part of talkhead")
        lines += [f"  {b.name:<24}{megabytes(b.size):>9}  {'bundled':<12}  {b.licence}" for b in bundled]
    reporter.table(
        "\n".join(lines),
        weights=[_as_fields(one) for one in found],
        bundled=[{"name": b.name, "size": b.size, "licence": b.licence, "systems": list(b.systems)} for b in bundled],
    )


@app.command("pull", no_args_is_help=True)
@options.reporting
def pull_command(
    names: Names = None,
    everything: Annotated[bool, typer.Option("--all", help="All files of all systems.")] = False,
    accept_licence: AcceptLicence = None,
    no_download: NoDownload = False,
    pin: Pin = False,
    dry_run: options.DryRun = False,
    *,
    reporter: Reporter,
) -> None:
    """Download weights, check size and sha256; what is here is checked only."""
    from talkhead.weights.catalogue import presence, pull, status
    from talkhead.weights.manifest import megabytes

    if bool(names) == everything:
        raise UsageError("give names of files or systems, or --all")
    if dry_run:
        wanted = [one.entry.name for one in status(names or ())]
        there = presence(wanted)
        missing = [entry.name for entry in there.missing]
        text = f"would download {', '.join(missing)}: {megabytes(there.n_bytes)}" if missing else "all here"
        if there.why_not:
            text += f"; cannot now: {there.why_not}"
        fields = {"missing": missing, "size": there.n_bytes, "downloadable": there.is_downloadable}
        reporter.result(text, **fields, why_not=there.why_not, written=False)
        return
    pulled = pull(names or (), download=not no_download, accept=accept_licence or (), pin_copy=pin, progress=reporter)
    reporter.result("\n".join(f"{one.entry.name}: {one.path}" for one in pulled), weights=list(map(_as_fields, pulled)))


@app.command("verify")
@options.reporting
def verify_command(names: Names = None, *, reporter: Reporter) -> None:
    """Read the weights that are here and compare them with the manifest.

    Exit code 4 if one differs, or one that was named is missing.
    """
    from talkhead.weights.catalogue import verify

    found = verify(names or (), progress=reporter)
    shown = [one for one in found if names or one.path is not None]
    width = max((len(one.entry.name) for one in shown), default=0)
    lines = [f"{_in_words(one):<10}  {one.entry.name:<{width}}  {one.path or ''}".rstrip() for one in shown]
    reporter.table("\n".join(lines) or "no downloads are here", weights=[_as_fields(one) for one in shown])
    bad = [one for one in shown if one.state != "verified"]
    if bad:
        said = ", ".join(f"{one.entry.name} is {_in_words(one)}" for one in bad)
        raise WeightsError(said, hint=f"talkhead weights pull {' '.join(one.entry.name for one in bad)}")


@app.command("path", no_args_is_help=True)
@options.reporting
def path_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of a file of `talkhead weights list`.")],
    *,
    reporter: Reporter,
) -> None:
    """Print where one file lies, checked; nothing is downloaded."""
    from talkhead.weights.catalogue import path

    found = path(name)
    reporter.table(str(found), name=name, path=str(found))


@app.command("import", no_args_is_help=True)
@options.reporting
def import_command(
    sources: Annotated[list[str], typer.Argument(metavar="FILE|FOLDER", help="Weights got elsewhere.")],
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="Which weights a file is meant to be.")
    ] = None,
    pin: Pin = False,
    *,
    reporter: Reporter,
) -> None:
    """Take in files from disk, recognised by their sha256; for machines without network."""
    from talkhead.weights.catalogue import import_files

    done = import_files(sources, name=name, pin_copy=pin, progress=reporter)
    reporter.result(
        "\n".join(f"{one.entry.name}: {one.source} -> {one.path}" for one in done),
        weights=[{"name": one.entry.name, "source": str(one.source), "path": str(one.path)} for one in done],
    )


def _in_words(one: Standing) -> str:
    return {"missing": "not here", "present": "here", "unpinned": "not trusted"}.get(one.state, one.state)


def _as_fields(one: Standing) -> dict[str, Any]:
    entry = one.entry
    return {
        "name": entry.name,
        "state": one.state,
        "path": None if one.path is None else str(one.path),
        "size": entry.size,
        "sha256": entry.sha256,
        "systems": list(entry.systems),
        "licence": entry.licence.weights,
        "commercial": entry.commercial,
        "format": entry.format,
        "sources": list(entry.addresses),
        "note": entry.note,
    }
