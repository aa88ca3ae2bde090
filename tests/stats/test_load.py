from __future__ import annotations

import numpy as np
import pytest

import bench
from bench.errors import UserError
from bench.stats import load
from bench.stats.resample import Effort
from bench.stats.summary import summarise
from tests.helpers.paths import ROOT


def row(**known):
    base = {
        "id": "r", "status": "ok", "dataset": "d", "dataset_variant": None, "backbone": "b", "image_size": 8,
        "num_exits": 2, "protocol": "v1", "limit": float("nan"), "bank_digest": "x", "kind": "method", "method": "m",
        "method_name": "m", "params": {"heads": "plain"}, "point": "budget=0.5", "budget": 0.5, "seed": 0,
        "full_macs": 200, "accuracy": 0.7, "macs_fraction": 0.45, "val_accuracy": 0.72, "val_macs_fraction": 0.5,
        "note": "", "reason": None, "version": 1, "heads": {}, "code": "s", "created": "2026-01-01",
        "per_exit": [
            {"exit": 0, "macs": 50, "share": 0.4, "accuracy_all": 0.5},
            {"exit": 1, "macs": 210, "share": 0.6, "accuracy_all": 0.8},
        ],
    }  # fmt: skip
    return base | known


def test_a_row_becomes_a_point():
    cell = load.from_rows([row()], lambda r: (np.array([1, 0, 1]), np.array([0, 1, 1], np.int16)))
    point = cell.methods[0].points[0]
    assert (cell.name, cell.limit, cell.methods[0].heads) == ("d · b · 8 px · 2 exits · protocol v1", None, "plain")
    assert (point.accuracy, point.cost, point.val_accuracy, point.val_cost) == (0.7, 0.45, 0.72, 0.5)
    assert (point.shares, point.exit_costs, point.exit_accuracy) == ((0.4, 0.6), (0.25, 1.05), (0.5, 0.8))
    assert point.sampled and point.correct.dtype == bool and point.budget == 0.5


def test_the_newest_record_of_a_point_counts():
    rows = [row(id="a", accuracy=0.9, created="2026-01-02"), row(id="b", accuracy=0.1)]
    for order in (rows, rows[::-1]):
        point = load.from_rows(order).methods[0].points[0]
        assert point.accuracy == 0.9 and point.older == 1


def test_points_without_scores_keep_their_status_and_reason():
    cell = load.from_rows([row(status="infeasible", reason="too small", accuracy=float("nan"), per_exit=None)])
    assert cell.methods[0].points[0].status == "infeasible" and cell.methods[0].points[0].reason == "too small"


def test_rows_of_two_cells_and_no_rows_are_refused():
    with pytest.raises(UserError, match="2 cells"):
        load.from_rows([row(), row(id="s", dataset="e")])
    with pytest.raises(UserError, match="no records"):
        load.from_rows([])


def test_only_rows_that_hold_outcomes_are_unpacked():
    def unpack(r):
        assert r["outcomes"] == "packed"
        return np.array([True]), np.array([0])

    cell = load.from_rows([row(outcomes="packed"), row(id="s", seed=1, outcomes=float("nan"))], unpack)
    assert [p.sampled for p in cell.methods[0].points] == [True, False]


def test_a_method_called_static_is_no_static_exit():
    cell = load.from_rows([row(method="static"), row(id="s", kind="reference", method="static", point="exit=1")])
    assert [e.label for e in cell.methods] == ["static"] and cell.static.points[0].name == "exit=1"
    assert cell.methods[0].points[0].name == "budget=0.5"


def test_committed_records_give_the_numbers_that_references_recorded():
    frame = bench.load_records(ROOT / "results" / "cifar100lt" / "efficientnet_lite0")
    cell = load.from_frame(frame)
    found = summarise(cell, Effort(draws=200, sample_draws=0))
    hull = frame[frame["method"] == "hull"].groupby("budget")["accuracy"].mean()
    for budget in found.static.budgets:
        assert budget.accuracy.value == pytest.approx(hull[budget.budget], abs=1e-9)
    oracle = frame[frame["method"] == "oracle"]["accuracy"].mean()
    assert found.oracle.line[-1][1] == pytest.approx(oracle)
    own = frame[(frame["method"] == "msdnet_thresh") & (frame["budget"] == 0.5)]
    point = next(p for p in found.method("msdnet_thresh").points if p.budget == 0.5)
    assert point.accuracy.value == pytest.approx(own["accuracy"].mean())


def test_records_and_their_frame_give_the_same_cell():
    from bench.trials.store import Store

    folder = ROOT / "results" / "cifar100lt" / "efficientnet_lite0"
    assert repr(load.from_records(Store(folder).records())) == repr(load.from_frame(bench.load_records(folder)))
