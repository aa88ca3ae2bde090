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


def test_methods_come_by_skill_with_their_ranks_and_verdicts(found):
    assert [m.label for m in found.methods] == ["a", "b", "c"]
    assert [str(m.rank) for m in found.methods] == ["1", "2", "3"]
    assert found.baseline.label == "a" and sorted(found.baseline.candidates) == ["a", "b", "c"]
    assert found.method("a").comparison is None
    assert [found.method(n).comparison.verdict for n in "bc"] == ["significantly worse"] * 2
    assert ("a", "c") in found.sure and found.beats_shared("a") and not found.beats_shared("b")


def test_references_have_no_skill_and_all_skill(found):
    assert found.static.gain.value == pytest.approx(0) and found.static.skill.value == pytest.approx(0)
    assert found.oracle.skill.value == pytest.approx(1) and found.oracle.skill.low == pytest.approx(1)
    a = found.method("a").curve
    assert 0 < a.skill.value < 1 and a.gain.low > 0
    for mine, best in zip(a.budgets, found.oracle.budgets, strict=True):
        assert mine.regret.value == pytest.approx(best.accuracy.value - mine.accuracy.value)


def test_the_window_begins_at_the_dearest_first_exit_and_is_common(cell, found):
    assert (found.window.low, found.window.high) == (0.15, 1.0)
    dearer = edited(cell, "c", lambda p: replace(p, exit_costs=(0.2, *p.exit_costs[1:])))
    assert summarise(dearer, BootstrapConfig(draws=50, sample_draws=0)).window.low == 0.2


def test_the_nauc_is_that_of_the_hull_by_hand(cell, found):
    by_hand = []
    for seed in cell.seeds:
        points = [*cell.static_at(seed), *cell.methods[0].of(seed)]
        members = frontier.hull_members([p.val_cost for p in points], [p.val_accuracy for p in points])
        x, y = np.array(sorted((points[i].cost, points[i].accuracy) for i in members)).T
        grid = np.linspace(0.15, 1, 100_001)
        by_hand.append(np.interp(grid, x, y).mean())
    assert found.method("a").curve.nauc.value == pytest.approx(np.mean(by_hand), abs=1e-5)
    assert found.method("a").curve.nauc.sd_seeds == pytest.approx(np.std(by_hand, ddof=1), abs=1e-5)


def test_membership_is_decided_on_val_and_never_on_test(cell, found):
    """An early exit that shines on test alone does not join the hull."""
    lucky = edited(cell, "c", lambda p: replace(p, accuracy=0.999) if p.val_accuracy < 0.5 else p)
    never = summarise(lucky, BootstrapConfig(draws=50, sample_draws=0)).method("c").curve
    names = {name for hull in never.hulls.values() for name in hull}
    expected = {name for hull in found.method("c").curve.hulls.values() for name in hull}
    assert names == expected
    worse = edited(cell, "a", lambda p: replace(p, val_accuracy=0.0))
    assert summarise(worse, BootstrapConfig(draws=50, sample_draws=0)).method("a").curve.gain.value == pytest.approx(0)


def test_intervals_hold_their_values_and_bands_are_wider(found):
    for method in found.methods:
        curve = method.curve
        for value in (curve.nauc, curve.gain, curve.skill, curve.hypervolume, curve.nauc_raw):
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
    assert found.method("b").curve.budgets[0].accuracy.known  # static exits reach it


def test_a_baseline_is_chosen_on_cal_where_all_records_tell_of_it(cell):
    def unseen(entry, lost):
        known = [replace(p, cal_accuracy=p.val_accuracy - lost, cal_cost=p.val_cost) for p in entry.points]
        return replace(entry, points=tuple(known))

    told = replace(
        cell,
        methods=tuple(unseen(e, 0.3 if e.label == "a" else 0.0) for e in cell.methods),
        static=unseen(cell.static, 0.0),
    )
    val, cal = summarise(cell, BOOTSTRAP).baseline, summarise(told, BOOTSTRAP).baseline
    assert (val.label, val.split) == ("a", "val") and (cal.label, cal.split) == ("b", "cal")
    assert cal.candidates["b"] == val.candidates["b"] and cal.candidates["a"] < val.candidates["a"] - 0.01
    partly = edited(told, "c", lambda p: replace(p, cal_accuracy=float("nan")) if p.seed == 0 else p)
    assert summarise(partly, BOOTSTRAP).baseline == val


def test_a_baseline_is_chosen_on_val_among_rules_on_the_shared_heads(cell):
    worse_on_val = edited(cell, "a", lambda p: replace(p, val_accuracy=p.val_accuracy - 0.3))
    assert summarise(worse_on_val, BOOTSTRAP).baseline.label == "b"
    better_on_test = edited(cell, "c", lambda p: replace(p, accuracy=1.0))
    assert summarise(better_on_test, BootstrapConfig(draws=50, sample_draws=0)).baseline.label == "a"
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
    assert [str(m) for m in found.flags] == ["5 seeds: intervals only"]


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
    assert alone.static is None and alone.oracle is None and alone.window == alone.raw_window
    assert best.nauc.value == best.nauc_raw.value and math.isnan(best.gain.value) and math.isnan(best.skill.value)
    assert [str(m) for m in alone.flags] == ["no static exits"]


def test_seeds_without_static_exits_do_not_count(cell):
    fewer = replace(cell.static, points=tuple(p for p in cell.static.points if p.seed != 5))
    found = summarise(replace(cell, static=fewer), BOOTSTRAP)
    assert found.method("a").complete and found.method("a").curve.seeds == (0, 1, 2, 3, 4)


def test_static_exits_help_where_a_method_has_no_points(found):
    for method in found.methods:
        assert found.raw_window.low > found.window.low
        assert method.curve.line[0][1] == pytest.approx(found.static.line[0][1])


def test_a_cell_of_references_alone_has_a_static_hull(cell):
    found = summarise(replace(cell, methods=()), BOOTSTRAP)
    assert found.methods == () and found.baseline is None and found.static.nauc.known
    assert [p.name for p in found.exits] == [f"exit={k}" for k in range(5)]
