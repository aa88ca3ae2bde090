from __future__ import annotations

import numpy as np
import pytest

from bench.stats.measure import STATIC, measure
from bench.stats.resample import BootstrapConfig, generator
from tests.helpers import stat_cells

BOOTSTRAP = BootstrapConfig(draws=10, sample_draws=20)


@pytest.fixture(scope="module")
def cell():
    return stat_cells.cell(samples=80, seeds=range(2))


def resample(cell, number):
    rng = generator(BOOTSTRAP, cell.test_set, "80")
    return [rng.integers(0, 80, 80) for _ in range(number + 1)][number]


def test_the_first_row_is_what_the_records_say(cell):
    means = measure(cell, BOOTSTRAP)
    point = cell.methods[1].points[3]
    assert means.rows == 21
    assert means.accuracy["b", point.name, point.seed][0] == point.accuracy
    assert means.cost["b", point.name, point.seed][0] == point.cost


def test_other_rows_are_means_over_the_same_resamples_for_accuracy_cost_and_oracle(cell):
    means, point = measure(cell, BOOTSTRAP), cell.methods[1].points[3]
    exits = cell.static_at(point.seed)
    right = np.stack([p.correct for p in exits], 1)
    for number in (0, 7):
        rows = resample(cell, number)
        assert means.accuracy["b", point.name, point.seed][1 + number] == pytest.approx(point.correct[rows].mean())
        spent = np.array(point.exit_costs)[point.exit_index[rows]].mean()
        assert means.cost["b", point.name, point.seed][1 + number] == pytest.approx(spent, abs=2e-5)
        first = right[rows].any(1) * (1 + right[rows].argmax(1))
        shares = [(first == k + 1).mean() for k in range(5)]
        assert means.first_correct[point.seed][1 + number] == pytest.approx(shares)


def test_a_static_exit_costs_the_same_on_every_resample(cell):
    assert np.ptp(measure(cell, BOOTSTRAP).cost[STATIC, "exit=2", 1]) == 0
