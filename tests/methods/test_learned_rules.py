"""Exit rules with a learned score per exit: pcee, eefp, learned_exit, optimal_stopping."""

from __future__ import annotations

import pickle
from dataclasses import replace
from functools import cache

import pytest
import torch
from bench.methods.eefp import EEFP, EEFPConfig, futility
from bench.methods.learned_exit import LearnedExit, LearnedExitConfig, MLPScore, helps
from bench.methods.optimal_stopping import OptimalStopping, OptimalStoppingConfig, Stopping
from bench.methods.pcee import PCEE, TIE, PCEEConfig, isotonic

from bench.exits import mean_cost, uncertainty_features
from bench.inference import exit_macs, simulate
from bench.method import ExitData, Infeasible, Task
from tests.helpers.tasks import make_task

METHODS = {
    "pcee": PCEE(),
    "pcee bins": PCEE(PCEEConfig(smoothing="bins", bins=10)),
    "eefp": EEFP(),
    "learned_exit": LearnedExit(),
    "learned_exit any": LearnedExit(LearnedExitConfig(target="any_later")),
    "optimal_stopping": OptimalStopping(),
}
GATE_MACS = {  # at 6 classes
    "pcee": 6,
    "eefp": 2 * 6 + 10,
    "learned_exit": 9 * 6 + (4 + 1) * 16,
    "optimal_stopping": 2 * 6 + 8 + (8 + 1) * (1 + 4),
}
BUDGETS = [0.1, 0.3, 0.45, 0.6, 0.8, 1.0]
each_method = pytest.mark.parametrize("name", METHODS)


@pytest.fixture(scope="module")
def task() -> Task:
    return make_task(1000)


@pytest.fixture(scope="module")
def fitted(task):
    return {name: method.fit(task, BUDGETS) for name, method in METHODS.items()}


def share(policy, data, macs) -> float:
    return float(simulate(policy, data, macs).macs.double().mean() / macs[-1])


@each_method
def test_budgets_are_met_closely_or_said_to_be_out_of_reach(task, fitted, name):
    first, *rest = fitted[name]
    assert isinstance(first, Infeasible) and "0.1" in str(first)
    spent = [share(p, task.val, task.macs) for p in rest]
    assert spent == sorted(spent)
    for budget, cost, policy in zip(BUDGETS[1:], spent, rest, strict=True):
        assert cost <= budget + 1e-9
        assert cost > budget - 0.02 or "unreachable" in policy.note


@each_method
def test_a_second_fit_gives_the_same_answer_whatever_other_budgets_are_asked_for(task, fitted, name):
    alone = METHODS[name].fit(task, [0.6])[0].state_dict()
    among = fitted[name][3].state_dict()
    assert alone.keys() == among.keys()
    assert all(torch.equal(alone[k], among[k]) for k in alone)


@each_method
def test_a_policy_pickles_and_decides_alike_in_any_batch_and_order(task, fitted, name):
    policy = fitted[name][2]
    whole = simulate(policy, task.val, task.macs).exit_index
    assert whole.unique().numel() > 2
    copy = pickle.loads(pickle.dumps(policy))
    assert torch.equal(simulate(copy, task.val, task.macs).exit_index, whole)
    answers = policy.heads.logits(task.val)
    order = torch.randperm(len(whole), generator=torch.Generator().manual_seed(3))
    for k in range(task.num_exits - 1):
        alone = torch.cat([policy.leave(k, answers[i : i + 1, : k + 1]) for i in order[:40]])
        assert torch.equal(policy.leave(k, answers[order, : k + 1])[:40], alone)


@each_method
def test_every_gate_is_paid_for(task, fitted, name):
    policy, own = fitted[name][2], GATE_MACS[name.split()[0]]
    head = task.train.features[0].shape[1] * task.num_classes
    added = [a - b for a, b in zip(exit_macs(policy, task.macs), task.macs, strict=True)]
    assert added == [(k + 1) * (head + own) for k in range(4)] + [4 * (head + own)]


@pytest.mark.parametrize("name", ["eefp", "learned_exit", "optimal_stopping"])
def test_a_learned_rule_beats_random_exits_of_its_shares_and_keeps_its_cost_on_fresh_samples(task, fitted, name):
    policy, fresh = fitted[name][3], make_task(3000, seed=7).val
    o = simulate(policy, fresh, task.macs)
    right = o.exit_logits.argmax(-1) == o.labels[:, None]
    shares = torch.bincount(o.exit_index, minlength=task.num_exits) / len(o.labels)
    accuracy = (o.logits.argmax(-1) == o.labels).double().mean()
    assert accuracy > (shares * right.double().mean(0)).sum() + 0.02
    assert abs(share(policy, fresh, task.macs) - 0.6) < 0.03


def raw_task(train: ExitData, val: ExitData, classes: int) -> Task:
    macs = tuple(100_000 * (k + 1) for k in range(train.num_exits))
    return Task(train, val, macs, classes, 0, torch.device("cpu"))


@cache
def degenerate(kind: str) -> Task:
    classes = 1 if kind == "one class" else 3
    n = 2 if kind == "two samples" else 40
    g = torch.Generator().manual_seed(0)
    labels = torch.randint(classes, (n,), generator=g)
    features = tuple(torch.randn(n, 4, generator=g) for _ in range(0 if kind == "one exit" else 3))
    final = torch.randn(n, classes, generator=g)
    if kind == "ties":
        features, final = tuple(torch.ones_like(x) for x in features), torch.zeros_like(final)
    if kind == "saturated":
        features, final = tuple(1e4 * x for x in features), 1e4 * final
    if kind == "all right":
        hot = torch.nn.functional.one_hot(labels, 4).float()
        features, final = (hot * 20, hot * 30, hot * 40), hot[:, :3] * 1e4
    data = ExitData(features, final, labels)
    return raw_task(data, data, classes)


@each_method
@pytest.mark.parametrize("kind", ["two samples", "one class", "ties", "saturated", "one exit", "all right"])
def test_degenerate_inputs(name, kind):
    task = degenerate(kind)
    cheapest, dearest = METHODS[name].fit(task, [1e-3, 1.1])
    assert isinstance(cheapest, Infeasible)
    played = simulate(dearest, task.val, task.macs)
    assert played.macs.double().mean() <= 1.1 * task.macs[-1]
    assert all(torch.isfinite(v).all() for k, v in dearest.state_dict().items() if "thresholds" not in k)


@pytest.mark.parametrize(
    "config, setting",
    [
        (PCEEConfig, {"bins": 0}),
        (EEFPConfig, {"top": 0}),
        (EEFPConfig, {"ridge": 0.0}),
        (LearnedExitConfig, {"folds": 1}),
        (LearnedExitConfig, {"lr": 0.0}),
        (OptimalStoppingConfig, {"ridge": 0.0}),
        (OptimalStoppingConfig, {"points": 1}),
    ],
)
def test_bad_settings_are_refused_in_words(config, setting):
    with pytest.raises(ValueError, match=next(iter(setting))):
        config(**setting)


# pcee


def test_isotonic_pools_adjacent_violators_and_ties():
    confidence = torch.tensor([0.5, 0.6, 0.7, 0.8, 0.9, 0.9]).double()
    correct = torch.tensor([0.0, 1, 0, 1, 1, 0]).double()
    torch.testing.assert_close(isotonic(confidence, correct), torch.tensor([0, 0.5, 0.5, 2 / 3, 2 / 3, 2 / 3]).double())


def logits_of(confidence: float) -> torch.Tensor:
    return torch.tensor([[[confidence, 1 - confidence]]]).double().log()


def test_the_table_reads_accuracy_off_confidence_and_ranks_a_plateau_by_confidence():
    confidence = torch.tensor([[0.9], [0.6], [0.8], [0.7]]).double()  # in any order
    correct = torch.tensor([[1.0], [1], [0], [0]]).double()
    score = PCEE(PCEEConfig(smoothing="isotonic")).score(confidence, correct)
    read = [float(score(0, logits_of(c))) for c in (0.55, 0.65, 0.75, 0.85, 0.95)]
    assert read == pytest.approx([1 / 3, 1 / 3, 1 / 3, 1 / 3, 1], abs=1e-8)
    assert read == sorted(set(read)) and read[3] - read[0] < 4 * TIE


def test_bins_hold_equal_mass_and_may_fall():
    confidence = torch.tensor([[0.6], [0.65], [0.7], [0.75], [0.8], [0.85]]).double()
    correct = torch.tensor([[1.0], [1], [0], [1], [0], [0]]).double()
    score = PCEE(PCEEConfig(smoothing="bins", bins=3)).score(confidence, correct)
    read = [float(score(0, logits_of(c))) for c in (0.51, 0.66, 0.71, 0.79, 0.81, 0.99)]
    assert read == pytest.approx([1, 1, 0.5, 0.5, 0, 0], abs=1e-8)


def test_equal_confidences_share_one_bin():
    confidence, correct = torch.full((6, 1), 0.8).double(), torch.tensor([[1.0], [0], [0], [1], [1], [1]]).double()
    score = PCEE(PCEEConfig(smoothing="bins", bins=3)).score(confidence, correct)
    assert float(score(0, logits_of(0.8))) == pytest.approx(2 / 3, abs=1e-8)


# eefp and learned_exit: what is learned

RIGHT = torch.tensor([[1, 0, 0], [0, 0, 0], [0, 1, 0], [0, 0, 1], [0, 1, 1], [1, 1, 1], [1, 0, 1]]).bool()


def test_continuing_is_futile_where_the_exit_is_right_or_no_later_one_is():
    expected = [[1, 1], [1, 1], [0, 1], [0, 0], [0, 1], [1, 1], [1, 0]]
    assert futility(RIGHT).int().tolist() == expected


def test_continuing_helps_where_the_exit_is_wrong_and_a_later_one_is_right():
    assert torch.equal(helps(RIGHT, "any_later"), ~futility(RIGHT))
    assert helps(RIGHT, "last").int().tolist() == [[0, 0], [0, 0], [0, 0], [1, 1], [1, 0], [0, 0], [0, 1]]


def half_needs_the_last_exit(n: int, seed: int) -> ExitData:
    g = torch.Generator().manual_seed(seed)
    labels = torch.randint(2, (n,), generator=g)
    signal = torch.where(torch.arange(n) % 2 == 0, 6.0, 0.0)  # every other sample shows nothing at the first exit
    seen = (2 * labels - 1)[:, None] * signal[:, None] + 0.3 * torch.randn(n, 2, generator=g)
    return ExitData((seen,), 8 * torch.nn.functional.one_hot(labels, 2).float(), labels)


@cache
def half_task() -> Task:
    return raw_task(half_needs_the_last_exit(400, 0), half_needs_the_last_exit(400, 1), 2)


@pytest.mark.parametrize("name", ["learned_exit", "eefp", "optimal_stopping"])
def test_the_half_that_continuing_helps_continues(name):
    task = half_task()
    policy = METHODS[name].fit(task, [0.755])[0]
    played = simulate(policy, half_needs_the_last_exit(1000, 2), task.macs)
    assert (played.exit_index[::2] == 0).double().mean() > 0.95
    assert (played.exit_index[1::2] == 1).double().mean() > 0.95
    assert (played.logits.argmax(-1) == played.labels).double().mean() > 0.97


def test_gates_are_stopped_before_they_learn_noise():
    g = torch.Generator().manual_seed(0)
    features = uncertainty_features(torch.randn(60, 3, 5, generator=g).double())
    noise = torch.randint(2, (60, 3), generator=g).double()
    answers = torch.randn(500, 4, 5, generator=g)
    spread = MLPScore(LearnedExit(LearnedExitConfig(lr=0.1))._train(features, noise, 0)).all(answers).std(0)
    assert bool((spread < 0.5).all())


def test_a_gate_learns_what_can_be_learned():
    g = torch.Generator().manual_seed(0)
    logits = 4 * torch.randn(400, 2, 5, generator=g)
    features = uncertainty_features(logits[:, :-1].double())
    unsure = (features[..., 0] < 0.8).double()
    score = MLPScore(LearnedExit()._train(features, unsure, 0)).all(logits)
    assert ((score < 0) == unsure.bool()).double().mean() > 0.95


# optimal_stopping

SURE, HOPELESS, LATE, OPEN = range(4)  # what exit 0 shows; exit 1 shows the same, but OPEN turns into LATE or HOPELESS
COSTS = torch.tensor([0.0, 0.5, 1.0]).double()


def tiny() -> Stopping:
    """Wrong at exits 0, 1, 2: SURE never, HOPELESS always, LATE at 0 and 1; OPEN is one of the last two, evenly."""
    first = torch.tensor([SURE, HOPELESS, LATE, OPEN, OPEN] * 20)
    second = torch.tensor([SURE, HOPELESS, LATE, LATE, HOPELESS] * 20)
    wrong = torch.tensor([[0, 0, 0], [1, 1, 1], [1, 1, 0], [1, 1, 0], [1, 1, 1]] * 20).double()
    basis = torch.nn.functional.one_hot(torch.stack([first, second], 1), 4).double()
    return Stopping(basis, wrong, COSTS, 5, 1e-9)


def exits(problem: Stopping, lam: float) -> list[int]:
    points = problem.solve([lam])
    leave = torch.einsum("ngb,gb->ng", problem.basis, points.weight[0]) + points.bias[0] >= -1e-9
    taken = torch.where(leave[:, 0], 0, torch.where(leave[:, 1], 1, 2))
    assert points.cost[0] == pytest.approx(float(mean_cost(taken, COSTS)))
    assert torch.equal(taken, taken[:5].repeat(20))
    return taken[:5].tolist()


def test_the_recursion_finds_the_optimal_policy_of_a_small_discrete_case():
    # LATE pays λ to save 1 (λ < 1), though the next exit helps nobody. OPEN pays λ/2, then λ/2 more where it pays:
    # ½·λ + ½·(1 + λ/2) < 1, that is λ < 2/3. Running to the end regardless would pay only for λ < 1/2.
    problem = tiny()
    assert exits(problem, 0.45) == [0, 0, 2, 2, 1]
    assert exits(problem, 0.6) == [0, 0, 2, 2, 1]
    assert exits(problem, 0.7) == [0, 0, 2, 0, 0]
    assert exits(problem, 0.95) == [0, 0, 2, 0, 0]
    assert exits(problem, 1.05) == [0, 0, 0, 0, 0]


def test_infinite_lambda_leaves_at_once_and_the_batch_of_lambdas_does_not_matter():
    problem = tiny()
    points = problem.solve([0.6, float("inf"), 0.7])
    assert points.cost == pytest.approx([0.2 + 0.2 + 0.1, 0, 0.2])
    torch.testing.assert_close(points.weight[0], problem.solve([0.6]).weight[0])


def test_lambda_is_refined_between_the_neighbours_around_a_budget_and_chosen_by_cost():
    coarse = tiny().solve([0.0, 0.6, 0.7, 2.0, float("inf")])
    assert coarse.around(0.3, 3) == pytest.approx([0.6 * (7 / 6) ** (i / 4) for i in (1, 2, 3)])
    assert coarse.around(0.1, 1) == pytest.approx([1.4**0.5])
    assert coarse.around(0.9, 3) == []
    assert [coarse.choose(b) for b in (0.5001, 0.3, 0.1)] == [0, 2, 3]
    assert replace(coarse, cost=[1.0] * 5).choose(0.5) is None


def test_playing_on_is_valued_at_what_it_costs_not_at_the_best_that_noise_seems_to_offer():
    # all exits are right half the time, and states say nothing: no play beats leaving, worth ½, by picking exits
    g = torch.Generator().manual_seed(0)
    basis, wrong = torch.randn(300, 3, 30, generator=g).double(), torch.randint(2, (300, 4), generator=g).double()
    wrong = wrong - wrong.mean(0) + 0.5
    problem = Stopping(basis, wrong, torch.tensor([0.25, 0.5, 0.75, 1.0]).double(), 5, 1e-3)
    points = problem.solve([0.1])
    gain = basis[:, 0] @ points.weight[0, 0] + points.bias[0, 0]
    assert -0.02 < gain.mean() < 0.1
