"""Building: contents, order, identity, resume, two at once, and what is refused."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.bank import build as building
from bench.bank.bank import Bank
from bench.bank.build import build as build_plan
from bench.bank.ensure import ensure
from bench.bank.plan import Plan
from bench.bank.transform import Transform
from bench.errors import UserError
from tests.helpers.banks import FakeBackbone, FakeImages, build, find, splits
from tests.helpers.paths import ROOT


def contents(bank: Bank) -> dict[str, np.ndarray]:
    """All feature and label arrays of a bank."""
    return {p.name: np.load(p) for p in sorted(bank.path.glob("*.npy"))}


def assert_same_arrays(one: Bank, two: Bank) -> None:
    a, b = contents(one), contents(two)
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_allclose(a[name], b[name], atol=2e-3, rtol=1e-3, err_msg=name)


def test_features_are_the_backbones(bank: Bank, images: FakeImages, backbone: FakeBackbone) -> None:
    expected_rows = splits(images)
    for split in ("train", "pool", "test"):
        rows = getattr(expected_rows, split)
        pixels = torch.from_numpy(np.stack([images.images[r] for r in rows]))
        with torch.no_grad():
            expected = backbone.features(Transform.of(backbone)(pixels))
        for k in range(3):
            stored = bank.features(split, k)
            assert stored.dtype == np.float16
            np.testing.assert_allclose(stored, expected[k].numpy(), atol=1e-3)
        np.testing.assert_array_equal(bank.labels(split), images.labels[rows])
        np.testing.assert_array_equal(bank.rows(split), rows)
        np.testing.assert_array_equal(bank.keys(split), images.keys[rows])


def test_every_image_goes_through_once(bank: Bank, backbone: FakeBackbone, images: FakeImages) -> None:
    assert backbone.images_seen == 120
    assert images.largest_read <= 16


def test_storage_order_changes_nothing(bank: Bank, images: FakeImages, backbone: FakeBackbone, tmp_path: Path) -> None:
    other = images.shuffled()
    again = build(other, backbone, splits(other), root=tmp_path / "other", batch_size=7)
    assert again.digest == bank.digest
    assert not np.array_equal(again.rows("train"), bank.rows("train"))
    assert_same_arrays(bank, again)


def test_mixed_sizes(tmp_path: Path, backbone: FakeBackbone) -> None:
    images = FakeImages.random(40, sides=(9, 14, 23, 31))
    small = build(images, backbone, splits(images), root=tmp_path / "a", batch_size=3, views=1)
    large = build(images, backbone, splits(images), root=tmp_path / "b", batch_size=40, views=1)
    assert_same_arrays(small, large)
    row = int(small.rows("test")[2])
    from bench.bank.transform import square

    expected = backbone.features(Transform.of(backbone)(torch.from_numpy(square(images.images[row]).copy())[None]))[1]
    np.testing.assert_allclose(small.features("test", 1)[2], expected[0].detach().numpy(), atol=1e-3)


def test_float32_is_exact_and_float16_is_half_the_size(bank: Bank, images: FakeImages, tmp_path: Path) -> None:
    exact = build(images, FakeBackbone(), splits(images), root=tmp_path, dtype="float32")
    assert exact.digest != bank.digest
    assert exact.features("train", 0).dtype == np.float32
    assert np.abs(exact.features("train", 0) - bank.features("train", 0)).max() > 0
    assert_same_arrays(exact, bank)


@pytest.mark.parametrize(
    ("compute", "options"),
    [
        ({"precision": "bfloat16"}, {"precision": "bfloat16"}),
        ({"memory_format": "channels_last"}, {"channels_last": True}),
        ({"precision": "bfloat16", "memory_format": "channels_last"}, {"precision": "bfloat16", "channels_last": True}),
    ],
)
def test_faster_arithmetic_is_part_of_a_banks_identity(
    bank: Bank, images: FakeImages, tmp_path: Path, compute: dict, options: dict
) -> None:
    backbone = FakeBackbone()
    fast = build_plan(Plan(images, backbone, splits(images), **options), tmp_path)
    assert fast.digest != bank.digest
    assert Bank.open(fast.path).manifest.compute == compute
    assert bank.manifest.compute == {}
    assert "compute" not in json.loads((bank.path / "manifest.json").read_text())
    for split in ("train", "pool", "test"):
        for k in range(3):
            np.testing.assert_allclose(fast.features(split, k), bank.features(split, k), atol=0.05)
    rounded = any((fast.features("test", k) != bank.features("test", k)).any() for k in range(3))
    assert rounded == ("precision" in options)
    assert backbone.first.weight.is_contiguous()


def test_overflow_names_the_remedy(images: FakeImages, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="dtype float32"):
        build(images, FakeBackbone(scale=1e6), splits(images), root=tmp_path)
    build(images, FakeBackbone(scale=1e6), splits(images), root=tmp_path, dtype="float32")


def test_not_finite_is_refused(images: FakeImages, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not finite"):
        build(images, FakeBackbone(scale=float("nan")), splits(images), root=tmp_path, dtype="float32")
    assert find(images, FakeBackbone(), splits(images), root=tmp_path, dtype="float32") is None


def test_wrong_declared_width(images: FakeImages, tmp_path: Path) -> None:
    backbone = FakeBackbone()
    backbone.feature_dims = (4, 5)
    with pytest.raises(UserError, match="declares the widths"):
        build(images, backbone, splits(images), root=tmp_path)


def test_views_are_stored_and_deterministic(images: FakeImages, tmp_path: Path) -> None:
    one = build(images, FakeBackbone(), splits(images), root=tmp_path / "a", views=2, batch_size=16)
    other = images.shuffled()
    two = build(other, FakeBackbone(), splits(other), root=tmp_path / "b", views=2, batch_size=50)
    assert_same_arrays(one, two)
    clean, first, second = (one.features("train", 0, view) for view in range(3))
    assert not np.allclose(clean, first, atol=1e-3)
    assert not np.allclose(first, second, atol=1e-3)
    assert one.exit_data("train", head=0, view=2).features[0].shape == (60, 4)
    with pytest.raises(UserError, match="no view 3"):
        one.exit_data("train", head=0, view=3)
    with pytest.raises(UserError, match="no view 1 of test"):
        one.exit_data("test", head=0, view=1)


def test_digest_follows_what_decides_the_contents(images: FakeImages, backbone: FakeBackbone) -> None:
    rows = splits(images)
    base = Plan(images, backbone, rows)
    changed_pixel = FakeImages([i.copy() for i in images.images], images.labels)
    changed_pixel.images[0][0, 0, 0] ^= 1
    relabelled = FakeImages(images.images, (images.labels + 1) % 3)
    other_weights, larger, renamed_exits = FakeBackbone(), FakeBackbone(size=20), FakeBackbone()
    other_weights.weights_digest = "others"
    renamed_exits.exit_names = ("a", "b", "head")
    plans = [
        Plan(changed_pixel, backbone, rows),
        Plan(relabelled, backbone, rows),
        Plan(images, backbone, dataclasses.replace(rows, train=rows.train[:-1])),
        Plan(images, backbone, dataclasses.replace(rows, train=rows.train[::-1].copy())),
        Plan(images, backbone, dataclasses.replace(rows, protocol="v1-seen")),
        Plan(images, backbone, dataclasses.replace(rows, limit=60)),
        Plan(images, other_weights, rows),
        Plan(images, larger, rows),
        Plan(images, renamed_exits, rows),
        Plan(images, backbone, rows, dtype="float32"),
        Plan(images, backbone, rows, views=1),
        Plan(images, backbone, rows, precision="bfloat16"),
        Plan(images, backbone, rows, channels_last=True),
        Plan(images, backbone, rows, precision="bfloat16", channels_last=True),
        Plan(images, FakeBackbone(head_for="fake"), rows),
    ]
    digests = [base.digest, *(plan.digest for plan in plans)]
    assert len(set(digests)) == len(digests)
    assert Plan(images.shuffled(), backbone, splits(images.shuffled())).digest == base.digest


def test_a_built_bank_is_found_and_not_built_again(bank: Bank, images: FakeImages, tmp_path: Path) -> None:
    fresh = FakeBackbone()
    assert find(images, fresh, splits(images), root=tmp_path).path == bank.path
    assert ensure(Plan(images, fresh, splits(images)), tmp_path, batch_size=5).digest == bank.digest
    assert fresh.images_seen == 0
    assert find(images, fresh, splits(images), root=tmp_path, views=1) is None


@pytest.mark.parametrize("options", [{"precision": "float8"}, {"dtype": "int8"}, {"views": -1}])
def test_bad_plans(images: FakeImages, backbone: FakeBackbone, options: dict) -> None:
    with pytest.raises(UserError):
        Plan(images, backbone, splits(images), **options)


@pytest.mark.parametrize("options", [{"batch_size": 0}, {"batch_size": -1}])
def test_bad_options(images: FakeImages, backbone: FakeBackbone, tmp_path: Path, options: dict) -> None:
    with pytest.raises(UserError):
        build(images, backbone, splits(images), root=tmp_path, **options)


def test_no_space_is_said_before_anything_is_computed(
    images: FakeImages, backbone: FakeBackbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(UserError, match=r"needs 0\.00 MB, and .* has 0\.00 MB free"):
        build(images, backbone, splits(images), root=tmp_path)
    assert backbone.images_seen == 0
    assert not list(tmp_path.glob("*.partial"))


def test_a_root_that_is_a_file(images: FakeImages, backbone: FakeBackbone, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="give another folder"):
        build(images, backbone, splits(images), root=tmp_path / "file")


def test_progress_counts_images(images: FakeImages, backbone: FakeBackbone, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    build(images, backbone, splits(images), root=tmp_path, batch_size=25, progress=lambda *p: seen.append(p))
    assert seen[0] == (0, 120)
    assert seen[-1] == (120, 120)
    assert [d for d, _ in seen] == sorted({d for d, _ in seen})


CHILD = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
sys.path.insert(0, {tests!r})
from tests.helpers.banks import FakeBackbone, FakeImages, build, find, splits
images, backbone = FakeImages.random(), FakeBackbone()
backbone.log, backbone.pause = Path({log!r}), {pause}
build(images, backbone, splits(images), root=Path({root!r}), batch_size=8, views=1, checkpoint_seconds=0)
"""


def child(tmp_path: Path, log: Path, pause: float) -> subprocess.Popen[bytes]:
    code = CHILD.format(tests=str(ROOT), log=str(log), root=str(tmp_path), pause=pause)
    return subprocess.Popen([sys.executable, "-c", code])


def finished(root: Path) -> int:
    """How many images the unfinished bank in a folder says it has."""
    flags = [f for p in root.glob("*.partial") if (p / "partial.json").exists() for f in p.glob("*.done.npy")]
    return sum(np.count_nonzero(np.load(f)) for f in flags)


def test_a_killed_build_goes_on_where_it_was(images: FakeImages, tmp_path: Path) -> None:
    log = tmp_path / "calls"
    process = child(tmp_path, log, pause=0.2)
    while finished(tmp_path) < 16:
        assert process.poll() is None, "the build was over before it could be killed"
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
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
    assert [p.wait() for p in processes] == [0, 0]
    assert sum(map(int, log.read_text().split())) == 60 * 2 + 60
    assert find(images, FakeBackbone(), splits(images), root=tmp_path, views=1) is not None


def test_memory_stays_within_a_few_batches(tmp_path: Path) -> None:
    import tracemalloc

    class Endless(FakeImages):
        """Images that exist only while they are looked at."""

        native_size = 64

        @property
        def keys(self) -> np.ndarray:
            return np.array([b"%08d" % i for i in range(len(self.labels))])

        def read(self, rows: np.ndarray) -> list[np.ndarray]:
            return [np.full((64, 64, 3), r % 251, np.uint8) for r in rows]

    count = 4000
    images = Endless([], np.arange(count) % 3)
    backbone = FakeBackbone(size=64)
    rows = splits(images)
    Plan(images, backbone, rows).digest  # noqa: B018
    few = Endless([], np.arange(30) % 3)
    build(few, FakeBackbone(size=64), splits(few), root=tmp_path, batch_size=16)  # first imports are not the build's
    tracemalloc.start()
    build(images, backbone, rows, root=tmp_path, batch_size=16)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count * 64 * 64 * 3 > 40e6  # what all images would take
    assert peak < 20e6
