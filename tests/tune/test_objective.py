from __future__ import annotations

import numpy as np
import pytest
import torch

from bench import protocol
from bench.bank.bank import Bank
from bench.errors import UserError
from bench.method import Infeasible
from bench.trials.plan import load_methods
from bench.tune import objective
from bench.tune.objective import Evaluator, OperatingPoint, area, deciding, parts, play, window
from tests.helpers.tasks import make_task


def test_the_area_under_a_line_is_its_mean():
    line = [OperatingPoint(0.2, 0.2, 0.5), OperatingPoint(1.0, 1.0, 0.9)]
    assert area(line, 0.4, 0.8) == pytest.approx(0.7)  # accuracies 0.6 to 0.8


def test_beyond_its_points_a_curve_is_constant():
    one = [OperatingPoint(0.3, 0.35, 0.6)]
    assert area(one, 0.4, 1.0) == pytest.approx(0.6)
    assert area(one, 0.3, 1.0) == pytest.approx(0.6)  # met on its own half; 0.05 more on the other is noise


def test_below_the_smallest_budget_that_is_met_nothing_is_reached():
    late = [OperatingPoint(0.7, 0.7, 0.8), OperatingPoint(1.0, 1.0, 0.8)]
    assert area(late, 0.4, 1.0) == pytest.approx(0.8 * 0.5, abs=0.01)
    assert area([], 0.4, 1.0) == 0.0


def test_points_of_one_cost_count_as_their_mean():
    twice = [OperatingPoint(0.4, 0.4, 0.5), OperatingPoint(0.5, 0.4, 0.7)]
    assert area(twice, 0.4, 1.0) == pytest.approx(0.6)


def test_one_budget_is_read_at_its_cost():
    assert area([OperatingPoint(0.5, 0.5, 0.75)], 0.5, 0.5) == 0.75


def test_the_window_leaves_out_what_nobody_can_meet():
    assert window((1.0, 0.1, 0.4, 0.7), (20, 60, 100)) == (0.4, 1.0)
    with pytest.raises(UserError, match="first exit"):
        window((0.1, 0.2), (20, 60, 100))


def parted(images: int):
    """Part a task whose val are the even images of a pool."""
    task = make_task(images)
    labels = task.val.labels.numpy().repeat(2)
    return task, parts(task, np.arange(0, 2 * images, 2), deciding(labels)), deciding(labels)


def test_a_third_of_every_class_decides_whatever_the_seed():
    labels = np.random.default_rng(0).integers(0, 7, 700)
    kept = deciding(labels)
    assert np.array_equal(kept, deciding(labels))
    share = [kept[labels == c].sum() - (labels == c).sum() / 3 for c in range(7)]
    assert np.abs(share).max() <= 1
    pairs = deciding(np.arange(60).repeat(2))  # two of each class: they do not all go the same way
    assert 20 <= pairs.sum() <= 60


def test_what_chooses_and_what_decides_have_no_image_in_common():
    task, found, kept = parted(300)
    (one, held_one), (two, held_two) = found.ways
    last, held_last = found.last
    assert kept[found.rows].all() and len(found.rows) == len(held_last.labels) == kept[::2].sum()
    assert len(one.val) + len(held_one) == len(last.val) == 300 - len(held_last)
    for a, b in ((one.val, held_two), (two.val, held_one)):
        assert torch.equal(a.labels, b.labels) and torch.equal(a.final_logits, b.final_logits)
    assert torch.equal(last.val.labels, task.val.labels[~torch.from_numpy(kept[::2])])
    first, _ = protocol.halves(last.val.labels.numpy(), task.seed)
    assert torch.equal(one.val.features[0], last.val.features[0][torch.from_numpy(first)])
    counts = [np.bincount(d.labels, minlength=6) for d in (one.val, held_one)]
    assert abs(counts[0] - counts[1]).max() <= 1
    assert len({id(t.shared_cache) for t in (one, two, last)}) == 3 and one.train is task.train


def test_a_val_that_is_too_small_to_part_is_a_sentence():
    task = make_task(300)
    with pytest.raises(ValueError, match="too few"):
        parts(task, np.arange(300), np.zeros(300, dtype=bool))


def test_a_fit_sees_one_half_and_is_scored_on_the_other():
    _, found, _ = parted(400)
    task, held = found.ways[0]
    (method,) = load_methods(["entropy_thresh"])
    played = play(method, task, held, (0.05, 0.5, 1.0))
    assert [p.budget for p in played] == [0.5, 1.0]  # 0.05 is infeasible
    assert all(len(p.right) == len(p.costs) == len(held) for p in played)
    cheap, dear = (p.point() for p in played)
    assert cheap.cost < dear.cost and cheap.accuracy < dear.accuracy

    class Odd(type(method)):
        def fit(self, task, budgets):
            return super().fit(task, [1.0] * len(budgets))

    with pytest.raises(ValueError, match=r"above its budget 0\.5"):
        play(Odd(), task, held, (0.5, 1.0))

    class Short(type(method)):
        def fit(self, task, budgets):
            return [Infeasible("no")]

    with pytest.raises(ValueError, match="1 policies for 2"):
        play(Short(), task, held, (0.5, 1.0))


@pytest.mark.slow
def test_a_score_never_opens_cal_or_test(bank, monkeypatch):
    (method,) = load_methods(["eero"])
    before = Evaluator("cpu", 1).score(bank, method, 0, (0.4, 0.6, 1.0))
    opened = []
    whole = Bank.exit_data

    def watched(self, split, rows=None, **options):
        opened.append((split, None if rows is None else set(np.asarray(rows).tolist())))
        return whole(self, split, rows, **options)

    def refuse(*given, **options):
        raise AssertionError("cal and test are not for a search")

    monkeypatch.setattr(Bank, "held_out", refuse)
    monkeypatch.setattr(Bank, "exit_data", watched)
    assert Evaluator("cpu", 1).score(bank, method, 0, (0.4, 0.6, 1.0)) == before
    rows, _ = Evaluator("cpu", 1).last(bank, method, 0, (0.4, 0.6, 1.0))
    _, _, val, cal = bank.roles(0)
    assert set(rows.tolist()) < set(val.tolist())
    assert [split for split, _ in opened] == ["train", bank.roles(0).held] * 2
    for _, at in opened[1::2]:
        assert at == set(val.tolist()) and not at & set(cal.tolist())


@pytest.mark.slow
def test_what_is_kept_between_trials_changes_no_score(bank):
    (defaults,), (other,) = load_methods(["ztw"]), load_methods(["eefp[top=2]"])
    used = Evaluator("cpu", 1)
    for seed in (0, 1):
        for method in (defaults, other, defaults):
            assert used.score(bank, method, seed, (0.4, 1.0)) == Evaluator("cpu", 1).score(
                bank, method, seed, (0.4, 1.0)
            )
    tasks = [task for found in used._parts.values() for task, _ in (*found.ways, found.last)]
    assert all(len(task.shared_cache) <= objective.KEPT for task in tasks)
    assert len({task.train.features[0].data_ptr() for task in tasks}) == 2  # one copy for each seed, which has its own
