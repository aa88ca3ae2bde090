from __future__ import annotations

import numpy as np
import pytest

from bench.metrics.conditional import ENOUGH, class_gaps, coverage, group_coverage, set_sizes
from bench.metrics.nested import nestedness
from tests.helpers.outcomes import made_of, outcomes, point, scored


def test_exit_gap_counts_exits_with_enough_samples_only():
    index = np.repeat([0, 1, 3], [ENOUGH, ENOUGH - 1, 2 * ENOUGH])
    hits = np.ones(len(index), bool)
    hits[:8] = False  # exit 0 covers 92 %
    hits[ENOUGH : 2 * ENOUGH - 1] = False  # exit 1 nothing, but it is too small to count
    found = coverage(hits, index, 0.1, "lac@0.1")
    assert found["exit_gap_lac@0.1"] == pytest.approx(0.1)  # of exit 3, which covers everything
    assert found["coverage_lac@0.1"] == pytest.approx(hits.mean())
    assert "exit_gap_lac@0.1" not in coverage(hits[:50], index[:50], 0.1, "lac@0.1")


def test_class_gaps_and_sizes_by_hand():
    hits, labels = np.array([1, 1, 1, 0, 1, 0], bool), np.array([0, 0, 2, 2, 4, 4])
    assert group_coverage(hits, labels).tolist() == [1.0, 0.5, 0.5]  # classes 1 and 3 have no sample
    found = class_gaps(hits, labels, 0.1, "x")
    assert found == {"class_gap_mean_x": pytest.approx(0.9 / 3), "class_gap_worst_x": pytest.approx(0.4)}
    assert set_sizes(np.array([0, 1, 1, 4]), "x") == {
        "set_size_x": 1.5,
        "empty_share_x": 0.25,
        "singleton_share_x": 0.5,
    }


def test_nestedness_by_hand():
    # p_y is .6 at exit 0 and .5 at exit 1 for all of cal: a set holds the classes of at least that
    cal = made_of([[[0.6, 0.3, 0.1], [0.5, 0.4, 0.1]]] * 200, [0, 1] * 100, [0] * 200)
    test = made_of(
        [
            [[0.7, 0.2, 0.1], [0.55, 0.4, 0.05]],  # {0} then {0}
            [[0.2, 0.7, 0.1], [0.55, 0.4, 0.05]],  # {1} then {0}
            [[0.7, 0.2, 0.1], [0.4, 0.3, 0.3]],  # {0} then nothing
        ],
        [1, 1, 1],
        [0, 0, 0],
    )
    for found in nestedness(point(cal, test)):
        assert found.tolist() == [[1, 1], [1, 0], [1, 1]]
    assert scored(cal, test)["nestedness_lac@0.05"] == pytest.approx(2 / 3)


def test_nestedness_in_plain_numpy():
    cal, test = outcomes(300, seed=1), outcomes(150, seed=2)
    p = test.exit_logits.double().softmax(-1).numpy()
    scores = 1 - cal.exit_logits.double().softmax(-1).numpy()[np.arange(300), :, cal.labels.numpy()]
    q = [np.sort(scores[:, k])[int(np.ceil(301 * 0.9)) - 1] for k in range(4)]
    sets = 1 - p <= np.array(q)[None, :, None]
    ratio = []
    for k in range(4):
        size = sets[:, k].sum(1)
        ratio.append(np.where(size > 0, sets[:, : k + 1].all(1).sum(1) / np.maximum(size, 1), 1.0))
    found = nestedness(point(cal, test))[2]
    assert found == pytest.approx(np.array(ratio).T)
    assert (found[:, 0] == 1).all() and (found >= 0).all() and (found <= 1).all()
