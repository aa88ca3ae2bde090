from __future__ import annotations

import dataclasses
import time

import numpy as np
import pytest
import torch
from made_up import outcomes, permuted

from bench.errors import UserError
from bench.metrics.arrays import softmax
from bench.metrics.conformal import lac_quantile
from bench.metrics.score import per_exit, sample_scores, score
from bench.play import Outcomes


def by_hand() -> Outcomes:
    """Four samples, two exits, two classes; the first exit is right on samples 0 and 1, the last on 0, 2 and 3."""
    strong = float(np.log(4.0))  # softmax (.8, .2)
    labels = torch.tensor([0, 0, 1, 1])
    first = torch.tensor([[strong, 0.0], [strong, 0.0], [strong, 0.0], [strong, 0.0]])
    last = torch.tensor([[strong, 0.0], [0.0, strong], [0.0, strong], [0.0, strong]])
    index = torch.tensor([0, 0, 1, 1])
    stack = torch.stack([first, last], 1)
    return Outcomes(index, stack[torch.arange(4), index], labels, torch.tensor([10, 10, 40, 40]), stack)


def test_scores_by_hand():
    s = score(by_hand(), by_hand(), full_macs=40)
    assert s["accuracy"] == 1.0
    assert (s["macs"], s["macs_fraction"]) == (25.0, 0.625)
    assert s["nll"] == pytest.approx(-np.log(0.8))
    assert s["brier"] == pytest.approx(0.08)
    assert s["ece_mass15"] == s["ece_width15"] == pytest.approx(0.2)
    assert s["confidence"] == pytest.approx(0.8)
    assert s["mean_exit"] == 0.5
    assert s["accuracy_random"] == pytest.approx(0.5 * 0.5 + 0.5 * 0.75)
    assert s["collapsed"] == 0.5
    # four calibration samples are too few for any of the alphas: every class
    assert all(
        s[f"{key}@{a}"] == full for a in (0.01, 0.05, 0.1) for key, full in (("set_size_lac", 2), ("coverage_aps", 1))
    )


def test_keys_are_complete_and_finite():
    s = score(outcomes(300, seed=1), outcomes(400, seed=2), full_macs=400)
    names = {
        "accuracy",
        "macs",
        "macs_fraction",
        "nll",
        "brier",
        "ece_mass15",
        "ece_width15",
        "confidence",
        "mean_exit",
    }
    names |= {"accuracy_random", "collapsed"}
    kinds = ("coverage_lac", "set_size_lac", "coverage_aps", "set_size_aps", "empty_share_lac", "singleton_share_lac")
    assert set(s) == names | {f"{k}@{a}" for k in kinds for a in ("0.01", "0.05", "0.1")}
    assert all(type(v) is float and np.isfinite(v) for v in s.values())


def test_softmax_once():
    p = softmax(torch.tensor([[0.0, np.log(99.0)]]))
    assert p.dtype == np.float64
    assert p[0].tolist() == pytest.approx([0.01, 0.99])
    s = score(
        outcomes(300, seed=1),
        dataclasses.replace(outcomes(50, seed=2), logits=torch.eye(7)[:1].repeat(50, 1) * 50),
        full_macs=4,
    )
    assert s["confidence"] > 1 - 1e-9  # a second softmax would end at e / (e + 6)
    huge = softmax(torch.tensor([[1e30, -1e30]]).double())
    assert huge.tolist() == [[1.0, 0.0]]


def test_order_of_rows_changes_no_bit():
    cal, test = outcomes(230, seed=3), outcomes(311, seed=4)
    assert score(permuted(cal), permuted(test), full_macs=400) == score(cal, test, full_macs=400)
    names = list("abcd")
    assert per_exit(permuted(test), [1, 2, 3, 4], names) == per_exit(test, [1, 2, 3, 4], names)


def test_cal_moves_only_the_conformal_scores():
    test = outcomes(200, seed=5)
    a, b = score(outcomes(200, seed=6), test, full_macs=400), score(outcomes(200, seed=7), test, full_macs=400)
    changed = {key for key in a if a[key] != b[key]}
    assert changed
    assert all("@" in key for key in changed)


def test_random_accuracy_is_the_mean_over_shuffled_exits():
    test = outcomes(500, seed=8)
    rng = np.random.default_rng(0)
    hits = (test.exit_logits.argmax(-1) == test.labels[:, None]).numpy()
    drawn = [hits[np.arange(500), rng.permutation(test.exit_index.numpy())].mean() for _ in range(800)]
    assert score(test, test, full_macs=1)["accuracy_random"] == pytest.approx(np.mean(drawn), abs=0.003)


def test_collapsed():
    test = outcomes(40, seed=9)
    stuck = dataclasses.replace(test, exit_index=torch.full((40,), 2), logits=test.exit_logits[:, 2])
    s = score(test, stuck, full_macs=1)
    assert s["collapsed"] == 1.0
    assert s["accuracy_random"] == pytest.approx(s["accuracy"])
    rows = per_exit(stuck, [1, 2, 3, 4], list("abcd"))
    assert [row["share"] for row in rows] == [0, 0, 1, 0]
    assert rows[2]["accuracy_exited"] == rows[2]["accuracy_all"] == s["accuracy"]
    assert rows[0]["accuracy_exited"] is None and rows[3]["mean_confidence_exited"] is None


def test_per_exit_by_hand():
    first, last = per_exit(by_hand(), [10, 40], ["block.0", "head"])
    assert first == {
        "exit": 0,
        "name": "block.0",
        "macs": 10,
        "share": 0.5,
        "accuracy_all": 0.5,
        "nll_all": pytest.approx(-(np.log(0.8) + np.log(0.2)) / 2),
        "ece_mass15_all": pytest.approx(0.3),
        "accuracy_exited": 1.0,
        "mean_confidence_exited": pytest.approx(0.8),
    }
    assert (last["accuracy_all"], last["accuracy_exited"]) == (0.75, 1.0)
    with pytest.raises(UserError, match="2 exits need"):
        per_exit(by_hand(), [10], ["block.0", "head"])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("split", ["cal", "test"])
def test_logits_that_are_not_finite(split, value):
    good, bad = outcomes(30, seed=1), outcomes(30, seed=1)
    bad.logits[4, 2] = value
    with pytest.raises(UserError, match=rf"{split} logits hold NaN or infinity in 1 of 30 rows \(first: row 4\)"):
        score(*((bad, good) if split == "cal" else (good, bad)), full_macs=1)


def test_executed_outcomes_are_refused():
    with pytest.raises(UserError, match="simulate"):
        score(by_hand(), dataclasses.replace(by_hand(), exit_logits=None), full_macs=1)


def test_degenerate_splits():
    one = Outcomes(
        torch.zeros(2, dtype=torch.long),
        torch.ones(2, 1),
        torch.zeros(2, dtype=torch.long),
        torch.ones(2),
        torch.ones(2, 1, 1),
    )
    s = score(one, one, full_macs=1)
    assert (s["accuracy"], s["nll"], s["brier"], s["ece_mass15"], s["set_size_aps@0.05"]) == (1, 0, 0, 0, 1)
    cal = outcomes(400, seed=2)
    few = cal.labels < 2
    part = Outcomes(cal.exit_index[few], cal.logits[few], cal.labels[few], cal.macs[few], cal.exit_logits[few])
    assert 0 < score(part, outcomes(50, seed=3), full_macs=1)["set_size_lac@0.1"] < 7


def test_samples_are_enough_to_score_again():
    cal, test = outcomes(300, seed=1), outcomes(400, seed=2)
    a, s = sample_scores(test, cal), score(cal, test, full_macs=1)
    assert a["test_correct"].mean() == s["accuracy"]
    assert np.array_equal(a["test_prediction"] == test.labels.numpy(), a["test_correct"])
    assert np.array_equal(a["test_exit_index"], test.exit_index.numpy())
    assert a["test_confidence"].mean() == pytest.approx(s["confidence"])
    assert (a["test_lac"] <= lac_quantile(a["cal_lac"], 0.05)).mean() == pytest.approx(s["coverage_lac@0.05"], abs=1e-9)


def test_half_precision_logits_are_scored_in_double():
    test = outcomes(200, seed=3)
    half = dataclasses.replace(test, logits=test.logits.half(), exit_logits=test.exit_logits.half())
    assert score(half, half, full_macs=1)["nll"] == pytest.approx(score(test, test, full_macs=1)["nll"], abs=1e-3)


def test_one_point_of_ten_thousand_samples_takes_less_than_a_second():
    cal, test = outcomes(5000, classes=100, exits=8, seed=1), outcomes(10_000, classes=100, exits=8, seed=2)
    times = []
    for _ in range(3):
        start = time.process_time()
        score(cal, test, full_macs=1)
        times.append(time.process_time() - start)
    assert min(times) < 1.0
