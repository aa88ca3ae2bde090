from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from bench.stats.bootstrap import Draws, estimates, p_values, plain_deviations
from bench.stats.resample import BootstrapConfig

BOOTSTRAP = BootstrapConfig(draws=10_000, sample_draws=2_000)


def one(values, seeds=None, bootstrap=BOOTSTRAP):
    values = np.asarray(values, float)
    seeds = range(values.shape[1]) if seeds is None else seeds
    return estimates(values[..., None], seeds, Draws.make(seeds, bootstrap, "c"))[0]


@pytest.mark.parametrize("count", [2, 3, 10])
def test_without_samples_it_is_the_student_interval_over_seeds(count):
    v = np.random.default_rng(count).standard_normal(count)
    found = one(v[None])
    half = stats.t.ppf(0.975, count - 1) * v.std(ddof=1) / math.sqrt(count)
    assert found.value == pytest.approx(v.mean())
    assert found.se == pytest.approx(v.std(ddof=1) / math.sqrt(count))
    assert [found.low, found.high] == pytest.approx([v.mean() - half, v.mean() + half], abs=0.12 * half)
    assert found.sd_seeds == pytest.approx(v.std(ddof=1)) and math.isnan(found.sd_samples)


def test_one_seed_has_the_interval_of_its_resamples():
    draws = 0.5 + 0.01 * np.random.default_rng(0).standard_normal(2000)
    found = one(np.concatenate([[0.5], draws])[:, None])
    assert [found.low, found.high] == pytest.approx([0.4804, 0.5196], abs=0.0015)
    assert math.isnan(found.sd_seeds) and found.sd_samples == pytest.approx(0.01, rel=0.05)


def test_one_seed_without_samples_has_a_value_and_no_interval():
    found = one([[0.4]])
    assert found.value == 0.4 and not found.known


def test_noise_that_seeds_share_is_added_and_noise_of_their_own_counted_once():
    rng, count = np.random.default_rng(0), 5
    v = rng.standard_normal(count)
    shared = np.repeat(rng.standard_normal((2000, 1)), count, 1)
    own = rng.standard_normal((2000, count))
    seed_part = v.var(ddof=1) / count
    assert one(np.concatenate([v[None], v + shared])).se ** 2 == pytest.approx(seed_part + 1, rel=0.1)
    assert one(np.concatenate([v[None], v + own])).se ** 2 == pytest.approx(seed_part, abs=0.02)
    assert one(np.concatenate([v[None], v + own + shared])).se ** 2 == pytest.approx(seed_part + 1, rel=0.1)


def test_the_literal_two_level_bootstrap_counts_it_twice_and_is_narrow_over_seeds():
    rng, count = np.random.default_rng(0), 5
    v, own = rng.standard_normal(count), 3 * rng.standard_normal((2000, count))
    plain = plain_deviations(np.concatenate([v[None], v + own])[..., None], BOOTSTRAP, "c")
    assert plain.var() > 1.5 * (v.var(ddof=1) + 0) / count + 1.5 * 9 / count
    alone = plain_deviations(v[None, :, None], BOOTSTRAP, "c")
    assert alone.var() == pytest.approx(v.var() / count, rel=0.05)


def test_equal_values_have_an_interval_of_no_width():
    found = one(np.full((50, 4), 0.3))
    assert (found.low, found.high, found.se) == pytest.approx((0.3, 0.3, 0.0))


def test_nan_is_unknown_and_inf_is_never():
    values = np.tile([0.5, 0.6, 0.7], (101, 1))
    lost, never, some = values.copy(), values.copy(), values.copy()
    lost[3, 1], never[0, 2], some[1:6, 0] = np.nan, np.inf, np.inf
    assert math.isnan(one(lost).value) and not one(lost).known
    assert math.isinf(one(never).value) and not one(never).known
    assert one(some).value == pytest.approx(0.6) and one(some).high == math.inf and one(some).low < 0.6


def test_statistics_share_their_draws_so_that_differences_are_paired():
    rng = np.random.default_rng(0)
    a = rng.standard_normal((201, 6, 1))
    draws = Draws.make(range(6), BootstrapConfig(draws=500, sample_draws=200), "c")
    deviation, se = draws.deviations(np.concatenate([a, a + 0.1], -1), range(6))
    assert deviation[:, 0] == pytest.approx(deviation[:, 1]) and se[0] == pytest.approx(se[1])


def test_several_statistics_keep_each_its_own_spread():
    v = np.random.default_rng(0).standard_normal((1, 4, 3))
    draws = Draws.make(range(4), BOOTSTRAP, "c")
    joint, apart = draws.deviations(v, range(4))[0], draws.deviations(v, range(4), several=True)[0]
    ends = np.quantile(joint, [0.05, 0.95], axis=0), np.quantile(apart, [0.05, 0.95], axis=0)
    assert ends[0] == pytest.approx(ends[1], rel=0.1)
    assert not np.array_equal(joint[:, 1], apart[:, 1])


def test_a_method_with_fewer_seeds_uses_the_draws_of_its_own():
    v = np.random.default_rng(0).standard_normal((1, 4, 1))
    draws = Draws.make(range(4), BOOTSTRAP, "c")
    assert draws.deviations(v[:, [1, 3]], [1, 3])[0].std() > 0
    part = estimates(v[:, [1, 3]], [1, 3], draws)[0]
    assert part.value == pytest.approx(v[0, [1, 3], 0].mean()) and part.seeds == (1, 3)


def test_no_seeds_are_unknown():
    draws = Draws.make([0], BOOTSTRAP, "c")
    assert math.isnan(estimates(np.empty((1, 0, 2)), [], draws)[1].value)


def test_the_p_value_agrees_with_the_interval():
    rng = np.random.default_rng(3)
    draws = Draws.make(range(7), BOOTSTRAP, "c")
    for shift in (0.0, 0.4, 0.75, 0.9, 1.5):
        v = rng.standard_normal((1, 7, 1)) + shift
        found = estimates(v, range(7), draws)[0]
        p = p_values(draws.deviations(v, range(7))[0], v[0].mean(0))[0]
        assert 0 < p <= 1
        if abs(p - 0.05) > 0.005:
            assert (p < 0.05) == (found.low > 0 or found.high < 0)
