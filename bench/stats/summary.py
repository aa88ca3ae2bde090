"""The statistics of a setting in one call: `summarise(cell)` gives all that its tables and figures need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bench.errors import UserError
from bench.stats import frontier
from bench.stats.adherence import adherence
from bench.stats.bands import Band, band
from bench.stats.baseline import LOOKAHEAD, PLAIN, Baseline, choose
from bench.stats.bootstrap import UNKNOWN, Draws, Estimate, estimates
from bench.stats.compare import MIN_SEEDS, Comparison, compare
from bench.stats.curves import (
    LOSSES,
    Curve,
    augmented_curve,
    oracle_curve,
    own_curve,
    own_gains_where_chosen,
    scores,
    setting,
    static_curve,
)
from bench.stats.data import CellData, Entry
from bench.stats.flags import Flag, flags, whole_seeds
from bench.stats.measure import STATIC, Means, measure
from bench.stats.quality import checks, failed
from bench.stats.ranks import pairwise_sure, ranks, ranks_from
from bench.stats.resample import BootstrapConfig
from bench.stats.results import (
    BudgetStatistics,
    CellStatistics,
    CurveStatistics,
    IsoCost,
    MethodStatistics,
    PointStatistics,
)

Array = NDArray[np.float64]
GRID = 65  # costs at which a mean curve is drawn


def summarise(cell: CellData, bootstrap: BootstrapConfig | None = None, baseline: str | None = None) -> CellStatistics:
    """Compute all statistics of a setting. The same records give the same bytes, in any order.

    baseline: the label to compare with, instead of the best shared-head rule. Raises UserError if the setting has no
    complete grid of it.
    """
    return _Summary(cell, bootstrap or BootstrapConfig()).run(baseline)


class _Summary:
    def __init__(self, cell: CellData, bootstrap: BootstrapConfig) -> None:
        self.cell, self.bootstrap = cell.sorted(), bootstrap
        cell = self.cell
        with_static = tuple(s for s in cell.seeds if cell.static_at(s))
        self.seeds = with_static or cell.seeds
        self.means: Means = measure(cell, bootstrap)
        self.draws = Draws.make(cell.seeds, bootstrap, cell.test_set, cell.pools)
        self.common = setting(cell, self.seeds)
        self.flags = flags(cell)
        self.static = {s: static_curve(cell, s, self.means) for s in self.seeds}
        self.oracle = {s: oracle_curve(cell, s, self.means) for s in self.seeds}
        self.values: dict[str, dict[str, Array]] = {}  # label: statistic: [1+R, S]

    def run(self, declared: str | None) -> CellStatistics:
        curves = {e.label: self._method(e) for e in self.cell.methods}
        complete = sorted(label for label, curve in curves.items() if curve.seeds == self.seeds and self.seeds)
        if LOOKAHEAD in complete:
            curves = {label: replace(curve, skill=self._skill(label)) for label, curve in curves.items()}
        lead = self._lead(complete)
        curves |= {label: self._led(curves[label], lead) for label in complete}
        chances = own_gains_where_chosen(self.cell, complete, self.seeds, self.common.window)
        baseline = choose(self.cell, chances)
        if declared is not None:
            if declared not in complete:
                known = ", ".join(complete) or "none"
                why = "it has no complete grid there"
                raise UserError(f"'{declared}' cannot be the baseline of {self.cell.name}: {why}. Valid: {known}.")
            chosen = baseline or Baseline(declared, {})
            baseline = replace(chosen, label=declared, declared=True)
        own = {label: self.values[label]["own"] for label in complete}
        own = {label: values for label, values in own.items() if np.isfinite(values).all()}
        sure = pairwise_sure(own, self.seeds, self.draws)
        places = ranks_from(sure, list(own)) if len(self.seeds) >= MIN_SEEDS else {}
        plain = PLAIN if PLAIN in own else None
        compared = self._compared(own, baseline.label if baseline else None)
        against_plain = self._compared(own, plain)
        exits = [self._point(self.cell.static, STATIC, f"exit={k}", None) for k in range(self.cell.num_exits)]
        exits = [point for point in exits if point.accuracy.seeds]
        first = max(sorted(chances), key=lambda label: chances[label], default=None)
        best = None if first is None else (first, curves[first].own)
        quality = checks([p.accuracy.value for p in exits], best, list(own), sure, self.seeds)
        unfit = failed(quality)
        methods = [
            MethodStatistics(
                label=e.label,
                name=e.name,
                heads=e.heads,
                complete=e.label in complete,
                curve=curves[e.label],
                points=tuple(self._point(e, e.label, f"budget={b:g}", b) for b in self.cell.budgets),
                adherence=adherence(e.points),
                flags=self.flags.methods[e.label],
                rank=places.get(e.label),
                comparison=compared.get(e.label),
                against_plain=against_plain.get(e.label),
                difference=self._difference(e.label, baseline.label) if baseline and e.label in compared else None,
            )
            for e in self.cell.methods
        ]
        return CellStatistics(
            name=self.cell.name,
            seeds=self.cell.seeds,
            samples=tuple(sorted({len(p.correct) for p in self.cell.measured if p.correct is not None})),
            window=self.common.window,
            split=self.common.split,
            reference=self.common.reference,
            methods=tuple(sorted(methods, key=_order)),
            static=self._reference("static", self.static),
            oracle=self._reference("oracle", self.oracle),
            exits=tuple(exits),
            baseline=baseline,
            plain=plain,
            sure=tuple(sorted(sure)),
            quality=quality,
            flags=(
                *self.flags.cell,
                *([Flag("quality", f"quality check not met: {'; '.join(unfit)}")] if unfit else []),
            ),
            bootstrap=self.bootstrap,
            pools=self.cell.pools,
        )

    def _method(self, entry: Entry) -> CurveStatistics:
        whole = [s for s in whole_seeds(entry, self.cell) if s in self.seeds]
        own = {s: own_curve(self.cell, entry.label, s, self.means) for s in whole}
        augmented = {s: augmented_curve(self.cell, entry.label, s, self.means) for s in whole}
        return self._curve(entry.label, own, augmented)

    def _skill(self, label: str) -> Estimate:
        """Return own gain as a share of lookahead's mean, if that is above 0; unknown for incomplete grids."""
        mine, best = self.values[label].get("own"), self.values[LOOKAHEAD]["own"].mean(1, keepdims=True)
        if mine is None or mine.shape[1] != len(self.seeds):
            return UNKNOWN
        share = np.divide(mine, best, out=np.full_like(mine, np.nan), where=best > 0)
        return estimates(share[..., None], self.seeds, self.draws)[0] if np.isfinite(share).all() else UNKNOWN

    def _lead(self, complete: Sequence[str]) -> set[tuple[str, str]]:
        """Return (method, statistic) wherever a complete method may be the best at a budget, or the cheapest at a loss.

        The plain backbone is always available, so no loss costs more than it does.
        """
        found = set()
        for name in [*(f"accuracy@{b:g}" for b in self.cell.budgets), *(f"cost@{loss:g}" for loss in LOSSES)]:
            held = {label: values for label in complete if (values := self.values[label].get(name)) is not None}
            if name.startswith("cost"):
                held = {label: -values.clip(None, 1.0) for label, values in held.items()}
            known = {label: values for label, values in held.items() if np.isfinite(values).all()}
            found |= {(label, name) for label, rank in ranks(known, self.seeds, self.draws).items() if rank.leading}
        return found

    def _led(self, curve: CurveStatistics, lead: set[tuple[str, str]]) -> CurveStatistics:
        """Mark the budgets and losses at which a method leads."""
        at = tuple(replace(b, leading=(curve.label, f"accuracy@{b.budget:g}") in lead) for b in curve.budgets)
        iso = tuple(replace(i, leading=(curve.label, f"cost@{i.loss:g}") in lead) for i in curve.iso)
        return replace(curve, budgets=at, iso=iso)

    def _compared(self, own: dict[str, Array], baseline: str | None) -> dict[str, Comparison]:
        if baseline is None:
            return {}
        return {c.method: c for c in compare(own, baseline, self.seeds, self.draws)}

    def _reference(self, label: str, curves: Mapping[int, Curve | None]) -> CurveStatistics | None:
        return self._curve(f"={label}", curves, curves) if any(curves.values()) else None

    def _curve(
        self, label: str, own: Mapping[int, Curve | None], augmented: Mapping[int, Curve | None]
    ) -> CurveStatistics:
        found = {s: (curve, other) for s, curve in own.items() if curve is not None and (other := augmented[s])}
        seeds = tuple(sorted(found))
        per_seed = [scores(*found[s], self.static[s], self.oracle[s], self._full(s), self.common) for s in seeds]
        names = list(per_seed[0]) if per_seed else []
        self.values[label] = {name: np.stack([row[name] for row in per_seed], 1) for name in names}
        stack = np.stack([self.values[label][name] for name in names], -1) if names else np.empty((1, 0, 0))
        known = dict(zip(names, estimates(stack, seeds, self.draws), strict=True))
        grid = tuple(np.linspace(self.common.window.low, self.common.window.high, GRID).tolist())
        firsts = [frontier.hull_values(c.hull[0][:1], c.hull[1][:1], grid)[0] for c, _ in found.values()]
        line = np.mean(firsts, 0).tolist() if firsts else []
        return CurveStatistics(
            label=label.removeprefix("="),
            seeds=seeds,
            **{k: known.get(k, UNKNOWN) for k in ("own", "nauc", "gain", "hypervolume", "hypervolume_share")},
            budgets=tuple(
                BudgetStatistics(
                    b,
                    **{k: known.get(f"{k}@{b:g}", UNKNOWN) for k in ("accuracy", "gain", "regret")},
                    leading=False,
                )
                for b in self.cell.budgets
            ),
            iso=tuple(self._iso(label, loss, known, len(seeds)) for loss in LOSSES),
            band=self._band(self._at_budgets(label), seeds),
            line=tuple(zip(grid, line, strict=False)),
            hulls={seed: curve.names for seed, (curve, _) in found.items()},
        )

    def _iso(self, label: str, loss: float, known: Mapping[str, Estimate], of: int) -> IsoCost:
        name = f"cost@{loss:g}"
        values = self.values[label].get(name, np.empty((1, 0)))
        return IsoCost(loss, known.get(name, UNKNOWN), int(np.isfinite(values[0]).sum()), of)

    def _at_budgets(self, label: str) -> dict[float, Array]:
        """Return accuracies [1+R, S] at the budgets that all seeds of a curve reach."""
        held = {b: self.values[label].get(f"accuracy@{b:g}") for b in self.cell.budgets}
        return {b: v for b, v in held.items() if v is not None and np.isfinite(v).all()}

    def _difference(self, label: str, baseline: str) -> Band | None:
        mine, theirs = self._at_budgets(label), self._at_budgets(baseline)
        return self._band({b: v - theirs[b] for b, v in mine.items() if b in theirs}, self.seeds)

    def _band(self, values: Mapping[float, Array], seeds: Sequence[int]) -> Band | None:
        """Return the band of a curve of values [1+R, S] over costs; None if its variance is unknown."""
        if not values or not seeds or (len(seeds) < 2 and self.means.rows < 2):
            return None
        stack = np.stack(list(values.values()), -1)
        deviation, se = self.draws.deviations(stack, seeds, several=True)
        return band(tuple(values), stack[0].mean(0), deviation, se)

    def _full(self, seed: int) -> Array | None:
        return self.means.accuracy.get((STATIC, f"exit={self.cell.num_exits - 1}", seed))

    def _point(self, entry: Entry, label: str, name: str, budget: float | None) -> PointStatistics:
        points = [p for p in entry.points if p.ok and (p.budget == budget if budget is not None else p.name == name)]
        points.sort(key=lambda p: p.seed)
        seeds = tuple(p.seed for p in points)
        depth = [p.shares for p in points if len(p.shares) == self.cell.num_exits]
        if points:
            cost, accuracy = self.means.of(label, points)
            found = estimates(np.stack([accuracy, cost], -1), seeds, self.draws)
        return PointStatistics(
            name=name,
            budget=budget,
            accuracy=found[0] if points else UNKNOWN,
            cost=found[1] if points else UNKNOWN,
            adherence=adherence(points),
            depth=tuple(np.mean(depth, 0).tolist()) if depth else (),
            flags=self.flags.points.get((label, budget), ()) if budget is not None else (),
        )


def _order(method: MethodStatistics) -> tuple[bool, bool, float, str]:
    value = method.curve.own.value
    return not method.complete, bool(np.isnan(value)), -value if not np.isnan(value) else 0.0, method.label
