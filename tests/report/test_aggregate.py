from __future__ import annotations

import pytest

from bench.report.context import cell_reports
from bench.stats.resample import BootstrapConfig
from bench.stats.student import interval
from tests.helpers.records import at, changed, measured, point, records
from tests.helpers.records import cell as make_cell

QUICK = BootstrapConfig(100, 20)


def rows_of(held):
    (report,) = cell_reports(held, QUICK)
    return report.rows


def find(rows, method, name):
    return next(r for r in rows if (r.method, r.point) == (method, name))


def words(row):
    return tuple(map(str, row.flags))


def test_a_complete_grid_has_no_flags():
    rows = rows_of(records())
    assert all(r.complete and not r.flags for r in rows)
    assert [r.method for r in rows[12:]] == ["static"] * 6 + ["hull"] * 4 + ["random"] * 4 + ["oracle"]
    assert [r.point for r in rows[12:18]] == [f"exit={k}" for k in range(6)]
    assert [r.budget for r in rows[:12]] == sorted([0.3, 0.5, 0.7, 0.9] * 3)
    assert [r.method for r in rows[3:6]] == ["jeidnn", "msdnet_thresh", "entropy_thresh"]  # by accuracy
    assert find(rows, "oracle", "oracle").estimate("ece_mass15") is None


def test_scores_are_means_over_seeds_and_gain_over_random_is_taken_seed_by_seed():
    held = records(methods=["jeidnn"], budgets=[0.5])
    row = find(rows_of(held), "jeidnn", "budget=0.5")
    mine = sorted((r for r in held if r.point.kind == "method"), key=lambda r: r.point.seed)
    assert vars(row.estimate("accuracy")) == vars(interval([r.metrics["accuracy"] for r in mine], (0, 1, 2), pools=1))
    gains = [r.metrics["accuracy"] - r.metrics["accuracy_random"] for r in mine]
    assert vars(row.estimate("gain_random")) == vars(interval(gains, (0, 1, 2), pools=1))
    assert row.estimate("val_accuracy").value == pytest.approx(sum(r.val["accuracy"] for r in mine) / 3)
    assert list(row.values["nll"]) == [r.metrics["nll"] for r in mine]


def test_a_score_that_some_seed_lacks_has_no_mean():
    held = records(methods=["jeidnn"], budgets=[0.5])
    held = changed(held, at(seed=1), metrics={"accuracy": 0.5, "macs_fraction": 0.5})
    row = find(rows_of(held), "jeidnn", "budget=0.5")
    assert row.estimate("nll") is None and row.estimate("accuracy") is not None


def test_missing_seeds_and_budgets_are_rows_with_flags():
    held = [r for r in records() if not at("jeidnn", 0.3, 2)(r) and not at("entropy_thresh", 0.9)(r)]
    rows = rows_of(held)
    part, none = find(rows, "jeidnn", "budget=0.3"), find(rows, "entropy_thresh", "budget=0.9")
    assert (words(part), part.seeds, part.complete) == (("not run (1/3)",), (0, 1), False)
    assert (words(none), none.seeds, none.budget) == (("not run",), (), 0.9)
    assert none.estimate("accuracy") is None


def test_failures_are_rows_with_their_reason_without_paths():
    held = changed(records(), at("jeidnn", 0.3), status="infeasible", reason="the first exit costs 0.31")
    held = changed(held, at("jeidnn", 0.5, 1), status="failed", reason="ValueError: no file /home/someone/x.py")
    rows = rows_of(held)
    assert words(find(rows, "jeidnn", "budget=0.3")) == ("infeasible",)
    assert find(rows, "jeidnn", "budget=0.3").reasons == ("the first exit costs 0.31",)
    part = find(rows, "jeidnn", "budget=0.5")
    assert (words(part), part.seeds) == (("failed (1/3)",), (0, 2))
    assert part.reasons == ("ValueError: no file x.py",)


def test_only_the_newest_of_two_versions_counts():
    held = records(methods=["jeidnn"], budgets=[0.5], seeds=[0])
    (old,) = [r for r in held if r.point.kind == "method"]
    newer = old.point.model_copy(update={"code": "t" * 16})
    new = old.model_copy(update={"id": "0", "point": newer, "created": "2026-02-01", "metrics": {"accuracy": 0.9}})
    row = find(rows_of([new, *held]), "jeidnn", "budget=0.5")
    assert row.estimate("accuracy").value == 0.9


def test_references_without_any_budget():
    import numpy as np

    static = point("static", "exit=0", 0, "reference")
    (found,) = rows_of([measured(make_cell(), static, np.ones((5, 6), bool), np.zeros(5, int))])
    assert found.budget is None and found.estimate("accuracy").value == 1.0
