from __future__ import annotations

import numpy as np
import pytest

from bench.stats.resample import BootstrapConfig, exact, generator, sample_means

BOOTSTRAP = BootstrapConfig(draws=100, sample_draws=300)


def test_every_table_sees_the_same_resamples():
    x = np.random.default_rng(0).random((50, 3)).astype(np.float32)
    one, two = sample_means([x, 2 * x[:, ::-1]], BOOTSTRAP, "t")
    assert two[:, ::-1] == pytest.approx(2 * one, rel=1e-6)
    again = sample_means([x[:, 1:2]], BOOTSTRAP, "t")[0]
    assert again[:, 0] == pytest.approx(one[:, 1], rel=1e-6)


def test_means_are_those_of_resampled_rows():
    x = (np.random.default_rng(0).random((40, 2)) < 0.5).astype(np.float32)
    rng = generator(BOOTSTRAP, "t", "40")
    found = sample_means([x], BOOTSTRAP, "t")[0]
    for row in found[:5]:
        assert np.array_equal(row, x[rng.integers(0, 40, 40)].mean(0, dtype=np.float64))


def test_their_spread_is_that_of_a_mean():
    x = np.random.default_rng(0).standard_normal((400, 1)).astype(np.float32)
    found = sample_means([x], BootstrapConfig(sample_draws=4000), "t")[0]
    assert found.std() == pytest.approx(float(x.std()) / 20, rel=0.05)


def test_other_test_sets_have_other_resamples():
    x = np.random.default_rng(0).random((50, 1)).astype(np.float32)
    assert not np.array_equal(sample_means([x], BOOTSTRAP, "t")[0], sample_means([x], BOOTSTRAP, "u")[0])


def test_tables_of_two_test_sets_are_refused():
    with pytest.raises(ValueError, match="different test sets"):
        sample_means([np.zeros((3, 1), np.float32), np.zeros((4, 1), np.float32)], BOOTSTRAP, "t")


@pytest.mark.parametrize(("count", "apart"), [(10_000, 1 / 2048), (26_032, 1 / 512), (50, 1e-4)])
def test_sums_of_exact_values_do_not_depend_on_their_order(count, apart):
    rng = np.random.default_rng(0)
    values = rng.random(count)
    rounded = exact(values)
    assert np.abs(rounded - (values - values.mean())).max() <= apart / 2 + 1e-9
    sums = {float(np.cumsum(rng.permutation(np.abs(rounded)), dtype=np.float32)[-1]) for _ in range(5)}
    assert sums == {float(np.abs(rounded).sum(dtype=np.float64))}
    assert np.array_equal(exact(np.full(5, 0.25)), np.zeros(5))
