"""The results of `bench tune` for the methods of a setting, and the reasons for them."""

from __future__ import annotations

import math

from bench.report.context import CellReport
from bench.report.formats.table import Column, Table, Value
from bench.stats.bootstrap import Estimate
from bench.tune.edges import at_edges
from bench.tune.history import Decision, Tuned
from bench.tune.verdict import NOTE

KEPT = {"tuned": "tuned values", "defaults": "defaults", None: "nothing yet, not finished"}
COLUMNS = (
    Column("method", "Method"),
    Column("trials", "Trials"),
    Column("defaults", "Defaults, %", 2, 100),
    Column("winner", "Winner, %", 2, 100),
    Column("difference", "Difference, points", 2, 100, interval=True, signed=True),
    Column("kept", "Kept"),
    Column("parameters", "Tuned values"),
    Column("edges", "Best trial at an end of a range"),
    Column("reason", "Why"),
)


def searches(report: CellReport) -> Table | None:
    """Return the parameter searches on a setting's bank by method; None if there are none."""
    found = [search for search in sorted(report.searches, key=lambda s: s.subject.method) if search.history]
    if not found:
        return None
    text = (
        f"{NOTE} Brackets: 95 % intervals over samples and seeds. Tuned values are kept if the interval is above zero, "
        "otherwise the defaults; –: no trial scored above the defaults. Every method had the same number of trials, "
        "and cal and test were not used. `bench run --tuned` uses the kept values."
    )
    return Table("searches", "Parameter searches", COLUMNS, [_row(search) for search in found], text)


def _row(search: Tuned) -> dict[str, Value]:
    kept = search.parameters.items() if search.kept == "tuned" else ()
    return {
        "method": search.subject.method,
        "trials": f"{len(search.history)} of {search.trials}",
        "kept": KEPT[search.kept],
        "parameters": ", ".join(f"{name}={value}" for name, value in kept),
        "edges": "; ".join(sentence.partition(":")[0] for sentence in at_edges(search)),
        "reason": search.reason or "",
        **_decided(search.decision),
    }


def _decided(decision: Decision | None) -> dict[str, Value]:
    if decision is None or decision.interval is None:
        return {"defaults": None, "winner": None, "difference": None}
    usual, best = (sum(scores) / len(scores) for scores in (decision.defaults, decision.best))
    gain = Estimate(decision.difference, *decision.interval, math.nan, math.nan, math.nan, ())
    return {"defaults": usual, "winner": best, "difference": gain}
