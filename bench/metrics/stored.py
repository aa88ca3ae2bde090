"""Per-sample outcomes as arrays for a file, and back: scores can be recomputed from them without inference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.metrics.answers import ClassProbabilities
from bench.metrics.arrays import Floats, Ints, softmax
from bench.metrics.samples import Measured, Samples, known

RANGE = 32.0  # nats below the largest logit that are kept; e^-32 is 1e-14
STEPS = 65535
MOST_CLASSES = 1 << 20
TOLERANCE = 1e-6  # of probabilities
OF_EXITS = ("exit_prediction", "exit_confidence", "exit_p_true")
MOST_LOGITS = 20_000_000  # N·C of a split above which its logits are not stored: 40 MB before compression


def encode(probabilities: Floats) -> NDArray[np.uint16]:
    """Return log-probabilities [N, C] below each row's largest in 16-bit fixed point: wrong by at most 2.5e-4 nats."""
    with np.errstate(divide="ignore"):
        below = np.log(probabilities.max(axis=1, keepdims=True)) - np.log(probabilities)
    return np.rint(np.minimum(below, RANGE) * (STEPS / RANGE)).astype(np.uint16)


def decode(codes: NDArray[np.uint16]) -> Floats:
    """Return probabilities [N, C] from their 16-bit codes."""
    return softmax(codes * (-RANGE / STEPS), "stored logits")


def to_arrays(point: Measured) -> dict[str, NDArray[Any]]:
    """Return what `from_arrays` rebuilds an operating point from, keyed `test_…` and `cal_…`, in the rows' own order.

    exit_index, prediction, label [N] in the smallest integers; correct [N] bool; confidence, p_true [N] float64, exact;
    order [N] int32; logits [N, C] uint16 (see `encode`; left out above MOST_LOGITS numbers); exit_prediction,
    exit_confidence, exit_p_true [N, K], the latter two float32; exit_macs [K]; train_counts [C].
    """
    arrays: dict[str, NDArray[Any]] = {"exit_macs": known(point.exit_macs)}
    if point.train_counts is not None:
        arrays["train_counts"] = point.train_counts.astype(np.int32)
    for name, split in (("test", point.test), ("cal", point.cal)):
        p = known(split.probabilities)
        small = np.min_scalar_type(p.shape[1] - 1)
        found = {
            "exit_index": split.exit_index.astype(np.int16),
            "prediction": split.prediction.astype(small),
            "label": known(split.labels).astype(small),
            "correct": split.correct,
            "confidence": split.confidence,
            "p_true": split.p_true,
            "order": known(split.order).astype(np.int32),
            "exit_prediction": known(split.exit_prediction).astype(small),
            "exit_confidence": known(split.exit_confidence).astype(np.float32),
            "exit_p_true": known(split.exit_p_true).astype(np.float32),
        }
        if p.size <= MOST_LOGITS:
            found["logits"] = encode(p)
        arrays |= {f"{name}_{key}": value for key, value in found.items()}
    return arrays


def from_arrays(arrays: Mapping[str, NDArray[Any]], full_macs: int, num_exits: int) -> Measured:
    """Rebuild an operating point from stored arrays, those of older versions included; what they lack is None.

    Raises KeyError or ValueError for arrays that are not outcomes.
    """
    if strange := [key for key, values in arrays.items() if values.dtype.kind not in "biuf"]:
        raise ValueError(f"{strange[0]} does not contain numbers")
    macs, counts = arrays.get("exit_macs"), arrays.get("train_counts")
    if macs is not None and (macs.shape != (num_exits,) or macs.min() < 0):
        raise ValueError(f"exit_macs does not contain a cost for each of {num_exits} exits")
    if counts is not None and (counts.ndim != 1 or not len(counts) or counts.min() < 0):
        raise ValueError("train_counts does not contain a number of images per class")
    cal, test = (_split(arrays, name, num_exits) for name in ("cal", "test"))
    return Measured(cal, test, full_macs, num_exits, _ints(macs), _ints(counts))


def _check(held: Mapping[str, NDArray[Any]], split: str, num_exits: int) -> None:
    """Raise ValueError if the arrays of a split contradict each other: sizes and ranges as `to_arrays` makes them."""
    samples = len(held["exit_index"])
    classes = held["logits"].shape[-1] if held.get("logits", np.zeros(0)).ndim == 2 else MOST_CLASSES
    ends = {"exit_index": num_exits, "order": samples, "exit_prediction": classes}
    ends |= {"prediction": classes, "label": classes}
    for name, values in held.items():
        wide = (classes,) if name == "logits" else (num_exits,) if name in OF_EXITS else ()
        if values.shape != (samples, *wide) or not samples:
            raise ValueError(f"{split}_{name} has the shape {values.shape}, not {(samples, *wide)}")
        low, high = values.min(), values.max()
        if name in ends and not (low >= 0 and high < ends[name] and values.dtype.kind in "iu"):
            raise ValueError(f"{split}_{name} is not within 0 … {ends[name] - 1}")
        if values.dtype.kind == "f" and not -TOLERANCE <= low <= high <= 1 + TOLERANCE:
            raise ValueError(f"{split}_{name} is not within 0 … 1")
    if "logits" in held and (held["logits"].dtype != np.uint16 or not classes):
        raise ValueError(f"{split}_logits are not 16-bit codes")


def _split(arrays: Mapping[str, NDArray[Any]], split: str, num_exits: int) -> Samples:
    held = {key.removeprefix(f"{split}_"): arrays[key] for key in arrays if key.startswith(f"{split}_")}
    _check(held, split, num_exits)
    codes, labels = held.get("logits"), _ints(held.get("label"))
    table = None if codes is None or labels is None else ClassProbabilities(decode(codes), labels)
    return Samples(
        held["exit_index"].astype(np.int64),
        held["prediction"].astype(np.int64),
        held["correct"].astype(bool),
        held["confidence"].astype(np.float64),
        held["p_true"].astype(np.float64) if "p_true" in held else 1.0 - held["lac"],
        labels,
        _ints(held.get("order")),
        table,
        _ints(held.get("exit_prediction")),
        _floats(held.get("exit_confidence")),
        _floats(held.get("exit_p_true")),
    )


def _ints(values: NDArray[Any] | None) -> Ints | None:
    return None if values is None else values.astype(np.int64)


def _floats(values: NDArray[Any] | None) -> Floats | None:
    return None if values is None else values.astype(np.float64)
