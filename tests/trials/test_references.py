from __future__ import annotations

import math

import pytest
import torch

from bench import heads
from bench.inference import exit_macs, simulate
from bench.trials.plan import REFERENCES, reference_points
from bench.trials.references import StaticExits, StaticPolicy, hull_shares, random_shares, static_macs
from bench.trials.run import run_trial
from tests.helpers.tasks import make_split, make_task

COSTS = torch.tensor([0.2, 0.6, 1.0], dtype=torch.float64)
BUDGETS = (0.1, 0.3, 0.5, 0.8, 1.0)


def exits(val: list[float], test: list[float], macs=(20, 60, 100)) -> StaticExits:
    splits = ({"accuracy": a, "macs": list(macs)} for a in (val, test))
    found = [{name: torch.tensor(v, dtype=torch.float64) for name, v in scores.items()} for scores in splits]
    return StaticExits(*found, full_macs=100)


def entropy(p: torch.Tensor) -> float:
    return float(-(p * p.log()).sum())


def test_random_shares_are_the_most_even_ones_that_cost_the_budget():
    assert random_shares(COSTS, 0.6).tolist() == pytest.approx([1 / 3] * 3)
    p = random_shares(COSTS, 0.5)
    assert float(p @ COSTS) == pytest.approx(0.5, abs=1e-9)
    assert float(p[1] / p[0]) == pytest.approx(float(p[2] / p[1]))  # even cost steps: a geometric series
    step = torch.tensor([1.0, -2.0, 1.0], dtype=torch.float64) * 1e-3  # along which the cost stays
    assert entropy(p) > entropy(p + step) and entropy(p) > entropy(p - step)


def test_random_shares_at_and_beyond_the_ends():
    assert random_shares(COSTS, 0.2).tolist() == pytest.approx([1, 0, 0], abs=1e-9)
    assert random_shares(COSTS, 1.0).tolist() == pytest.approx([0, 0, 1], abs=1e-9)
    assert random_shares(COSTS, 7.0).tolist() == pytest.approx([0, 0, 1], abs=1e-9)


def test_the_hull_skips_what_a_mixture_of_others_beats():
    accuracy = torch.tensor([0.4, 0.5, 0.8], dtype=torch.float64)  # halfway between the ends: 0.6 at cost 0.6
    assert hull_shares(COSTS, accuracy, 0.6).tolist() == pytest.approx([0.5, 0, 0.5])
    accuracy[1] = 0.7
    assert hull_shares(COSTS, accuracy, 0.6).tolist() == pytest.approx([0, 1, 0])
    assert hull_shares(COSTS, accuracy, 0.7).tolist() == pytest.approx([0, 0.75, 0.25])


def test_the_hull_stops_at_the_most_accurate_exit():
    overthinking = torch.tensor([0.4, 0.8, 0.7], dtype=torch.float64)
    assert hull_shares(COSTS, overthinking, 0.9).tolist() == [0, 1, 0]
    assert hull_shares(COSTS, overthinking, 0.2).tolist() == [1, 0, 0]
    assert hull_shares(torch.ones(1), torch.ones(1), 1.0).tolist() == [1]


def test_an_exit_may_cost_more_than_the_last():
    costs = torch.tensor([0.2, 1.1, 1.0], dtype=torch.float64)  # the head of exit 1 costs more than what follows
    accuracy = torch.tensor([0.4, 0.9, 0.8], dtype=torch.float64)  # mixing 0 and 1 gives 0.84 at cost 1
    assert hull_shares(costs, accuracy, 1.0).tolist() == pytest.approx([1 / 9, 8 / 9, 0])
    assert float(random_shares(costs, 0.9) @ costs) == pytest.approx(0.9)


def test_val_decides_the_shares_and_test_gives_the_numbers():
    both = exits(val=[0.4, 0.5, 0.8], test=[0.1, 0.9, 0.3])
    test, val = both.expected(both.shares("hull", 0.6))
    assert test == {"accuracy": pytest.approx(0.2), "macs": pytest.approx(60), "macs_fraction": pytest.approx(0.6)}
    assert val["accuracy"] == pytest.approx(0.6)


@pytest.mark.parametrize("reference", ["hull", "random"])
def test_below_the_cheapest_exit_there_is_no_mixture(reference):
    both = exits([0.4, 0.5, 0.8], [0.4, 0.5, 0.8])
    assert both.shares(reference, 0.19) is None and both.shares(reference, 0.2) is not None


def test_the_closed_form_is_what_dealing_samples_gives_on_average():
    task, test = make_task(300), make_split(200, exits=5, classes=6, dims=12, seed=77)
    plain = heads.fit("plain", task)
    measured = StaticExits.measure(plain, task, test)
    shares = measured.shares("random", 0.5)
    found, _ = measured.expected(shares)
    logits = plain.logits(test)
    dealt = torch.multinomial(shares, 200 * 2000, replacement=True, generator=torch.Generator().manual_seed(0))
    dealt = dealt.view(2000, 200)
    correct = (logits.argmax(-1) == test.labels[:, None]).double()
    loss = torch.nn.functional.cross_entropy(logits.double().mT, test.labels[:, None].expand(-1, 5), reduction="none")
    rows = torch.arange(200)
    assert found["accuracy"] == pytest.approx(float(correct[rows, dealt].mean()), abs=2e-3)
    assert found["nll"] == pytest.approx(float(loss[rows, dealt].mean()), abs=6e-3)
    assert found["macs_fraction"] == pytest.approx(0.5)


def test_static_exits_cost_what_their_policies_cost():
    task = make_task(100)
    plain = heads.fit("plain", task)
    for k, macs in enumerate(static_macs(plain, task.macs)):
        policy = StaticPolicy(plain, 5, k)
        assert macs == exit_macs(policy, task.macs)[k] == simulate(policy, task.val, task.macs).macs.double().mean()


@pytest.fixture(scope="module")
def records(cell):
    from bench.trials.plan import Trial
    from bench.trials.splits import SeedSplits

    cal, test = (make_split(300, exits=5, classes=6, dims=12, seed=s) for s in (901, 902))
    trial = Trial(cell, REFERENCES, None, 0, reference_points(5, BUDGETS, 0), BUDGETS)
    return {(r.point.method, r.point.point): r for r, _ in run_trial(trial, SeedSplits(make_task(400), cal, test), {})}


def test_every_budget_has_its_two_records(records):
    assert len(records) == 5 + 1 + 2 * len(BUDGETS)
    for method in ("hull", "random"):
        assert records[method, "budget=0.1"].status == "infeasible" and "0.1" in records[method, "budget=0.1"].reason
        for b in BUDGETS[1:]:
            record = records[method, f"budget={b:g}"]
            assert record.status == "ok" and record.point.budget == b
            assert record.metrics["macs_fraction"] <= b + 1e-9
            assert set(record.metrics) == {"accuracy", "macs", "macs_fraction", "nll", "brier"}
            assert sum(row["share"] for row in record.per_exit) == pytest.approx(1)
    assert records["random", "budget=0.5"].metrics["macs_fraction"] == pytest.approx(0.5)


def test_mixed_records_are_sums_of_static_records(records):
    for method in ("hull", "random"):
        record = records[method, "budget=0.5"]
        for name in ("accuracy", "nll", "brier", "macs"):
            parts = [row["share"] * records["static", f"exit={row['exit']}"].metrics[name] for row in record.per_exit]
            assert record.metrics[name] == pytest.approx(math.fsum(parts))


def test_on_val_the_hull_beats_random_and_every_static_exit_within_the_budget(records):
    for b in BUDGETS[1:]:
        hull = records["hull", f"budget={b:g}"].val["accuracy"]
        assert hull >= records["random", f"budget={b:g}"].val["accuracy"] - 1e-12
        for k in range(5):
            static = records["static", f"exit={k}"].val
            assert static["macs_fraction"] > b or hull >= static["accuracy"] - 1e-12


def test_budgets_leave_the_points_of_static_exits_and_oracle_as_they_are():
    few, many = reference_points(5, (0.5,), 0), reference_points(5, BUDGETS, 0)
    assert few[:6] == many[:6] and {p.budget for p in few[:6]} == {None}
    assert all(p in many for p in few) and len(few) == 8
