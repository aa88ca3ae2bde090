"""Columns of scores that need not be stored: constants, copies of others, and closed forms of others."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bench.metrics.bands import intervals
from bench.trials.columns import MAPS

Columns = dict[str, pa.Array]
PREFIXES = tuple(f"{field}." for field in MAPS)
BOUND = re.compile(r"metrics\.coverage_(low|high)_(.+@.+)")  # of the Clopper–Pearson interval of a coverage


def drop(columns: Columns, samples: int | None) -> tuple[Columns, dict[str, Any]]:
    """Return the columns to store, and how `restore` makes the others: name → rule, of JSON types.

    A number column is dropped only if its rule returns every value to the last bit. samples: the size of the test set,
    if all records agree.
    """
    kept: Columns = {}
    rules: dict[str, Any] = {}
    same: dict[bytes, str] = {}
    nulls: dict[bytes, str] = {}
    for name, column in columns.items():
        if not name.startswith(PREFIXES):
            kept[name] = column
            continue
        valid, bits = _valid(column).tobytes(), column.fill_null(0).to_numpy().tobytes()
        held = column.drop_null().to_numpy()
        if valid + bits in same:
            rules[name] = {"copy": same[valid + bits]}
        elif valid in nulls and len(held) and held.tobytes() == np.full(len(held), held[0]).tobytes():
            rules[name] = {"constant": float(held[0]), "where": nulls[valid]}
        elif (rule := _bound(name, columns, samples)) and make(rule, kept | columns, samples).equals(column):
            rules[name] = rule
        else:
            kept[name] = column
            same[valid + bits] = name
            nulls.setdefault(valid, name)
    return kept, rules


def restore(columns: Columns, rules: Mapping[str, Any], order: list[str], samples: int | None) -> Columns:
    """Return all columns in their order, those that were dropped included."""
    found = dict(columns)
    for name in sorted(rules, key=lambda name: "bound" in rules[name]):  # bounds may belong to copies
        found[name] = make(rules[name], found, samples)
    return {name: found[name] for name in order if name in found}


def make(rule: Mapping[str, Any], columns: Columns, samples: int | None) -> pa.Array:
    """Return the column that a rule describes."""
    if "copy" in rule:
        return columns[rule["copy"]]
    if "constant" in rule:
        valid = _valid(columns[rule["where"]])
        return pa.array(np.full(len(valid), rule["constant"]), mask=~valid)
    coverage = columns[rule["of"]]
    hits = np.rint(coverage.fill_null(0).to_numpy() * (samples or 0)).astype(np.int64)
    bounds = intervals(samples or 0)[rule["bound"] == "high"]
    return pa.array(bounds[hits], mask=~_valid(coverage))


def _bound(name: str, columns: Columns, samples: int | None) -> dict[str, str] | None:
    match = BOUND.fullmatch(name)
    coverage = f"metrics.coverage_{match[2]}" if match else ""
    if match is None or samples is None or coverage not in columns:
        return None
    values = columns[coverage].drop_null().to_numpy()
    hits = np.rint(values * samples)
    exact = np.array_equal(hits / max(samples, 1), values) and (
        not len(hits) or 0 <= hits.min() <= hits.max() <= samples
    )
    return {"bound": match[1], "of": coverage} if exact else None


def _valid(column: pa.Array) -> NDArray[np.bool_]:
    return np.asarray(column.is_valid().to_numpy(zero_copy_only=False))
