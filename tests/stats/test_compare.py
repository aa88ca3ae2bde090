from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from bench.stats.bootstrap import Draws
from bench.stats.compare import compare, holm, sign_flip
from bench.stats.ranks import Rank, ranks, ranks_from
from bench.stats.resample import BootstrapConfig

BOOTSTRAP = BootstrapConfig(draws=4000, sample_draws=0)


def table(shifts, seeds=8, noise=0.1):
    rng = np.random.default_rng(2)
    shared = rng.standard_normal((1, seeds))
    return {name: shared + shift + noise * rng.standard_normal((1, seeds)) for name, shift in shifts.items()}


def draws(seeds=8):
    return Draws.make(range(seeds), BOOTSTRAP, "c")


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([0.02]) == pytest.approx([0.02])


@pytest.mark.parametrize("count", [5, 6, 8, 10])
def test_the_least_sign_flip_p_value_is_two_in_two_to_the_seeds(count):
    assert sign_flip(np.arange(1, count + 1)) == pytest.approx(2 / 2**count)


def test_sign_flips_agree_with_an_independent_test():
    d = np.array([0.3, -0.1, 0.4, 0.2, 0.25, -0.05, 0.1])
    known = stats.permutation_test((d,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert sign_flip(d) == pytest.approx(known.pvalue)
    assert sign_flip(-d) == sign_flip(d)


def test_sign_flips_of_many_seeds_are_drawn():
    d = np.random.default_rng(0).standard_normal(20) + 0.5
    assert sign_flip(d) == sign_flip(d)
    assert sign_flip(d) == pytest.approx(stats.ttest_1samp(d, 0).pvalue, abs=0.02)


def test_a_better_a_worse_and_an_equal_method():
    values = table({"base": 0.0, "better": 0.5, "worse": -0.5, "equal": 0.0})
    found = {c.method: c for c in compare(values, "base", range(8), draws())}
    assert sorted(found) == ["better", "equal", "worse"]
    assert [found[n].verdict for n in ("better", "equal", "worse")] == [
        "significantly better",
        "not significant",
        "significantly worse",
    ]
    assert found["better"].difference.value == pytest.approx(float((values["better"] - values["base"]).mean()))
    assert found["better"].p_holm >= found["better"].p and found["better"].p_signflip == pytest.approx(2 / 2**8)


def test_differences_are_paired_by_seed():
    values = table({"base": 0.0, "better": 0.2}, noise=0.02)
    spread = compare(values, "base", range(8), draws())[0].difference.se
    assert spread < 0.05 * values["base"].std()


def test_fewer_than_six_seeds_have_intervals_and_no_p_values():
    found = compare(table({"base": 0.0, "better": 9.0}, seeds=5), "base", range(5), draws(5))[0]
    assert (found.p, found.p_holm, found.p_signflip, found.verdict) == (None, None, None, "intervals only")
    assert found.difference.low > 0


def test_the_same_numbers_under_two_names_do_not_differ():
    values = table({"base": 0.0})
    found = compare(values | {"copy": values["base"]}, "base", range(8), draws())[0]
    assert found.p_holm == 1.0 and (found.difference.low, found.difference.high) == (0.0, 0.0)


def test_a_lonely_method_is_compared_with_nobody():
    assert compare(table({"base": 0.0}), "base", range(8), draws()) == []


def test_ranks_by_hand():
    places = ranks_from({("a", "c"), ("a", "d"), ("b", "d")}, ["a", "b", "c", "d"])
    assert {name: str(rank) for name, rank in places.items()} == {"a": "1–2", "b": "1–3", "c": "2–4", "d": "3–4"}
    assert str(Rank(2, 2)) == "2"


def test_methods_far_apart_have_one_rank_each_and_equal_ones_share():
    places = ranks(table({"a": 3.0, "b": 2.0, "c": 1.0, "d": 1.0}), range(8), draws())
    assert [str(places[n]) for n in "abcd"] == ["1", "2", "3–4", "3–4"]


def test_one_seed_has_no_ranks():
    assert ranks(table({"a": 3.0, "b": 1.0}, seeds=1), range(1), draws(1)) == {}


def test_nothing_is_certain_where_all_is_equal():
    one = np.full((1, 8), 0.5)
    assert set(map(str, ranks({"a": one, "b": one}, range(8), draws()).values())) == {"1–2"}
    assert math.isclose(compare({"a": one, "b": one}, "a", range(8), draws())[0].p, 1.0)
