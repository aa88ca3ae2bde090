"""All scores of one operating point, from its outcomes on cal and test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import UserError
from bench.metrics.accuracy import exit_shares, predictions, random_accuracy
from bench.metrics.arrays import mean, softmax, to_numpy
from bench.metrics.calibration import top_label_ece
from bench.metrics.conformal import lac_scores, set_scores
from bench.metrics.proper import brier, nll
from bench.play import Outcomes

ALPHAS = (0.01, 0.05, 0.1)


def score(cal: Outcomes, test: Outcomes, *, full_macs: int, alphas: Sequence[float] = ALPHAS) -> dict[str, float]:
    """Score one policy on test, its conformal sets calibrated on cal; `full_macs` is what the plain backbone costs.

    Shares, accuracies and coverages lie in [0, 1]; `macs` is the mean per sample, heads and gates included;
    `set_size_…` is the mean number of classes; `mean_exit` counts from 0; `collapsed` is the largest exit share;
    `accuracy_random` is the expected accuracy of the same exit shares dealt to random samples. Raises UserError for
    logits that are not finite and for outcomes of executed play, which lack the logits of the exits not taken.
    """
    exit_logits = _all_exits(test)
    test_p, cal_p = softmax(test.logits, "test logits"), softmax(cal.logits, "cal logits")
    labels, cal_labels = to_numpy(test.labels), to_numpy(cal.labels)
    confidence = test_p.max(axis=1)
    # from the logits: a saturated softmax knows no best class
    correct = (predictions(test.logits) == labels).astype(np.float64)
    accuracy_all = (predictions(exit_logits) == labels[:, None]).mean(axis=0)
    shares = exit_shares(test.exit_index, exit_logits.shape[1])
    macs = mean(test.macs)
    scores = {
        "accuracy": float(correct.mean()),
        "macs": macs,
        "macs_fraction": macs / full_macs,
        "nll": nll(test_p, labels),
        "brier": brier(test_p, labels),
        "ece_mass15": top_label_ece(confidence, correct, 15, "mass"),
        "ece_width15": top_label_ece(confidence, correct, 15, "width"),
        "confidence": mean(confidence),
        "mean_exit": mean(test.exit_index),
        "accuracy_random": random_accuracy(shares, accuracy_all),
        "collapsed": float(shares.max()),
    }
    for kind in ("lac", "aps"):
        for alpha, sets in zip(alphas, set_scores((cal_p, cal_labels), (test_p, labels), alphas, kind), strict=True):
            scores[f"coverage_{kind}@{alpha}"] = sets.coverage
            scores[f"set_size_{kind}@{alpha}"] = sets.size
            if kind == "lac":
                scores[f"empty_share_{kind}@{alpha}"] = sets.empty_share
                scores[f"singleton_share_{kind}@{alpha}"] = sets.singleton_share
    return scores


def per_exit(test: Outcomes, exit_macs: Sequence[int], exit_names: Sequence[str]) -> list[dict[str, Any]]:
    """Describe every exit on all test samples and on those that left there (None where nobody did).

    `macs` is the cumulative cost of leaving there, heads and gates on the way included; `exit` counts from 0.
    """
    exit_logits = _all_exits(test)
    num_exits = exit_logits.shape[1]
    if not len(exit_macs) == len(exit_names) == num_exits:
        raise UserError(f"{num_exits} exits need as many costs and names, not {len(exit_macs)} and {len(exit_names)}.")
    labels, index = to_numpy(test.labels), to_numpy(test.exit_index)
    shares = exit_shares(index, num_exits)
    rows: list[dict[str, Any]] = []
    for k in range(num_exits):
        logits = exit_logits[:, k]
        p = softmax(logits, f"test logits of exit {k}")
        confidence, correct, left = p.max(axis=1), predictions(logits) == labels, index == k
        some = bool(left.any())
        rows.append(
            {
                "exit": k,
                "name": str(exit_names[k]),
                "macs": int(exit_macs[k]),
                "share": float(shares[k]),
                "accuracy_all": float(correct.mean()),
                "nll_all": nll(p, labels),
                "ece_mass15_all": top_label_ece(confidence, correct.astype(np.float64), 15, "mass"),
                "accuracy_exited": float(correct[left].mean()) if some else None,
                "mean_confidence_exited": mean(confidence[left]) if some else None,
            }
        )
    return rows


def sample_scores(test: Outcomes, cal: Outcomes) -> dict[str, NDArray[Any]]:
    """Return per-sample arrays of both splits, keyed `test_…` and `cal_…`, from which scores can be made again.

    exit_index [N] int16, prediction [N] int32, correct [N] bool, confidence [N] float64, lac [N] float64 = 1 - p_y.
    """
    arrays: dict[str, NDArray[Any]] = {}
    for split, outcomes in (("test", test), ("cal", cal)):
        p, labels = softmax(outcomes.logits, f"{split} logits"), to_numpy(outcomes.labels)
        predicted = predictions(outcomes.logits)
        arrays[f"{split}_exit_index"] = to_numpy(outcomes.exit_index).astype(np.int16)
        arrays[f"{split}_prediction"] = predicted.astype(np.int32)
        arrays[f"{split}_correct"] = predicted == labels
        arrays[f"{split}_confidence"] = p.max(axis=1)
        arrays[f"{split}_lac"] = lac_scores(p, labels)
    return arrays


def _all_exits(test: Outcomes) -> NDArray[Any]:
    """The logits of all exits [N, K, C], or a UserError where only the exits taken are known."""
    if test.exit_logits is None:
        raise UserError(
            "Scores need what every exit would have said: play the policy with bench.play.simulate, not execute."
        )
    return to_numpy(test.exit_logits)
