"""The data behind the sliders of the site: the best methods at a budget or for a loss of accuracy, and their costs."""

from __future__ import annotations

import math
import shlex
from collections import defaultdict
from typing import Any

from bench.execution.measurements import PLAIN
from bench.report.aggregate import Row
from bench.report.context import CellReport
from bench.report.site.commands import export_command, lacking, run_command
from bench.report.site.names import method_page
from bench.stats.bootstrap import Estimate
from bench.stats.compare import MIN_SEEDS
from bench.stats.results import CurveStatistics, IsoCost, MethodStatistics

DIGITS = 5  # significant digits
Numbers = list[float | None]


def finder(report: CellReport) -> dict[str, Any]:
    """Return the data of the sliders: budgets, losses, methods, the static hull, the plain backbone, commands.

    Accuracies, costs and errors are in percent. `at` has an entry per budget, `iso` an entry per loss; an entry is None
    if the budget or accuracy is not reached.
    """
    cell, static = report.statistics, report.statistics.static
    budgets = sorted({p.budget for m in cell.methods for p in m.points if p.budget is not None})
    rows = {(row.kind, row.method, row.budget): row for row in report.rows if row.exit is None}
    last = next((row for row in report.rows if row.exit == len(report.cell.exit_names) - 1), None)
    return {
        "folder": report.folder,
        "name": report.name,
        "budgets": budgets,
        "losses": [100 * i.loss for i in static.iso] if static else [],
        "ranked": len(cell.seeds) >= MIN_SEEDS,
        "methods": [_method(m, budgets, rows) for m in cell.methods],
        "mix": {
            "at": [_mix(report, b, at.accuracy) for b, at in _at(static, budgets)],
            "iso": [_mix(report, i.cost.value, i.cost) for i in static.iso] if static else [],
        },
        "plain": {"accuracy": _percent(last, "accuracy"), **_trust(last)},
        "latency": _latency(report),
        "run": run_command(report.cell, cell.seeds),
        "export": export_command(report.cell, cell.seeds),
        "lacking": lacking(report.cell),
        "bank": report.cell.bank_digest[:12],
    }


def _method(
    method: MethodStatistics, budgets: list[float], rows: dict[tuple[str, str, float | None], Row]
) -> dict[str, Any]:
    at: list[dict[str, Any] | None] = []
    for budget, found in _at(method.curve, budgets):
        if not math.isfinite(found.accuracy.value):
            at.append(None)
            continue
        row = rows.get(("method", method.label, budget))
        at.append(
            {
                "accuracy": _ends(found.accuracy),
                "gain": _ends(found.gain),
                "leading": found.leading,
                "cost": _percent(row, "macs_fraction"),
                **_trust(row),
            }
        )
    return {
        "name": method.label,
        "word": shlex.quote(method.label),
        "href": method_page(method.label),
        "complete": method.complete,
        "at": at,
        "iso": [_iso(i) for i in method.curve.iso],
    }


def _at(curve: CurveStatistics | None, budgets: list[float]) -> list[tuple[float, Any]]:
    known = {b.budget: b for b in curve.budgets} if curve else {}
    return [(b, known[b]) for b in budgets if b in known]


def _iso(found: IsoCost) -> dict[str, Any] | None:
    """Return the lowest cost for a loss; None if some seed does not reach it within the plain backbone's cost."""
    if not math.isfinite(found.cost.value):
        return None
    return {"cost": _ends(found.cost), "leading": found.leading}


def _mix(report: CellReport, cost: float, value: Estimate) -> dict[str, Any] | None:
    """Return the best random mixture of static exits at a cost: shares of samples per exit, mean over seeds."""
    static = report.statistics.static
    costs = {p.name: p.cost.value for p in report.statistics.exits}
    if static is None or not math.isfinite(cost) or not math.isfinite(value.value):
        return None
    found: dict[str, float] = defaultdict(float)
    for names in static.hulls.values():
        held = sorted(names, key=lambda name: costs[name])
        cheap = [name for name in held if costs[name] <= cost + 1e-9][-1:] or held[:1]
        dear = next((name for name in held if costs[name] > cost + 1e-9 and name not in cheap), None)
        share = 0.0 if dear is None else max(0.0, (cost - costs[cheap[0]]) / (costs[dear] - costs[cheap[0]]))
        found[cheap[0]] += 1 - share
        if dear is not None:
            found[dear] += share
    names = report.cell.exit_names
    shares = [(names[int(name.partition("=")[2])], 100 * n / len(static.hulls)) for name, n in found.items()]
    shares.sort(key=lambda part: names.index(part[0]))
    return {"value": _ends(value), "shares": [[name, round(share)] for name, share in shares if share >= 0.5]}


def _latency(report: CellReport) -> dict[str, Any] | None:
    """Return median milliseconds per sample of the first machine at its smallest batch size, and where and when.

    `policies`: (method, budget, milliseconds), without budgets that were given in milliseconds.
    """
    if not report.measured:
        return None
    part = report.measured[0]
    size = min(row.batch_size for row in part.rows)
    rows = [row for row in part.rows if row.batch_size == size]
    known = [(row.method, row.budget, _short(row.milliseconds.median / size)) for row in rows]
    return {
        "where": f"{part.machine.title}, batch size {size}",
        "date": max(row.created for row in rows)[:10],
        "plain": next((value for method, _, value in known if method == PLAIN), None),
        "policies": [[m, float(b), value] for m, b, value in known if b is not None and not b.endswith("ms")],
    }


def _trust(row: Row | None) -> dict[str, float | None]:
    sizes = row.estimate("set_size_lac@0.05") if row else None
    return {"ece": _percent(row, "ece_mass15"), "set": None if sizes is None else _short(sizes.value)}


def _percent(row: Row | None, name: str) -> float | None:
    found = row.estimate(name) if row else None
    return None if found is None else _short(100 * found.value)


def _ends(found: Estimate) -> Numbers:
    """Return an estimate in percent and its interval; unknown numbers are None."""
    return [_short(100 * v) for v in (found.value, found.low, found.high)]


def _short(value: float) -> float | None:
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
