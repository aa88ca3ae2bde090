from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from bench.method import ExitData, Method, Policy
from bench.metrics.thresholds import KINDS
from bench.trials.outcomes import unpack
from bench.trials.plan import REFERENCES, Trial
from bench.trials.run import run_trial
from bench.trials.splits import SeedSplits


def relabelled(data: ExitData, seed: int = 0) -> ExitData:
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))
    return dataclasses.replace(data, labels=data.labels[order])


@pytest.mark.parametrize("name", ["jeidnn", "msdnet_thresh", "entropy_thresh"])
def test_every_owed_point_gets_a_record(trial_of, splits, name):
    records = [r for r, _ in run_trial(trial_of(name), splits, {})]
    assert [r.status for r in records] == ["infeasible", "ok", "ok"]
    assert records[0].reason and not records[0].metrics
    for record in records[1:]:
        assert record.val["macs_fraction"] <= record.point.budget + 1e-9
        assert 0 < record.metrics["accuracy"] < 1
        assert sum(row["share"] for row in record.per_exit) == pytest.approx(1)


@pytest.mark.parametrize(
    "name", ["jeidnn", "msdnet_thresh", "entropy_thresh", "jeidnn[preset=paper,epochs=5,points=4]"]
)
def test_labels_of_cal_and_test_change_no_policy(trial_of, splits, name):
    before = run_trial(trial_of(name), splits, {})
    leaky = SeedSplits(splits.task, relabelled(splits.cal), relabelled(splits.test))
    after = run_trial(trial_of(name), leaky, {})
    for (a, rows_a), (b, rows_b) in zip(before, after, strict=True):
        assert a.status == b.status and a.val == b.val
        if a.status == "ok":
            assert (rows_a.arrays["test_exit_index"] == rows_b.arrays["test_exit_index"]).all()
            assert a.metrics["macs"] == b.metrics["macs"]
            assert a.metrics["accuracy"] != b.metrics["accuracy"]


def test_cal_moves_conformal_sets_its_own_accuracy_and_nothing_else(trial_of, splits):
    (before, _), (after, _) = (
        run_trial(trial_of("msdnet_thresh"), SeedSplits(splits.task, cal, splits.test), {})[1]
        for cal in (splits.cal, relabelled(splits.cal))
    )
    changed = {k for k in before.metrics if before.metrics[k] != after.metrics[k]} - {"cal_accuracy"}
    kinds = ("lac", "aps", "raps", *KINDS)
    assert changed and all("@" in k and k.split("@")[0].endswith(kinds) for k in changed)


def test_static_rows_cost_one_head_and_end_at_the_plain_backbone(trial_of, splits):
    records = {r.point.point: r for r, _ in run_trial(trial_of(REFERENCES), splits, {})}
    head = 12 * 6
    for k in range(4):
        assert records[f"exit={k}"].metrics["macs"] == splits.task.macs[k] + head
        assert [row["exit"] for row in records[f"exit={k}"].per_exit] == [k]
    assert records["exit=4"].metrics["macs_fraction"] == 1
    final = (splits.test.final_logits.argmax(-1) == splits.test.labels).double().mean()
    assert records["exit=4"].metrics["accuracy"] == pytest.approx(float(final))


def test_the_oracle_is_at_least_as_right_as_any_static_exit(trial_of, splits):
    records = {r.point.point: r for r, _ in run_trial(trial_of(REFERENCES), splits, {})}
    record = records.pop("oracle")
    oracle, held = record.metrics, unpack(record)
    assert held.correct.mean() == pytest.approx(oracle["accuracy"])
    macs = np.array([row["macs"] for row in record.per_exit])
    assert macs[held.exit_index].mean() == pytest.approx(oracle["macs"])
    assert oracle["accuracy"] >= max(records[f"exit={k}"].metrics["accuracy"] for k in range(5))
    assert oracle["macs_fraction"] < 1


class Broken(Method):
    """Raises, or returns policies that break the contract, on demand."""

    name = "broken"

    @dataclasses.dataclass(frozen=True)
    class Config:
        how: str = "raise"

    def fit(self, task, budgets):
        if self.config.how == "raise":
            raise RuntimeError("no such thing")
        if self.config.how == "few":
            return []
        return [_Spender() for _ in budgets]


class _Spender(Policy):
    def head(self, k, features, previous):
        return features[:, :6]

    def leave(self, k, logits):
        return torch.zeros(len(logits), dtype=torch.bool)

    def macs(self, k):
        return 0


@pytest.mark.parametrize(
    ("how", "reason"), [("raise", "no such thing"), ("few", "0 policies for 3"), ("spend", "above its budget")]
)
def test_a_broken_method_becomes_failed_records_with_a_reason(monkeypatch, trial_of, splits, how, reason):
    monkeypatch.setattr("bench.plugins.registry.load", lambda kind, name: Broken)
    trial = trial_of_broken(trial_of, how)
    records = [r for r, _ in run_trial(trial, splits, {})]
    assert [r.status for r in records] == ["failed"] * 3
    assert all(reason in r.reason and not r.metrics for r in records)


def trial_of_broken(trial_of, how: str) -> Trial:
    cell = trial_of(REFERENCES).cell
    point = trial_of(REFERENCES).points[0]
    points = tuple(
        point.model_copy(update={"kind": "method", "method": "broken", "point": f"budget={b}", "budget": b})
        for b in (0.1, 0.2, 0.3)
    )
    return Trial(cell, "broken", Broken.Config(how), 0, points, (0.1, 0.2, 0.3))
