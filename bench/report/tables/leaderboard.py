"""The leaderboard of a setting: its methods by NAUC, with comparisons, intervals and flags."""

from __future__ import annotations

from bench.report.formats.table import Column, Highlight, Table, Value
from bench.report.tables.words import FLAGS, caption, flagged, seeds
from bench.stats.compare import MIN_SEEDS
from bench.stats.flags import Flag
from bench.stats.results import CellStatistics, CurveStatistics, MethodStatistics

COLUMNS = (
    Column("rank", "Rank", note="simultaneous 95 % confidence interval for the rank"),
    Column("method", "Method"),
    Column("nauc", "NAUC, %", 2, 100, interval=True, note="mean accuracy over the costs of the window"),
    Column("gain", "Over static hull, points", 2, 100, True, True, note="NAUC minus that of the static hull"),
    Column("skill", "Skill, %", 1, 100, True, note="share of the way from the static hull to the oracle"),
    Column("difference", "Over baseline, points", 2, 100, True, True, note="NAUC minus the baseline's, seed by seed"),
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
    *FLAGS,
)
GLOSSARY = (
    "Flags: collapsed, over 95 % of the samples leave at one exit; infeasible, the budget is below what the method can "
    "meet; unreachable, the method cannot spend the budget; (n/m), this many of its budgets × seeds."
)


def leaderboard(cell: CellStatistics) -> Table:
    """Return the methods of a setting by falling NAUC, those with gaps below, then static hull and oracle."""
    rows: list[dict[str, Value]] = [_row(cell, method) for method in cell.methods]
    highlights: dict[tuple[int, str], Highlight] = {
        (i, key): "best"
        for i, method in enumerate(cell.methods)
        if method.rank and method.rank.last == 1 and len(cell.methods) > 1
        for key in ("rank", "method", "nauc")
    }
    for title, curve in (("static hull", cell.static), ("oracle", cell.oracle)):
        if curve is not None:
            rows.append({"method": title, **_curve(curve), **flagged(cell, [Flag("note", "reference")])})
    columns = [c for c in COLUMNS if any(row.get(c.key) is not None for row in rows)]
    return Table("leaderboard", "Leaderboard", columns, rows, _caption(cell), highlights)


def _row(cell: CellStatistics, method: MethodStatistics) -> dict[str, Value]:
    told = method.comparison
    baseline = cell.baseline is not None and cell.baseline.label == method.label
    some = method.curve.seeds and len(method.curve.seeds) < len(cell.seeds)
    part = [Flag("few seeds", "NAUC of seeds", len(method.curve.seeds), len(cell.seeds))] if some else []
    compared: dict[str, Value] = {}
    if told:
        compared = {"difference": told.difference, "p": told.p, "p_holm": told.p_holm, "p_signflip": told.p_signflip}
        compared["verdict"] = told.verdict if told.p_holm is not None else None
    return {
        "rank": str(method.rank) if method.rank else None,
        "method": method.label,
        **_curve(method.curve),
        **compared,
        **flagged(cell, [*([Flag("note", "baseline")] if baseline else []), *part, *method.flags]),
    }


def _curve(curve: CurveStatistics) -> dict[str, Value]:
    found: dict[str, Value] = {"nauc": curve.nauc, "gain": curve.gain, "skill": curve.skill}
    found |= {"nauc_raw": curve.nauc_raw, "hypervolume_share": curve.hypervolume_share, "seeds": len(curve.seeds)}
    return found | {f"cost@{iso.loss:g}": iso.cost for iso in curve.iso}


def _caption(cell: CellStatistics) -> str:
    bootstrap, window = cell.bootstrap, cell.window
    ranks = "Rank: simultaneous 95 % confidence interval; none for a method whose grid has gaps."
    bold = "Bold: significantly better than every other."
    reference = cell.reference
    return caption(
        cell,
        f"Test results, mean over {seeds(cell)}; brackets are 95 % intervals from {bootstrap.draws:,} bootstrap draws "
        f"of seeds and {bootstrap.sample_draws:,} of test samples.",
        "NAUC: mean accuracy along the upper hull of a method's points and the static exits, chosen on val, over "
        f"costs from {window.low:.3g} to {window.high:.3g} of the plain backbone.",
        "Over static hull: NAUC minus that of random mixtures of static exits. Skill: this gain as a share of the "
        "oracle's.",
        f"{ranks} {bold}" if len(cell.seeds) > 1 else "One seed allows no ranks.",
        _baseline(cell),
        "Cost at −δ: the least share of the backbone's cost that keeps its accuracy minus δ points, ∞ if some seed "
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
