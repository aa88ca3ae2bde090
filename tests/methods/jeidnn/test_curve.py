from __future__ import annotations

import pytest
import torch
from bench.methods.jeidnn.curve import Curve, LambdaGrid
from bench.methods.jeidnn.gates import Gates

from bench.inference import simulate
from bench.method import Infeasible
from bench.trials.plan import load_methods
from tests.helpers.tasks import given_task, make_task

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


def test_refinement_goes_on_towards_infinity():
    """The cost is .2 only beyond λ = 5,000, where the coarse grid has λ = ∞ alone."""
    grid = LambdaGrid(curve_of([0.0, 30.0, torch.inf], lambda lam: 1 / (1 + lam / 5e3)), [0.3])
    for _ in range(3):
        lam, budget_of = grid.refinement(8)
        assert lam.isfinite().all()
        grid.add(curve_of(lam.tolist(), lambda lam: 1 / (1 + lam / 5e3)), budget_of)
    assert 0.29 < float(grid.curve.cost[grid.choose(0)]) <= 0.3


@pytest.mark.parametrize("preset", ["ours", "paper", "released"])
def test_an_overconfident_first_head_does_not_make_a_budget_infeasible(preset):
    """Exit 0 is always sure and mostly wrong: at every finite λ of the grid, samples should not leave there."""
    g = torch.Generator().manual_seed(0)
    labels = torch.randint(4, (400,), generator=g)
    right = torch.stack([torch.rand(400, generator=g) < p for p in (0.3, 0.8, 0.9)], 1)
    said = torch.where(right, labels[:, None], (labels[:, None] + 1) % 4)
    logits = 60.0 * torch.nn.functional.one_hot(said, 4).float()
    task = given_task(logits, labels)
    (policy,) = load_methods([f"jeidnn[preset={preset},points=4,epochs={2 if preset == 'released' else 5}]"])[0].fit(
        task, [0.35]
    )
    assert not isinstance(policy, Infeasible)
    assert simulate(policy, task.val, task.macs).macs.double().mean() / task.macs[-1] <= 0.35


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
