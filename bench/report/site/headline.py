"""Four answers about a setting: which method leads, by how much, at which cost, how certain."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bench.report.site.words import gap, percent, points
from bench.stats.compare import MIN_SEEDS
from bench.stats.flags import GAPS
from bench.stats.results import CellStatistics, MethodStatistics
from bench.system.text import counted

LOSS = 0.01  # the cost in the answers is for this loss of accuracy
MOST = 4  # maximum number of names in a sentence


@dataclass(frozen=True)
class Answer:
    """A question of the reader, its answer, and the numbers behind the answer."""

    question: str
    answer: str
    behind: str


def answers(cell: CellStatistics) -> list[Answer]:
    """Return the four answers, or one that states that nothing is known if no method has a complete grid."""
    complete = [m for m in cell.methods if m.complete and not math.isnan(m.curve.own.value)]
    if not complete:
        return [Answer("Which method leads?", "Not known", "No method has results for every budget and seed.")]
    top = complete[0]
    return [_who(complete), _by(top, complete, cell), _cost(top, complete), _sure(cell, complete)]


def _who(complete: list[MethodStatistics]) -> Answer:
    first = [m.label for m in complete if m.leading]
    top = complete[0]
    own = f"own gain {points(top.curve.own.value)} points"
    if not first:
        return Answer("Which method leads?", top.label, f"{own}; fewer than {MIN_SEEDS} seeds: no ranks")
    if len(first) == 1:
        return Answer(
            "Which method leads?", top.label, f"{own}; significantly better than all {len(complete) - 1} others"
        )
    names = ", ".join(first[:MOST]) + (f" and {len(first) - MOST} more" if len(first) > MOST else "")
    if len(first) == len(complete):
        behind = f"Any of {len(first)} may be first; the highest is {top.label}, {own}"
        return Answer("Which method leads?", "No significant leader", behind)
    return Answer("Which method leads?", f"{top.label}, but not alone", f"{own}; may be first: {names}")


def _by(top: MethodStatistics, complete: list[MethodStatistics], cell: CellStatistics) -> Answer:
    parts = [f"{top.label} over the static hull"]
    if top.comparison is not None:
        parts.append(f"{gap(top.comparison.difference)} over the baseline {top.comparison.baseline}")
    elif cell.baseline and cell.baseline.label == top.label:
        parts.append("this is the baseline itself")
    if top.against_plain is not None and cell.baseline and cell.plain != cell.baseline.label:
        parts.append(f"{gap(top.against_plain.difference)} over {cell.plain}")
    if len(complete) > 1:
        parts.append(f"not corrected for selecting the best of {len(complete)}")
    return Answer("By how much?", gap(top.curve.own), "; ".join(parts))


def _cost(top: MethodStatistics, complete: list[MethodStatistics]) -> Answer:
    found = {m.label: i.cost.value for m in complete for i in m.curve.iso if i.loss == LOSS}
    costs = {label: cost for label, cost in found.items() if math.isfinite(cost)}
    if not costs:
        return Answer("At which cost?", "No savings", "No method stays within 1 point of full accuracy on every seed.")
    cheapest = min(sorted(costs), key=lambda label: costs[label])
    own = "" if cheapest == top.label else f"; {top.label}: {percent(costs.get(top.label, math.inf))}"
    behind = f"lowest cost within 1 point of full accuracy: {cheapest}{own}"
    return Answer("At which cost?", f"{percent(costs[cheapest])} of MACs", behind)


def _sure(cell: CellStatistics, complete: list[MethodStatistics]) -> Answer:
    pairs = len(complete) * (len(complete) - 1) // 2
    known = {m.label for m in complete}
    found = sum(a in known and b in known for a, b in cell.sure)
    gaps = sum(any(flag.kind in GAPS for flag in m.flags) for m in cell.methods)
    behind = [f"{found} of {counted(pairs, 'pair')} of methods differ significantly (95\u00a0%)"] if pairs else []
    behind += [f"{counted(gaps, 'method')} with gaps, not ranked"] if gaps else []
    judged = [m.comparison.verdict for m in complete if m.comparison and m.comparison.p_holm is not None]
    if judged:
        better = judged.count("significantly better")
        behind.append(f"{better} of {len(judged)} significantly better than the baseline (Holm-corrected)")
    return Answer("How certain?", counted(len(cell.seeds), "seed"), "; ".join(behind) or "one method")
