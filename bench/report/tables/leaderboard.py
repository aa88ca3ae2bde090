"""The leaderboard of a cell: its methods by NAUC, with what it rests on and what must be said beside it."""

from __future__ import annotations

from bench.report.context import CellReport
from bench.report.formats.table import Column, Highlight, Table, Value
from bench.report.tables.words import MARKS, caption, marked, seeds
from bench.stats.compare import MIN_SEEDS
from bench.stats.marks import Mark
from bench.stats.results import CellStatistics, CurveStatistics, MethodStatistics

COLUMNS = (
    Column("rank", "Rank", note="the ranks that the method may hold, all pairs judged at once"),
    Column("method", "Method"),
    Column("nauc", "NAUC, %", 2, 100, interval=True, note="mean accuracy over the costs of the window"),
    Column("gain", "Over static hull, points", 2, 100, True, True, note="NAUC less that of mixed static exits"),
    Column("skill", "Skill, %", 1, 100, True, note="share of the way from the static hull to the oracle"),
    Column("difference", "Over baseline, points", 2, 100, True, True, note="NAUC less the baseline's, seed by seed"),
    Column("p_holm", "p (Holm)", 3, p=True, note="two-level bootstrap, corrected for the number of methods"),
    Column("p", "p", 3, p=True, data=True),
    Column("p_signflip", "p (sign flips)", 3, p=True, data=True),
    Column("verdict", "Verdict"),
    Column("cost@0", "Cost at −0", 2, note="least share of the plain backbone's cost that keeps its accuracy"),
    Column("cost@0.005", "at −0.5", 2, note="the same for half a point less"),
    Column("cost@0.01", "at −1", 2, note="the same for one point less"),
    Column("cost@0.02", "at −2", 2, note="the same for two points less"),
    Column("nauc_raw", "NAUC without static exits, %", 2, 100, data=True),
    Column("hypervolume_share", "Hypervolume, share", 4, data=True),
    Column("seeds", "Seeds", data=True),
    *MARKS,
)
GLOSSARY = (
    "Marks: collapsed, one exit takes over 95 % of the samples; infeasible, the budget is below what the method can "
    "meet; unreachable, the method cannot spend the budget; (n/m), so many of its budgets × seeds."
)


def leaderboard(report: CellReport) -> Table:
    """Return the methods of a cell by falling NAUC, those with gaps below, then static hull and oracle."""
    cell = report.statistics
    rows: list[dict[str, Value]] = [_row(cell, method) for method in cell.methods]
    marks: dict[tuple[int, str], Highlight] = {
        (i, key): "best"
        for i, method in enumerate(cell.methods)
        if method.rank and method.rank.last == 1 and len(cell.methods) > 1
        for key in ("rank", "method", "nauc")
    }
    for title, curve in (("static hull", cell.static), ("oracle", cell.oracle)):
        if curve is not None:
            rows.append({"method": title, **_curve(curve), **marked(cell, [Mark("note", "reference")])})
    columns = [c for c in COLUMNS if any(row.get(c.key) is not None for row in rows)]
    return Table("leaderboard", "Leaderboard", columns, rows, _caption(cell), marks)


def _row(cell: CellStatistics, method: MethodStatistics) -> dict[str, Value]:
    told = method.comparison
    baseline = cell.baseline is not None and cell.baseline.label == method.label
    some = method.curve.seeds and len(method.curve.seeds) < len(cell.seeds)
    part = [Mark("few seeds", "NAUC of seeds", len(method.curve.seeds), len(cell.seeds))] if some else []
    compared: dict[str, Value] = {}
    if told:
        compared = {"difference": told.difference, "p": told.p, "p_holm": told.p_holm, "p_signflip": told.p_signflip}
        compared["verdict"] = told.verdict if told.p_holm is not None else None
    return {
        "rank": str(method.rank) if method.rank else None,
        "method": method.label,
        **_curve(method.curve),
        **compared,
        **marked(cell, [*([Mark("note", "baseline")] if baseline else []), *part, *method.marks]),
    }


def _curve(curve: CurveStatistics) -> dict[str, Value]:
    found: dict[str, Value] = {"nauc": curve.nauc, "gain": curve.gain, "skill": curve.skill}
    found |= {"nauc_raw": curve.nauc_raw, "hypervolume_share": curve.hypervolume_share, "seeds": len(curve.seeds)}
    return found | {f"cost@{iso.loss:g}": iso.cost for iso in curve.iso}


def _caption(cell: CellStatistics) -> str:
    effort, window = cell.effort, cell.window
    ranks = "Rank: the ranks that a method may hold, all pairs judged at once; without one where its grid has gaps."
    bold = "Bold: surely better than every other."
    reference = cell.reference
    return caption(
        cell,
        f"Test results, mean over {seeds(cell)}; brackets are 95 % intervals from {effort.draws:,} bootstrap draws of "
        f"seeds and {effort.sample_draws:,} of test samples.",
        "NAUC: mean accuracy along the upper hull of a method's points and the static exits, chosen on val, over "
        f"costs from {window.low:.3g} to {window.high:.3g} of the plain backbone.",
        "Over static hull: NAUC less that of randomly mixed static exits. Skill: that gain as a share of the oracle's.",
        f"{ranks} {bold}" if len(cell.seeds) > 1 else "One seed allows no ranks.",
        _baseline(cell),
        "Cost at −δ: the least share of the backbone's cost that keeps its accuracy less δ points, ∞ where some seed "
        "never does.",
        f"Hypervolume (data files): reference cost {reference.cost:g} and accuracy {100 * reference.accuracy:.2f} %.",
        GLOSSARY,
    )


def _baseline(cell: CellStatistics) -> str:
    if cell.baseline is None:
        return "There is no baseline: no rule on shared heads has a complete grid."
    text = f"Baseline: {cell.baseline.label}, {cell.baseline.how}."
    if not any(m.comparison for m in cell.methods):
        return text
    if len(cell.seeds) < MIN_SEEDS:
        return f"{text} Fewer than {MIN_SEEDS} seeds: intervals only, no p-values."
    family = sum(m.comparison is not None for m in cell.methods)
    return f"{text} p: two-sided, corrected by Holm for {family} comparisons."
