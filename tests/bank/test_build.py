"""Building: contents, order, identity, memory, and what is refused."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.bank.bank import Bank
from bench.bank.build import build as build_plan
from bench.bank.ensure import ensure
from bench.bank.plan import Plan
from bench.errors import UserError
from bench.inputs.images import Transform
from tests.helpers.banks import FakeBackbone, FakeImages, assert_same_arrays, build, find, splits


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
    from bench.inputs.images import square

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
    if "precision" in options:
        assert any((fast.features("test", k) != bank.features("test", k)).any() for k in range(3))
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
    assert one.exit_data("train", head=one.final_head(0), view=2).features[0].shape == (60, 4)
    with pytest.raises(UserError, match="no view 3"):
        one.exit_data("train", head=one.final_head(0), view=3)
    with pytest.raises(UserError, match="no view 1 of test"):
        one.exit_data("test", head=one.final_head(0), view=1)


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
    with pytest.raises(UserError, match=r"needs \d+ kB, and .* has 0 kB free"):
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


@pytest.mark.slow
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
