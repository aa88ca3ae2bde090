"""Check the inputs of a dataset: what reading returns, repeatedly and from several threads, and its files."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from bench.check.data.subject import Data, same
from bench.check.result import Caution, Violation

MOST = 20_000  # maximum number of samples that are searched for copies
READERS = 4


def reads(data: Data) -> str:
    """Read some rows together, in reverse and one by one."""
    dataset, rows, found = data.dataset, data.rows, data.inputs
    if len(found) != len(rows):
        raise Violation(
            f"read returns {len(found)} inputs for {len(rows)} rows: return one for each, in the order asked."
        )
    for row, value in zip(rows, found, strict=True):
        if problem := _fault(value, dataset.modality):
            raise Violation(f"Row {row} is {problem}")
    reverse = list(dataset.read(rows[::-1]))[::-1]
    alone = [dataset.read(rows[i : i + 1])[0] for i in range(len(rows))]
    for how, other in (("in another order", reverse), ("one by one", alone)):
        if wrong := [int(row) for row, a, b in zip(rows, found, other, strict=True) if not same(a, b)]:
            raise Violation(
                f"Row {wrong[0]} is a different {dataset.modality} when rows are read {how}: return the inputs of the "
                "requested rows, in the order asked, and draw no random numbers in read."
            )
    if dataset.modality == "text":
        return f"Texts of {min(map(_length, found)):,} to {max(map(_length, found)):,} characters."
    sizes = sorted({value.shape[:2] for value in found})
    return f"Images of {' and '.join(f'{w} × {h}' for h, w in sizes[:: max(len(sizes) - 1, 1)])} pixels."


def _fault(value: Any, modality: str) -> str | None:
    if modality == "text":
        texts = value if isinstance(value, tuple) and len(value) == 2 else (value,)
        if all(isinstance(text, str) and text.strip() for text in texts):
            return None
        return f"{value!r}: a text is a non-empty str, or a tuple of two of them."
    if not isinstance(value, np.ndarray):
        return f"a {type(value).__name__}: an image is a NumPy array, uint8 [H, W, 3]."
    if value.dtype != np.uint8 or value.ndim != 3 or value.shape[2] != 3 or not value.size:
        return f"{value.dtype} {list(value.shape)}: an image is uint8 [H, W, 3], with values from 0 to 255."
    return None


def _length(value: Any) -> int:
    return len(value) if isinstance(value, str) else sum(map(len, value))


def reopens(data: Data) -> None:
    """Open the dataset again; compare labels, partitions, names and inputs."""
    again = data.open()
    for what, a, b in (
        ("labels", data.dataset.labels, again.labels),
        ("partition", data.dataset.partition, again.partition),
        ("class_names", data.dataset.class_names, again.class_names),
        ("name", data.dataset.name, again.name),
    ):
        if not np.array_equal(a, b):
            raise Violation(
                f"{what} changes when the dataset is opened again: sort what is read from folders, and draw random "
                "numbers from a generator with a fixed seed."
            )
    if wrong := [
        int(row) for row, a, b in zip(data.rows, data.inputs, again.read(data.rows), strict=True) if not same(a, b)
    ]:
        raise Violation(
            f"The input of row {wrong[0]} changes when the dataset is opened again: draw random numbers from a "
            "generator with a fixed seed."
        )


def threads(data: Data) -> None:
    """Read the same rows from several threads at once."""
    again = data.open()
    with ThreadPoolExecutor(READERS) as pool:
        parts = list(pool.map(again.read, np.array_split(np.tile(data.rows, READERS), 3 * READERS)))
    found = [value for part in parts for value in part]
    if not all(same(a, b) for a, b in zip(found, data.inputs * READERS, strict=True)):
        raise Violation(
            "Reading from several threads at once gives different inputs: read must not change state that calls share, "
            "such as the position in an open file."
        )


def files(data: Data) -> str:
    """Ask the store for the fingerprint of its files and for its encoding."""
    store = data.dataset.store
    mark, again, encoding = store.fingerprint(), data.open().store.fingerprint(), store.encoding()
    for name, value in (("fingerprint", mark), ("encoding", encoding)):
        if value is not None and not isinstance(value, str):
            raise Violation(
                f"{name}() of the store returns {type(value).__name__}: return a str, or None if there is none."
            )
    if mark != again:
        raise Violation(
            "fingerprint() of the store changes although no file did: return bench.datasets.digests.files(paths)."
        )
    if mark is None and len(data.dataset) > MOST:
        return Caution(
            "The store names no files, so all samples are read at every start to compute their digest: give it the "
            "paths of the files."
        )
    return "No files." if mark is None else f"Files are fingerprinted; encoding: {encoding or 'lossless'}."


def copies(data: Data) -> str:
    """Count samples of test that are in train or val too, with the same label."""
    dataset = data.dataset
    if len(dataset) > MOST:
        return f"Not compared: more than {MOST:,} samples."
    test = np.asarray(dataset.partition) == "test"
    twice = int(np.isin(dataset.keys[test], dataset.keys[~test]).sum())
    if twice:
        return Caution(f"{twice:,} of {test.sum():,} test samples are also in train or val, so scores are too high.")
    return "No sample of test is in train." if test.any() else "There is no test partition."
