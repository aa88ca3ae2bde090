"""A cell of the grid whose data and checkpoint are tiny: images of ten colours, a T2T-ViT-7 drawn at random."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from typer.testing import CliRunner, Result

from bench import backbones, protocol
from bench.cli.guard import guarded
from bench.cli.reproduce import reproduce
from bench.datasets.images import ImageDataset
from bench.datasets.stores import ArrayStore
from bench.method import Policy, Task
from bench.reproduce import availability

PER_CLASS = {"train": 12, "test": 8}


@pytest.fixture(autouse=True)
def _no_ambient_data(tmp_path, monkeypatch) -> None:
    """Nothing of this machine counts as at hand."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory) -> Path:
    """A T2T-ViT-7 of ten classes for 32 pixels, saved as fine-tuning code saves it."""
    network = backbones.load("t2t_vit_7", num_classes=10, image_size=32, weights="random")
    head = {f"head.{name}": value for name, value in network.head.state_dict().items()}
    path = tmp_path_factory.mktemp("fine-tuned") / "ckpt_0.01_0.0005_91.90.pth"
    torch.save({"net": network.trunk.state_dict() | head, "acc": 91.90, "epoch": 60}, path)
    return path


@pytest.fixture
def data_dir(tmp_path, checkpoint) -> Path:
    """A data folder that has the checkpoint where the authors' code keeps it."""
    own = tmp_path / "data" / "weights" / "checkpoint_svhn_t2t_vit_7"
    own.mkdir(parents=True)
    (own / checkpoint.name).symlink_to(checkpoint)
    return tmp_path / "data"


@pytest.fixture
def images(monkeypatch) -> None:
    """Let ten colours stand for the digits of SVHN."""
    draw = np.random.default_rng(0)
    labels = np.concatenate([np.repeat(np.arange(10), n) for n in PER_CLASS.values()])
    partition = np.repeat(list(PER_CLASS), [10 * n for n in PER_CLASS.values()])
    colours = draw.integers(0, 200, (10, 1, 1, 3))[labels]
    pixels = (colours + draw.integers(0, 56, (len(labels), 32, 32, 3))).astype(np.uint8)
    names = tuple("0123456789")

    def load(argument: str | None, folder: Path | None) -> ImageDataset:
        return ImageDataset("svhn", "svhn", names, labels, partition, ArrayStore(lambda: pixels), verified=True)

    monkeypatch.setattr("bench.bank.source.cpu_count", lambda: 1)  # banks this small are not worth more threads
    monkeypatch.setattr("bench.datasets.svhn.svhn", load)
    monkeypatch.setitem(protocol.POOL, "svhn", 40)
    monkeypatch.setattr(availability, "find_data", lambda source, folder: (folder, f"found in {folder}"))


class Spread(Policy):
    """Leaves at the first exit where λ >= 3, else at the last."""

    def __init__(self, lam: float, width: int) -> None:
        super().__init__()
        self.early, self.probe = lam >= 3, torch.nn.Linear(width, 10)
        torch.nn.init.eye_(self.probe.weight)
        torch.nn.init.zeros_(self.probe.bias)

    def head(self, k: int, features: torch.Tensor, previous: Sequence[torch.Tensor]) -> torch.Tensor:
        return features if features.shape[-1] == 10 else self.probe(features)

    def leave(self, k: int, logits: torch.Tensor) -> torch.Tensor:
        return torch.full((len(logits),), self.early)

    def macs(self, k: int) -> int:
        return 1000


class FakeMethod:
    """Stands for a method with a curve, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, tuple[float, ...]]] = []

    def curve(self, task: Task, lam: Sequence[float]) -> list[Policy]:
        self.asked.append((task.seed, tuple(lam)))
        return [Spread(x, task.train.features[0].shape[1]) for x in lam]


@pytest.fixture
def method() -> FakeMethod:
    return FakeMethod()


@pytest.fixture
def command(tmp_path) -> Callable[..., Result]:
    """Run `reproduce …` in this process."""
    app = typer.Typer()
    app.command()(guarded(reproduce))

    def run(*words: object) -> Result:
        return CliRunner().invoke(app, list(map(str, words)))

    return run
