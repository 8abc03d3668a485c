"""`talkhead systems`: who offers which stage, with licence and whether the weights are here."""

from __future__ import annotations

from typing import cast

from talkhead.cli import options
from talkhead.cli.report import Reporter


@options.reporting
def command(*, reporter: Reporter) -> None:
    """List the systems: stages, licence, and whether their weights are here."""
    from talkhead.pipelines.choose import has_weights
    from talkhead.systems import NAMES, info
    from talkhead.weights.catalogue import presence
    from talkhead.weights.fetch import by_hand

    rows = []
    for name in NAMES:
        system = info(name)
        missing = presence(system.weights).missing
        ways = [by_hand(entry) if entry.page else f"talkhead weights pull {name}" for entry in missing]
        rows.append(
            {
                "name": name,
                "stages": list(system.stages),
                "spaces": list(system.spaces),
                "licence": system.licence,
                "weights": list(system.weights),
                "weights_present": has_weights(system),
                "weights_missing": [entry.name for entry in missing],
                "weights_from": list(dict.fromkeys(ways)),
                "paper": system.paper,
            }
        )
    reporter.table(_as_text(rows), systems=rows)


def _as_text(rows: list[dict[str, object]]) -> str:
    lines = []
    for row in rows:
        weights = "none needed" if not row["weights"] else "here" if row["weights_present"] else _missing(row)
        stages = " ".join(str(s) for s in row["stages"])  # type: ignore[attr-defined]
        lines += [
            str(row["name"]),
            f"  {row['paper']}",
            f"  stages   {stages}",
            f"  licence  {row['licence']}",
            f"  weights  {weights}",
        ]
    return "\n".join(lines)


def _missing(row: dict[str, object]) -> str:
    missing, ways = (cast(list[str], row[name]) for name in ("weights_missing", "weights_from"))
    return f"not here: {', '.join(missing)} ({'; '.join(ways)})"
