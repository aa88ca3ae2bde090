"""The leaderboard of each setting of a run, printed at its end, with the numbers of the report."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from bench.cli import leaderboard

if TYPE_CHECKING:
    from bench.api.running import Finished
    from bench.report.summary import CellSummary
    from bench.session import Session

Board = tuple["CellSummary", set[str]]  # a setting, and the labels of the methods that were run


def boards(session: Session, made: Finished) -> list[Board]:
    """Return the settings of a run that have records, with the labels of the methods of this run."""
    from bench.report.stored import summaries_of
    from bench.trials.stores import by_setting

    held = by_setting(made.records(session))
    config = session.config
    labels = {cell: {r.point.label for r in records if r.point.kind == "method"} for cell, records in held.items()}
    found = summaries_of(config.output, [cell for cell in labels if labels[cell]], also=(config.reports,))
    return [(summary, labels[cell]) for cell, summary in found.items()]


def show(found: Iterable[Board]) -> None:
    """Print the leaderboards."""
    from bench.cli.terminal import say

    for cell, labels in found:
        say()
        leaderboard.show(cell, labels)
    say()


def as_json(session: Session, made: Finished, found: Iterable[Board], *, report: bool) -> dict[str, Any]:
    """Return the result of a run as JSON values."""
    config = session.config
    return {
        "settings": [leaderboard.as_json(cell, labels) for cell, labels in found],
        "points": dict(sorted(made.statuses.items())),
        "failed": [{"point": title, "reason": reason} for title, reason in made.troubles],
        "records": str(config.output.resolve()),
        "report": str((config.reports / "README.md").resolve()) if report else None,
    }
