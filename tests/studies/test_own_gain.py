"""What the own gain claims, in few simulations; `studies/own_gain.py` runs many."""

from __future__ import annotations

import pytest

from bench.stats.resample import BootstrapConfig
from studies.own_gain import main, simulate

BOOTSTRAP = BootstrapConfig(draws=300, sample_draws=60)


def test_intervals_hold_the_truth_and_equal_methods_are_seldom_told_apart():
    found = simulate(methods=3, seeds=6, simulations=25, samples=100, bootstrap=BOOTSTRAP)
    assert found.truth > 0.02  # rules that see who is right gain over random mixtures
    assert found.coverage >= 0.85  # intervals of half the width would cover about 67 %
    assert max(found.holm, found.plain, found.ranks) <= 0.15


@pytest.mark.slow
def test_the_study_prints_a_row_per_number_of_seeds(capsys):
    main(["--simulations", "2", "--seeds", "3", "6", "--methods", "3"])
    rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 4 and rows[2].startswith("| 3 |") and rows[2].endswith("| – | – | – |")
