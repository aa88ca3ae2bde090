from __future__ import annotations

import csv
import io
import math

import numpy as np
import pytest

from bench.report.context import cell_reports
from bench.report.formats import csv as csv_form
from bench.report.formats import markdown, write
from bench.report.tables import cell_tables, overall_tables
from bench.stats.resample import BootstrapConfig
from tests.helpers.figures import overall
from tests.helpers.records import COSTS, at, cell, changed, measured, point, record, records

QUICK = BootstrapConfig(200, 40)
SEEDS = (0, 1, 2)


def tables_of(held, bootstrap=QUICK):
    (report,) = cell_reports(held, bootstrap)
    return {t.name: t for t in cell_tables(report)}, report


def column(table, key):
    return [row.get(key) for row in table.rows]


def row_of(table, method, **known):
    return next(r for r in table.rows if r["method"] == method and all(r[k] == v for k, v in known.items()))


def lines(table):
    return list(csv.DictReader(io.StringIO(csv_form.render(table))))


def steady(accuracies: dict[str, float], seeds=SEEDS, samples=200):
    """Methods that spend exactly half, all right on the first so many samples, and static exits to compare with."""
    held = []
    for seed in seeds:
        right = np.arange(samples)[:, None] < samples * np.array([0.2, 0.3, 0.4, 0.5, 0.6, 0.7])
        for k in range(len(COSTS)):
            held.append(measured(cell(), point("static", f"exit={k}", seed, "reference"), right, np.full(samples, k)))
        for name, accuracy in accuracies.items():
            own = np.repeat(np.arange(samples)[:, None] < samples * accuracy, len(COSTS), 1)
            held.append(measured(cell(), point(name, "budget=0.4", seed), own, np.full(samples, 2)))
    return [r.model_copy(update={"per_exit": []}) for r in held]


def test_the_tables_of_a_whole_grid():
    found, _ = tables_of(records(longtail=True))
    assert list(found) == ["leaderboard", "budgets", "costs", "uncertainty", "longtail", "timing", "points"]
    assert all(t.caption and t.title for t in found.values())


def test_leaderboard_by_hand():
    found, _ = tables_of(steady({"good": 0.65, "poor": 0.41}, seeds=range(6)))
    board = found["leaderboard"]
    assert column(board, "method") == ["good", "poor", "static hull", "oracle"]
    # hull of the static exits: (0.14, 0.2) … (1, 0.7); good adds (0.4, 0.65), which hides the exits between
    good = (0.26 * (0.2 + 0.65) / 2 + 0.6 * (0.65 + 0.7) / 2) / 0.86
    assert board.rows[0]["nauc"].value == pytest.approx(good)
    flat = (0.26 * (0.2 + 0.65) / 2 + 0.6 * 0.65) / 0.86
    # static hull: (0.14, 0.2), (0.24, 0.3), (0.4, 0.4), (1, 0.7) are on it, the others below or on its lines
    static = (0.1 * 0.25 + 0.16 * 0.35 + 0.6 * 0.55) / 0.86
    assert board.rows[0]["own"].value == pytest.approx(flat - static)
    assert board.rows[0]["cost@0"].value == math.inf  # its own policy reaches 65 %, the backbone 70 %
    assert column(board, "rank")[:2] == ["1", "2"] and board.rows[2].get("rank") is None
    assert board.highlights == {(0, "method"): "best"}
    assert board.rows[2]["own"].value == board.rows[2]["gain"].value == 0.0
    text = markdown.render(board)
    assert "● **good**" in text and "mean over 6 seeds" in text and "Bold: significantly better" in text


def test_ties_are_shown_as_ranges_without_bold():
    found, _ = tables_of(records(methods=["entropy_thresh", "other"], samples=100, seeds=range(6)))
    board = found["leaderboard"]
    assert column(board, "rank")[:2] == ["1–2", "1–2"]
    assert board.highlights == {(0, "method"): "leading", (1, "method"): "leading"}
    assert all((i, "method") in found["budgets"].highlights for i in (0, 1))
    assert [line["method_highlight"] for line in lines(board)] == ["leading", "leading", "", ""]
    assert markdown.render(board).count("| ● ") == 2 and "Shaded or ●: the leading group" in board.caption


def test_methods_are_compared_with_plain_thresholds_unless_these_are_the_baseline():
    found, report = tables_of(records(methods=["jeidnn", "global_thresh"], seeds=range(6)))
    baseline, board = report.statistics.baseline.label, found["leaderboard"]
    assert baseline == "jeidnn" and report.statistics.plain == "global_thresh"
    told = row_of(board, "jeidnn")
    assert told["plain_difference"] == report.statistics.method("jeidnn").against_plain.difference
    assert told["plain_p_holm"] is not None and "global_thresh: one max-probability threshold" in board.caption
    found, report = tables_of(records(methods=["low", "global_thresh"], seeds=range(6)))
    if report.statistics.baseline.label == "global_thresh":
        assert "plain_difference" not in [c.key for c in found["leaderboard"].columns]


@pytest.mark.parametrize(("seeds", "p"), [(5, False), (6, True)])
def test_p_values_need_six_seeds(seeds, p):
    board = tables_of(records(seeds=range(seeds), samples=100))[0]["leaderboard"]
    assert ("p_holm" in [c.key for c in board.columns]) == p
    assert ("corrected by Holm for 2 comparisons" in board.caption) == p
    assert ("intervals only, no p-values" in board.caption) == (not p)
    assert sum("baseline" in row["flags"] for row in board.rows) == 1
    if p:
        verdicts = {row["verdict"] for row in board.rows[:3] if "baseline" not in row["flags"]}
        assert verdicts <= {"significantly better", "significantly worse", "not significant"}


def test_one_seed_says_what_it_cannot_say():
    board = tables_of(records(seeds=[0]))[0]["leaderboard"]
    assert "Fewer than 6 seeds: no ranks" in board.caption and "intervals cover test samples only" in board.caption
    assert "rank" not in [c.key for c in board.columns] and not board.highlights


def test_gaps_leave_a_method_without_rank_and_say_so_in_every_table():
    held = [r for r in records() if not at("jeidnn", 0.5, 1)(r)]
    found, _ = tables_of(held)
    board = found["leaderboard"]
    assert column(board, "method")[:3] == ["msdnet_thresh", "entropy_thresh", "jeidnn"]  # last, though the best
    assert "rank" not in [c.key for c in board.columns] and board.rows[2]["seeds"] == 2
    assert board.rows[2]["flags"] == "own gain of seeds (2/3); not run at budget 0.5 (1/12)"
    assert "difference" not in board.rows[2]
    for name in ("budgets", "costs", "timing"):
        assert "not run at budget 0.5 (1/12)" in row_of(found[name], "jeidnn")["flags"]
    assert row_of(found["uncertainty"], "jeidnn", budget=0.5)["flags"] == "not run (1/3)"
    points = next(r for r in found["points"].rows if (r["method"], r["budget"]) == ("jeidnn", 0.5))
    assert (points["flags"], points["seeds"], points["expected_seeds"]) == ("not run (1/3)", 2, 3)


def test_infeasible_failed_and_collapsed_points_are_marked():
    held = changed(records(), at("jeidnn", 0.3), status="infeasible", reason="too little")
    held = changed(held, at("msdnet_thresh", 0.9, 0), status="failed", reason="boom")
    everybody = [{"exit": k, "macs": 1, "share": float(k == 5), "name": ""} for k in range(6)]
    held = changed(held, at("entropy_thresh", 0.9), per_exit=everybody)
    found, _ = tables_of(held)
    expected = {
        "jeidnn": "infeasible at budget 0.3 (3/12)",
        "msdnet_thresh": "failed at budget 0.9 (1/12)",
        "entropy_thresh": "collapsed at budget 0.9 (3/12)",
    }
    for name in ("leaderboard", "budgets", "costs"):
        for method, words in expected.items():
            assert words in row_of(found[name], method)["flags"], (name, method)
    assert row_of(found["costs"], "jeidnn")["cost@0.3"] is None
    assert row_of(found["uncertainty"], "entropy_thresh", budget=0.9)["flags"] == "collapsed"
    assert row_of(found["points"], "jeidnn", budget=0.3)["reasons"] == "too little"


@pytest.mark.parametrize(
    ("known", "words"),
    [
        ({"limit": 200}, "limit 200: smoke run, not comparable"),
        ({"protocol_version": "v1-seen"}, "the backbone has seen the training set"),
        ({"dataset_variant": "jpeg90"}, "jpeg90: not the official images"),
        ({"bare": True}, "no per-sample outcomes: intervals cover seeds only"),
    ],
)
def test_what_concerns_a_whole_cell_is_in_every_table_and_every_data_row(known, words):
    found, _ = tables_of(records(longtail=True, samples=60, **known))
    for table in found.values():
        assert words in table.caption, table.name
        assert all(words in line["setting_flags"] for line in lines(table)), table.name


def test_budgets_show_what_is_significantly_better_or_worse_than_the_baseline():
    found, report = tables_of(records(samples=800, seeds=range(4)))
    table, rank = found["budgets"], {m.label: m for m in report.statistics.methods}
    baseline = report.statistics.baseline.label
    for i, row in enumerate(table.rows):
        label = row["method"]
        wins = rank[label].difference.wins() if label in rank and rank[label].difference else ()
        losses = rank[label].difference.losses() if label in rank and rank[label].difference else ()
        marked = {key: h for (j, key), h in table.highlights.items() if i == j and key != "method"}
        assert marked == {f"accuracy@{b:g}": "above" for b in wins} | {f"accuracy@{b:g}": "below" for b in losses}
        assert label != baseline or not marked
    assert "below" in table.highlights.values()
    point = rank["jeidnn"].curve.budgets[1]
    assert row_of(table, "jeidnn")["accuracy@0.5"] == point.accuracy and f"Baseline: {baseline}." in table.caption


def test_costs_count_overspending():
    held = changed(records(methods=["jeidnn"]), lambda r: False)
    dear = next(r for r in held if at("jeidnn", 0.5, 1)(r))
    metrics = dear.metrics | {"macs_fraction": 0.55}
    held = [r.model_copy(update={"metrics": metrics, "outcomes": None}) if r is dear else r for r in held]
    table = tables_of(held)[0]["costs"]
    (row,) = table.rows
    assert row["violations"] == pytest.approx(1 / 12) and row["count"] == 12
    assert table.highlights == {(0, "cost@0.5"): "above"}
    gaps = [(r.metrics["macs_fraction"] / r.point.budget - 1) for r in held if r.point.kind == "method"]
    assert row["gap"] == pytest.approx(np.mean(gaps)) and row["gap_absolute"] == pytest.approx(np.mean(np.abs(gaps)))


def test_uncertainty_shows_one_budget_and_keeps_all_as_data():
    found, report = tables_of(records())
    table = found["uncertainty"]
    assert table.title == "Uncertainty at budget 0.5" and table.shown == 4
    order = [m.label for m in report.statistics.methods]
    assert column(table, "method")[:4] == [*order, "plain backbone"]
    assert column(table, "budget")[:4] == [0.5, 0.5, 0.5, None] and len(table.rows) == 13
    row = next(r for r in report.rows if (r.method, r.point) == (order[0], "budget=0.5"))
    assert vars(table.rows[0]["ece_mass15"]) == vars(row.estimate("ece_mass15"))
    assert vars(table.rows[0]["coverage_lac@0.05"]) == vars(row.estimate("coverage_lac@0.05"))
    assert "within 94.0–96.0 %" in table.caption
    assert markdown.render(table).count("\n| ") == 5


def test_coverage_outside_its_band_stands_out():
    held = records(methods=["a", "b"])
    for name, coverage in (("a", 0.90), ("b", 0.99)):
        mine = {"coverage_lac@0.05": coverage}
        held = [r.model_copy(update={"metrics": r.metrics | mine}) if at(name)(r) else r for r in held]
    table = tables_of(held)[0]["uncertainty"]
    shown = {table.rows[i]["method"]: h for (i, _), h in table.highlights.items() if i < table.shown}
    assert shown == {"a": "below", "b": "above"}


def test_longtail_is_left_out_where_nothing_tells_the_groups_apart():
    assert "longtail" not in tables_of(records())[0]
    table = tables_of(records(longtail=True))[0]["longtail"]
    row = table.rows[0]
    assert row["accuracy_few"].value == pytest.approx(row["accuracy"].value - 0.2)
    assert row["macs_fraction_few"].value == pytest.approx(row["macs_fraction"].value + 0.1)
    assert table.rows[table.shown - 1]["method"] == "plain backbone"


def test_timing_by_hand_and_its_machines():
    held = records(methods=["jeidnn"])
    table = tables_of(held)[0]["timing"]
    (row,) = table.rows
    assert (row["fit_seconds"].value, row["fit_seconds"].low, row["fit_seconds"].high) == (4.0, 3.0, 5.0)
    assert (row["play_seconds"].value, row["points"]) == (0.5, 12)
    assert "Measured on Made-up CPU, 1 thread." in table.caption and not row["flags"]
    other = {"cpu": "Other CPU", "device": "cuda", "threads": 4}
    table = tables_of(changed(held, at(seed=2), provenance=other))[0]["timing"]
    assert "2 machines (Made-up CPU, 1 thread; Other CPU with cuda, 4 threads)" in table.caption
    assert table.rows[0]["flags"] == "hardware mixed"


def test_points_hold_every_operating_point():
    held = records(seeds=[0, 1])
    table = tables_of(held)[0]["points"]
    assert table.shown == 0
    found = lines(table)
    assert len(found) == len(held) / 2
    assert len({(line["kind"], line["method"], line["point"]) for line in found}) == len(found)
    for line in found:
        mine = [r for r in held if (r.point.label, r.point.point) == (line["method"], line["point"])]
        assert float(line["accuracy"]) == pytest.approx(np.mean([r.metrics["accuracy"] for r in mine]), rel=1e-8)


def test_cells_with_nothing_to_tell():
    only = [r for r in records(seeds=[0]) if r.point.kind == "reference"]
    assert list(tables_of(only)[0]) == ["points"]
    failed = [record(cell(), point("jeidnn", "budget=0.5", s), status="failed", reason="x") for s in (0, 1)]
    found, _ = tables_of([r.model_copy(update={"timings": {}}) for r in failed])
    assert list(found) == ["leaderboard", "budgets", "costs", "points"]
    assert math.isnan(found["leaderboard"].rows[0]["own"].value)
    assert "failed" in found["leaderboard"].rows[0]["flags"]
    for table in found.values():
        assert write(table, "csv") and write(table, "parquet")


def several(count, **known):
    """Settings of which the second has a method less."""
    methods = ["jeidnn", "msdnet_thresh", "entropy_thresh"]
    return [
        r for i in range(count) for r in records(methods[: 2 if i == 1 else 3], backbone=f"net{i}", lift=0.3, **known)
    ]


def test_overall_tables():
    report = overall([*several(5), *records(samples=100, limit=100)])
    found = {t.name: t for t in overall_tables(report)}
    gains, each, pairs = found["overall"], found["own_gain"], found["pairs"]
    assert row_of(gains, "jeidnn")["own"].known and row_of(gains, "entropy_thresh")["own"] is None
    assert [c.key for c in gains.columns[:3]] == ["method", "own", "gain"]
    assert row_of(gains, "entropy_thresh")["flags"] == "settings (4/5)"
    for row in gains.rows:
        games = sum(row[key] for key in ("wins", "ties", "losses"))
        assert games == {"jeidnn": 9, "msdnet_thresh": 9, "entropy_thresh": 8}[row["method"]]
    assert "limit 100: smoke run" in gains.caption
    assert len([c for c in each.visible if c.key.startswith("own")]) == 5  # the smoke run is no column
    assert "not run: cifar100lt/net1" in row_of(each, "entropy_thresh")["flags"]
    assert len(pairs.rows) == 6


def test_below_five_settings_there_are_no_wins_and_no_intervals_over_settings():
    found = {t.name: t for t in overall_tables(overall(several(2)))}
    assert list(found) == ["overall", "own_gain"] and not row_of(found["overall"], "jeidnn")["own"].known
    assert "wins" not in [c.key for c in found["overall"].columns]
    assert "2 settings, fewer than 5: no intervals" in found["overall"].caption


def test_no_overall_tables_of_one_cell_that_counts():
    assert overall_tables(overall([*records(samples=50), *records(samples=50, limit=50)])) == []
