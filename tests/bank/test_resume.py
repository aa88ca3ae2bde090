"""A build that is killed, interrupted, damaged or started twice goes on or starts anew, and gives the same bank."""

from __future__ import annotations

import errno
import os
import threading
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import pytest

from bench.bank import build as building
from bench.errors import UserError
from bench.executors.child import process_context
from tests.helpers.banks import FakeBackbone, FakeImages, assert_same_arrays, build, build_slowly, find, splits


def child(tmp_path: Path, log: Path, pause: float) -> BaseProcess:
    process = process_context().Process(target=build_slowly, args=(tmp_path, log, pause))
    process.start()
    return process


def finished(root: Path) -> int:
    """How many images the unfinished bank in a folder says it has."""
    flags = [f for p in root.glob("*.partial") if (p / "partial.json").exists() for f in p.glob("*.done.npy")]
    return sum(np.count_nonzero(np.load(f)) for f in flags)


@pytest.mark.slow
def test_a_killed_build_goes_on_where_it_was(images: FakeImages, tmp_path: Path) -> None:
    log = tmp_path / "calls"
    process = child(tmp_path, log, pause=0.5)
    while finished(tmp_path) < 16:
        assert process.exitcode is None, "the build was over before it could be killed"
        time.sleep(0.02)
    process.kill()
    process.join()
    done = finished(tmp_path)
    assert 16 <= done < 60
    assert find(images, FakeBackbone(), splits(images), root=tmp_path, views=1) is None
    backbone, seen = FakeBackbone(), []
    resumed = build(
        images, backbone, splits(images), root=tmp_path, batch_size=8, views=1, progress=lambda d, t: seen.append(d)
    )
    assert seen[0] == done
    assert backbone.images_seen == 2 * (60 - done) + 60  # train has two views, and comes first
    whole = build(images, FakeBackbone(), splits(images), root=tmp_path / "whole", batch_size=8, views=1)
    assert_same_arrays(resumed, whole)
    assert not list(tmp_path.glob("*.partial"))


def test_an_interrupted_build_loses_nothing_that_was_written(images: FakeImages, tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done >= 60:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(images, FakeBackbone(), splits(images), root=tmp_path, batch_size=10, progress=stop)
    backbone = FakeBackbone()
    build(images, backbone, splits(images), root=tmp_path, batch_size=10)
    assert backbone.images_seen == 60


def _stopped(images: FakeImages, root: Path) -> Path:
    """Return a build of which all rows were written when it was stopped."""

    def stop(done: int, total: int) -> None:
        if done == total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(images, FakeBackbone(), splits(images), root=root, batch_size=10, progress=stop)
    return next(root.glob("*.partial"))


CHANGES = {
    "one value": lambda array: array.__setitem__((3, 0), array[3, 0] + 1),
    "two rows exchanged": lambda array: array.__setitem__([3, 4], array[[4, 3]]),
    "a block of zeros": lambda array: array.__setitem__(slice(3, 5), 0),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", ["train.exit0.npy", "train.final.npy", "test.exit1.npy"])
def test_changed_rows_of_a_partial_are_computed_again(
    images: FakeImages, tmp_path: Path, name: str, change: str
) -> None:
    array = np.load(_stopped(images, tmp_path) / name, mmap_mode="r+")
    CHANGES[change](array)
    array.flush()
    backbone = FakeBackbone()
    resumed = build(images, backbone, splits(images), root=tmp_path, batch_size=10)
    assert backbone.images_seen == (1 if change == "one value" else 2)
    assert_same_arrays(resumed, build(images, FakeBackbone(), splits(images), root=tmp_path / "whole"))


@pytest.mark.parametrize("name", ["train.exit0.npy", "pool.done.npy", "partial.json"])
def test_a_pipe_in_a_partial_does_not_hang(images: FakeImages, tmp_path: Path, name: str) -> None:
    file = _stopped(images, tmp_path) / name
    file.unlink()
    os.mkfifo(file)
    backbone = FakeBackbone()
    build(images, backbone, splits(images), root=tmp_path, batch_size=10)
    assert backbone.images_seen == 120


@pytest.mark.parametrize("where", ["labels", "rows", "manifest", "lock", "arrays"])
def test_a_full_disk_is_a_sentence_and_the_next_start_goes_on(
    images: FakeImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    places = {"labels": (np, "save"), "rows": (np, "savez"), "manifest": (building, "write_text")}
    places |= {"lock": (building.FileLock, "__enter__"), "arrays": (os, "posix_fallocate")}
    with monkeypatch.context() as patch:
        patch.setattr(*places[where], full)
        with pytest.raises(UserError, match=r"cannot be written .*No space left on device"):
            build(images, FakeBackbone(), splits(images), root=tmp_path, batch_size=10)
    assert not [path for path in tmp_path.rglob("*") if path.name.endswith((".tmp", ".removed"))]
    backbone = FakeBackbone()
    build(images, backbone, splits(images), root=tmp_path, batch_size=10)
    assert backbone.images_seen == (120 if where in ("lock", "arrays") else 0)


def test_a_damaged_partial_is_started_again(
    images: FakeImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("stop here")

    with monkeypatch.context() as patch:
        patch.setattr(building, "_describe", fail)
        with pytest.raises(RuntimeError, match="stop here"):
            build(images, FakeBackbone(), splits(images), root=tmp_path)
    (partial,) = tmp_path.glob("*.partial")
    (partial / "train.exit0.npy").write_bytes(b"not an array")
    backbone = FakeBackbone()
    bank = build(images, backbone, splits(images), root=tmp_path)
    assert backbone.images_seen == 120
    assert np.abs(bank.features("train", 0)).max() > 0


def test_features_are_not_computed_again_after_a_failed_finish(
    images: FakeImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("stop here")

    for place in ("_describe", "_publish"):
        root = tmp_path / place
        with monkeypatch.context() as patch:
            patch.setattr(building, place, fail)
            with pytest.raises(RuntimeError, match="stop here"):
                build(images, FakeBackbone(), splits(images), root=root)
        backbone = FakeBackbone()
        build(images, backbone, splits(images), root=root)
        assert backbone.images_seen == 0


def test_of_two_builders_one_builds(images: FakeImages, tmp_path: Path) -> None:
    backbones, banks = [FakeBackbone(), FakeBackbone()], []

    def work(backbone: FakeBackbone) -> None:
        backbone.pause = 0.01
        banks.append(build(images, backbone, splits(images), root=tmp_path, batch_size=8))

    threads = [threading.Thread(target=work, args=(b,)) for b in backbones]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({bank.path for bank in banks}) == 1
    assert sorted(b.images_seen for b in backbones) == [0, 120]


@pytest.mark.slow
def test_two_builder_processes(images: FakeImages, tmp_path: Path) -> None:
    log = tmp_path / "calls"
    processes = [child(tmp_path, log, pause=0.01) for _ in range(2)]
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert sum(map(int, log.read_text().split())) == 60 * 2 + 60
    assert find(images, FakeBackbone(), splits(images), root=tmp_path, views=1) is not None
