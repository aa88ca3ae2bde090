from __future__ import annotations

import math
import random
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from bench.errors import UserError
from bench.stats import frontier
from bench.stats.resample import BootstrapConfig
from bench.stats.summary import summarise
from tests.helpers import stat_cells
from tests.helpers.stat_cells import edited

BOOTSTRAP = BootstrapConfig(draws=1000, sample_draws=200)
QUICK = BootstrapConfig(draws=50, sample_draws=0)


@pytest.fixture(scope="module")
def cell():
    return stat_cells.cell()


@pytest.fixture(scope="module")
def found(cell):
    return summarise(cell, BOOTSTRAP)


def shuffled(cell):
    mixed = random.Random(0)

    def some(entry):
        return replace(entry, points=tuple(mixed.sample(entry.points, len(entry.points))))

    return replace(cell, methods=tuple(map(some, cell.methods)), static=some(cell.static), oracle=some(cell.oracle))


def test_the_same_records_in_any_order_give_the_same_statistics(cell, found):
    assert repr(summarise(shuffled(cell), BOOTSTRAP)) == repr(found)


def test_methods_come_by_own_gain_with_their_ranks_and_verdicts(found):
    assert [m.label for m in found.methods] == ["a", "b", "c"]
    assert [str(m.rank) for m in found.methods] == ["1", "2", "3"]
    assert found.baseline.label == "a" and sorted(found.baseline.candidates) == ["a", "b", "c"]
    assert found.method("a").comparison is None
    assert [found.method(n).comparison.verdict for n in "bc"] == ["significantly worse"] * 2
    assert ("a", "c") in found.sure and found.beats_shared("a") and not found.beats_shared("b")


def test_skill_is_a_share_of_what_lookahead_gains(cell, found):
    assert all(math.isnan(m.curve.skill.value) for m in found.methods)
    best, *others = cell.methods
    same = replace(cell, methods=(replace(best, label="lookahead", name="lookahead"), *others))
    skilled = summarise(same, BOOTSTRAP)
    first, b = (skilled.method(label).curve for label in ("lookahead", "b"))
    assert first.skill.value == pytest.approx(1) and first.skill.low < 1
    assert b.skill.value == pytest.approx(b.own.value / first.own.value) and b.skill.low < b.skill.value < b.skill.high


def test_references_have_no_gain_and_no_regret(found):
    for none in (found.static.own, found.static.gain):
        assert none.value == pytest.approx(0)
    a = found.method("a").curve
    assert a.gain.low > 0
    for mine, best in zip(a.budgets, found.oracle.budgets, strict=True):
        assert mine.regret.value == pytest.approx(best.accuracy.value - mine.accuracy.value)


def test_the_window_depends_on_the_bank_alone(cell, found):
    assert (found.window.low, found.window.high) == pytest.approx((0.15, 1.0))
    dearer = edited(cell, "c", lambda p: replace(p, exit_costs=(0.2, *p.exit_costs[1:])))
    fewer = replace(cell, methods=cell.methods[:1])
    assert summarise(dearer, QUICK).window == summarise(fewer, QUICK).window == found.window


def test_the_nauc_is_that_of_the_hull_by_hand(cell, found):
    naucs = []
    for seed in cell.seeds:
        points = [*cell.static_at(seed), *cell.methods[0].of(seed)]
        members = frontier.hull_members([p.val_cost for p in points], [p.val_accuracy for p in points])
        x, y = np.array(sorted((points[i].cost, points[i].accuracy) for i in members)).T
        grid = np.linspace(0.15, 1, 100_001)
        naucs.append(np.interp(grid, x, y).mean())
    assert found.method("a").curve.nauc.value == pytest.approx(np.mean(naucs), abs=1e-5)
    assert found.method("a").curve.nauc.sd_seeds == pytest.approx(np.std(naucs, ddof=1), abs=1e-5)


def test_membership_is_decided_on_val_and_never_on_test(cell, found):
    """An early exit that shines on test alone does not join the hull."""
    lucky = edited(cell, "c", lambda p: replace(p, accuracy=0.999) if p.val_accuracy < 0.5 else p)
    never = summarise(lucky, QUICK).method("c").curve
    names = {name for hull in never.hulls.values() for name in hull}
    expected = {name for hull in found.method("c").curve.hulls.values() for name in hull}
    assert names == expected
    worse = edited(cell, "a", lambda p: replace(p, val_accuracy=0.0))
    assert summarise(worse, QUICK).method("a").curve.gain.value == pytest.approx(0)


def told_on_cal(cell, lost):
    """The cell with scores on cal: those on val minus what each method (or the static exits, '') loses there."""

    def unseen(entry):
        known = [
            replace(p, cal_accuracy=p.val_accuracy - lost(p, entry.label), cal_cost=p.val_cost) for p in entry.points
        ]
        return replace(entry, points=tuple(known))

    return replace(cell, methods=tuple(map(unseen, cell.methods)), static=unseen(cell.static))


def test_membership_is_decided_on_cal_where_all_records_tell_of_it(cell, found):
    told = told_on_cal(cell, lambda p, label: 0.5 if (label, p.budget) == ("a", 0.5) else 0.0)
    on_cal = summarise(told, QUICK)
    assert (found.split, on_cal.split) == ("val", "cal")
    assert all("budget=0.5" in names for names in found.method("a").curve.hulls.values())
    assert not any("budget=0.5" in names for names in on_cal.method("a").curve.hulls.values())
    assert on_cal.method("b").curve.hulls == found.method("b").curve.hulls


def by_hand(cell, label, seed, low=0.15):
    """The own gain of a method at one seed by its definition, in NumPy alone, on a fine grid of costs."""

    def upper(points):  # coordinates (x, y) of val and of test; the members are those of val's upper hull
        left = sorted(points, key=lambda p: (p[0], -p[1]))
        kept = [left[0]]
        while True:
            x, y = kept[-1][:2]
            rises = [((p[1] - y) / (p[0] - x), p[0], p) for p in left if p[0] > x and p[1] > y]
            if not rises:
                return sorted(p[2:] for p in kept)
            steepest = max(slope for slope, _, _ in rises)
            kept.append(max((p for p in rises if p[0] > steepest - 1e-12), key=lambda p: p[1])[2])

    points = [[(p.val_cost, p.val_accuracy, p.cost, p.accuracy) for p in held] for held in (
        cell.static_at(seed), next(e for e in cell.methods if e.label == label).of(seed))]  # fmt: skip
    static, own = map(upper, points)
    own = [(cell.static_at(seed)[0].cost, cell.static_at(seed)[0].accuracy), *own]
    grid = np.linspace(low, 1, 200_001)
    curves = [np.interp(grid, *np.array(points).T) for points in (own, static)]
    return np.trapezoid(curves[0] - curves[1], grid) / (1 - low)


@pytest.mark.parametrize("label", "abc")
def test_the_own_gain_is_that_of_an_independent_computation(cell, found, label):
    expected = [by_hand(cell, label, seed) for seed in cell.seeds]
    assert found.method(label).curve.own.value == pytest.approx(np.mean(expected), abs=1e-6)
    assert found.method(label).curve.own.sd_seeds == pytest.approx(np.std(expected, ddof=1), abs=1e-6)


def test_a_failure_shows_in_the_own_gain_and_not_in_the_nauc(cell, found):
    """Policies that are far worse than mixing static exits are replaced for free along the hull with static exits."""
    broken = edited(cell, "c", lambda p: replace(p, accuracy=p.accuracy - 0.2, val_accuracy=p.val_accuracy - 0.2))
    lost = summarise(broken, QUICK).method("c").curve
    assert lost.own.value < found.method("c").curve.own.value - 0.1 and lost.gain.value == pytest.approx(0, abs=1e-9)
    assert lost.budgets[1].accuracy.value < found.static.budgets[1].accuracy.value - 0.05


def test_budgets_that_are_not_spent_cost(cell, found):
    """Above its most expensive policy a curve is flat, below the cheapest one it is mixed with the first exit."""
    cheap = edited(cell, "a", lambda p: p if p.budget == 0.5 else replace(p, status="infeasible"))
    lone = summarise(cheap, QUICK).method("a")
    at = {b.budget: b.accuracy.value for b in lone.curve.budgets}
    assert at[0.9] == at[0.7] == pytest.approx(next(p for p in lone.points if p.budget == 0.5).accuracy.value)
    line, first = dict(lone.curve.line), found.exits[0].accuracy.value
    start, end = (0.15, first), (lone.points[1].cost.value, at[0.9])
    middle = min(line, key=lambda c: abs(c - 0.3))
    expected = start[1] + (middle - start[0]) / (end[0] - start[0]) * (end[1] - start[1])
    assert line[middle] == pytest.approx(expected, abs=2e-3) and lone.complete
    assert lone.curve.own.value < found.method("a").curve.own.value


def test_intervals_hold_their_values_and_bands_are_wider(found):
    for method in found.methods:
        curve = method.curve
        for value in (curve.own, curve.nauc, curve.gain, curve.hypervolume):
            assert value.low < value.value < value.high and value.se > 0
        for b, low, high in zip(curve.budgets, curve.band.low, curve.band.high, strict=True):
            assert low < b.accuracy.low < b.accuracy.high < high


def test_own_points_keep_their_records_numbers(cell, found):
    for point in found.method("b").points:
        mine = [p for p in cell.methods[1].points if p.budget == point.budget]
        assert point.accuracy.value == pytest.approx(np.mean([p.accuracy for p in mine]))
        assert point.cost.value == pytest.approx(np.mean([p.cost for p in mine])) and point.cost.low < point.cost.high
        assert sum(point.depth) == pytest.approx(1)
        gaps = np.array([p.cost / p.budget - 1 for p in mine])
        kept = point.adherence
        assert [kept.gap, kept.gap_absolute] == pytest.approx([gaps.mean(), np.abs(gaps).mean()])
        assert [kept.violations, kept.utilisation] == pytest.approx([(gaps > 0.01).mean(), 1 + gaps.mean()])


def test_iso_accuracy_costs_fall_as_more_is_given_up(found):
    iso = found.method("a").curve.iso
    assert [i.loss for i in iso] == [0.0, 0.005, 0.01, 0.02]
    assert iso[-1].reached == 6 and iso[-1].cost.value < 1
    assert all(a.cost.value >= b.cost.value for a, b in pairwise(iso))


def test_the_leader_at_each_budget_and_loss_is_the_one_that_no_other_is_above(found, cell):
    a, c = found.method("a").curve, found.method("c").curve
    assert all(b.leading for b in a.budgets) and not any(b.leading for b in c.budgets[:-1])
    assert a.iso[-1].leading and not c.iso[-1].leading
    few = summarise(replace(cell, seeds=cell.seeds[:2]), QUICK) if len(cell.seeds) > 6 else None
    assert few is None or not any(b.leading for m in few.methods for b in m.curve.budgets)


def test_a_missing_seed_is_flagged_and_neither_ranked_nor_compared(cell):
    found = summarise(edited(cell, "b", lambda p: None if p.seed == 2 else p), BOOTSTRAP)
    lost = found.method("b")
    assert not lost.complete and found.methods[-1] is lost and [str(m) for m in lost.flags] == ["not run (4/24)"]
    assert lost.rank is None and lost.comparison is None and lost.curve.seeds == (0, 1, 3, 4, 5)
    assert [str(found.method(n).rank) for n in "ac"] == ["1", "2"]


def test_a_missing_budget_leaves_no_average(cell):
    found = summarise(edited(cell, "b", lambda p: None if p.budget == 0.7 else p), BOOTSTRAP).method("b")
    assert math.isnan(found.curve.nauc.value) and not found.complete and found.curve.seeds == ()
    assert found.points[0].accuracy.known and math.isnan(found.points[2].accuracy.value)


def test_an_infeasible_budget_keeps_the_method_in_the_table(cell):
    found = summarise(edited(cell, "b", lambda p: replace(p, status="infeasible") if p.budget == 0.3 else p), BOOTSTRAP)
    assert found.method("b").complete and math.isnan(found.method("b").points[0].accuracy.value)
    assert found.method("b").curve.budgets[0].accuracy.known  # a mixture with the first exit reaches it


def test_a_baseline_is_chosen_on_cal_where_all_records_tell_of_it(cell):
    told = told_on_cal(cell, lambda p, label: 0.3 if label == "a" else 0.0)
    val, cal = summarise(cell, BOOTSTRAP).baseline, summarise(told, BOOTSTRAP).baseline
    assert (val.label, val.split) == ("a", "val") and (cal.label, cal.split) == ("b", "cal")
    assert cal.candidates["b"] == val.candidates["b"] and cal.candidates["a"] < val.candidates["a"] - 0.01
    partly = edited(told, "c", lambda p: replace(p, cal_accuracy=float("nan")) if p.seed == 0 else p)
    assert summarise(partly, BOOTSTRAP).baseline == val


def test_a_baseline_is_chosen_on_val_among_rules_on_the_shared_heads(cell):
    worse_on_val = edited(cell, "a", lambda p: replace(p, val_accuracy=p.val_accuracy - 0.3))
    assert summarise(worse_on_val, BOOTSTRAP).baseline.label == "b"
    better_on_test = edited(cell, "c", lambda p: replace(p, accuracy=1.0))
    assert summarise(better_on_test, QUICK).baseline.label == "a"
    taught = edited(cell, "a", lambda p: replace(p, exit_accuracy=(0.9, *p.exit_accuracy[1:])))
    assert sorted(summarise(taught, BOOTSTRAP).baseline.candidates) == ["b", "c"]
    other = replace(
        cell, methods=tuple(replace(e, heads="boosted" if e.label == "a" else "plain") for e in cell.methods)
    )
    assert summarise(other, BOOTSTRAP).baseline.label == "b"


def test_a_baseline_can_be_declared(cell):
    found = summarise(cell, BOOTSTRAP, baseline="c")
    assert found.baseline.declared and found.method("a").comparison.verdict == "significantly better"
    with pytest.raises(UserError, match="'d' cannot be the baseline"):
        summarise(cell, BOOTSTRAP, baseline="d")


def test_five_seeds_have_intervals_and_no_p_values():
    found = summarise(stat_cells.cell(seeds=range(5), samples=100), BOOTSTRAP)
    assert {m.comparison.verdict for m in found.methods if m.comparison} == {"intervals only"}
    assert [str(m) for m in found.flags] == ["5 seeds (fewer than 6): no ranks, no p-values"]
    assert not found.sure and all(m.rank is None and m.comparison.difference.known for m in found.methods[1:])


def test_one_seed_has_intervals_over_samples_and_no_ranks():
    found = summarise(stat_cells.cell(seeds=[3], samples=100), BOOTSTRAP)
    best = found.methods[0]
    assert best.rank is None and best.curve.nauc.known and math.isnan(best.curve.nauc.sd_seeds)


def test_without_samples_intervals_cover_seeds_and_the_oracle_comes_from_its_record(cell, found):
    def bare(entry):
        return replace(entry, points=tuple(replace(p, correct=None, exit_index=None) for p in entry.points))

    lost = replace(cell, methods=tuple(map(bare, cell.methods)), static=bare(cell.static))
    seeds_only = summarise(lost, BOOTSTRAP)
    assert seeds_only.oracle.nauc.value == pytest.approx(found.oracle.nauc.value)
    assert seeds_only.method("a").curve.nauc.value == found.method("a").curve.nauc.value
    assert seeds_only.method("a").curve.nauc.se < found.method("a").curve.nauc.se
    assert math.isnan(seeds_only.method("a").curve.nauc.sd_samples)


def test_without_static_exits_curves_stand_alone(cell):
    alone = summarise(replace(cell, static=replace(cell.static, points=())), BOOTSTRAP)
    best = alone.method("a").curve
    assert alone.static is None and alone.oracle is None and alone.baseline is None
    assert alone.window.low == max(p.cost for e in cell.methods for p in e.points if p.budget == 0.3)
    assert math.isfinite(best.nauc.value) and all(math.isnan(s.value) for s in (best.own, best.gain))
    assert not any(m.rank or m.comparison for m in alone.methods)
    assert [str(m) for m in alone.flags] == ["no static exits"]


def test_seeds_without_static_exits_do_not_count(cell):
    fewer = replace(cell.static, points=tuple(p for p in cell.static.points if p.seed != 5))
    found = summarise(replace(cell, static=fewer), BOOTSTRAP)
    assert found.method("a").complete and found.method("a").curve.seeds == (0, 1, 2, 3, 4)


def test_static_exits_help_where_a_method_has_no_points(found):
    for method in found.methods:
        assert min(p.cost.value for p in method.points) > found.window.low
        assert method.curve.line[0][1] == pytest.approx(found.static.line[0][1])


def test_methods_are_compared_with_plain_thresholds_too(cell):
    named = replace(cell, methods=(replace(cell.methods[1], label="global_thresh"), *cell.methods[::2]))
    found = summarise(named, BOOTSTRAP)
    assert found.plain == "global_thresh" and found.baseline.label == "a"
    told = {m.label: m.against_plain for m in found.methods}
    assert told["global_thresh"] is None and told["a"].verdict == "significantly better"
    gain = {m.label: m.curve.own.value for m in found.methods}
    for label in "ac":
        assert told[label].baseline == "global_thresh"
        assert told[label].difference.value == pytest.approx(gain[label] - gain["global_thresh"])


def test_a_cell_of_references_alone_has_a_static_hull(cell):
    found = summarise(replace(cell, methods=()), BOOTSTRAP)
    assert found.methods == () and found.baseline is None and found.static.nauc.known
    assert [p.name for p in found.exits] == [f"exit={k}" for k in range(5)]
