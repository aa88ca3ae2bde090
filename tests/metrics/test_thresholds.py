from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.metrics import thresholds
from bench.metrics.arrays import softmax
from bench.metrics.conformal import lac_quantile, within
from bench.metrics.thresholds import KINDS, mondrian, published_quantile
from tests.helpers.outcomes import outcomes, point, scored
from tests.helpers.paths import GOLDEN
from tests.helpers.sets import set_scores


def by_rank(scores, alpha: float) -> float:
    """The quantile in plain Python."""
    rank = math.ceil((len(scores) + 1) * (1 - alpha) - 1e-9)
    return sorted(scores)[rank - 1] if rank <= len(scores) else math.inf


def test_mondrian_by_hand():
    scores = np.concatenate([np.arange(20) / 100, 0.5 + np.arange(19) / 100, [0.99]])
    group = np.array([0] * 20 + [1] * 19 + [3])
    found = mondrian(scores, group, 4, 0.05)
    # twenty are enough at .05 (rank 20); nineteen, none and one use the pooled rank 39 of 40
    assert found.pooled.tolist() == [False, True, True, True]
    assert found.values.tolist() == pytest.approx([0.19, 0.68, 0.68, 0.68])


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 300), groups=st.integers(1, 6), seed=st.integers(0, 999), alpha=st.sampled_from([0.05, 0.1]))
def test_mondrian_is_one_quantile_per_group(n, groups, seed, alpha):
    rng = np.random.default_rng(seed)
    scores, group, order = rng.random(n), rng.integers(groups, size=n), rng.permutation(n)
    found = mondrian(scores, group, groups, alpha)
    for g in range(groups):
        part = scores[group == g]
        few = len(part) < 1 / alpha
        assert found.pooled[g] == few
        assert found.values[g] == by_rank(scores if few else part, alpha)
    again = mondrian(scores[order], group[order], groups, alpha)
    assert (again.values == found.values).all() and (again.pooled == found.pooled).all()


def test_mondrian_covers_every_exit_where_the_pooled_threshold_does_not():
    """Two exits, one of them far less sure: pooled sets miss its labels, those per exit do not (means of 40 draws)."""
    found = []
    for seed in range(40):
        splits = []
        for n, s in ((600, 2 * seed), (800, 2 * seed + 1)):
            drawn = outcomes(n, exits=2, seed=s, sharpness=6.0)
            splits.append(drawn)
        columns = {}
        p = point(*splits)
        for kind in ("mondrian_exit",):
            made = KINDS[kind].thresholds(p, 0.1)
            columns[kind] = thresholds.hits(p, KINDS[kind], made)
        columns["lac"] = p.test.lac <= lac_quantile(p.cal.lac, 0.1)
        found.append([[columns[k][p.test.exit_index == e].mean() for e in (0, 1)] for k in ("lac", "mondrian_exit")])
    pooled, ours = np.mean(found, axis=0)
    assert pooled[0] < 0.85 and pooled[1] > 0.95
    assert np.abs(ours - 0.9).max() < 0.012


def test_published_quantiles_by_hand():
    scores = np.array([0.1, 0.2, 0.3, 0.4])
    assert published_quantile(scores, 0.05) == 0.4  # the conformal rank is 5 of 4; the code takes the largest
    assert published_quantile(np.zeros(0), 0.05) == 0.95
    many = np.random.default_rng(0).random(500)
    assert all(published_quantile(many, a) == lac_quantile(many, a) for a in (0.01, 0.05, 0.1))


def test_gated_quantiles_match_the_published_code_within_one_rank():
    data, small = np.load(GOLDEN / "conformal_jeidnn_gated.npz"), np.load(GOLDEN / "conformal_jeidnn_small.npz")
    scores, left = data["cal_scores"].astype(float), data["cal_exit_index"]
    test_p = softmax(small["test_logits"])
    for alpha, theirs, size in zip(data["alphas"], data["qhat"], data["set_size"], strict=True):
        for k in range(7):
            own = scores[left == k, k]
            ranks = np.sort(own if len(own) > thresholds.FEW else scores[:, k])
            ours = published_quantile(ranks, float(alpha))
            place = int(np.argmin(np.abs(ranks - theirs[k])))
            assert abs(ranks[place] - theirs[k]) < 1e-6
            assert abs(int(np.searchsorted(ranks, ours)) - place) <= 1
        sizes = (1 - test_p <= theirs[data["test_exit_index"]][:, None] + 1e-7).sum(axis=1)
        assert sizes.mean() == pytest.approx(float(size), abs=1e-4)


def test_the_four_published_kinds_in_plain_python():
    cal, test = outcomes(260, seed=1), outcomes(300, seed=2)
    cal = dataclasses.replace(cal, exit_index=torch.where(cal.exit_index == 2, 3, cal.exit_index))
    few = torch.arange(260) < 15
    index = torch.where(few, 2, cal.exit_index)  # exit 2 has fifteen samples: its own quantile, or everyone's
    rows = torch.arange(260)
    cal = dataclasses.replace(cal, exit_index=index, logits=cal.exit_logits[rows, index])
    p, alpha = point(cal, test), 0.1
    every = 1 - p.cal.exit_p_true
    own = [1 - p.cal.p_true[p.cal.exit_index == k] for k in range(4)]
    assert len(own[2]) == 15
    expected = {
        "jei_general": [by_rank(1 - p.cal.p_true, alpha)] * 4,
        "jei_gated_all": [by_rank(every[:, k], alpha) for k in range(4)],
        "jei_gated_strict": [by_rank(scores, alpha) for scores in own],
    }
    expected["jei_gated"] = [*expected["jei_gated_strict"]]
    expected["jei_gated"][2] = expected["jei_gated_all"][2]
    found = scored(cal, test)
    for kind, values in expected.items():
        assert KINDS[kind].thresholds(p, alpha).values.tolist() == pytest.approx(values)
        sets = 1 - p.test.probabilities <= np.array(values)[p.test.exit_index][:, None]
        held = sets[np.arange(300), p.test.labels]
        assert found[f"coverage_{kind}@0.1"] == pytest.approx(held.mean())
        assert found[f"set_size_{kind}@0.1"] == pytest.approx(sets.sum(1).mean())
    assert found["coverage_jei_general@0.1"] == found["coverage_lac@0.1"]


def test_mondrian_sets_per_class_in_plain_python():
    cal, test = outcomes(500, seed=3), outcomes(400, seed=4)
    p, found = point(cal, test), scored(cal, test)
    q = []
    for c in range(7):
        scores = 1 - p.cal.p_true[p.cal.labels == c]
        q.append(by_rank(scores if len(scores) >= 10 else 1 - p.cal.p_true, 0.1))
    sets = 1 - p.test.probabilities <= np.array(q)
    held = sets[np.arange(400), p.test.labels]
    gaps = [abs(held[p.test.labels == c].mean() - 0.9) for c in range(7)]
    assert found["coverage_mondrian_class@0.1"] == pytest.approx(held.mean())
    assert found["set_size_mondrian_class@0.1"] == pytest.approx(sets.sum(1).mean())
    assert found["class_gap_mean_mondrian_class@0.1"] == pytest.approx(np.mean(gaps))
    assert found["class_gap_worst_mondrian_class@0.1"] == pytest.approx(max(gaps))
    assert found["pooled_share_mondrian_class@0.1"] == 0 and found["pooled_share_mondrian_class@0.01"] == 1


def test_lac_coverage_is_that_of_mapies_sets_even_in_near_ties():
    cal, test = outcomes(400, seed=5), outcomes(500, seed=6)
    p, found = point(cal, test), scored(cal, test)
    splits = [(split.probabilities, split.labels) for split in (p.cal, p.test)]
    for alpha, sets in zip(p.alphas, set_scores(*splits, p.alphas), strict=True):
        assert found[f"coverage_lac@{alpha}"] == sets.coverage
    assert within(np.array([0.5, 0.5 + 5e-9, 0.5 + 5e-8]), 0.5).tolist() == [True, True, False]
    halves = np.full((30, 2), 0.5), np.zeros(30, int)
    near = [(np.array([[0.5 - gap, 0.5 + gap]]), [0]) for gap in (5e-9, 5e-8)]
    assert [set_scores(halves, row, (0.1,))[0].size for row in near] == [2, 1]
