from __future__ import annotations

import pytest

from bench.errors import UserError
from bench.reproduce.availability import look
from bench.reproduce.grid import GRID, choose

SVHN = choose("svhn/t2t_vit_7")


def test_what_is_missing_is_named_with_its_place(tmp_path):
    [found] = look(choose("cifar10/t2t_vit_7"), tmp_path)
    assert not found.complete
    assert "CIFAR-10 is not in" in found.data_note
    assert str(tmp_path) in found.data_note
    assert "cifar-10-batches-py/" in found.data_note
    assert "checkpoint_cifar10_t2t_vit_7/ckpt_0.01_0.0005_94.95.pth or cifar10_t2t-vit-7.pth" in found.weights_note
    assert f"{tmp_path}/weights" in found.weights_note


def test_a_missing_data_folder_is_an_error(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        look(GRID, tmp_path / "absent")


@pytest.mark.parametrize("place", ["", "weights"])
def test_checkpoints_are_found_in_the_data_folder_and_its_weights(tmp_path, place):
    path = tmp_path / place / "svhn_t2t-vit-7.pth"
    path.parent.mkdir(exist_ok=True)
    path.touch()
    [found] = look(SVHN, tmp_path)
    assert found.weights == path
    assert str(path) in found.weights_note


def test_the_authors_own_file_is_found_in_the_environments_folder(data_dir, monkeypatch):
    monkeypatch.setenv("BENCH_DATA", str(data_dir))
    by_name = {found.cell.name: found.weights for found in look(GRID, None)}
    assert by_name.pop("svhn/t2t_vit_7") == data_dir / "weights/checkpoint_svhn_t2t_vit_7/ckpt_0.01_0.0005_91.90.pth"
    assert set(by_name.values()) == {None}


def test_one_weight_file_needs_one_cell(tmp_path):
    with pytest.raises(UserError, match="--cells"):
        look(GRID, None, tmp_path / "a.pth")
    with pytest.raises(UserError, match="There is no weight file"):
        look(SVHN, None, tmp_path / "a.pth")


def test_a_damaged_copy_of_the_data_is_missing_and_says_why(tmp_path):
    (tmp_path / "cifar-10-batches-py").mkdir()
    [found] = look(choose("cifar10/t2t_vit_7"), tmp_path)
    assert found.data is None
    assert "Extract the archive again" in found.data_note


@pytest.mark.shared
def test_real_data_is_found_where_it_lies(shared):
    found = look(choose("cifar100/t2t_vit_7,cifar100lt/t2t_vit_14"), shared / "data")
    assert {available.data for available in found} == {shared / "data"}
