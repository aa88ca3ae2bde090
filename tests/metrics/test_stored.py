from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.metrics import stored
from bench.metrics.arrays import softmax
from bench.metrics.score import score
from bench.metrics.stored import decode, encode, from_arrays, to_arrays
from tests.helpers.outcomes import outcomes, point

ROUNDED = ("brier", "ece_classwise15", "set_size", "empty_share", "singleton_share")  # made from 16-bit logits


def through_a_file(arrays: dict) -> dict:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    with np.load(io.BytesIO(file.getvalue()), allow_pickle=False) as held:
        return {name: held[name] for name in held.files}


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 999), n=st.integers(1, 20), classes=st.integers(1, 30), scale=st.floats(0.01, 30))
def test_codes_keep_log_probabilities_to_a_quarter_of_a_thousandth(seed, n, classes, scale):
    p = softmax(np.random.default_rng(seed).normal(size=(n, classes)) * scale)
    again = decode(encode(p))
    kept = p > p.max(axis=1, keepdims=True) * np.exp(-30)
    assert np.abs(np.log(again[kept]) - np.log(p[kept])).max() < 6e-4  # its own code, and that of the sum
    assert np.abs(again - p).max() < 2.5e-4


def test_impossible_classes_stay_impossible():
    again = decode(encode(np.array([[1.0, 0.0, 0.0]])))
    assert again[0] == pytest.approx([1, 0, 0], abs=1e-13)


@pytest.mark.parametrize("sharpness", [1.0, 4.0, 12.0])
def test_stored_outcomes_give_the_same_scores(sharpness):
    played = point(outcomes(700, seed=1, sharpness=sharpness), outcomes(900, seed=2, sharpness=sharpness), 400)
    before = score(played)
    after = score(from_arrays(through_a_file(to_arrays(played)), 400, 4))
    assert list(after.not_made) == ["nestedness"]
    gone = {name for name in before.metrics if name not in after.metrics}
    assert gone == {f"nestedness_lac@{alpha}" for alpha in played.alphas}
    for name, value in after.metrics.items():
        kind = name.split("@")[0]
        if kind.endswith(("_aps", "_raps")):
            tolerance = 0.02 if kind.startswith("set_size") else 0.015
        elif kind.startswith(ROUNDED):
            tolerance = 0.01 if "_share" in kind or "size" in kind else 2e-4
        elif kind.startswith("coverage") or "gap" in kind:
            tolerance = 5e-3 if any(k in kind for k in ("gated_all", "jei_gated")) else 0.0
        else:
            tolerance = 2e-7
        assert value == pytest.approx(before.metrics[name], abs=tolerance, rel=0), name
    for name, values in after.columns.items():
        for a, b in zip(values, before.columns[name], strict=True):
            assert (a is None) == (b is None) and (
                a is None or a == pytest.approx(b, abs=0.02 if "@" in name else 1e-6)
            )


def test_what_is_exact_comes_back_exactly():
    played = point(outcomes(60, seed=1), outcomes(50, seed=2))
    again = from_arrays(through_a_file(to_arrays(played)), 1, 4)
    for split in ("cal", "test"):
        a, b = getattr(played, split), getattr(again, split)
        for name in (
            "exit_index",
            "prediction",
            "correct",
            "confidence",
            "p_true",
            "labels",
            "order",
            "exit_prediction",
        ):
            assert np.array_equal(getattr(a, name), getattr(b, name)), name
    assert np.array_equal(played.exit_macs, again.exit_macs)
    assert np.array_equal(played.train_counts, again.train_counts)


def test_old_outcomes_give_what_they_can():
    played = point(outcomes(300, seed=1), outcomes(400, seed=2), 400)
    old = {}
    for split in ("cal", "test"):
        s = getattr(played, split)
        old |= {f"{split}_exit_index": s.exit_index.astype(np.int16), f"{split}_prediction": s.prediction.astype("i4")}
        old |= {f"{split}_correct": s.correct, f"{split}_confidence": s.confidence, f"{split}_lac": 1 - s.p_true}
    before, after = score(played), score(from_arrays(old, 400, 4))
    made = set(after.metrics)
    assert {"aurc", "ece_debiased15", "coverage_band_low@0.05", "coverage_mondrian_exit@0.1"} <= made
    assert not any(name.startswith(("set_size", "anytime", "eefp", "class_gap")) for name in made)
    assert all(after.metrics[name] == pytest.approx(before.metrics[name], abs=1e-12) for name in made)
    assert after.not_made["anytime prediction"] == [
        "the answers of every exit",
        "the labels",
        "the cost of every exit",
    ]


def test_large_logits_are_left_out(monkeypatch):
    monkeypatch.setattr(stored, "MOST_LOGITS", 50 * 7)
    arrays = to_arrays(point(outcomes(51, seed=1), outcomes(50, seed=2)))
    assert "test_logits" in arrays and "cal_logits" not in arrays
    assert "aps sets" in score(from_arrays(arrays, 1, 4)).not_made


def test_the_file_of_a_usual_point_stays_below_four_megabytes():
    played = point(outcomes(2500, classes=100, exits=12, seed=1), outcomes(10_000, classes=100, exits=12, seed=2))
    file = io.BytesIO()
    np.savez_compressed(file, **to_arrays(played))
    assert len(file.getvalue()) < 4e6
