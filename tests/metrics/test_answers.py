from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bench.inference import Outcomes
from bench.metrics import answers as module
from bench.metrics.answers import Answers, ClassProbabilities
from bench.metrics.arrays import softmax
from bench.metrics.conformal import (
    ROUNDING,
    TOLERANCE,
    Uniforms,
    adaptive_sets,
    class_sizes,
    lac_sizes,
    limits,
    within,
)
from bench.metrics.mapie_sets import hits_and_sizes
from bench.metrics.samples import ALPHAS, measure
from bench.metrics.score import score


def drawn(n: int, exits: int, classes: int, seed: int, *, scale: float = 1.5, steps: int | None = None) -> Outcomes:
    """Outcomes of random logits; `steps` to a unit make ties."""
    g = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (n,), generator=g)
    stack = scale * torch.randn(n, exits, classes, generator=g)
    stack[torch.arange(n), :, labels] += 2 * scale
    stack = stack if steps is None else (stack * steps).round() / steps
    index = torch.randint(exits, (n,), generator=g)
    return Outcomes(index, stack[torch.arange(n), index], labels, index, stack)


def both(cal: Outcomes, test: Outcomes) -> tuple[Answers, Answers]:
    made = [Answers(o.exit_logits.numpy(), o.labels.numpy(), "test", shared=True) for o in (cal, test)]
    return made[0], made[1]


SHAPES = [(7, 20, {}), (1, 5, {}), (12, 2, {}), (4, 10, {"steps": 1}), (4, 10, {"scale": 40.0})]


@pytest.mark.parametrize(("exits", "classes", "kind"), SHAPES)
def test_shared_answers_change_no_bit_of_any_score(exits, classes, kind):
    cal, test, other = (drawn(n, exits, classes, seed, **kind) for seed, n in enumerate((150, 400, 400)))
    other = Outcomes(other.exit_index, other.logits, test.labels, other.macs, test.exit_logits)
    macs = [100 * (k + 1) for k in range(exits)]
    facts = {"exit_macs": macs, "full_macs": macs[-1], "train_counts": np.geomspace(500, 5, classes).astype(int)}
    shared = both(cal, test)
    for outcomes in (test, other, test):  # the second policy and the repeat find what the first one left
        assert score(measure(cal, outcomes, **facts)) == score(measure(cal, outcomes, **facts, answers=shared))


def test_answers_too_large_for_tables_change_no_bit(monkeypatch):
    cal, test = drawn(150, 3, 10, 0), drawn(400, 3, 10, 1)
    facts = {"exit_macs": [1, 2, 3], "full_macs": 3}
    whole = score(measure(cal, test, **facts, answers=both(cal, test)))
    monkeypatch.setattr(module, "LARGEST", 100)
    assert both(cal, test)[1].table is None
    assert score(measure(cal, test, **facts, answers=both(cal, test))) == whole


@pytest.mark.parametrize("kind", ["aps", "raps"])
@pytest.mark.parametrize(("classes", "scale"), [(2, 1.0), (12, 1.0), (100, 3.0), (12, 60.0)])
def test_adaptive_sets_equal_those_through_mapie(kind, classes, scale):
    cal, test = (
        ClassProbabilities(softmax(o.logits), o.labels.numpy())
        for o in (drawn(n, 2, classes, n, scale=scale) for n in (500, 900))
    )
    dealt = Uniforms.dealt(np.arange(500), np.arange(900))
    hits, sizes = adaptive_sets(cal, test, dealt, ALPHAS)[kind]
    theirs = hits_and_sizes(cal.probabilities, cal.labels, test.probabilities, test.labels, ALPHAS, kind)
    assert (hits == theirs[0]).all() and (sizes == theirs[1]).all()


def test_adaptive_sets_are_every_class_where_the_rank_exceeds_the_samples():
    cal, test = (
        ClassProbabilities(softmax(o.logits), o.labels.numpy()) for o in (drawn(10, 2, 6, 0), drawn(50, 2, 6, 1))
    )
    found = adaptive_sets(cal, test, Uniforms.dealt(np.arange(10), np.arange(50)), (0.05,))
    assert all(hits.all() and (sizes == 6).all() for hits, sizes in found.values())


@pytest.mark.parametrize("steps", [None, 2])
def test_sizes_equal_counts(steps, monkeypatch):
    monkeypatch.setattr("bench.metrics.arrays.PART", 37 * 100)  # blocks of 100 rows
    outcomes = drawn(700, 2, 37, 5, steps=steps)
    table = ClassProbabilities(softmax(outcomes.logits), outcomes.labels.numpy())
    scores, rng = 1.0 - table.probabilities, np.random.default_rng(0)
    quantiles = np.array([-1.0, 0.0, float(np.median(scores)), scores[3, 4], 1.0, np.inf])
    alike = lac_sizes(table, quantiles[:, None], np.zeros(700, np.int64))
    assert (alike == [np.count_nonzero(within(scores, q), axis=1) for q in quantiles]).all()
    group = rng.integers(3, size=700)
    each, by_class = rng.permutation(scores[:9, 0]).reshape(3, 3), scores[:3]
    expected = [np.count_nonzero(within(scores, q[group][:, None]), axis=1) for q in each]
    assert (lac_sizes(table, each, group) == expected).all()
    assert (class_sizes(table, by_class) == [np.count_nonzero(within(scores, q), axis=1) for q in by_class]).all()


@given(quantile=st.floats(0, 1), tolerance=st.sampled_from([TOLERANCE, ROUNDING]))
def test_limits_are_the_largest_numbers_within(quantile, tolerance):
    found = limits(np.array([quantile, np.inf]), tolerance)
    assert found[0] - quantile <= tolerance < np.nextafter(found[0], np.inf) - quantile and found[1] == np.inf
