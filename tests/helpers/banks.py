"""A tiny dataset of random images and a tiny backbone of three exits, both with the interfaces of the real ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import xxhash
from torch import Tensor, nn

from bench.bank.bank import Bank
from bench.bank.build import build as build_plan
from bench.bank.ensure import find as find_plan
from bench.bank.plan import Plan
from bench.inputs.images import Transform
from bench.protocol import Splits


@dataclass
class FakeImages:
    """Random images with the interface of an ImageDataset; counts what is read."""

    images: list[np.ndarray]
    labels: np.ndarray
    name: str = "fake"
    source: str = "fake"
    variant: str | None = None
    class_names: tuple[str, ...] = ("a", "b", "c")
    modality = "image"
    largest_read: int = field(default=0, compare=False)

    @classmethod
    def random(cls, count: int = 120, sides: Sequence[int] = (12,), seed: int = 0) -> FakeImages:
        """Images whose mean brightness tells their class, with sides taken in turn."""
        rng = np.random.default_rng(seed)
        labels = rng.integers(0, 3, count)
        shapes = [(sides[i % len(sides)], sides[(i // 2) % len(sides)]) for i in range(count)]
        images = [
            rng.integers(60 * y, 60 * y + 120, (*s, 3)).astype(np.uint8) for s, y in zip(shapes, labels, strict=True)
        ]
        return cls(images, labels.astype(np.int64))

    @property
    def native_size(self) -> int:
        return max(max(image.shape[:2]) for image in self.images)

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def keys(self) -> np.ndarray:
        pairs = zip(self.images, self.labels, strict=True)
        return np.array([xxhash.xxh3_128_digest(i.tobytes() + bytes([int(y)])) for i, y in pairs], dtype="S16")

    @property
    def digest(self) -> str:
        return xxhash.xxh3_128_hexdigest(b"".join(sorted(self.keys.tolist())))

    def read(self, rows: Sequence[int] | np.ndarray) -> list[np.ndarray]:
        assert np.all(np.diff(rows) > 0), "rows are asked for in storage order"
        self.largest_read = max(self.largest_read, len(rows))
        return [self.images[int(r)] for r in rows]

    def shuffled(self, seed: int = 1) -> FakeImages:
        """The same images stored in another order."""
        order = np.random.default_rng(seed).permutation(len(self.images))
        return FakeImages([self.images[i] for i in order], self.labels[order], self.name, self.source)


def splits(dataset: FakeImages, limit: int | None = None) -> Splits:
    """Half train, a quarter pool, a quarter test, in the order of the keys."""
    order = np.argsort(dataset.keys, kind="stable")
    n = len(order)
    return Splits(order[: n // 2], order[n // 2 : 3 * n // 4], order[3 * n // 4 :], "v1", limit)


class FakeBackbone(nn.Module):
    """Two convolutions, three exits; counts its images and can note every batch in a file."""

    def __init__(
        self, *, size: int = 16, scale: float = 1.0, num_classes: int = 3, head_for: str | None = None
    ) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.first = nn.Conv2d(3, 4, 3, stride=2)
            self.second = nn.Conv2d(4, 6, 3, stride=2)
            self.head = nn.Linear(6, num_classes)
        self.name, self.image_size, self.scale = "two-convs", size, scale
        self.exit_names, self.feature_dims, self.final_dim = ("first", "second", "head"), (4, 6), 6
        self.mean, self.std, self.interpolation = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4), "bilinear"
        self.head_for, self.weights_digest = head_for, "fake-weights"
        self.native, self.tuned = nn.ModuleList(), None
        self.requires_grad_(False)
        self.num_exits, self.images_seen, self.batches = 3, 0, 0
        self.log: Path | None = None
        self.pause = 0.0

    modality = "image"

    def preparation(self) -> Transform:
        return Transform.of(self)

    def example(self, size: int, device: str = "cpu") -> Tensor:
        return torch.zeros(1, 3, size, size, device=device)

    def start(self, images: Tensor) -> Tensor:
        return images

    def stage(self, k: int, state: Tensor) -> Tensor:
        return (self.first, self.second, nn.Identity())[k](state)

    def feature(self, k: int, state: Tensor) -> Tensor:
        return state.mean((2, 3)) * self.scale

    def features(self, images: Tensor) -> list[Tensor]:
        if images.device.type != "meta":
            self._note(len(images))
        state, found = self.start(images), []
        for k in range(3):
            state = self.stage(k, state)
            found.append(self.feature(k, state))
        return found

    def _note(self, count: int) -> None:
        import time

        self.images_seen += count
        self.batches += 1
        time.sleep(self.pause)
        if self.log:
            with self.log.open("a") as file:
                file.write(f"{count}\n")


def build(
    dataset: FakeImages, backbone: FakeBackbone, rows: Splits, root: Path, dtype="float16", views=0, **options
) -> Bank:
    return build_plan(Plan(dataset, backbone, rows, dtype, views), root, **options)


def build_slowly(root: Path, log: Path, pause: float) -> None:
    """Build a bank, as a process of its own, with a pause and a note before every batch."""
    torch.set_num_threads(1)
    images, backbone = FakeImages.random(), FakeBackbone()
    backbone.log, backbone.pause = log, pause
    build(images, backbone, splits(images), root=root, batch_size=8, views=1, checkpoint_seconds=0)


def find(
    dataset: FakeImages, backbone: FakeBackbone, rows: Splits, root: Path, dtype="float16", views=0
) -> Bank | None:
    return find_plan(Plan(dataset, backbone, rows, dtype, views), root)


def contents(bank: Bank) -> dict[str, np.ndarray]:
    """All feature and label arrays of a bank."""
    return {p.name: np.load(p) for p in sorted(bank.path.glob("*.npy"))}


def assert_same_arrays(one: Bank, two: Bank) -> None:
    a, b = contents(one), contents(two)
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_allclose(a[name], b[name], atol=2e-3, rtol=1e-3, err_msg=name)
