from __future__ import annotations

from dataclasses import replace

import pytest

from bench.errors import UserError
from bench.stats.across import across, named_alike
from bench.stats.bootstrap import Estimate
from bench.stats.flags import Flag
from bench.stats.resample import BootstrapConfig
from bench.stats.summary import summarise
from tests.helpers import stat_cells
from tests.helpers.stat_cells import edited

BOOTSTRAP = BootstrapConfig(draws=500, sample_draws=50)


@pytest.fixture(scope="module")
def one():
    return summarise(stat_cells.cell(samples=100), BOOTSTRAP)


def copies(one, owns, gains=None):
    """Cells with the own gain (and that of the NAUC) given per method, [(a, b, c), …]."""
    found = []
    for number, (own, gain) in enumerate(zip(owns, gains or owns, strict=True)):
        methods = []
        for m, s, n in zip(sorted(one.methods, key=lambda m: m.label), own, gain, strict=True):
            numbers = {k: Estimate(v, v, v, 0, 0, 0, one.seeds) for k, v in (("own", s), ("gain", n))}
            methods.append(replace(m, curve=replace(m.curve, **numbers)))
        found.append(replace(one, name=f"cell {number}", methods=tuple(methods)))
    return found


OWN = [(0.06, 0.04, 0.01), (0.05, 0.03, 0.02), (0.07, 0.035, 0.0), (0.06, 0.04, 0.01), (0.06, 0.03, 0.01)]
GAINS = [(0.07, 0.05, 0.02), (0.05, 0.03, 0.02), (0.07, 0.04, 0.01), (0.06, 0.04, 0.01), (0.06, 0.03, 0.01)]
CLOSE = [(0.070, 0.066, 0.06), (0.08, 0.08, 0.0749), (0.06, 0.08, 0.05), (0.0, 0.0, -0.1), (0.0, 0.0, -0.1)]


def test_mean_own_gain_over_cells_with_a_student_interval(one):
    found = across(copies(one, OWN, GAINS), BootstrapConfig())
    assert [m.label for m in found.methods] == ["a", "b", "c"]
    assert [m.own.value for m in found.methods] == pytest.approx([0.06, 0.035, 0.01])
    assert [m.gain.value for m in found.methods] == pytest.approx([0.062, 0.038, 0.014])
    half = 2.776 * (0.0002 / 4) ** 0.5 / 5**0.5
    assert found.methods[0].own.high - 0.06 == pytest.approx(half, rel=0.12)
    assert found.note.startswith("Intervals treat") and found.left_out == ()


def test_wins_ties_and_losses_with_a_zone_of_half_a_point(one):
    pairs = across(copies(one, CLOSE), BOOTSTRAP).pairs
    tally = pairs["a", "b"]
    assert (tally.wins, tally.ties, tally.losses) == (0, 4, 1)
    tally = pairs["a", "c"]
    assert (tally.wins, tally.ties, tally.losses) == (5, 0, 0)
    assert (pairs["c", "a"].wins, pairs["c", "a"].losses) == (0, 5)


def test_below_five_settings_there_are_means_but_no_intervals_and_no_pairs(one):
    found = across(copies(one, OWN[:4]), BOOTSTRAP)
    assert [m.own.value for m in found.methods] == pytest.approx([0.06, 0.03625, 0.01])
    assert not any(m.own.known for m in found.methods) and found.pairs == {}
    assert found.note == "4 settings, fewer than 5: no intervals over settings, wins, ties and losses."


def test_settings_that_fail_a_quality_check_are_left_out_and_named(one):
    cells = copies(one, OWN)
    cells[0] = replace(cells[0], flags=(Flag("quality", "quality check not met: exits"),))
    found = across(cells, BOOTSTRAP)
    assert found.left_out == (("cell 0", "quality check not met: exits"),)
    assert found.methods[0].own.value == pytest.approx(0.06) and found.methods[1].own.value == pytest.approx(0.03375)


def test_smoke_runs_and_contaminated_cells_are_left_out_and_named():
    cells = [stat_cells.cell(samples=100, seeds=range(4), number=n) for n in range(4)]
    cells = [replace(c, name=f"set {n}") for n, c in enumerate(cells)]
    cells[1], cells[2] = replace(cells[1], limit=60), replace(cells[2], protocol="v1-seen")
    found = across([summarise(c, BOOTSTRAP) for c in cells], BOOTSTRAP)
    assert len(found.cells) == 2
    assert [reason.partition(":")[0] for _, reason in found.left_out] == ["limit 60", "v1-seen"]


def test_a_method_that_lacks_a_cell_has_no_mean():
    cells = [replace(stat_cells.cell(samples=100, seeds=range(4), number=n), name=f"set {n}") for n in range(2)]
    cells[1] = edited(cells[1], "a", lambda p: None if p.seed == 0 else p)
    found = across([summarise(c, BOOTSTRAP) for c in cells], BOOTSTRAP)
    lost = next(m for m in found.methods if m.label == "a")
    assert lost.own is None and [str(m) for m in lost.flags] == ["settings (1/2)"] and found.methods[-1] is lost


def test_a_method_is_counted_where_both_are_complete(one):
    cells = copies(one, OWN)
    cells[0] = replace(cells[0], methods=tuple(m for m in cells[0].methods if m.label != "b"))
    tally = across(cells, BOOTSTRAP).pairs["a", "b"]
    assert (tally.wins, tally.ties, tally.losses) == (4, 0, 0)


def test_one_cell_has_values_and_no_intervals(one):
    found = across([one], BOOTSTRAP)
    assert found.methods[0].own.value == pytest.approx(one.methods[0].curve.own.value)
    assert not found.methods[0].own.known and found.note.startswith("1 setting, fewer than 5: no intervals")


def test_no_cells_and_twins(one):
    assert across([], BOOTSTRAP).methods == ()
    with pytest.raises(UserError, match="same name"):
        across([one, one], BOOTSTRAP)


def test_a_method_on_a_networks_own_exits_stands_for_the_method(one):
    """b on heads that were trained afterwards is left out where b runs on native heads; c has heads of its own."""
    cells = copies(one, OWN)
    a, b, c = sorted(cells[0].methods, key=lambda m: m.label)
    native = replace(a, label="b[heads=native]"), replace(a, label="a[heads=native,power=2]")
    joint = named_alike(replace(cells[0], methods=(a, b, c, *native)))
    assert {m.label: m.curve.own.value for m in joint.methods} == {"a": 0.06, "b": 0.06, "c": 0.01, "a[power=2]": 0.06}
    assert named_alike(cells[0]) is cells[0]
    means = {m.label: m.own for m in across([replace(cells[0], methods=(a, c, *native)), *cells[1:]]).methods}
    assert means["b"].value == pytest.approx((0.06 + 0.03 + 0.035 + 0.04 + 0.03) / 5) and means["a[power=2]"] is None
