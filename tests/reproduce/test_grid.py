from __future__ import annotations

import pytest

from bench.backbones.staged import Origin
from bench.backbones.weights import origin_of
from bench.errors import UserError
from bench.reproduce.grid import GRID, choose
from bench.reproduce.published import points, published
from bench.reproduce.run import method_spec

LAMS = {
    "cifar10/t2t_vit_7": (0.01, 0.1, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 2, 3, 5),
    "cifar10/t2t_vit_14": (0.01, 0.1, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 2, 3, 5),
    "cifar100/t2t_vit_7": (0.01, 0.1, 0.5),
    "cifar100/t2t_vit_14": (0.01, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.5, 2, 2.8, 3, 5),
    "cifar100lt/t2t_vit_7": (0.01, 0.1, 0.5, 0.9, 3),
    "cifar100lt/t2t_vit_14": (0.01, 0.1, 0.5, 0.9, 3),
    "svhn/t2t_vit_7": (0.05, 0.1, 0.3, 0.6, 0.8, 0.9, 1.5, 2, 3, 4, 5, 6),
}


def test_the_grid_is_the_papers_with_its_lambda_lists():
    assert {cell.name: cell.lams for cell in GRID} == LAMS
    assert {cell.image_size for cell in GRID if cell.dataset != "svhn"} == {224}
    assert [cell.image_size for cell in GRID if cell.dataset == "svhn"] == [32]


def test_published_points_keep_their_numbers():
    first, *_, full = points("cifar10", "t2t_vit_7")
    assert (first.lam, first.accuracy) == (0.01, pytest.approx(0.9413))
    assert first.fraction == pytest.approx(10.94825 / 13.391654)
    assert (full.lam, full.fraction, full.accuracy) == (None, 1, pytest.approx(0.9495))
    tail = next(p for p in points("cifar100lt", "t2t_vit_14") if p.lam == 3)
    assert tail.accuracy == pytest.approx(0.250587)  # on the whole test set, not the 39.57 of the figure


def test_every_published_point_belongs_to_a_cell_and_costs_less_than_the_network():
    assert {(p.dataset, p.backbone) for p in published()} == {(c.dataset, c.backbone) for c in GRID}
    assert all(0 < p.fraction < 1 and 0 < p.accuracy < 1 for p in published() if p.lam is not None)
    assert all(cell.points[-1].lam is None for cell in GRID)


@pytest.mark.parametrize("cell", GRID, ids=lambda c: c.name)
def test_a_checkpoints_neutral_name_says_what_it_was_trained_on(cell, tmp_path):
    origin = origin_of(tmp_path / cell.checkpoints[-1], classes=10, options={}, family=Origin())
    assert origin.head_for == cell.source


def test_only_the_released_network_is_said_to_be_released():
    released = [cell.name for cell in GRID if "released it" in cell.origin]
    assert released == ["cifar100/t2t_vit_14"]
    assert GRID[3].checkpoints[0] == "cifar100_t2t-vit-14_88.4.pth"
    assert "71.7_T2T_ViT_7.pth.tar" in GRID[0].origin


def test_published_presets_train_on_the_published_schedule():
    spec = method_spec(GRID[3], "released", "layers")
    assert str(spec) == ("jeidnn[batch_size=64,cost=layers,epochs=30,preset=released,warmup=fixed,warmup_epochs=1]")
    assert method_spec(GRID[-1], "paper", "macs").params["batch_size"] == "256"
    assert str(method_spec(GRID[3], "ours", "layers")) == "jeidnn[cost=layers,preset=ours]"


def test_cells_are_chosen_in_the_grids_order():
    assert [c.name for c in choose("svhn/t2t_vit_7,cifar10/t2t_vit_14")] == ["cifar10/t2t_vit_14", "svhn/t2t_vit_7"]
    assert choose(None) == GRID


@pytest.mark.parametrize(("text", "says"), [("svhn/t2t_vit_14", "svhn/t2t_vit_7"), ("", "names no cell")])
def test_a_cell_outside_the_grid_is_refused(text, says):
    with pytest.raises(UserError, match=says):
        choose(text)
