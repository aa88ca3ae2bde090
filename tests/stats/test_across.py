from __future__ import annotations

from dataclasses import replace

import pytest

from bench.errors import UserError
from bench.stats.across import across
from bench.stats.bootstrap import Estimate
from bench.stats.resample import BootstrapConfig
from bench.stats.summary import summarise
from tests.helpers import stat_cells
from tests.helpers.stat_cells import edited

BOOTSTRAP = BootstrapConfig(draws=500, sample_draws=50)


@pytest.fixture(scope="module")
def one():
    return summarise(stat_cells.cell(samples=100), BOOTSTRAP)


def copies(one, skills, naucs):
    """Cells with the skill and NAUC given per method, [(a, b, c), …]."""
    found = []
    for number, (skill, nauc) in enumerate(zip(skills, naucs, strict=True)):
        methods = []
        for m, s, n in zip(sorted(one.methods, key=lambda m: m.label), skill, nauc, strict=True):
            numbers = {k: Estimate(v, v, v, 0, 0, 0, one.seeds) for k, v in (("skill", s), ("nauc", n))}
            methods.append(replace(m, curve=replace(m.curve, **numbers)))
        found.append(replace(one, name=f"cell {number}", methods=tuple(methods)))
    return found


SKILLS = [(0.6, 0.4, 0.1), (0.5, 0.3, 0.2), (0.7, 0.35, 0.0)]
NAUCS = [(0.700, 0.696, 0.690), (0.800, 0.800, 0.7949), (0.600, 0.620, 0.590)]


def test_mean_skill_over_cells_with_a_student_interval(one):
    found = across(copies(one, SKILLS, NAUCS), BootstrapConfig())
    assert [m.label for m in found.methods] == ["a", "b", "c"]
    assert [m.skill.value for m in found.methods] == pytest.approx([0.6, 0.35, 0.1])
    half = 4.303 * 0.1 / 3**0.5
    assert found.methods[0].skill.high - 0.6 == pytest.approx(half, rel=0.12)
    assert found.note.startswith("Only 3 settings") and found.left_out == ()


def test_wins_ties_and_losses_with_a_zone_of_half_a_point(one):
    pairs = across(copies(one, SKILLS, NAUCS), BOOTSTRAP).pairs
    tally = pairs["a", "b"]
    assert (tally.wins, tally.ties, tally.losses) == (0, 2, 1)
    tally = pairs["a", "c"]
    assert (tally.wins, tally.ties, tally.losses) == (3, 0, 0)
    assert (pairs["c", "a"].wins, pairs["c", "a"].losses) == (0, 3)


def test_smoke_runs_and_contaminated_cells_are_left_out_and_named():
    cells = [stat_cells.cell(samples=60, seeds=range(2), number=n) for n in range(4)]
    cells = [replace(c, name=f"set {n}") for n, c in enumerate(cells)]
    cells[1], cells[2] = replace(cells[1], limit=60), replace(cells[2], protocol="v1-seen")
    found = across([summarise(c, BOOTSTRAP) for c in cells], BOOTSTRAP)
    assert len(found.cells) == 2
    assert [reason.partition(":")[0] for _, reason in found.left_out] == ["limit 60", "v1-seen"]


def test_a_method_that_lacks_a_cell_has_no_mean():
    cells = [replace(stat_cells.cell(samples=60, seeds=range(2), number=n), name=f"set {n}") for n in range(2)]
    cells[1] = edited(cells[1], "a", lambda p: None if p.seed == 0 else p)
    found = across([summarise(c, BOOTSTRAP) for c in cells], BOOTSTRAP)
    lost = next(m for m in found.methods if m.label == "a")
    assert lost.skill is None and [str(m) for m in lost.flags] == ["settings (1/2)"] and found.methods[-1] is lost
    assert (found.pairs["a", "b"].wins + found.pairs["a", "b"].ties + found.pairs["a", "b"].losses) == 1


def test_one_cell_has_values_and_no_intervals(one):
    found = across([one], BOOTSTRAP)
    assert found.methods[0].skill.value == pytest.approx(one.methods[0].curve.skill.value)
    assert not found.methods[0].skill.known and found.note == "1 setting: no interval over settings."


def test_no_cells_and_twins(one):
    assert across([], BOOTSTRAP).methods == ()
    with pytest.raises(UserError, match="same name"):
        across([one, one], BOOTSTRAP)
