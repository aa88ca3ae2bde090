from __future__ import annotations

import math
import warnings
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mapie.classification import SplitConformalClassifier

from bench.errors import UserError
from bench.metrics.arrays import softmax
from bench.metrics.conformal import FREE, PENALTY, SEED, conformal_rank, lac_quantile
from bench.metrics.mapie_sets import PassThrough, hits_and_sizes
from tests.helpers import paths
from tests.helpers.sets import lac_scores, ordered, set_scores

ALPHAS = (0.01, 0.05, 0.1)
GOLDEN = paths.GOLDEN / "conformal_jeidnn_small.npz"


def drawn(n: int, classes: int = 8, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.integers(classes, size=n)
    logits = rng.normal(size=(n, classes))
    logits[np.arange(n), y] += 2
    return softmax(logits), y


def lac_by_hand(cal, test, alpha):
    q = lac_quantile(lac_scores(*cal), alpha)
    sets = (1 - test[0]) <= q
    return sets[np.arange(len(test[1])), test[1]].mean(), sets.sum(1).mean(), sets


def test_rank_is_exact():
    assert conformal_rank(999, 0.1) == 900
    assert [conformal_rank(99, a) for a in ALPHAS] == [99, 95, 90]
    assert conformal_rank(98, 0.01) == 99  # beyond n
    for n in range(1, 3000):
        for percent in (1, 5, 10):
            assert conformal_rank(n, percent / 100) == -((-(n + 1) * (100 - percent)) // 100)


def test_quantile_by_hand():
    scores = np.arange(1, 1000) / 1000
    assert lac_quantile(scores[::-1], 0.1) == 0.9
    assert lac_quantile(scores[:98], 0.01) == math.inf
    assert lac_quantile(scores[:99], 0.01) == scores[98]
    assert lac_quantile([], 0.1) == math.inf
    assert lac_quantile(np.float32([0.5] * 30), np.float64(0.1)) == 0.5


@settings(max_examples=80, deadline=None)
@given(scores=st.lists(st.floats(0, 1), max_size=60), alpha=st.sampled_from([0.01, 0.05, 0.1, 0.2, 1 / 3]))
def test_quantile_is_the_smallest_that_covers_enough(scores, alpha):
    q, need = lac_quantile(scores, alpha), (len(scores) + 1) * (1 - Fraction(str(alpha)))
    assert sum(s <= q for s in scores) >= need or q == math.inf
    assert sum(s < q for s in scores) < need


@pytest.mark.parametrize("alpha", [0.0, -0.1, 0.5, 1.0, math.nan])
def test_impossible_alphas(alpha):
    with pytest.raises(UserError, match=r"between 0 and 0\.5"):
        lac_quantile([0.1, 0.2], alpha)


def test_nan_scores_are_refused():
    with pytest.raises(UserError, match="NaN"):
        lac_quantile([0.1, math.nan], 0.1)


def test_quantiles_match_the_published_code_within_one_rank():
    data = np.load(GOLDEN)
    scores = lac_scores(softmax(data["cal_logits"]), data["cal_labels"])
    ranks = np.sort(scores)
    for alpha, theirs in zip(data["alphas"], data["qhat"], strict=True):
        rank = int(np.argmin(np.abs(ranks - theirs)))
        assert abs(ranks[rank] - theirs) < 1e-6
        assert abs(int(np.searchsorted(ranks, lac_quantile(scores, alpha))) - rank) <= 1
    sets = [(1 - softmax(data["test_logits"]) <= q).sum(1).mean() for q in data["qhat"]]
    assert sets == pytest.approx(data["set_size"].tolist(), abs=1e-4)


@pytest.mark.shared
def test_excerpt_is_what_the_reference_holds(shared):
    whole, part = np.load(shared / "golden" / "jeidnn_small.npz"), np.load(GOLDEN)
    assert np.array_equal(whole["qhat_general"], part["qhat"])
    rows = np.arange(200)
    assert np.array_equal(whole["logits"][rows, whole["exit_index"][:200]], part["cal_logits"])


@pytest.mark.parametrize("n", [19, 20, 99, 100, 199, 500, 999, 1000])
def test_lac_sets_equal_hand_made_sets(n):
    cal, test = drawn(n, seed=1), drawn(700, seed=2)
    for alpha, scores in zip(ALPHAS, set_scores(cal, test, ALPHAS), strict=True):
        coverage, size, sets = lac_by_hand(cal, test, alpha)
        assert (scores.coverage, scores.size) == (pytest.approx(coverage), pytest.approx(size))
        assert scores.empty_share == pytest.approx((sets.sum(1) == 0).mean())
        assert scores.singleton_share == pytest.approx((sets.sum(1) == 1).mean())


@pytest.mark.parametrize("score", ["lac", "aps"])
def test_stock_mapie_agrees_within_one_rank(score):
    cal, test = drawn(999, seed=3), drawn(400, seed=4)
    stock = SplitConformalClassifier(
        PassThrough(8), confidence_level=[0.99, 0.95, 0.9], conformity_score=score, random_state=1
    )
    sizes = stock.conformalize(*cal).predict_set(test[0], {"include_last_label": "randomized"})[1].sum(1).mean(0)
    ours = [s.size for s in set_scores(cal, test, ALPHAS, score)]
    # one rank of 999 moves LAC by a few classes in 400 sets; APS draws other uniform numbers
    assert ours == pytest.approx(sizes.tolist(), abs=0.05 if score == "lac" else 0.25)


@pytest.mark.parametrize("score", ["lac", "aps", "raps"])
@pytest.mark.parametrize(("n", "full"), [(1, 3), (2, 3), (8, 3), (9, 2), (18, 2), (19, 1), (98, 1), (99, 0)])
def test_every_class_where_the_rank_exceeds_n(score, n, full):
    sets = set_scores(drawn(n, seed=5), drawn(200, seed=6), ALPHAS, score)
    assert [s.size == 8 and s.coverage == 1 for s in sets[:full]] == [True] * full
    assert all(s.size < 8 for s in sets[full:])


@pytest.mark.parametrize("score", ["lac", "aps", "raps"])
def test_order_of_rows_changes_nothing(score):
    cal, test = drawn(300, seed=7), drawn(301, seed=8)
    twice = (np.concatenate([test[0], test[0]]), np.concatenate([test[1], (test[1] + 1) % 8]))
    rng = np.random.default_rng(0)
    a, b = rng.permutation(300), rng.permutation(602)
    permuted = set_scores((cal[0][a], cal[1][a]), (twice[0][b], twice[1][b]), ALPHAS, score)
    assert permuted == set_scores(cal, twice, ALPHAS, score)


@pytest.mark.parametrize("score", ["lac", "aps", "raps"])
def test_block_size_changes_nothing(score, monkeypatch):
    cal, test = drawn(300, seed=7), drawn(301, seed=8)
    whole = set_scores(cal, test, ALPHAS, score)
    monkeypatch.setattr("bench.metrics.mapie_sets.CHUNK", 8 * 3 * 17)
    assert set_scores(cal, test, ALPHAS, score) == whole


@pytest.mark.parametrize("score", ["lac", "aps", "raps"])
def test_coverage_holds_on_exchangeable_data(score):
    """Averaged over 60 draws of cal and test, coverage lies in [1 - alpha, 1 - alpha + 1/(n+1)] up to noise."""
    found = np.array(
        [
            [s.coverage for s in set_scores(drawn(200, seed=2 * i), drawn(500, seed=2 * i + 1), ALPHAS, score)]
            for i in range(60)
        ]
    )
    spread = found.std(axis=0, ddof=1) / math.sqrt(60)
    assert (np.abs(found.mean(axis=0) - [0.9925, 0.9525, 0.9025]) < 0.0025 + 4 * spread).all()


@pytest.mark.parametrize("score", ["lac", "aps", "raps"])
def test_degenerate_splits(score):
    one_class = (np.ones((30, 1)), np.zeros(30, int))
    assert set_scores(one_class, one_class, (0.1,), score)[0].size <= 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        p, y = drawn(200, seed=9)
        missing = (p[y < 3], y[y < 3])
        assert 0 < set_scores(missing, (p, y), (0.1,), score)[0].size < 8
    empty = (np.zeros((0, 8)), np.zeros(0, int))
    assert set_scores(empty, (p, y), (0.1,), score)[0].size == 8


def sharp(n: int, classes: int, scale: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.integers(classes, size=n)
    logits = rng.normal(size=(n, classes))
    logits[np.arange(n), y] += 2
    return softmax(logits * scale), y


@pytest.mark.parametrize("score", ["aps", "raps"])
@pytest.mark.parametrize("classes", [2, 12])
def test_adaptive_sets_equal_plain_numpy_within_one_rank(score, classes):
    """One class after the other, one sample after the other, from the formula of the papers."""
    cal, test = ordered(*sharp(400, classes, 1.0, 1)), ordered(*sharp(300, classes, 1.0, 2))
    uniform = np.random.RandomState(SEED)
    weight = PENALTY if score == "raps" else 0.0

    def scores(p: np.ndarray, u: float) -> list[float]:
        ranks = [1 + int((p > p[c]).sum()) for c in range(classes)]
        return [p[p >= p[c]].sum() - u * p[c] + weight * max(0, ranks[c] - FREE) for c in range(classes)]

    of_cal = sorted(scores(p, u)[y] for p, y, u in zip(*cal, uniform.uniform(size=400), strict=True))
    of_test = np.array([scores(p, u) for p, u in zip(test[0], uniform.uniform(size=300), strict=True)])
    hits, sizes = hits_and_sizes(*cal, *test, ALPHAS, score)
    for a, alpha in enumerate(ALPHAS):
        rank = math.ceil(401 * (1 - alpha) - 1e-9)
        around = [of_test <= of_cal[min(399, r - 1)] + 1e-12 for r in (rank - 1, rank, rank + 1)]
        assert around[0].sum() <= sizes[a].sum() <= around[2].sum()
        assert sizes[a].sum() == around[1].sum()
        assert (hits[a] == around[1][np.arange(300), test[1]]).all()


@pytest.mark.parametrize("score", ["aps", "raps"])
@pytest.mark.parametrize("scale", [20.0, 100.0])
def test_coverage_holds_where_softmax_saturates(score, scale):
    """Labels of probability zero must still be covered: 40 draws, alpha of .1."""
    found = [
        set_scores(sharp(200, 10, scale, 2 * i), sharp(300, 10, scale, 2 * i + 1), (0.1,), score)[0].coverage
        for i in range(40)
    ]
    assert np.mean(found) > 0.9 - 3 * np.std(found) / math.sqrt(40)


def test_raps_takes_less_of_the_tail_than_aps():
    cal, test = sharp(1000, 100, 5.0, 1), sharp(600, 100, 5.0, 2)
    aps, raps = (set_scores(cal, test, (0.05,), score)[0] for score in ("aps", "raps"))
    assert raps.size < aps.size and abs(raps.coverage - 0.95) < 0.03
