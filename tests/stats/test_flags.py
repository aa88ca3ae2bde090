from __future__ import annotations

from dataclasses import replace

import pytest

from bench.stats.flags import flags, whole_seeds
from tests.helpers import stat_cells
from tests.helpers.stat_cells import edited

BUDGETS = (0.3, 0.5, 0.7, 0.9)


@pytest.fixture(scope="module")
def cell():
    return stat_cells.cell(samples=100)


def words(found):
    return [str(flag) for flag in found]


def test_a_complete_cell_has_no_marks(cell):
    found = flags(cell)
    assert found.cell == () and set(found.methods) == {"a", "b", "c"}
    assert found.methods["b"] == () and found.points["b", 0.5] == ()


@pytest.mark.parametrize(
    ("known", "text"),
    [
        ({"limit": 100}, "limit 100: smoke run, not comparable"),
        ({"protocol": "v1-seen"}, "v1-seen: the backbone has seen the training set"),
        ({"variant": "jpeg90"}, "jpeg90: not the official images"),
    ],
)
def test_what_sets_a_cell_apart_is_said(cell, known, text):
    assert words(flags(replace(cell, **known)).cell) == [text]


def test_few_seeds_are_said():
    assert words(flags(stat_cells.cell(samples=50, seeds=range(3))).cell) == [
        "3 seeds (fewer than 6): no ranks, no p-values"
    ]
    assert words(flags(stat_cells.cell(samples=50, seeds=[4])).cell) == ["1 seed: intervals cover test samples only"]


def test_a_missing_seed_is_a_gap(cell):
    found = edited(cell, "b", lambda p: None if p.seed == 2 else p)
    flagged = flags(found)
    assert words(flagged.methods["b"]) == ["not run (4/24)"] and words(flagged.points["b", 0.7]) == ["not run (1/6)"]
    assert flagged.methods["a"] == ()
    assert whole_seeds(found.methods[1], found) == (0, 1, 3, 4, 5)


def test_a_missing_budget_is_a_gap_at_every_seed(cell):
    found = edited(cell, "b", lambda p: None if p.budget == 0.7 else p)
    assert words(flags(found).methods["b"]) == ["not run at budget 0.7 (6/24)"]
    assert whole_seeds(found.methods[1], found) == ()


@pytest.mark.parametrize("status", ["failed", "timeout"])
def test_a_failure_is_a_gap(cell, status):
    found = edited(cell, "b", lambda p: replace(p, status=status) if (p.seed, p.budget) == (1, 0.3) else p)
    assert words(flags(found).methods["b"]) == [f"{status} at budget 0.3 (1/24)"]
    assert 1 not in whole_seeds(found.methods[1], found)


def test_an_infeasible_budget_is_an_answer(cell):
    found = edited(cell, "b", lambda p: replace(p, status="infeasible") if p.budget == 0.3 else p)
    assert words(flags(found).points["b", 0.3]) == ["infeasible"]
    assert words(flags(found).methods["b"]) == ["infeasible at budget 0.3 (6/24)"]
    assert whole_seeds(found.methods[1], found) == cell.seeds


def test_a_collapsed_policy_is_flagged_at_its_points(cell):
    swallowed = (0.96, 0.04, 0.0, 0.0, 0.0)
    found = edited(cell, "b", lambda p: replace(p, shares=swallowed) if (p.seed, p.budget) == (0, 0.5) else p)
    assert words(flags(found).points["b", 0.5]) == ["collapsed (1/6)"]
    almost = edited(cell, "b", lambda p: replace(p, shares=(0.95, 0.05, 0, 0, 0)) if p.budget == 0.5 else p)
    assert flags(almost).points["b", 0.5] == ()


def test_notes_versions_and_older_records_are_said(cell):
    def change(p):
        return replace(p, note="unreachable: no λ", version=f"v{p.seed % 2}", older=int(p.seed == 0))

    assert words(flags(edited(cell, "b", change)).methods["b"]) == [
        "unreachable",
        "4 older records left out",
        "versions of the code mixed",
    ]


def test_missing_samples_and_static_exits_are_said(cell):
    bare = edited(cell, "b", lambda p: replace(p, correct=None) if p.seed == 0 else p)
    assert words(flags(bare).cell) == ["no per-sample outcomes: intervals cover seeds only (4/102)"]
    without = replace(cell.static, points=tuple(p for p in cell.static.points if (p.name, p.seed) != ("exit=2", 3)))
    assert words(flags(replace(cell, static=without)).cell) == ["no static exits (1/6)"]
    short = edited(cell, "b", lambda p: replace(p, correct=p.correct[:50], exit_index=p.exit_index[:50]))
    assert words(flags(short).cell) == ["test sets of different sizes: intervals cover seeds only"]


@pytest.mark.parametrize(("tuned", "said"), [("tuned", "tuned"), ("defaults", "defaults kept by the search")])
def test_rows_say_how_their_parameters_came_to_be(cell, tuned, said):
    found = flags(edited(cell, "b", lambda p: replace(p, tuned=tuned)))
    assert words(found.methods["b"]) == [said] and found.methods["a"] == ()
