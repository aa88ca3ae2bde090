"""Banks on disk: damage is found and named, lists and pruning are right."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest
from filelock import FileLock

from bench.bank.bank import Bank
from bench.bank.store import bank_paths, list_banks, lock_file, named, prune, remove, survey, verify
from bench.errors import BankError, UserError
from tests.helpers.banks import FakeBackbone, FakeImages, build, find, splits

FILES = ["train.exit0.npy", "pool.final.npy", "test.labels.npy", "rows.npz", "head.safetensors"]


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(bytes(data))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", [flip, cut, Path.unlink])
def test_damage_is_named_and_the_bank_not_used(
    bank: Bank, images: FakeImages, backbone: FakeBackbone, name: str, damage
) -> None:
    damage(bank.path / name)
    root = bank.path.parent
    with pytest.raises(BankError, match=rf"{name}.*bench bank prune.*bench bank build"):
        Bank.open(bank.path)
    with pytest.raises(BankError, match=name):
        find(images, backbone, splits(images), root=root)
    with pytest.raises(BankError, match=name):
        build(images, backbone, splits(images), root=root)
    (problem,) = verify(bank.path)
    assert name in problem
    removed, freed = prune(root)
    assert list(removed) == [bank.path]
    assert freed > 0
    assert build(images, backbone, splits(images), root=root).digest == bank.digest


def test_a_sound_bank_is_sound(bank: Bank) -> None:
    assert verify(bank.path) == []
    assert prune(bank.path.parent) == ({}, 0)
    assert bank.path.is_dir()


def test_damage_after_the_first_opening_is_seen(bank: Bank) -> None:
    Bank.open(bank.path)
    path = bank.path / "test.exit1.npy"
    flip(path)
    os.utime(path, ns=(1, 1))
    with pytest.raises(BankError, match=r"test\.exit1\.npy"):
        Bank.open(bank.path)


def test_an_unchanged_bank_is_read_once_per_process(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.bank import store

    def refuse(path: Path) -> str:
        raise AssertionError(f"{path} was read again")

    Bank.open(bank.path)
    monkeypatch.setattr(store, "file_digest", refuse)
    Bank.open(bank.path)


def test_an_edited_manifest(bank: Bank) -> None:
    path = bank.path / "manifest.json"
    path.write_text(path.read_text().replace('"dataset": "fake"', '"dataset": "real"'))
    with pytest.raises(BankError, match=r"manifest\.json does not match its own checksum"):
        Bank.open(bank.path)


@pytest.mark.parametrize("text", ["", "{}", "[1]", "not json", '{"schema": 1}'])
def test_an_unreadable_manifest(bank: Bank, text: str) -> None:
    (bank.path / "manifest.json").write_text(text)
    with pytest.raises(BankError, match=r"manifest\.json"):
        Bank.open(bank.path)


def test_another_schema(bank: Bank) -> None:
    path = bank.path / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema": 99}))
    with pytest.raises(BankError, match="schema 99"):
        Bank.open(bank.path)


def test_a_foreign_manifest(bank: Bank, images: FakeImages, backbone: FakeBackbone) -> None:
    other_images = FakeImages.random(seed=5)
    other = build(other_images, backbone, splits(other_images), root=bank.path.parent)
    shutil.copy(other.path / "manifest.json", bank.path / "manifest.json")
    with pytest.raises(BankError, match="checksum differs"):
        Bank.open(bank.path)


def test_a_foreign_bank_under_this_name(bank: Bank, images: FakeImages, backbone: FakeBackbone) -> None:
    other_images = FakeImages.random(seed=5)
    other = build(other_images, backbone, splits(other_images), root=bank.path.parent)
    shutil.rmtree(bank.path)
    shutil.copytree(other.path, bank.path)
    with pytest.raises(BankError, match="contains another bank"):
        find(images, backbone, splits(images), root=bank.path.parent)


def test_a_stranger_among_the_files(bank: Bank) -> None:
    (bank.path / "train.exit9.npy").write_bytes(b"")
    with pytest.raises(BankError, match=r"train\.exit9\.npy does not belong"):
        Bank.open(bank.path)


def interrupted(root: Path, images: FakeImages) -> Path:
    """Leave an unfinished bank behind."""

    def stop(done: int, total: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(images, FakeBackbone(), splits(images), root=root, views=1, progress=stop)
    (partial,) = root.glob("*.partial")
    return partial


def test_lists(bank: Bank, images: FakeImages) -> None:
    root = bank.path.parent
    partial = interrupted(root, images)
    (root / "somebody's folder").mkdir()
    (found,) = list_banks(root)
    assert (found.path, found.state, found.digest) == (bank.path, "ok", bank.digest)
    assert found.bytes > bank.manifest.bytes > 0
    assert {f.path: f.state for f in survey(root)} == {bank.path: "ok", partial: "partial"}
    assert bank_paths(root) == [bank.path]
    cut(bank.path / "train.exit0.npy")
    assert list_banks(root)[0].state == "broken"
    (bank.path / "manifest.json").unlink()
    assert list_banks(root) == []
    assert bank_paths(root) == [bank.path]
    assert list_banks(root / "nowhere") == []


def test_prune_removes_the_unfinished_and_leaves_strangers(bank: Bank, images: FakeImages) -> None:
    root = bank.path.parent
    partial = interrupted(root, images)
    stranger = root / "somebody's folder"
    stranger.mkdir()
    assert prune(root, dry_run=True)[0] == {partial: "unfinished"}
    assert partial.is_dir()
    removed, freed = prune(root)
    assert removed == {partial: "unfinished"}
    assert freed > 0
    assert not partial.exists()
    assert bank.path.is_dir()
    assert stranger.is_dir()


def test_prune_leaves_a_bank_that_is_being_built(bank: Bank, images: FakeImages) -> None:
    partial = interrupted(bank.path.parent, images)
    with FileLock(lock_file(partial.with_suffix(""))):
        assert prune(partial.parent)[0] == {}
    assert partial.is_dir()


def test_prune_by_age_and_everything(bank: Bank) -> None:
    root, day = bank.path.parent, 86400
    os.utime(bank.path / "manifest.json", (time.time() - 10 * day,) * 2)
    assert prune(root, unused_days=11, dry_run=True)[0] == {}
    assert prune(root, unused_days=9, dry_run=True)[0] == {bank.path: "not opened for 10 days"}
    Bank.open(bank.path)
    assert prune(root, unused_days=9, dry_run=True)[0] == {}
    assert list(prune(root, everything=True)[0]) == [bank.path]
    assert not bank.path.exists()


def test_one_bank_is_removed_by_its_name(bank: Bank, images: FakeImages) -> None:
    root = bank.path.parent
    partial = interrupted(root, images)
    assert named(bank.digest[:12], root).path == named(bank.path.name, root).path == bank.path
    assert named(partial.name, root).path == partial
    size = remove(bank.digest[:12], root, dry_run=True).bytes
    assert bank.path.is_dir() and size > bank.manifest.bytes
    cut(bank.path / "train.exit0.npy")
    assert remove(bank.path.name, root).bytes == size - 5
    assert [found.path for found in survey(root)] == [partial]
    with pytest.raises(UserError, match=r"no bank.*Did you mean.*bench bank list"):
        remove(bank.path.name, root)


@pytest.fixture
def folder(bank: Bank, tmp_path: Path) -> Path:
    """A folder of banks, with the bank alone."""
    (tmp_path / "banks").mkdir()
    return bank.path.rename(tmp_path / "banks" / bank.path.name).parent


@pytest.mark.parametrize("name", ["..", ".", "", "../outside", "{path}", "{path}/..", "{short}"])
def test_nothing_but_a_bank_of_the_folder_is_removed(bank: Bank, folder: Path, tmp_path: Path, name: str) -> None:
    path, outside = folder / bank.path.name, tmp_path / "outside"
    shutil.copytree(path, outside)
    with pytest.raises(UserError):
        remove(name.format(path=path, short=bank.digest[:3]), folder)
    assert path.is_dir() and outside.is_dir()


def test_a_link_to_another_place_and_a_bank_that_is_being_built_stay(bank: Bank, folder: Path, tmp_path: Path) -> None:
    path = folder / bank.path.name
    outside = path.rename(tmp_path / "outside")
    path.symlink_to(outside)
    with pytest.raises(UserError, match="is a link"):
        remove(path.name, folder)
    assert path.is_symlink() and (outside / "manifest.json").is_file()
    path.unlink()
    outside.rename(path)
    with FileLock(lock_file(path)), pytest.raises(UserError, match="is being built"):
        remove(path.name, folder)
    assert path.is_dir()
