"""Opening a bank: tasks, the frozen head, and what never reaches a method."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import bench.bank
from bench import costs, heads, protocol
from bench.bank import probe
from bench.bank.bank import Bank
from bench.bank.build import build as build_plan
from bench.bank.plan import Plan
from bench.errors import UserError
from bench.protocol import Splits
from tests.helpers.banks import FakeBackbone, FakeImages, build, splits


def test_task_is_train_and_val_of_the_seed(bank: Bank) -> None:
    task, (cal, test) = bank.task(3), bank.held_out(3)
    val_rows, cal_rows = protocol.halves(bank.labels("pool"), 3)
    assert (len(task.train), len(task.val), len(cal), len(test)) == (60, len(val_rows), len(cal_rows), 30)
    np.testing.assert_array_equal(task.val.labels, bank.labels("pool")[val_rows])
    np.testing.assert_array_equal(cal.labels, bank.labels("pool")[cal_rows])
    np.testing.assert_allclose(task.val.features[1], bank.features("pool", 1)[val_rows])
    assert [f.shape[1] for f in task.train.features] == [4, 6]
    assert all(f.dtype == torch.float32 for f in task.train.features)
    assert (task.macs, task.num_classes, task.seed) == (bank.manifest.macs, 3, 3)
    weight, bias = bank.final_head(3)
    final = torch.from_numpy(bank.features("test", 2).astype(np.float32))
    torch.testing.assert_close(test.final_logits, final @ weight.T + bias)


def test_rows_are_given_in_the_order_asked(bank: Bank) -> None:
    whole, part = (
        bank.exit_data("test", head=bank.final_head(0)),
        bank.exit_data("test", [5, 2, 9], head=bank.final_head(0), dtype=torch.float64),
    )
    torch.testing.assert_close(part.features[0], whole.features[0][[5, 2, 9]].double())
    torch.testing.assert_close(part.final_logits, whole.final_logits[[5, 2, 9]].double(), rtol=1e-5, atol=1e-5)
    assert torch.equal(part.labels, whole.labels[[5, 2, 9]])


def test_manifest_says_what_the_bank_is(bank: Bank, images: FakeImages, backbone: FakeBackbone) -> None:
    m = bank.manifest
    assert (m.dataset, m.dataset_digest, m.backbone, m.image_size) == ("fake", images.digest, "two-convs", 16)
    assert (m.protocol, m.seen, m.limit, m.dtype, m.views) == ("v1", False, None, "float16", 0)
    assert m.sizes == {"train": 60, "pool": 30, "test": 30}
    assert sum(m.train_class_counts) == 60
    assert m.macs == tuple(costs.backbone_macs(backbone, 16))
    assert m.head == "probe"
    assert len(m.l2) == 8
    assert list(m.l2) == sorted(m.l2, reverse=True)
    assert json.loads((bank.path / "manifest.json").read_text())["libraries"]["torch"]


def test_probe_macs_replace_those_of_the_backbones_own_head(images: FakeImages, tmp_path: Path) -> None:
    backbone = FakeBackbone(num_classes=50)
    m = build(images, backbone, splits(images), root=tmp_path).manifest
    assert m.macs[-1] == costs.backbone_macs(backbone, 16)[-1] - 6 * 50 + 6 * 3


def test_own_head_is_left_where_classes_have_another_order(
    images: FakeImages, capsys: pytest.CaptureFixture[str]
) -> None:
    renamed = replace(images, source="cifar10")
    assert not Plan(renamed, FakeBackbone(head_for="cifar10"), splits(renamed)).own_head
    assert "a linear probe replaces the head" in capsys.readouterr().err


def test_own_head_is_kept_where_it_fits(images: FakeImages, tmp_path: Path) -> None:
    backbone = FakeBackbone(head_for="fake")
    bank = build(images, backbone, splits(images), root=tmp_path)
    weight, bias = bank.final_head(0)
    assert bank.manifest.head == "backbone"
    assert torch.equal(weight, backbone.head.weight)
    assert torch.equal(bias, backbone.head.bias)
    assert bank.manifest.macs == tuple(costs.backbone_macs(backbone, 16))


def test_the_networks_own_heads_come_with_the_bank_where_they_fit(images: FakeImages, tmp_path: Path) -> None:
    backbone = FakeBackbone(head_for="fake")
    backbone.native = torch.nn.ModuleList([torch.nn.Linear(4, 3), torch.nn.Linear(6, 3, bias=False)])
    bank = build(images, backbone, splits(images), root=tmp_path / "own")
    task = bank.task(0)
    for layer, (weight, bias) in zip(backbone.native, task.native, strict=True):
        assert torch.equal(weight, layer.weight)
        assert torch.equal(bias, torch.zeros(3) if layer.bias is None else layer.bias)
    answers = heads.fit("native", task).logits(task.val)
    torch.testing.assert_close(answers[:, 0], backbone.native[0](task.val.features[0]))
    backbone.head_for = None
    assert build(images, backbone, splits(images), root=tmp_path / "probe").task(0).native is None


def relabel(bank: Bank, target: Path, split: str, positions: np.ndarray) -> Bank:
    """Copy a bank with other labels at some positions, as if it had been built so."""
    import shutil

    from bench.bank.manifest import digest_of, file_digest

    shutil.copytree(bank.path, target)
    labels = np.load(target / f"{split}.labels.npy")
    labels[positions] = (labels[positions] + 1) % 3
    np.save(target / f"{split}.labels.npy", labels)
    body = json.loads((target / "manifest.json").read_text())
    del body["checksum"]
    body["files"][f"{split}.labels.npy"]["xxh3_128"] = file_digest(target / f"{split}.labels.npy")
    (target / "manifest.json").write_text(json.dumps({**body, "checksum": digest_of(body)}))
    return Bank.open(target)


def test_head_choice_looks_at_val_alone(bank: Bank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    halves = {seed: bank.roles(seed)[2:] for seed in range(8)}
    monkeypatch.setattr(protocol, "halves", lambda labels, seed: halves[seed])
    test_changed = relabel(bank, tmp_path / "test", "test", np.arange(30))
    for seed, (_, cal) in halves.items():
        assert torch.equal(test_changed.final_head(seed)[0], bank.final_head(seed)[0])
        cal_changed = relabel(bank, tmp_path / f"cal{seed}", "pool", cal)
        assert torch.equal(cal_changed.final_head(seed)[0], bank.final_head(seed)[0])
    val_changed = [relabel(bank, tmp_path / f"val{s}", "pool", v).final_head(s)[0] for s, (v, _) in halves.items()]
    assert not all(torch.equal(w, bank.final_head(seed)[0]) for seed, w in enumerate(val_changed))
    flattest = load_file(bank.path / "head.safetensors")["weight"][0]
    assert all(torch.equal(w, flattest) for w in val_changed)  # wrong labels: the flattest head is the least wrong


def test_a_method_sees_nothing_of_cal_and_test(bank: Bank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    halves = bank.roles(0)[2:]
    monkeypatch.setattr(protocol, "halves", lambda labels, seed: halves)
    changed = relabel(relabel(bank, tmp_path / "a", "pool", halves[1]), tmp_path / "b", "test", np.arange(30))
    before, after = bank.task(0), changed.task(0)
    for one, two in ((before.train, after.train), (before.val, after.val)):
        assert torch.equal(one.labels, two.labels)
        assert torch.equal(one.final_logits, two.final_logits)


def test_seeds_draw_their_own_pools_and_fit_the_frozen_head_on_what_is_left(tmp_path: Path) -> None:
    images = FakeImages.random(240)
    order = np.argsort(images.keys, kind="stable")
    pool = tuple(np.bincount(images.labels[order[:40]], minlength=3).tolist())
    train = tuple(np.bincount(images.labels[order[40:200]], minlength=3).tolist())
    rows = Splits(order[:200], order[:0], order[200:], "v2", None, pool, train)
    bank = build_plan(Plan(images, FakeBackbone(), rows), tmp_path)
    assert bank.manifest.sizes == {"train": 200, "test": 40} and len(bank.task(0).train) == 160
    assert Plan(images, FakeBackbone(), replace(rows, pool_counts=train)).digest != bank.digest
    seen = []
    for seed in (0, 1):
        task, (cal, test), roles = bank.task(seed), bank.held_out(seed), bank.roles(seed)
        assert sorted([*roles.train, *roles.val, *roles.cal]) == list(range(200)) and (len(cal), len(test)) == (20, 40)
        np.testing.assert_allclose(task.train.features[0], bank.features("train", 0)[roles.train], rtol=1e-6)
        np.testing.assert_array_equal(task.val.labels, bank.labels("train")[roles.val])
        weights, biases = probe.fit(bank.features("train", 2)[roles.train], task.train.labels.numpy(), 3)
        weight, bias = bank.final_head(seed)
        assert any(torch.equal(weight, w) and torch.equal(bias, b) for w, b in zip(weights, biases, strict=True))
        seen.append(weight)
    assert not torch.equal(*seen)


def test_a_seeds_train_split_on_disk_holds_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = FakeImages.random(120)
    rows = Splits(np.arange(100), np.arange(0), np.arange(100, 120), "v2", None, (6, 6, 6), (20, 20, 20))
    bank = build_plan(Plan(images, FakeBackbone(), rows), tmp_path)
    resident = bank.task(2).train
    monkeypatch.setattr("bench.bank.bank.RESIDENT", 0)
    on_disk = bank.task(2).train
    assert on_disk.on_disk and torch.equal(on_disk.labels, resident.labels)
    for k in range(3):
        assert torch.equal(on_disk.batch(k, slice(5, 60)), resident.batch(k, slice(5, 60)))
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == [".exitbench-output"]


def test_wrong_questions(bank: Bank) -> None:
    with pytest.raises(UserError, match="Valid"):
        bank.exit_data("val", head=bank.final_head(0))


def test_lazy_open(bank: Bank) -> None:
    assert bench.bank.open(str(bank.path)).digest == bank.digest
