"""The leaderboard of a setting: its methods by own gain, with comparisons, intervals and flags."""

from __future__ import annotations

from bench.report.formats.table import Column, Table, Value
from bench.report.tables.words import FLAGS, LEADERS, caption, flagged, leaders, seeds
from bench.stats.baseline import PLAIN
from bench.stats.compare import MIN_SEEDS, Comparison
from bench.stats.flags import Flag
from bench.stats.results import CellStatistics, CurveStatistics, MethodStatistics

COLUMNS = (
    Column("rank", "Rank", note="simultaneous 95 % confidence interval for the rank"),
    Column("method", "Method"),
    Column("own", "Own gain, points", 2, 100, True, True, note="its own curve minus the static hull, mean over costs"),
    Column(
        "nauc", "NAUC with static exits, %", 2, 100, interval=True, note="mean accuracy of the hull with static exits"
    ),
    Column("gain", "NAUC over static hull, points", 2, 100, True, True, note="NAUC minus that of the static hull"),
    Column("skill", "Skill, %", 1, 100, True, data=True, note="own gain as a share of that of lookahead"),
    Column("difference", "Over baseline, points", 2, 100, True, True, note="own gain minus the baseline’s"),
    Column("p_holm", "p (Holm)", 3, p=True, note="two-level bootstrap, corrected for the number of methods"),
    Column("p", "p", 3, p=True, data=True),
    Column("p_signflip", "p (sign flips)", 3, p=True, data=True),
    Column("verdict", "Verdict", data=True),
    Column("plain_difference", f"Over {PLAIN}, points", 2, 100, True, True, note=f"own gain minus that of {PLAIN}"),
    Column("plain_p_holm", "p (Holm)", 3, p=True, note="the same correction"),
    Column("plain_p", "p", 3, p=True, data=True),
    Column("plain_p_signflip", "p (sign flips)", 3, p=True, data=True),
    Column("plain_verdict", "Verdict", data=True),
    Column("cost@0", "Cost at −0", 2, note="lowest share of the plain backbone's cost that keeps its accuracy"),
    Column("cost@0.005", "at −0.5", 2, note="the same for half a point less"),
    Column("cost@0.01", "at −1", 2, note="the same for one point less"),
    Column("cost@0.02", "at −2", 2, note="the same for two points less"),
    Column("hypervolume_share", "Hypervolume, share", 4, data=True),
    Column("seeds", "Seeds", data=True),
    *FLAGS,
)
RANKS = "Rank: simultaneous 95 % confidence interval; none for a method whose grid has gaps."
GLOSSARY = (
    "Flags: collapsed, over 95 % of the samples leave at one exit; infeasible, the budget is below what the method can "
    "meet; unreachable, the method cannot spend the budget; (n/m), n of its m operating points (budgets × seeds)."
)


def leaderboard(cell: CellStatistics) -> Table:
    """Return the methods of a setting by descending own gain, incomplete ones last, then static hull and oracle."""
    rows: list[dict[str, Value]] = [_row(cell, method) for method in cell.methods]
    for title, curve in (("static hull", cell.static), ("oracle", cell.oracle)):
        if curve is not None:
            rows.append({"method": title, **_curve(curve), **flagged(cell, [Flag("note", "reference")])})
    columns = [c for c in COLUMNS if any(row.get(c.key) is not None for row in rows)]
    return Table("leaderboard", "Leaderboard", columns, rows, _caption(cell), leaders(cell))


def _row(cell: CellStatistics, method: MethodStatistics) -> dict[str, Value]:
    baseline = cell.baseline.label if cell.baseline else None
    some = method.curve.seeds and len(method.curve.seeds) < len(cell.seeds)
    part = [Flag("few seeds", "own gain of seeds", len(method.curve.seeds), len(cell.seeds))] if some else []
    return {
        "rank": str(method.rank) if method.rank else None,
        "method": method.label,
        **_curve(method.curve),
        **compared(method.comparison),
        **(compared(method.against_plain, "plain_") if cell.plain != baseline else {}),
        **flagged(cell, [*([Flag("note", "baseline")] if baseline == method.label else []), *part, *method.flags]),
    }


def compared(told: Comparison | None, prefix: str = "") -> dict[str, Value]:
    """Return the entries of a comparison; the verdict is None without p-values."""
    if told is None:
        return {}
    known: dict[str, Value] = {"difference": told.difference, "p": told.p, "p_holm": told.p_holm}
    known |= {"p_signflip": told.p_signflip, "verdict": told.verdict if told.p_holm is not None else None}
    return {prefix + key: value for key, value in known.items()}


def _curve(curve: CurveStatistics) -> dict[str, Value]:
    found: dict[str, Value] = {"own": curve.own, "nauc": curve.nauc, "gain": curve.gain, "skill": curve.skill}
    found |= {"hypervolume_share": curve.hypervolume_share, "seeds": len(curve.seeds)}
    return found | {f"cost@{iso.loss:g}": iso.cost for iso in curve.iso}


def _caption(cell: CellStatistics) -> str:
    bootstrap, window, reference = cell.bootstrap, cell.window, cell.reference
    return caption(
        cell,
        f"Test results, mean over {seeds(cell)}; brackets are 95 % intervals from {bootstrap.draws:,} bootstrap draws "
        f"of seeds and held-out pools and {bootstrap.sample_draws:,} of test samples.",
        "Own gain: mean over costs of the accuracy of a method's own policies minus that of the static hull (random "
        "mixtures of static exits). Its curve is the upper hull of its policies; it is flat above the most expensive "
        "one, and mixes the cheapest one with the first exit below that.",
        "NAUC with static exits: mean accuracy of the hull of its policies and all static exits, which replace bad "
        f"policies for free. Points on a hull are chosen on {cell.split}; costs are from {window.low:.3g}, the first "
        "exit, to 1, the plain backbone.",
        f"{RANKS} {LEADERS}" if len(cell.seeds) >= MIN_SEEDS else f"Fewer than {MIN_SEEDS} seeds: no ranks.",
        _baseline(cell),
        "Cost at −δ: the lowest share of the backbone's cost at which its own curve keeps the backbone's accuracy "
        "minus δ points, ∞ if some seed never keeps it.",
        f"Hypervolume (data files): reference cost {reference.cost:g} and accuracy {100 * reference.accuracy:.2f} %.",
        GLOSSARY,
    )


def _baseline(cell: CellStatistics) -> str:
    if cell.baseline is None:
        return "There is no baseline: no rule on shared heads has a complete grid."
    text = f"Baseline: {cell.baseline.label}, {cell.baseline.how}."
    if not any(m.comparison for m in cell.methods):
        return text
    if cell.plain not in (None, cell.baseline.label):
        text += f" {cell.plain}: one max-probability threshold for all exits."
    if len(cell.seeds) < MIN_SEEDS:
        return f"{text} Fewer than {MIN_SEEDS} seeds: intervals only, no p-values."
    family = sum(m.comparison is not None for m in cell.methods)
    return f"{text} p: two-sided, corrected by Holm for {family} comparisons."
