"""LAC, APS and RAPS sets by MAPIE: the reference for the sets of conformal.py, class by class."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from mapie.classification import SplitConformalClassifier
from mapie.conformity_scores import APSConformityScore, LACConformityScore
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state

from bench.metrics.arrays import Floats, Ints
from bench.metrics.conformal import FREE, PENALTY, ROUNDING, SEED, conformal_rank

CHUNK = 2_000_000  # booleans of one block of sets, to bound memory


def hits_and_sizes(
    cal_p: Floats, cal_y: Ints, test_p: Floats, test_y: Ints, alphas: Sequence[float], score: str
) -> tuple[NDArray[np.bool_], Ints]:
    """Return which test sets contain their label [alphas, N] and how many classes they contain [alphas, N].

    If the rank exceeds n, the set is every class. APS (Romano et al., 2020) and RAPS (Angelopoulos et al., 2021; here
    APS's score plus PENALTY for every rank beyond FREE) are randomised on cal and test, with a fixed seed, in the order
    of the rows.
    """
    num_classes = test_p.shape[1]
    hits, sizes = np.empty((len(alphas), len(test_y)), bool), np.empty((len(alphas), len(test_y)), np.int64)
    start = 0
    for sets in _sets(cal_p, cal_y, test_p, alphas, score):
        rows = slice(start, start + len(sets))
        hits[:, rows] = np.take_along_axis(sets, test_y[rows, None, None], axis=1)[:, 0].T
        sizes[:, rows] = sets.sum(axis=1).T
        start = rows.stop
    assert start == len(test_y) and (sizes <= num_classes).all()
    return hits, sizes


def _sets(
    cal_p: Floats, cal_y: Ints, test_p: Floats, alphas: Sequence[float], score: str
) -> Iterator[NDArray[np.bool_]]:
    """Yield the sets [rows, C, alphas] of consecutive blocks of test rows."""
    n, num_classes = len(cal_y), test_p.shape[1]
    ranks = [conformal_rank(n, alpha) for alpha in alphas]
    finite = [i for i, rank in enumerate(ranks) if rank <= n]
    if finite:
        # MAPIE refuses n < 1/alpha and rounds in floats; the level halfway below a rank gives exactly that rank
        levels = [(ranks[i] - 0.5) / (n + 1) for i in finite]
        mapie = SplitConformalClassifier(
            PassThrough(num_classes),
            confidence_level=levels,
            conformity_score=SCORES[score](),
            random_state=np.random.RandomState(SEED),
        )
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*has less labels.*")  # classes missing in cal are allowed
            mapie.conformalize(cal_p, cal_y)
    block = max(1, CHUNK // (num_classes * len(alphas)))
    for start in range(0, len(test_p), block):
        rows = test_p[start : start + block]
        sets = np.ones((len(rows), num_classes, len(alphas)), bool)
        if finite:
            sets[:, :, finite] = mapie.predict_set(rows, {"include_last_label": "randomized"})[1]
        yield sets


class _APS(APSConformityScore, LACConformityScore):
    """APS within MAPIE: cal's scores and test's sets follow from one formula, s_c = Σ_{p_j >= p_c} p_j - u p_c.

    MAPIE's own test sets leave out every class of probability below 1e-8, whatever the quantile: on sharp heads they
    cover too little. It also fails for two classes, and sorts everything twice per alpha. Otherwise the sets are the
    same. MAPIE refuses any score but LAC if cal has only two classes, and checks the type of the score for that.
    """

    @staticmethod
    def get_true_label_cumsum_proba(y: ArrayLike, y_pred_proba: NDArray, classes: ArrayLike) -> tuple[NDArray, NDArray]:
        """Return the sum of probabilities down to the label [n, 1] and its rank from 1 [n]."""
        order, _, summed = _ranked(y_pred_proba)
        rank = np.argmax(order == np.asarray(y)[:, None], axis=1)
        return np.take_along_axis(summed, rank[:, None], axis=1), rank + 1

    def get_prediction_sets(self, y_pred_proba: NDArray, *args: Any, **kwargs: Any) -> NDArray[np.bool_]:
        """Return the sets [N, C, alphas] of probabilities [N, C, alphas], which are the same for every alpha."""
        order, falling, summed = _ranked(y_pred_proba[:, :, 0])
        u = check_random_state(self.random_state).uniform(size=(len(order), 1))
        scores = summed - u * falling + self.penalty(np.arange(1, order.shape[1] + 1))
        sizes = np.stack([np.count_nonzero(scores - q <= ROUNDING, axis=1) for q in self.quantiles_], axis=1)
        ranks = np.empty_like(order)
        np.put_along_axis(ranks, order, np.arange(order.shape[1])[None], axis=1)
        return ranks[:, :, None] < sizes[:, None, :]

    def penalty(self, rank: Ints) -> Ints | Floats:
        """Return what the score of a class adds for its rank, counted from 1."""
        return np.zeros_like(rank)


def _ranked(p: NDArray) -> tuple[NDArray[np.intp], Floats, Floats]:
    """Return the classes from the most probable down, their probabilities and the running sums of these, [n, C]."""
    order = np.flip(np.argsort(p, axis=1), axis=1)
    falling = np.take_along_axis(p, order, axis=1)
    return order, falling, np.cumsum(falling, axis=1)


class _RAPS(_APS):
    """RAPS with fixed parameters, which need no part of cal, and the same randomised score on cal and test.

    MAPIE's own randomises test sets by another rule than cal's scores, so that coverage may miss its level.
    """

    def get_conformity_scores(
        self, y: NDArray, y_pred: NDArray, y_enc: NDArray | None = None, **kwargs: Any
    ) -> NDArray[Any]:
        """Return APS's scores [n, 1] plus the penalty of the label's rank."""
        return super().get_conformity_scores(y, y_pred, y_enc=y_enc, **kwargs) + self.penalty(self.cutoff)[:, None]

    def penalty(self, rank: Ints) -> Floats:
        """Return PENALTY for every rank beyond FREE."""
        return PENALTY * np.maximum(rank - FREE, 0)


SCORES = {"lac": LACConformityScore, "aps": _APS, "raps": _RAPS}


class PassThrough(ClassifierMixin, BaseEstimator):
    """A fitted classifier whose features are its class probabilities."""

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes
        self.classes_ = np.arange(num_classes)
        self.n_features_in_ = num_classes

    def fit(self, X: Floats, y: Ints) -> PassThrough:
        """Return self: there is nothing to learn, but scikit-learn's interface requires the method."""
        return self

    def predict_proba(self, X: Floats) -> Floats:
        """Return the given probabilities."""
        return X

    def predict(self, X: Floats) -> Ints:
        """Return the most probable class."""
        return X.argmax(axis=1)
