from __future__ import annotations

import numpy as np
import pytest

import bench
from bench.errors import UserError
from bench.stats.load import from_records
from bench.stats.resample import BootstrapConfig
from bench.stats.summary import summarise
from bench.trials.outcomes import pack
from bench.trials.stores import read_all
from tests.helpers import records as s
from tests.helpers.paths import ROOT

TABLE = [
    {"exit": 0, "macs": s.FULL_MACS // 4, "share": 0.4, "accuracy_all": 0.5},
    {"exit": 1, "macs": s.FULL_MACS, "share": 0.6, "accuracy_all": 0.8},
]


def one(name="m", point="budget=0.5", seed=0, kind="method", where=None, **known):
    base = {
        "metrics": {"accuracy": 0.7, "macs_fraction": 0.45, "cal_accuracy": 0.71, "cal_macs_fraction": 0.46},
        "val": {"accuracy": 0.72, "macs_fraction": 0.5},
        "per_exit": TABLE,
        "outcomes": pack([1, 0, 1], [0, 1, 1]),
    }
    return s.record(
        where or s.cell(exit_names=("a", "b"), image_size=8), s.point(name, point, seed, kind), **(base | known)
    )


def test_a_record_becomes_a_point():
    cell = from_records([one()], name="here")
    point = cell.methods[0].points[0]
    assert cell.name == "here"
    assert (cell.limit, cell.methods[0].heads) == (None, "plain")
    assert (point.accuracy, point.cost, point.val_accuracy, point.val_cost) == (0.7, 0.45, 0.72, 0.5)
    assert (point.shares, point.exit_costs, point.exit_accuracy) == ((0.4, 0.6), (0.25, 1.0), (0.5, 0.8))
    assert point.sampled and point.correct.dtype == bool and point.budget == 0.5


def test_the_newest_record_of_a_point_counts():
    new = one(id="a", metrics={"accuracy": 0.9}, created="2026-01-02")
    for order in ([new, one(id="b")], [one(id="b"), new]):
        point = from_records(order).methods[0].points[0]
        assert point.accuracy == 0.9 and point.older == 1


def test_points_without_scores_keep_their_status_and_reason():
    known = {"metrics": {}, "val": {}, "per_exit": [], "outcomes": None}
    point = from_records([one(status="infeasible", reason="too small", **known)]).methods[0].points[0]
    assert (point.status, point.reason, point.sampled) == ("infeasible", "too small", False)
    assert np.isnan(point.accuracy)


def test_records_of_two_settings_and_no_records_are_refused():
    with pytest.raises(UserError, match="2 settings"):
        from_records([one(), one(where=s.cell(dataset="e"))])
    with pytest.raises(UserError, match="no setting"):
        from_records([])


def test_records_without_outcomes_have_no_samples():
    cell = from_records([one(), one(seed=1, outcomes=None)])
    assert [p.sampled for p in cell.methods[0].points] == [True, False]


def test_a_method_called_static_is_not_a_static_exit():
    cell = from_records([one("static"), one("static", "exit=1", kind="reference")])
    assert [e.label for e in cell.methods] == ["static"] and cell.static.points[0].name == "exit=1"
    assert cell.methods[0].points[0].name == "budget=0.5"


def test_points_of_a_published_store_are_known_by_their_ids():
    mine, published = one(seed=0), one(seed=1)
    points = from_records([mine, published], {published.id}).methods[0].points
    assert [p.published for p in points] == [False, True]


@pytest.mark.slow
def test_committed_records_give_the_numbers_that_references_recorded():
    held = [r for r in read_all([ROOT / "results"]) if r.cell.backbone == "cifar_resnet20"]
    found = summarise(from_records(held), BootstrapConfig(draws=200, sample_draws=0))
    frame = bench.load_records(ROOT / "results")
    frame = frame[frame["backbone"] == "cifar_resnet20"]
    hull = frame[frame["method"] == "hull"].groupby("budget")["accuracy"].mean()
    for budget in found.static.budgets:
        # references choose the exits of a mixture on val, statistics on cal
        assert budget.accuracy.value == pytest.approx(hull[budget.budget], abs=0.004)
    oracle = frame[frame["method"] == "oracle"]["accuracy"].mean()
    assert found.oracle.line[-1][1] == pytest.approx(oracle)
    own = frame[(frame["method"] == "msdnet_thresh") & (frame["budget"] == 0.489)]
    point = next(p for p in found.method("msdnet_thresh").points if p.budget == 0.489)
    assert point.accuracy.value == pytest.approx(own["accuracy"].mean())
