from __future__ import annotations

import dataclasses
import time

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits

from bench.errors import UserError
from bench.inference import Outcomes
from bench.metrics.arrays import softmax
from bench.metrics.families import FAMILIES
from bench.metrics.samples import ALPHAS
from bench.metrics.score import score
from bench.metrics.thresholds import KINDS
from tests.helpers.outcomes import outcomes, permuted, point, scored
from tests.helpers.paths import ROOT

PREFIXES = ("coverage", "coverage_low", "coverage_high", "set_size", "empty_share", "singleton_share", "exit_gap")
PREFIXES += ("class_gap_mean", "class_gap_worst", "pooled_share", "nestedness")


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
    s = scored(by_hand(), by_hand(), full_macs=40, exit_macs=[10, 40])
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


def test_keys_are_those_that_the_families_name_and_finite():
    made = score(point(outcomes(300, seed=1), outcomes(900, seed=2), full_macs=400))
    always = {name for family in FAMILIES for name in family.names()}
    some = {f"{t}_auroc_{who}" for t in ("eefp", "misclass") for who in ("all", "arrived")}
    some |= {f"{name}_weighted" for name in some} | {"savings_disparity"}
    keys = ("accuracy", "macs_fraction", "mean_exit", "accuracy_tax")
    some |= {f"{key}_{group}" for key in keys for group in ("many", "medium", "few")}
    kinds = ("lac", "aps", "raps", *KINDS)
    some |= {f"exit_gap_{kind}@{alpha}" for kind in kinds for alpha in ALPHAS}
    assert made.metrics.keys() == always | some
    assert {"accuracy", "coverage_lac@0.05", "set_size_raps@0.1", "set_size_jei_gated@0.01", "aurc"} <= always
    assert all(type(v) is float and np.isfinite(v) for v in made.metrics.values())
    assert made.columns.keys() == {name for family in FAMILIES for name in family.columns}
    assert not made.not_made
    assert len({f.title for f in FAMILIES}) == len(FAMILIES)
    assert len([name for f in FAMILIES for name in f.names()]) == len(always)  # nobody makes another's score


def test_without_training_counts_only_the_groups_are_missing():
    made = score(point(outcomes(300, seed=1), outcomes(400, seed=2), train_counts=None))
    assert made.not_made == {"groups of classes": ["the training samples per class"]}


def test_softmax_once():
    p = softmax(torch.tensor([[0.0, np.log(99.0)]]))
    assert p.dtype == np.float64
    assert p[0].tolist() == pytest.approx([0.01, 0.99])
    s = scored(
        outcomes(300, seed=1),
        dataclasses.replace(outcomes(50, seed=2), exit_logits=torch.eye(7)[:1].repeat(50, 4, 1) * 50),
        full_macs=4,
    )
    assert s["confidence"] > 1 - 1e-9  # a second softmax would end at e / (e + 6)
    huge = softmax(torch.tensor([[1e30, -1e30]]).double())
    assert huge.tolist() == [[1.0, 0.0]]


def test_order_of_rows_changes_no_bit():
    cal, test = outcomes(230, seed=3), outcomes(311, seed=4)
    a, b = score(point(permuted(cal), permuted(test), 400)), score(point(cal, test, 400))
    assert a.metrics == b.metrics
    assert a.columns == b.columns


def test_cal_moves_only_prediction_sets_and_its_own_scores():
    test = outcomes(200, seed=5)
    a, b = (scored(outcomes(200, seed=seed), test, full_macs=400) for seed in (6, 7))
    changed = {key for key in a if a[key] != b[key]}
    assert changed
    kinds = ("lac", "aps", "raps", *KINDS)
    of_sets = {f"{k}_{kind}" for kind in kinds for k in PREFIXES}
    assert {key.split("@")[0] for key in changed} <= of_sets | {"cal_accuracy", "cal_macs_fraction"}


def test_random_accuracy_is_the_mean_over_shuffled_exits():
    test = outcomes(500, seed=8)
    rng = np.random.default_rng(0)
    hits = (test.exit_logits.argmax(-1) == test.labels[:, None]).numpy()
    drawn = [hits[np.arange(500), rng.permutation(test.exit_index.numpy())].mean() for _ in range(800)]
    assert scored(test, test)["accuracy_random"] == pytest.approx(np.mean(drawn), abs=0.003)


def test_what_cal_scores_of_itself():
    cal = by_hand()
    wrong = dataclasses.replace(cal, labels=torch.tensor([1, 0, 1, 1]), exit_index=torch.tensor([1, 0, 1, 1]))
    s = scored(wrong, by_hand(), full_macs=40, exit_macs=[10, 40])
    assert (s["cal_accuracy"], s["cal_macs_fraction"]) == (0.75, pytest.approx((40 + 10 + 40 + 40) / 160))
    assert (s["accuracy"], s["macs_fraction"]) == (1.0, 0.625)


def test_another_alpha_gives_its_own_scores_alone():
    usual = point(outcomes(60), outcomes(50, seed=2))
    found, all_alphas = score(dataclasses.replace(usual, alphas=(0.1,))), score(usual)
    assert found.metrics["set_size_lac@0.1"] == all_alphas.metrics["set_size_lac@0.1"]
    assert "set_size_lac@0.05" in all_alphas.columns and "set_size_lac@0.05" not in found.columns


def test_collapsed():
    test = outcomes(40, seed=9)
    stuck = dataclasses.replace(test, exit_index=torch.full((40,), 2), logits=test.exit_logits[:, 2])
    made = score(point(test, stuck))
    s, rows = made.metrics, made.rows(list("abcd"), [1, 2, 3, 4])
    assert s["collapsed"] == 1.0
    assert s["accuracy_random"] == pytest.approx(s["accuracy"])
    assert [row["share"] for row in rows] == [0, 0, 1, 0]
    assert rows[2]["accuracy_exited"] == rows[2]["accuracy_all"] == s["accuracy"]
    assert rows[0]["accuracy_exited"] is None and rows[3]["mean_confidence_exited"] is None


def test_per_exit_by_hand():
    made = score(point(by_hand(), by_hand(), 40, exit_macs=[10, 40]))
    first, last = made.rows(["block.0", "head"], [10, 40])
    known = {
        "exit": 0,
        "name": "block.0",
        "macs": 10,
        "share": 0.5,
        "arrived": 1.0,
        "accuracy_all": 0.5,
        "nll_all": pytest.approx(-(np.log(0.8) + np.log(0.2)) / 2),
        "ece_mass15_all": pytest.approx(0.3),
        "accuracy_exited": 1.0,
        "mean_confidence_exited": pytest.approx(0.8),
        "coverage_lac@0.05": 1.0,
        "set_size_lac@0.05": 2.0,
    }
    assert {key: first[key] for key in known} == known
    assert (last["accuracy_all"], last["accuracy_exited"], last["arrived"]) == (0.75, 1.0, 0.5)
    with pytest.raises(UserError, match="2 exits need"):
        point(by_hand(), by_hand(), exit_macs=[10])
    with pytest.raises(UserError, match="as many names"):
        made.rows(["head"], [10, 40])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("split", ["cal", "test"])
def test_logits_that_are_not_finite(split, value):
    good, bad = outcomes(30, seed=1), outcomes(30, seed=1)
    bad.exit_logits[4, 2, 2] = value
    with pytest.raises(UserError, match=rf"{split} logits of exit 2 contain NaN or infinity in 1 of 30 rows.*row 4\)"):
        scored(*((bad, good) if split == "cal" else (good, bad)))


def test_executed_outcomes_are_refused():
    with pytest.raises(UserError, match="simulate"):
        point(dataclasses.replace(by_hand(), exit_logits=None), by_hand())


def test_degenerate_splits():
    one = Outcomes(
        torch.zeros(2, dtype=torch.long),
        torch.ones(2, 1),
        torch.zeros(2, dtype=torch.long),
        torch.ones(2),
        torch.ones(2, 1, 1),
    )
    s = scored(one, one)
    assert (s["accuracy"], s["nll"], s["brier"], s["ece_mass15"], s["set_size_aps@0.05"]) == (1, 0, 0, 0, 1)
    cal = outcomes(400, seed=2)
    few = cal.labels < 2
    part = Outcomes(cal.exit_index[few], cal.logits[few], cal.labels[few], cal.macs[few], cal.exit_logits[few])
    assert 0 < scored(part, outcomes(50, seed=3))["set_size_lac@0.1"] < 7


def test_half_precision_logits_are_scored_in_double():
    test = outcomes(200, seed=3)
    half = dataclasses.replace(test, logits=test.logits.half(), exit_logits=test.exit_logits.half())
    assert scored(half, half)["nll"] == pytest.approx(scored(test, test)["nll"], abs=1e-3)


@pytest.mark.slow
def test_one_point_of_ten_thousand_samples_takes_less_than_a_second():
    cal, test = outcomes(2500, classes=100, exits=12, seed=1), outcomes(10_000, classes=100, exits=12, seed=2)
    times = []
    for _ in range(4):
        with threadpool_limits(1):
            start = time.process_time()
            score(point(cal, test))
            times.append(time.process_time() - start)
    assert min(times) < 1.0


def test_every_score_is_documented():
    page = (ROOT / "docs" / "scores.md").read_text(encoding="utf-8")
    kinds = sorted(("lac", "aps", "raps", *KINDS), key=len, reverse=True)
    for family in FAMILIES:
        for name in (*family.names(), *family.columns):
            base = name.split("@")[0]
            kind = next((k for k in kinds if base.endswith(f"_{k}")), None)
            stem = base.removesuffix(f"_{kind}").removesuffix("_all").removesuffix("_arrived")
            ends = stem.removesuffix("_high").removesuffix("_worst")
            assert f"`{base}" in page or f"`{stem}" in page or f"`{ends}" in page, name
            assert kind is None or f"`{kind}`" in page
