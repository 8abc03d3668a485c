"""`talkhead doctor`: is everything here that talkhead needs?"""

from __future__ import annotations

from talkhead.cli import options
from talkhead.cli.report import Reporter
from talkhead.errors import EnvironmentProblem


@options.reporting
def command(*, reporter: Reporter) -> None:
    """Check this machine: versions, ffmpeg, models, devices, folders. Exit code 5 if something needed is missing."""
    from talkhead.pipelines.doctor import examine

    findings = examine()
    width = max(len(finding.name) for finding in findings)
    lines = []
    for finding in findings:
        sign = {"ok": "ok     ", "note": "note   ", "missing": "MISSING"}[finding.state]
        lines.append(f"{sign}  {finding.name:<{width}}  {finding.found}")
        if finding.hint:
            lines.append(f"{'':9}{'':<{width}}  {finding.hint}")
    missing = [finding.name for finding in findings if finding.state == "missing"]
    reporter.table("\n".join(lines), findings=[finding.as_dict() for finding in findings], ok=not missing)
    if missing:
        raise EnvironmentProblem(f"missing: {', '.join(missing)}", hint="see the lines above")
