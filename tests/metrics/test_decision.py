from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from bench.metrics.decision import Ranking, auroc, may_leave, scores
from tests.helpers.outcomes import made_of, outcomes, point


def test_may_leave_by_hand():
    right = np.array([[0, 1, 0], [0, 0, 0], [1, 0, 1], [0, 0, 1]], bool)
    assert may_leave(right).tolist() == [
        [False, True, True],  # exit 1 is right, the last is wrong and has none after it
        [True, True, True],  # futile everywhere
        [True, False, True],
        [False, False, True],
    ]


@settings(max_examples=60, deadline=None)
@given(n=st.integers(2, 60), levels=st.integers(1, 30), seed=st.integers(0, 999))
def test_auroc_is_sklearns_and_ignores_order(n, levels, seed):
    rng = np.random.default_rng(seed)
    score, target = rng.choice(np.linspace(0, 1, levels), size=n), rng.random(n) < 0.5
    order = rng.permutation(n)
    if target.all() or not target.any():
        assert auroc(Ranking.of(score), target) is None
        return
    assert auroc(Ranking.of(score), target) == pytest.approx(roc_auc_score(target, score), abs=1e-12)
    assert auroc(Ranking.of(score), target) == auroc(Ranking.of(score[order]), target[order])
    some = rng.random(n) < 0.7
    some[[target.argmax(), target.argmin()]] = True
    expected = roc_auc_score(target[some], score[some])
    assert auroc(Ranking.of(score), target, some) == pytest.approx(expected, abs=1e-12)
    assert auroc(Ranking.of(target), target) == 1.0 and auroc(Ranking.of(~target), target) == 0.0


def test_averages_by_hand():
    # two classes; label 0 everywhere, so p_0 > .5 is right. Exit 0 is right on 0 and 1, exit 1 on 0, 2 and 3
    first = [0.9, 0.6, 0.3, 0.2]
    last = [0.9, 0.4, 0.7, 0.8]
    p = [[[a, 1 - a], [b, 1 - b]] for a, b in zip(first, last, strict=True)]
    test = made_of(p, [0, 1, 1, 1], [0, 0, 0, 0])
    found, columns = scores(point(test, test))
    # confidences .9 .6 .7 .8; right 1 1 0 0: of four pairs, .9 wins two and .6 none
    assert columns["misclass_auroc_all"][0] == 0.5
    assert columns["eefp_auroc_all"][0] == 0.5  # sample 1's last exit is wrong, but exit 0 is right anyway
    assert columns["arrived"] == [1.0, 0.75]
    assert columns["eefp_auroc_all"][1] is None
    assert columns["misclass_auroc_arrived"][1] == pytest.approx(1.0)  # .6 is wrong; .7 and .8 are right
    assert found["misclass_auroc_all"] == 0.5  # the last exit is not in the average


def test_weights_are_the_shares_that_arrive():
    test = outcomes(400, exits=4, seed=3)
    found, columns = scores(point(test, test))
    values, shares = columns["eefp_auroc_arrived"][:3], columns["arrived"][:3]
    assert shares == [float((test.exit_index >= k).double().mean()) for k in range(3)]
    assert found["eefp_auroc_arrived"] == pytest.approx(np.mean(values))
    assert found["eefp_auroc_arrived_weighted"] == pytest.approx(np.average(values, weights=shares))
    right, confidence = (test.exit_logits.argmax(-1) == test.labels[:, None]).numpy(), test.exit_logits.softmax(-1)
    arrived = (test.exit_index >= 1).numpy()
    theirs = roc_auc_score(may_leave(right)[arrived, 1], confidence.amax(-1)[arrived, 1])
    assert columns["eefp_auroc_arrived"][1] == pytest.approx(theirs, abs=1e-6)


def test_undefined_averages_are_left_out():
    certain = made_of([[[0.9, 0.1], [0.8, 0.2]]] * 3, [0, 0, 1], [0, 0, 0])
    found, columns = scores(point(certain, certain))
    assert found == {} and columns["misclass_auroc_all"] == [None, None]
