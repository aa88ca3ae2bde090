"""The files of a new dataset."""

from __future__ import annotations

from string import Template

SOURCE = Template('''\
"""Bars in four directions on noise, drawn by this file. Replace `draw` with code that reads your files."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
from bench.datasets.images import ImageDataset
from bench.datasets.stores import ArrayStore
from bench.errors import UserError
from pydantic import Field

CLASSES = ("horizontal", "vertical", "falling", "rising")
SIDE = 16  # pixels
TRAIN, TEST = 480, 160  # images


def $name(
    argument: str | None,  # what a user writes after a colon, `$name:ARGUMENT`
    data_dir: Path | None,  # the folder of --data-dir, or None
    *,
    noise: Annotated[float, Field(ge=0, le=1)] = 1.0,  # parameters, as in `$name[noise=0.2]`: typed, with defaults
) -> ImageDataset:
    """Bars in four directions on noise, 640 images of 16 × 16 pixels.

    The first line above is the summary in `bench list`: say what the images are, how many, and who made them. The
    annotation `-> ImageDataset` (or `-> TextDataset`) makes this function a dataset.
    """
    if argument is not None:
        raise UserError(f"'$name' takes no argument after a colon. Leave '{argument}' out.")
    labels = np.arange(TRAIN + TEST) % len(CLASSES)  # [N]: of all samples, in the order in which they are stored
    partition = np.repeat(["train", "test"], [TRAIN, TEST])  # [N]: train, val or test, as your data's authors split it
    # Data in a file: `path = data_dir / "images.npy"`, then `ArrayStore(lambda: np.load(path), (path,))`. If the files
    # are named, image digests are computed once. `bench.datasets.stores.FileStore` reads one image file per sample.
    store = ArrayStore(partial(draw, labels, noise))
    changed = "" if noise == 1 else f"[noise={noise:g}]"
    return ImageDataset(
        name=f"$name{changed}",  # in tables: the function's name, with the parameters that change the data
        source="$name",  # the origin of the data: backbones that list it in `seen` were trained on it
        class_names=CLASSES,
        labels=labels,
        partition=partition,
        store=store,
    )


def draw(labels: np.ndarray, noise: float) -> np.ndarray:
    """Return images, uint8 [N, H, W] (or [N, H, W, 3]), the same every time: the random seed is fixed."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    across = np.stack([rows, columns, rows - columns, rows + columns])  # what is constant along a bar, by class
    at = across.reshape(4, -1)[labels, rng.integers(SIDE * SIDE, size=len(labels))]  # a bar through a random pixel
    bars = np.abs(across[labels] - at[:, None, None]) <= 1
    values = bars * (1 - noise / 2) + noise * rng.random(bars.shape) / 2
    return np.rint(255 * values).astype(np.uint8)
''')

TEST = Template('''\
"""Tests of $name: the checks that every dataset must pass, and its own images."""

from __future__ import annotations

${imports}import numpy as np
from bench.check import suite

from $module import $name, draw

test_contract = suite($subject, kind="dataset")


def test_a_bar_runs_in_the_direction_of_its_class():
    horizontal, vertical = draw(np.array([0, 1]), noise=0.0)
    assert (horizontal == horizontal[:, :1]).all() and set(horizontal[:, 0].tolist()) == {0, 255}
    assert (vertical == vertical[:1]).all() and set(vertical[0].tolist()) == {0, 255}


def test_parameters_are_part_of_the_name():
    assert $name(None, None).name == "$name" and $name(None, None, noise=0.2).name == "$name[noise=0.2]"
''')
