"""Run one trial: fit on train and val, run the policies on cal and test, score them, and make the records."""

from __future__ import annotations

import time
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from bench import heads
from bench.errors import NeedsTrain
from bench.inference import Outcomes, exit_macs
from bench.method import Infeasible, Policy
from bench.metrics.accuracy import predictions
from bench.metrics.arrays import to_numpy
from bench.metrics.calibration import reliability_of
from bench.metrics.samples import Measured, measure
from bench.metrics.score import score
from bench.plugins import registry
from bench.rules import too_small
from bench.trials.kept import Kept
from bench.trials.outcomes import pack
from bench.trials.plan import REFERENCES, Trial
from bench.trials.record import Point, Record, Status, record_id
from bench.trials.references import MIXED, StaticExits, StaticPolicy, oracle, oracle_macs
from bench.trials.splits import SeedSplits

SLACK = 1e-9  # a budget is met on val up to rounding of the mean
Result = tuple[Record, Kept | None]


def run_trial(trial: Trial, splits: SeedSplits, provenance: dict[str, Any]) -> list[Result]:
    """Return one record per point, with per-sample outcomes if it is ok. An error of a method becomes a record."""
    make = _Maker(trial, splits, provenance)
    try:
        if trial.method == REFERENCES:
            return make.references()
        return make.method()
    except NeedsTrain as error:
        return [make.record(p, "infeasible", reason=str(error)) for p in trial.points]
    except Exception as error:
        return [make.record(p, "failed", reason=explain(error)) for p in trial.points]


def explain(error: BaseException) -> str:
    """Describe an error and its place in one line."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno}, in {frames[-1].name})" if frames else ""
    return f"{type(error).__name__}: {' '.join(str(error).split())}{where}"


class _Maker:
    def __init__(self, trial: Trial, splits: SeedSplits, provenance: dict[str, Any]) -> None:
        self.trial, self.splits, self.provenance = trial, splits, provenance
        self.full_macs = splits.task.macs[-1]

    def method(self) -> list[Result]:
        budgets = list(self.trial.budgets)
        cls = registry.load("methods", self.trial.method)
        start = time.perf_counter()
        policies = list(cls(self.trial.config).fit(self.splits.task, budgets))
        seconds = time.perf_counter() - start
        if len(policies) != len(budgets):
            raise ValueError(f"fit returned {len(policies)} policies for {len(budgets)} budgets")
        fitted = dict(zip(budgets, policies, strict=True))
        return [self._play(p, fitted[p.budget], policies, seconds) for p in self.trial.points if p.budget is not None]

    def _play(
        self, point: Point, policy: Policy | Infeasible, among: Sequence[Policy | Infeasible], fit_seconds: float
    ) -> Result:
        if isinstance(policy, Infeasible):
            return self.record(point, "infeasible", reason=str(policy), timings={"fit_seconds": fit_seconds})
        try:
            return self.policy(point, policy, {"fit_seconds": fit_seconds}, among)
        except Exception as error:
            return self.record(point, "failed", reason=explain(error), timings={"fit_seconds": fit_seconds})

    def policy(
        self, point: Point, policy: Policy, timings: dict[str, float], among: Sequence[Policy | Infeasible] = ()
    ) -> Result:
        answers, macs = self.splits.answers_for(policy, among), self.splits.task.macs
        val = summary(answers.outcomes("val", policy, macs), self.full_macs)
        if point.budget is not None and val["macs_fraction"] > point.budget + SLACK:
            reason = f"the policy costs {val['macs_fraction']:.4f} on val, above its budget {point.budget:g}"
            return self.record(point, "failed", reason=reason, timings=timings)
        start = time.perf_counter()
        cal, test = (answers.outcomes(split, policy, macs) for split in ("cal", "test"))
        played = time.perf_counter()
        costs = exit_macs(policy, macs)
        outcome = measure(
            cal,
            test,
            exit_macs=costs,
            full_macs=self.full_macs,
            train_counts=self.splits.train_counts,
            answers=answers.scored,
        )
        made = score(outcome)
        rows = made.rows(self.trial.cell.exit_names, costs)
        timings = timings | {"play_seconds": played - start, "score_seconds": time.perf_counter() - played}
        record, _ = self.record(
            point, "ok", note=policy.note, metrics=made.metrics, val=val, rows=rows, of=outcome, timings=timings
        )
        return record, answers.keep(outcome)

    def references(self) -> list[Result]:
        start = time.perf_counter()
        plain = heads.fit("plain" if self.splits.task.native is None else "native", self.splits.task)
        timings = {"fit_seconds": time.perf_counter() - start}
        mixed = any(point.method in MIXED for point in self.trial.points)
        exits = StaticExits.measure(plain, self.splits.task, self.splits.test) if mixed else None
        results = []
        for point in self.trial.points:
            if point.method == "oracle":
                results.append(self._oracle(point, plain))
            elif exits is not None and point.method in MIXED:
                results.append(self._mixed(point, exits))
            elif (k := point.exit) is not None:
                record, kept = self.policy(point, StaticPolicy(plain, self.splits.task.num_exits, k), timings)
                rows = [row for row in record.per_exit if row["exit"] == k]
                results.append((record.model_copy(update={"per_exit": rows}), kept))
        return results

    def _mixed(self, point: Point, exits: StaticExits) -> Result:
        assert point.budget is not None
        shares = exits.shares(point.method, point.budget)
        if shares is None:
            return self.record(point, "infeasible", reason=str(too_small(point.budget, float(exits.costs.min()))))
        metrics, val = exits.expected(shares)
        return self.record(point, "ok", metrics=metrics, val=val, rows=self._shares(shares.tolist()))

    def _oracle(self, point: Point, plain: heads.Heads) -> Result:
        task, full = self.splits.task, self.full_macs
        outcomes = oracle(plain, self.splits.test, task.macs)
        index = outcomes.exit_index.cpu().numpy()
        shares = np.bincount(index, minlength=task.num_exits) / len(index)
        rows = self._shares(shares.tolist())
        costs = oracle_macs(plain, task.macs)
        rows = [row | {"macs": macs} for row, macs in zip(rows, costs, strict=True)]
        held = pack(correct(outcomes), index)
        val = summary(oracle(plain, task.val, task.macs), full)
        record, _ = self.record(point, "ok", metrics=summary(outcomes, full), val=val, rows=rows)
        return record.model_copy(update={"outcomes": held}), None

    def _shares(self, shares: Sequence[float]) -> list[dict[str, Any]]:
        names = self.trial.cell.exit_names
        return [{"exit": k, "name": names[k], "share": float(s)} for k, s in enumerate(shares)]

    def record(
        self,
        point: Point,
        status: Status,
        *,
        reason: str | None = None,
        note: str = "",
        metrics: dict[str, float] | None = None,
        val: dict[str, float] | None = None,
        rows: Sequence[dict[str, Any]] = (),
        of: Measured | None = None,
        timings: dict[str, float] | None = None,
    ) -> Result:
        record = Record(
            id=record_id(self.trial.cell, point),
            status=status,
            reason=reason,
            note=note,
            cell=self.trial.cell,
            point=point,
            full_macs=self.full_macs,
            metrics=metrics or {},
            val=val or {},
            per_exit=list(rows),
            outcomes=pack(of.test.correct, of.test.exit_index) if of else None,
            reliability=reliability_of(of.test.bins("width")) if of else [],
            timings={k: round(v, 4) for k, v in (timings or {}).items()},
            provenance=self.provenance,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        return record, None


def summary(outcomes: Outcomes, full_macs: int) -> dict[str, float]:
    """Return accuracy, mean MACs, and their fraction of the plain backbone."""
    macs = float(outcomes.macs.double().mean())
    accuracy = float(correct(outcomes).mean())
    return {"accuracy": accuracy, "macs": macs, "macs_fraction": macs / full_macs}


def correct(outcomes: Outcomes) -> np.ndarray:
    """Return which samples [N] were predicted correctly, bool."""
    return predictions(outcomes.logits) == to_numpy(outcomes.labels)
