"""Check a dataset without reading its inputs: names, classes, labels, partitions and splits."""

from __future__ import annotations

import inspect

import numpy as np

from bench import protocol
from bench.check.data.subject import Data
from bench.check.result import Caution, Violation
from bench.datasets.dataset import Dataset
from bench.datasets.images import ImageDataset
from bench.datasets.texts import TextDataset

PARTS = ("train", "val", "test")


def opens(data: Data) -> str:
    """Open the dataset; errors while opening it are reported as they are."""
    found = data.dataset
    if not isinstance(found, ImageDataset | TextDataset):
        raise Violation(
            f"'{data.spec.name}' returns {type(found).__name__}: return a bench.datasets.images.ImageDataset or a "
            "bench.datasets.texts.TextDataset."
        )
    return f"{len(found):,} {found.modality}s of {found.num_classes} classes."


def named(data: Data) -> str:
    """Check the name that tables show, the source, and the docstring."""
    found, name = data.dataset, data.spec.name
    if found.name.partition("[")[0].partition(":")[0] != name:
        raise Violation(
            f"The dataset is called '{found.name}', but it is registered as '{name}': give `name=` the registered "
            f"name, with parameters that change the data in brackets, '{name}[key=value]'."
        )
    if not found.source.strip():
        raise Violation("`source` is empty: name the origin of the data; a backbone's `seen` is compared with it.")
    if not (inspect.getdoc(data.plugin.load()) or "").strip():
        raise Violation(
            f"{name} has no docstring: give it one whose first line says what the samples are; `bench list` shows it."
        )
    return f"'{found.name}', source '{found.source}'."


def classes(data: Data) -> None:
    """Look for names that are empty or not unique."""
    names = data.dataset.class_names
    if len(names) < 2:
        raise Violation(f"There are {len(names)} classes: class_names must list at least two.")
    if empty := [k for k, name in enumerate(names) if not name.strip()]:
        raise Violation(f"Class {empty[0]} has an empty name: give each class its own.")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise Violation(f"Two classes are called '{twice}': give each class its own name, in the order of the labels.")


def labelled(data: Data) -> str | None:
    """Check type, shape and range of the labels."""
    found: Dataset = data.dataset
    labels = found.labels
    if not isinstance(labels, np.ndarray) or labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        seen = f"{labels.dtype} {list(labels.shape)}" if isinstance(labels, np.ndarray) else type(labels).__name__
        raise Violation(f"labels are {seen}: give a NumPy array of whole numbers [N], one for each sample.")
    if not len(labels):
        raise Violation("There are no samples: labels is empty.")
    if int(labels.min()) < 0 or int(labels.max()) >= found.num_classes:
        raise Violation(
            f"Labels go from {labels.min()} to {labels.max()}, but there are {found.num_classes} class_names: number "
            f"the classes from 0 to {found.num_classes - 1}."
        )
    counts = np.bincount(labels, minlength=found.num_classes)
    if missing := [found.class_names[c] for c in np.flatnonzero(counts == 0)]:
        return Caution(f"{len(missing)} classes have no sample, for example '{missing[0]}': leave them out.")
    least, most = counts.min(), counts.max()
    return f"{least:,} to {most:,} samples per class." if least < most else f"{most:,} samples per class."


def partition(data: Data) -> str:
    """Check which samples are for training, validation and testing."""
    found = np.asarray(data.dataset.partition)
    if found.shape != data.dataset.labels.shape:
        raise Violation(
            f"partition has the shape {list(found.shape)}: give one word for each of the {len(data.dataset)} samples."
        )
    if strange := sorted({str(part) for part in np.unique(found)} - set(PARTS)):
        raise Violation(f"'{strange[0]}' is not a partition: valid are {', '.join(PARTS)}.")
    counts = {part: int((found == part).sum()) for part in PARTS}
    if not counts["train"]:
        raise Violation(
            "No sample is in 'train': if the data has no split, give 'train' for all samples; the protocol splits them."
        )
    return ", ".join(f"{count:,} {part}" for part, count in counts.items() if count) + "."


def splits(data: Data) -> str:
    """Split the dataset as a run does; errors of the protocol are reported as they are."""
    found = protocol.split(data.dataset)
    if empty := [name for name, size in found.sizes.items() if not size]:
        raise Violation(f"The split {empty[0]} is empty: give more samples.")
    return ", ".join(f"{size:,} {name}" for name, size in found.sizes.items()) + f" (protocol {found.protocol})."
