"""A pipe or a device where a file should be: refused or passed over, never waited for."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench import backbones, datasets
from bench.bank import manifest, store
from bench.datasets import digests, fashion_mnist
from bench.errors import UserError
from bench.report import state
from bench.system import recall
from bench.trials import store as trials
from bench.trials.published import PublishedStore
from bench.trials.rescore import rescore_file
from bench.tune import history
from tests.helpers import records as make


@pytest.fixture(autouse=True)
def patience() -> Iterator[None]:
    """Let a reader that waits fail after some seconds."""

    def stop(*_: object) -> None:
        raise AssertionError("it waits")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(8)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def outcomes(path: Path) -> object:
    record = next(record for record in make.records(seeds=(0,), samples=8) if record.outcomes)
    trials.write_record(path.with_suffix(".json"), record)
    found = rescore_file(path.with_suffix(".json"), again=True)
    assert "not a regular file" in found.problem
    return found


def remembered(path: Path) -> object:
    recall._file("x", 1).unlink(missing_ok=True)
    path.rename(recall._file("x", 1))
    assert recall.recall("x", 1) is None
    return None


def weights(path: Path) -> object:
    return backbones.load("cifar_resnet20", num_classes=10, image_size=32, weights=str(path))


def data(name: str) -> Callable[[Path], object]:
    return lambda path: datasets.load(name, data_dir=path.parents[1] if "/" in name else path.parent)


PLACES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "manifest": (manifest.FILE, lambda path: manifest.read_manifest(path.parent)),
    "bank": (manifest.FILE, lambda path: store.verify(path.parent)),
    "record": (f"{'0' * 20}.json", trials.read),
    "working store": (f"{'0' * 20}.json", lambda path: trials.Store(path.parent).records()),
    "published scores": ("scores.parquet", lambda path: PublishedStore(path.parent).records()),
    "outcomes": ("0.npz", outcomes),
    "search": ("s.yaml", history.read),
    "digest cache": ("x.npy", lambda path: digests._open(path, 3)),
    "what is remembered": ("x", remembered),
    "report's list": (state.LIST, lambda path: state.listed(path.parent)),
    "weights": ("w.pth", weights),
    "weights, safetensors": ("w.safetensors", weights),
    "image": ("set/cat/0.png", lambda path: datasets.load(f"folder:{path.parents[1]}")),
    "image without suffix": ("set/cat/0", lambda path: datasets.load(f"folder:{path.parents[1]}")),
    "parquet": ("train-0.parquet", lambda path: datasets.load(f"hf:{path}")),
    "folder of parquet": ("set/train-0.parquet", lambda path: datasets.load(f"hf:{path.parent}")),
    "SVHN": ("train_32x32.mat", lambda path: datasets.load("svhn", data_dir=path.parent)),
    "Fashion-MNIST": ("train-images-idx3-ubyte", lambda path: fashion_mnist._images(path, 2)),
    "Fashion-MNIST's folder": (
        "FashionMNIST/raw/train-images-idx3-ubyte.gz",
        lambda path: datasets.load("fashion_mnist", data_dir=path.parents[2]),
    ),
    "CIFAR": ("cifar-10-batches-py/data_batch_1", lambda path: datasets.load("cifar10", data_dir=path.parents[1])),
    "CIFAR as parquet": ("cifar10/train-0.parquet", lambda path: datasets.load("cifar10", data_dir=path.parents[1])),
}


@pytest.mark.parametrize("kind", ["pipe", "device"])
@pytest.mark.parametrize("name", PLACES)
def test_a_reader_does_not_wait(tmp_path, monkeypatch, name, kind):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for module in ("cifar", "svhn", "fashion_mnist"):
        monkeypatch.setattr(f"bench.datasets.{module}._download", lambda *_: None)
    monkeypatch.setattr(fashion_mnist, "SYSTEM", tmp_path / "system")
    file, read = PLACES[name]
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    if name == "CIFAR as parquet":
        (path.parent / "test-0.parquet").write_bytes(b"")
    try:
        read(path)
    except UserError as error:
        assert str(error).endswith(".")
