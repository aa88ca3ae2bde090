"""Simulate settings of equal methods; print the coverage of the intervals of own gains, and the shares of false claims.

    python -m studies.own_gain --simulations 400

Every simulation draws a new setting: test samples that all seeds share, heads that differ by seed, and methods whose
scores indicate right answers with the same amount of noise. The whole of `summarise` is used, including the choice of
curve members on cal. The true own gain is the mean of all estimates; its error is small compared with one interval.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.stats.data import CellData, Entry, OperatingPoint
from bench.stats.resample import BootstrapConfig
from bench.stats.summary import summarise

COSTS = np.array([0.1, 0.3, 0.6, 1.0])
LEVELS = np.array([-0.5, 0.0, 0.3, 0.5])
BUDGETS = (0.15, 0.25, 0.4, 0.65, 0.9)
SPLITS = ("val", "cal", "test")
BOOTSTRAP = BootstrapConfig(draws=600, sample_draws=150)


@dataclass(frozen=True)
class Found:
    """Shares over simulations: intervals that contain the true value, and settings with a false claim."""

    truth: float
    coverage: float  # of the intervals of all methods' own gains
    holm: float  # some method is significantly better or worse than the baseline, by Holm
    ranks: float  # some rank interval lacks a rank; equal methods may have every rank
    plain: float  # the same as holm, against plain thresholds


def setting(rng: np.random.Generator, methods: int, seeds: int, samples: int, spread: float = 0.05) -> CellData:
    """Return a simulated setting of equal methods; `spread` is the sd of the heads' level over seeds."""
    hard = {split: rng.standard_normal((samples, 1)) for split in SPLITS}
    entries: dict[str, list[OperatingPoint]] = {"static": [], **{name: [] for name in names(methods)}}
    for seed in range(seeds):
        shift = spread * rng.standard_normal(len(COSTS))
        right = {
            s: LEVELS + shift - 0.8 * hard[s] + 0.6 * rng.standard_normal((samples, len(COSTS))) > 0 for s in SPLITS
        }
        for k in range(len(COSTS)):
            leave = {s: np.full(samples, k) for s in SPLITS}
            entries["static"].append(_point(f"exit={k}", None, seed, right, leave))
        for name in names(methods):
            view = {s: np.where(right[s], 1.0, -1.0) + rng.standard_normal(right[s].shape) for s in SPLITS}
            for budget in BUDGETS:
                threshold = _threshold(view["val"], budget)
                leave = {s: _exits(view[s], threshold) for s in SPLITS}
                entries[name].append(_point(f"budget={budget:g}", budget, seed, right, leave))
    made = {name: Entry(name, tuple(points), name, "plain") for name, points in entries.items()}
    methods_ = tuple(made[name] for name in sorted(names(methods)))
    return CellData("simulated", methods_, made["static"], Entry("", ()), len(COSTS), test_set="simulated")


def names(methods: int) -> list[str]:
    """Return the names of the methods, plain thresholds among them."""
    return ["global_thresh", *(f"m{i:02d}" for i in range(1, methods))]


def _exits(view: np.ndarray, threshold: float) -> np.ndarray:
    stop = view >= threshold
    stop[:, -1] = True
    return np.asarray(stop.argmax(1))


def _threshold(view: np.ndarray, budget: float) -> float:
    """Return about the largest threshold whose cost on val fits the budget; the cost rises with the threshold."""
    low, high = float(view.min()), float(view.max()) + 1e-6
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (middle, high) if COSTS[_exits(view, middle)].mean() <= budget else (low, middle)
    return low


def _point(
    name: str, budget: float | None, seed: int, right: dict[str, np.ndarray], leave: dict[str, np.ndarray]
) -> OperatingPoint:
    taken = {s: right[s][np.arange(len(leave[s])), leave[s]] for s in SPLITS}
    scores = {f"{s}_{key}": value for s in ("val", "cal") for key, value in _scores(taken[s], leave[s]).items()}
    correct = right["test"]
    return OperatingPoint(
        name, seed, "ok", budget, **scores, **_scores(taken["test"], leave["test"]), exit_costs=tuple(COSTS),
        shares=tuple(np.bincount(leave["test"], minlength=len(COSTS)) / len(correct)),
        exit_accuracy=tuple(correct.mean(0)), correct=taken["test"], exit_index=leave["test"],
    )  # fmt: skip


def _scores(taken: np.ndarray, leave: np.ndarray) -> dict[str, float]:
    return {"accuracy": float(taken.mean()), "cost": float(COSTS[leave].mean())}


def simulate(
    methods: int, seeds: int, simulations: int, samples: int = 400, bootstrap: BootstrapConfig = BOOTSTRAP
) -> Found:
    """Return coverage and shares of false claims over `simulations` simulated settings of equal methods."""
    rng = np.random.default_rng([methods, seeds])
    intervals: list[tuple[float, float, float]] = []
    wrong = {"holm": 0, "plain": 0, "ranks": 0}
    for _ in range(simulations):
        found = summarise(setting(rng, methods, seeds, samples), bootstrap)
        intervals += [(m.curve.own.value, m.curve.own.low, m.curve.own.high) for m in found.methods]
        for key, told in (("holm", "comparison"), ("plain", "against_plain")):
            p = [c.p_holm for m in found.methods if (c := getattr(m, told)) is not None and c.p_holm is not None]
            wrong[key] += min(p, default=1.0) <= 0.05
        wrong["ranks"] += any(m.rank is not None and str(m.rank) != f"1–{methods}" for m in found.methods)
    value, low, high = np.array(intervals).T
    truth = float(value.mean())
    shares = {key: count / simulations for key, count in wrong.items()}
    return Found(truth, float(((low <= truth) & (truth <= high)).mean()), **shares)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a row per number of seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=400)
    parser.add_argument("--seeds", type=int, nargs="+", default=[3, 6, 10])
    parser.add_argument("--methods", type=int, default=8)
    chosen = parser.parse_args(arguments)
    print("| seeds | true own gain, points | coverage | Holm, baseline | Holm, plain thresholds | ranks |")
    print("|---|---|---|---|---|---|")
    for seeds in chosen.seeds:
        found = simulate(chosen.methods, seeds, chosen.simulations)
        errors = [f"{100 * e:.1f}" if seeds >= 6 else "–" for e in (found.holm, found.plain, found.ranks)]
        print(f"| {seeds} | {100 * found.truth:+.2f} | {100 * found.coverage:.1f} | {' | '.join(errors)} |", flush=True)


if __name__ == "__main__":
    main()
