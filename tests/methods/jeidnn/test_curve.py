from __future__ import annotations

import pytest
import torch
from bench.methods.jeidnn.curve import Curve, LambdaGrid
from bench.methods.jeidnn.gates import Gates

from bench.inference import simulate
from bench.method import Infeasible
from bench.trials.plan import load_methods
from tests.helpers.tasks import make_task

BUDGETS = [0.1, 0.3, 0.37, 0.45, 0.6, 0.8, 0.95]


def curve_of(lam: list[float], cost) -> Curve:
    values = torch.tensor(lam, dtype=torch.float64)
    gates = Gates(torch.zeros(len(lam), 2, 4), torch.zeros(len(lam), 2), "cumulative")
    return Curve(values, [None], gates, torch.tensor([cost(v) for v in lam], dtype=torch.float64))


def test_refinement_closes_in_on_the_budget_from_below():
    def cost(lam: float) -> float:
        return 1 / (1 + lam)

    grid = LambdaGrid(curve_of([0.0, 0.1, 1.0, 10.0], cost), [0.05, 0.3, 0.77])
    for _ in range(4):
        lam, budget_of = grid.refinement(8)
        grid.add(curve_of(lam.tolist(), cost), budget_of)
    assert grid.choose(0) is None
    for b in (1, 2):
        reached = float(grid.curve.cost[grid.choose(b)])
        assert grid.budgets[b] - 1e-3 < reached <= grid.budgets[b]


def test_no_refinement_where_no_neighbours_enclose_the_budget():
    grid = LambdaGrid(curve_of([0.0, 1.0], lambda lam: 0.5), [0.2, 0.9])
    lam, budget_of = grid.refinement(8)
    assert not len(lam) and not budget_of
    assert grid.choose(0) is None and grid.choose(1) == 0


@pytest.mark.parametrize(
    "name", ["jeidnn", "jeidnn[preset=released,epochs=4]", "jeidnn[preset=paper,epochs=4,points=6]"]
)
def test_an_answer_does_not_depend_on_the_other_budgets(name):
    task = make_task(400)
    together = load_methods([name])[0].fit(task, BUDGETS)
    for budget, policy in zip(BUDGETS, together, strict=True):
        (alone,) = load_methods([name])[0].fit(task, [budget])
        assert type(alone) is type(policy)
        if not isinstance(policy, Infeasible):
            a, b = (simulate(p, task.val, task.macs).exit_index for p in (alone, policy))
            assert torch.equal(a, b)


@pytest.mark.parametrize("name", ["jeidnn", "jeidnn[preset=released,epochs=4]"])
def test_budgets_are_met_closely_or_the_limit_is_said(name):
    task = make_task(800)
    for budget, policy in zip(BUDGETS[1:], load_methods([name])[0].fit(task, BUDGETS[1:]), strict=True):
        cost = float(simulate(policy, task.val, task.macs).macs.double().mean()) / task.macs[-1]
        assert cost <= budget + 1e-9
        assert policy.note.startswith("unreachable") or cost > budget - 0.03
