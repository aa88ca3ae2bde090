"""Fixtures: a cache of its own for every test, small sets of random images, and writers for the layouts on disk."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from bench.datasets import official
from tests.helpers.images import encode


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the public datasets have 20 training and 10 test images per class."""
    for key, full in official.FAMILY.items():
        monkeypatch.setitem(official.FAMILY, key, replace(full, train=20 * full.classes, test=10 * full.classes))


@pytest.fixture
def images() -> Callable[..., np.ndarray]:
    def make(count: int, *, seed: int = 0, size: int = 6) -> np.ndarray:
        return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), dtype=np.uint8)

    return make


@pytest.fixture
def write_parquet() -> Callable[..., None]:
    def write(
        path: Path, pixels: np.ndarray, labels: Sequence[int], *, image="img", label="label", names=None, **options
    ) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        cells = [{"bytes": encode(array, **options), "path": None} for array in pixels]
        features = {image: {"_type": "Image"}}
        if names is not None:
            features[label] = {"names": list(names), "_type": "ClassLabel"}
        table = pa.table({image: cells, label: list(labels)})
        if names is not None:
            table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
        pq.write_table(table, path, row_group_size=7)

    return write


@pytest.fixture
def write_folder(images: Callable[..., np.ndarray]) -> Callable[..., Path]:
    def write(
        root: Path, classes: Sequence[str], each: int, *, seed: int = 0, order: Sequence[int] | None = None
    ) -> Path:
        for c, name in enumerate(classes):
            (root / name).mkdir(parents=True)
            pixels = images(each, seed=1000 * seed + c)
            for position, i in enumerate(range(each) if order is None else order):
                Image.fromarray(pixels[i]).save(root / name / f"{position:03d}.png")
        return root

    return write
