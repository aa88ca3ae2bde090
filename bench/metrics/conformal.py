"""Split conformal prediction sets (LAC, APS and RAPS, through MAPIE): quantile, sets, coverage and mean set size."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
from mapie.classification import SplitConformalClassifier
from mapie.conformity_scores import APSConformityScore, LACConformityScore
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state

from bench.errors import UserError
from bench.metrics.answers import ClassProbabilities
from bench.metrics.arrays import Floats, Ints, to_numpy

TOLERANCE = 1e-8  # of MAPIE where it compares LAC scores with a quantile
ROUNDING = 1e-14  # of a sum of many probabilities
SEED = 0  # of the uniform numbers that randomise APS and RAPS
PENALTY, FREE = 0.01, 5  # of RAPS: lambda and k_reg, fixed for every data set, never tuned
CHUNK = 2_000_000  # booleans of one block of sets, to bound memory


@lru_cache(maxsize=4096)
def conformal_rank(n: int, alpha: float) -> int:
    """Return ceil((n+1)(1-alpha)) in exact decimal arithmetic: n = 999 and alpha = 0.1 give 900, never 901."""
    if not 0.0 < alpha < 0.5:
        raise UserError(f"alpha, the tolerated share of misses, must be between 0 and 0.5, not {alpha}.")
    return math.ceil((n + 1) * (1 - Fraction(str(float(alpha)))))


def lac_quantile(scores: ArrayLike, alpha: float) -> float:
    """Return the ceil((n+1)(1-alpha))-th smallest of scores [n] (LAC: 1 - p_y), or +inf where that rank exceeds n."""
    values = np.sort(to_numpy(scores).astype(np.float64).ravel())
    if np.isnan(values).any():
        raise UserError("Conformal scores contain NaN, so they have no quantile; score finite probabilities.")
    rank = conformal_rank(len(values), alpha)
    return float(values[rank - 1]) if rank <= len(values) else math.inf


def within(scores: Floats, quantile: Floats | float) -> NDArray[np.bool_]:
    """Return which LAC scores are in the set, with MAPIE's tolerance, so that all kinds of LAC sets agree."""
    return scores - quantile <= TOLERANCE


def hits_and_sizes(
    cal_p: Floats, cal_y: Ints, test_p: Floats, test_y: Ints, alphas: Sequence[float], score: str
) -> tuple[NDArray[np.bool_], Ints]:
    """Return which test sets contain their label [alphas, N] and how many classes they contain [alphas, N].

    If the rank exceeds n, the set is every class. APS (Romano et al., 2020) and RAPS (Angelopoulos et al., 2021; here
    APS's score plus PENALTY for every rank beyond FREE) are randomised at both ends, with a fixed seed, in the order of
    the rows.
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


def lac_sizes(table: ClassProbabilities, quantiles: Floats | float) -> Ints:
    """Return the sizes of LAC sets [N] from a table of probabilities and quantiles [N], or one for all."""
    q = np.broadcast_to(np.asarray(quantiles, np.float64), len(table.first))
    return _leading(lambda rank, places: within(1.0 - table.falling.take(places), q), table)


@dataclass(frozen=True)
class Uniforms:
    """The numbers in [0, 1) that randomise APS and RAPS: one a sample of cal [n] and of test [N]."""

    cal: Floats
    test: Floats

    @classmethod
    def dealt(cls, cal_order: Ints, test_order: Ints) -> Uniforms:
        """Draw them from the fixed seed and deal them in these orders, which the content of the samples decides."""
        drawn = np.random.RandomState(SEED)
        cal, test = np.empty(len(cal_order)), np.empty(len(test_order))
        cal[cal_order] = drawn.uniform(size=len(cal))
        test[test_order] = drawn.uniform(size=len(test))
        return cls(cal, test)


def adaptive_sets(
    cal: ClassProbabilities, test: ClassProbabilities, uniforms: Uniforms, alphas: Sequence[float], regularised: bool
) -> tuple[NDArray[np.bool_], Ints]:
    """Return what `hits_and_sizes` gives for APS or, if regularised, RAPS: hits and sizes [alphas, N].

    The score of a class grows with its rank, so that the size of a set is found by bisection.
    """

    def penalty(rank: Ints) -> Floats | int:
        return PENALTY * np.maximum(rank + 1 - FREE, 0) if regularised else 0

    scores = cal.summed.take(cal.first + cal.rank) - uniforms.cal * cal.p_true + penalty(cal.rank)
    quantiles = [lac_quantile(scores, alpha) for alpha in alphas]
    u, falling, summed = uniforms.test, test.falling, test.summed
    sizes = np.stack(
        [
            _leading(
                lambda rank, places, q=q: (  # type: ignore[misc]
                    summed.take(places) - u * falling.take(places) + penalty(rank) - q <= ROUNDING
                ),
                test,
            )
            for q in quantiles
        ]
    )
    return test.rank < sizes, sizes


def _leading(inside: Callable[[Ints, Ints], NDArray[np.bool_]], table: ClassProbabilities) -> Ints:
    """Count the leading ranks of each row that are inside, [N], where no rank after an outside one is.

    inside: from ranks [N] and their places in the flat table.
    """
    low, high = np.zeros(len(table.first), np.int64), np.full(len(table.first), table.classes)
    for _ in range(table.classes.bit_length()):
        middle = (low + high) // 2
        rank = np.minimum(middle, table.classes - 1)
        fits = inside(rank, table.first + rank) & (middle < high)
        low, high = np.where(fits, middle + 1, low), np.where(fits, high, middle)
    return low


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
            _PassThrough(num_classes),
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
    """RAPS with fixed parameters, which need no part of cal to be chosen, and one randomised score at both ends.

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


class _PassThrough(ClassifierMixin, BaseEstimator):
    """A fitted classifier whose features are its class probabilities."""

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes
        self.classes_ = np.arange(num_classes)
        self.n_features_in_ = num_classes

    def fit(self, X: Floats, y: Ints) -> _PassThrough:
        """Return self: there is nothing to learn, but scikit-learn's interface requires the method."""
        return self

    def predict_proba(self, X: Floats) -> Floats:
        """Return the given probabilities."""
        return X

    def predict(self, X: Floats) -> Ints:
        """Return the most probable class."""
        return X.argmax(axis=1)
