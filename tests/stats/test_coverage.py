"""The promises of intervals, bands and comparisons, simulated; `benchmarks/coverage.py` does so at length."""

from __future__ import annotations

import pytest

from bench.stats.resample import BootstrapConfig
from benchmarks.coverage import World, coverage, errors

BOOTSTRAP = BootstrapConfig(draws=600, sample_draws=150)
LEVELS = (0.0, 0.3, 0.6)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [0.0, 0.2])
def test_intervals_hold_the_truth_in_93_to_97_percent_and_bands_in_93_or_more(seeds):
    world = World(seeds=seeds, levels=LEVELS, samples=200)
    found = coverage(world, 10, 500, BOOTSTRAP, plain=0, stream=1)
    assert 0.93 <= found["interval"] <= 0.97 and 0.92 <= found["difference"] <= 0.98
    assert found["band"] >= 0.93 and found["band difference"] >= 0.93


@pytest.mark.slow
def test_equal_methods_are_told_apart_no_more_often_than_promised():
    found = errors(World(seeds=0.05, samples=200), 8, 10, 200, BOOTSTRAP)
    assert found["holm"] <= 0.07 and found["ranks"] <= 0.08


def test_ranks_of_equal_methods_overlap_at_six_seeds_too():
    """Each standard error may be too small by chance, and with 66 pairs one of them is."""
    assert errors(World(seeds=0.2, samples=100), 12, 6, 60, BootstrapConfig(600, 50))["ranks"] <= 0.08
