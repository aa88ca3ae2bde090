from __future__ import annotations

import math
from dataclasses import replace

import pytest

from bench.stats.bootstrap import Estimate
from bench.stats.quality import checks, failed
from bench.stats.resample import BootstrapConfig
from bench.stats.summary import summarise
from tests.helpers import stat_cells

BOOTSTRAP = BootstrapConfig(draws=500, sample_draws=50)


def judged(exits=(0.5, 0.6, 0.7), low=0.01, labels=("a", "b", "c"), sure=(("c", "a"),), seeds=range(6)):
    """The checks of a setting whose best method gains 2 points, with a 95 % interval from `low`."""
    gain = Estimate(0.02, low, 0.03, 0.01, 0.01, 0.01, tuple(seeds))
    return checks(exits, ("a", gain) if labels else None, labels, sure, seeds)


def words(found):
    return [check.word for check in found]


def test_a_sound_setting_passes_all_four():
    found = judged()
    assert words(found) == ["passed"] * 4 and failed(found) == []
    assert found[-1].found == "1 of 3 pairs, 33 %"


@pytest.mark.parametrize(
    ("exits", "expected", "told"),
    [
        ((0.5, 0.7, 0.691), ["passed", "passed"], "exit 2 is 0.90 points below exit 1"),
        ((0.5, 0.7, 0.689), ["failed", "passed"], "exit 2 is 1.10 points below exit 1"),
        ((0.5, 0.7, 0.679), ["failed", "failed"], "exit 2 is 2.10 points below exit 1"),
        ((0.5, 0.479, 0.7), ["passed", "failed"], "exit 1 is 2.10 points below exit 0"),
        ((0.5, 0.6, 0.585, 0.57, 0.8), ["passed", "failed"], "exit 3 is 3.00 points below exit 1"),
        ((0.5, 0.5, 0.5), ["passed", "passed"], "no exit is below an earlier one"),
        ((), ["not judged", "not judged"], "no static exits"),
    ],
)
def test_exits_must_not_get_worse(exits, expected, told):
    found = judged(exits=exits)
    assert words(found)[:2] == expected and found[1].found == told


def test_the_best_gain_must_be_clearly_above_zero():
    assert judged()[2].passed is True and judged()[2].found == "a: +2.00 points [+1.00, +3.00]"
    assert judged(low=-0.001)[2].passed is False
    assert judged(low=math.nan)[2].passed is None and judged(labels=())[2].passed is None


def test_the_best_method_is_chosen_where_no_score_is_shown():
    """A method that leads on test by chance is not the one whose interval is judged."""
    cell = stat_cells.cell()
    lucky = stat_cells.edited(cell, "c", lambda p: replace(p, accuracy=0.99))
    found = summarise(lucky, BOOTSTRAP)
    assert found.methods[0].label == "c" and found.quality[2].found.startswith("a: ")


def test_pairs_are_not_judged_below_six_seeds_and_some_must_differ():
    assert judged(sure=())[3].passed is False
    assert judged(sure=(), seeds=range(5))[3].passed is None
    assert judged(labels=("a",), sure=())[3].passed is None


def test_a_setting_that_fails_is_kept_and_flagged():
    cell = stat_cells.cell(samples=100)
    worse = replace(cell.static, points=tuple(
        replace(p, accuracy=p.accuracy - 0.3) if p.name == "exit=4" else p for p in cell.static.points))  # fmt: skip
    sound, broken = summarise(cell, BOOTSTRAP), summarise(replace(cell, static=worse), BOOTSTRAP)
    assert words(sound.quality)[:3] == ["passed"] * 3 and not sound.flags
    names = "last exit within 1 point of the best; no exit over 2 points below an earlier one"
    assert [str(flag) for flag in broken.flags] == [f"quality check not met: {names}"]
    assert broken.methods[0].rank is not None
