"""Accuracy, cost, proper scores and calibration of one operating point, as exited and exit by exit."""

from __future__ import annotations

import math

import numpy as np

from bench.metrics.accuracy import exit_shares, random_accuracy
from bench.metrics.arrays import Floats, mean
from bench.metrics.calibration import binned_debiased_ece, binned_ece, classwise_ece_of, top_label_ece
from bench.metrics.proper import nll_of
from bench.metrics.samples import Column, Measured, Samples, known


def costs(point: Measured) -> dict[str, float]:
    """Return accuracy and cost on test; `macs` is the mean per sample, heads and gates included.

    `mean_exit` counts from 0; `collapsed` is the largest share of one exit. The scores on cal are for choices between
    methods, which must use neither val nor test.
    """
    macs, cal_macs = mean(point.macs), mean(known(point.exit_macs)[point.cal.exit_index])
    return {
        "accuracy": float(point.test.correct.mean()),
        "macs": macs,
        "macs_fraction": macs / point.full_macs,
        "mean_exit": mean(point.test.exit_index),
        "collapsed": float(shares(point).max()),
        "cal_accuracy": float(point.cal.correct.mean()),
        "cal_macs_fraction": cal_macs / point.full_macs,
    }


def confidences(point: Measured) -> dict[str, float]:
    """Return the scores of the probabilities of the prediction and of the label, as exited."""
    test = point.test
    return {
        "nll": nll_of(test.p_true),
        "confidence": mean(test.confidence),
        "ece_mass15": binned_ece(test.bins("mass")),
        "ece_width15": binned_ece(test.bins("width")),
        "ece_debiased15": binned_debiased_ece(test.bins("mass")),
    }


def distributions(point: Measured) -> dict[str, float]:
    """Return the scores of the probabilities of all classes, as exited."""
    table = known(point.test.table)
    return {
        "brier": mean(table.brier),
        "ece_classwise15": classwise_ece_of(table, 15),
    }


def exits(point: Measured) -> tuple[dict[str, float], dict[str, Column]]:
    """Return the accuracy of the same exit shares at random, and every exit on all test samples."""
    accuracy, columns = point.test.once("exits", lambda: _all_exits(point.test))
    return {"accuracy_random": random_accuracy(shares(point), accuracy)}, dict(columns)


def _all_exits(test: Samples) -> tuple[Floats, dict[str, Column]]:
    right, confidence, p_true = test.exit_correct, known(test.exit_confidence), known(test.exit_p_true)
    accuracy = right.mean(axis=0)
    columns: dict[str, Column] = {"accuracy_all": accuracy.tolist(), "nll_all": [], "ece_mass15_all": []}
    for k in range(right.shape[1]):
        columns["nll_all"].append(nll_of(p_true[:, k]))
        columns["ece_mass15_all"].append(top_label_ece(confidence[:, k], right[:, k].astype(np.float64), 15, "mass"))
    return accuracy, columns


def exited(point: Measured) -> tuple[dict[str, float], dict[str, Column]]:
    """Return every exit on the test samples that left there; None if no sample did."""
    test = point.test
    columns: dict[str, Column] = {"share": shares(point).tolist(), "accuracy_exited": [], "mean_confidence_exited": []}
    for k in range(point.num_exits):
        left = test.exit_index == k
        some = bool(left.any())
        columns["accuracy_exited"].append(float(test.correct[left].mean()) if some else None)
        columns["mean_confidence_exited"].append(mean(test.confidence[left]) if some else None)
    return {}, columns


def shares(point: Measured) -> Floats:
    """Return the share of the test samples that left at each exit [K]."""
    found = exit_shares(point.test.exit_index, point.num_exits)
    assert math.isclose(found.sum(), 1.0)
    return found
