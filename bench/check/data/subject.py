"""The dataset under examination, and what the checks on it share."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bench import datasets
from bench.datasets.dataset import Dataset
from bench.plugins import registry
from bench.plugins.spec import parse

ROWS = 24  # samples that are read


class Data:
    """A dataset by its name, opened once."""

    def __init__(self, name: str, data_dir: Path | None = None) -> None:
        self.spec, self.data_dir = parse(name), data_dir
        self.plugin = registry.find("datasets", self.spec.name)

    def open(self) -> Dataset:
        """Open the dataset again and return it."""
        return datasets.load(self.spec, data_dir=self.data_dir)

    @cached_property
    def dataset(self) -> Dataset:
        """The dataset that all checks share."""
        return self.open()

    @cached_property
    def rows(self) -> np.ndarray:
        """Some rows from all parts of the dataset, in random order."""
        spread = np.unique(np.linspace(0, len(self.dataset) - 1, ROWS).astype(np.int64))
        return np.random.default_rng(0).permutation(spread)

    @cached_property
    def inputs(self) -> list[Any]:
        """The inputs of these rows."""
        return list(self.dataset.read(self.rows))


def same(first: Any, second: Any) -> bool:
    """Return whether two inputs are equal: all pixels of images, all letters of texts."""
    if isinstance(first, np.ndarray) or isinstance(second, np.ndarray):
        return np.array_equal(first, second)
    return bool(first == second)
