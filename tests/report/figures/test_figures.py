from __future__ import annotations

import math
from xml.etree import ElementTree

import numpy as np
import pytest

from bench.report.figures import cell_figures, overall_figures
from bench.report.figures import file as rendering
from bench.report.figures.absolute import absolute, absolute_data, frontier
from bench.report.figures.accuracy import accuracy
from bench.report.figures.coverage import coverage
from bench.report.figures.critical import critical
from bench.report.figures.decomposition import AREA, decomposition
from bench.report.figures.depth import depth
from bench.report.figures.exit_calibration import exit_calibration
from bench.report.figures.file import Missing
from bench.report.figures.overall import own_gain, tally
from bench.report.figures.recipes import recipes, rule_of
from bench.report.figures.reliability import reliability
from bench.report.figures.scores import ece, inefficiency
from tests.helpers.figures import ALWAYS, data_of, drawn, one_cell, report, told
from tests.helpers.records import at, changed, records


@pytest.mark.slow
def test_figures_of_a_cell_have_three_files_each_and_reasons_for_the_others():
    made = cell_figures(one_cell())
    assert [f.name for f in made] == ALWAYS
    assert [gap.name for gap in made.left_out] == ["best", "recipes"]
    assert all(gap.reason.endswith(".") for gap in made.left_out)
    for file in made:
        assert sorted(file.files) == [f"{file.name}.{form}" for form in ("csv", "png", "svg")]
        assert file.files[f"{file.name}.png"].startswith(b"\x89PNG")
        ElementTree.fromstring(file.files[f"{file.name}.svg"])
        assert len(data_of(file)) and file.caption.endswith(".") and file.title
        assert len(file.caption.split()) < 60, file.caption


@pytest.mark.slow
def test_bytes_depend_on_the_records_alone_not_on_their_order():
    grid = {"methods": ["jeidnn", "msdnet_thresh"], "budgets": (0.3, 0.7), "lift": 0.5}
    held = records(**grid)
    assert cell_figures(one_cell(held)) == cell_figures(one_cell(held[::-1]))
    held = [r for i in range(5) for r in records(**grid, dataset=f"set{i}", samples=100, protocol_version="v2")]
    found = overall_figures(report(held))
    assert found == overall_figures(report(held[::-1])) and [f.name for f in found] == ["own_gain", "tally"]
    assert all(len(f.caption.split()) < 60 for f in found)
    text = found.figures[0].files["own_gain.svg"].decode()
    assert "<dc:date>" not in text and "Matplotlib v" not in text


def test_accuracy_draws_its_data():
    made = accuracy(one_cell())
    axes = made.figure.axes[0]
    policies = made.data[made.data["series"] == "policy"]
    looks = one_cell().looks
    for name, mine in policies.groupby("method"):
        wanted = mine[["macs_fraction", "accuracy"]].to_numpy() * [1, 100]
        assert drawn(axes, looks[name].marker) == pytest.approx(wanted)
    for name in ("jeidnn", "entropy_thresh"):
        line = made.data[(made.data["series"] == "hull") & (made.data["method"] == name)]
        wanted = line[["macs_fraction", "accuracy"]].to_numpy() * [1, 100]
        assert any(np.array_equal(np.array(d.get_xydata()), wanted) for d in axes.lines)
    bands = made.data[made.data["series"] == "band"]
    assert len(axes.collections) == bands["method"].nunique() == 3
    corners = np.concatenate([c.get_paths()[0].vertices for c in axes.collections])
    assert set(np.round(100 * bands["low"], 9)) <= set(np.round(corners[:, 1], 9))
    assert {"static exits", "hull of static exits", "oracle", "jeidnn"} <= {t.get_text() for t in axes.texts}


def test_calibration_error_and_set_sizes_draw_their_data():
    cell = one_cell()
    for make_one, column, scale in ((ece, "ece_mass15", 100), (inefficiency, "set_size_lac@0.05", 1)):
        made = make_one(cell)
        axes = made.figure.axes[0]
        for name, mine in made.data[made.data["series"] == "method"].groupby("method"):
            wanted = mine[["macs_fraction", column]].to_numpy() * [1, scale]
            found = drawn(axes, cell.looks[name].marker)
            assert sorted(map(tuple, found.round(9))) == sorted(map(tuple, wanted.round(9)))


def test_sets_whose_coverage_chance_does_not_explain_are_hollow_and_said_to_be():
    held = records(methods=["jeidnn"], seeds=(0,), budgets=(0.3, 0.7))
    low = next(r for r in held if r.point.label == "jeidnn" and r.point.budget == 0.3)
    under = {**low.metrics, "coverage_lac@0.05": 0.93}
    over = {**low.metrics, "coverage_lac@0.05": 0.945, "set_size_lac@0.05": 9.0}
    held = changed(changed(held, at("jeidnn", 0.3), metrics=under), at("jeidnn", 0.7), metrics=over)
    made = inefficiency(one_cell(held))
    hollow = [line for line in made.figure.axes[0].lines if line.get_markerfacecolor() == "white"]
    assert np.concatenate([line.get_ydata() for line in hollow]) == pytest.approx([under["set_size_lac@0.05"]])
    assert "hollow: coverage that chance does not explain" in told(made.figure)
    assert "1 of 2 policies" in made.caption and list(made.data.loc[made.data["series"] == "method", "hollow"]) == [
        True,
        False,
    ]


def test_values_far_above_all_others_are_marked_at_the_frame():
    held = records(methods=[f"method_{i}" for i in range(31)], seeds=(0,), budgets=(0.3, 0.7))
    far = {r.id: {**r.metrics, "ece_mass15": 0.9} for r in held if at("method_7")(r)}
    cell = one_cell([r.model_copy(update={"metrics": far[r.id]}) if r.id in far else r for r in held])
    made = ece(cell)
    assert made.data["ece_mass15"].max() == 0.9
    tops = {axes.get_ylim()[1] for axes in made.figure.axes}
    assert len(tops) == 1 and max(tops) < 20
    (marks,) = [line for axes in made.figure.axes for line in axes.lines if line.get_marker() == "^"
                and not line.get_clip_on()]  # fmt: skip
    assert len(marks.get_xdata()) == 2 and set(marks.get_ydata()) == tops
    assert ["up to 90" in [text.get_text() for text in axes.texts] for axes in made.figure.axes].count(True) == 1
    assert len({line.get_color() for axes in made.figure.axes for line in axes.lines}) <= 6 + 3


def test_coverage_draws_every_policy_beside_its_band():
    made = coverage(one_cell())
    assert len(made.data) == 3 * 3 * 4 * 3
    first = made.data[made.data["alpha"] == 0.01]
    points = np.concatenate([line.get_xdata() for line in made.figure.axes[0].lines if line.get_marker() == "."])
    assert sorted(points) == pytest.approx(sorted(first["coverage"] * 100))
    spans = [p.get_extents().x0 for p in made.figure.axes[0].patches]
    assert len(spans) == 1 and first["coverage_band_low"].iloc[0] == pytest.approx(0.98)


def test_circles_have_the_area_of_the_share_that_leaves():
    cell = one_cell()
    made = decomposition(cell)
    assert set(made.data["budget"]) == {0.5}
    panels = {a.get_title(loc="left"): a for a in made.figure.axes if a.get_title(loc="left")}
    for name, mine in made.data.groupby("method"):
        circles = panels[name].collections[0]
        known = mine[mine["accuracy_exited"].notna()]
        sizes = dict(zip(circles.get_offsets()[:, 0], circles.get_sizes(), strict=False))
        assert [sizes[k] for k in known["exit"]] == pytest.approx(AREA * known["share"])
        there = np.ma.compressed(circles.get_offsets()[:, 1])
        assert sorted(there[np.isfinite(there)]) == pytest.approx(sorted(100 * known["accuracy_exited"]))
        # all that leave, together, are all test samples
        total = (mine["accuracy_exited"].fillna(0) * mine["share"]).sum()
        assert total == pytest.approx(cell.statistics.method(name).points[1].accuracy.value, abs=0.01)


def test_calibration_by_exit_averages_whole_grids_only():
    held = records(seeds=(0, 1))
    held = [r for r in held if not at("jeidnn", 0.5, 1)(r)]
    table = [{**row, "ece_mass15_all": 0.9} for row in held[0].per_exit]
    held = [r.model_copy(update={"per_exit": table}) if at("jeidnn")(r) else r for r in held]
    made = exit_calibration(one_cell(held))
    mean = made.data[made.data["method"] == "mean"]
    assert list(mean["ece"]) == pytest.approx([0.05 + 0.01 * k for k in range(6)])
    assert "mean of the 2 methods with a complete grid" in told(made.figure) and "hollow" in told(made.figure)


def test_exit_histograms_are_the_mean_shares():
    made = depth(one_cell())
    for axes, (_, mine) in zip(made.figure.axes, made.data.groupby("method", sort=False), strict=False):
        table = np.asarray(axes.images[0].get_array())
        assert table.sum(0) == pytest.approx(100)
        assert table == pytest.approx(mine.pivot_table(index="exit", columns="budget", values="share").to_numpy() * 100)


def test_comparison_draws_differences_and_ranks():
    cell = one_cell(samples=200, seeds=range(6))
    made = critical(cell)
    base = cell.statistics.baseline.label
    axes, ranks = made.figure.axes
    for y, row in enumerate(made.data.itertuples()):
        marks = [line for line in axes.lines if len(line.get_xdata()) == 1 and line.get_ydata()[0] == y]
        assert marks[0].get_xdata()[0] == pytest.approx(100 * row.difference)
        assert list(ranks.lines[y].get_xdata()) == [row.first_rank, row.last_rank]
        if row.method != base:
            assert row.difference == pytest.approx(cell.statistics.method(row.method).comparison.difference.value)
    few = critical(one_cell(samples=200))
    assert len(few.figure.axes) == 1 and "fewer than 6 seeds: no tests" in told(few.figure)


def test_incomplete_methods_are_listed_without_a_difference():
    held = [r for r in records() if not at("jeidnn", 0.5, 1)(r)]
    made = critical(one_cell(held))
    row = made.data.set_index("method").loc["jeidnn"]
    assert row["verdict"] == "incomplete" and math.isnan(row["difference"]) and math.isnan(row["own"])
    assert any("incomplete grid" in t.get_text() for t in made.figure.axes[0].texts)


def recipe_records():
    """Two rules on two recipes each, and one on a recipe alone."""
    held = []
    for rule, heads in (("pcee", "plain"), ("pcee", "ztw"), ("beem", "plain"), ("beem", "ztw"), ("only", "plain")):
        label = rule if heads == "plain" else f"{rule}[heads={heads}]"
        for r in records(methods=[label], seeds=(0, 1), budgets=(0.3, 0.7), references=not held):
            own = {"point": r.point.model_copy(update={"params": {"heads": heads}}), "id": f"{label} {r.id}"}
            held.append(r.model_copy(update=own) if r.point.kind == "method" else r)
    return held


def test_heads_by_rules_show_rules_on_several_recipes_only():
    cell = one_cell(recipe_records())
    made = recipes(cell)
    assert list(zip(made.data["rule"], made.data["heads"], strict=True)) == [
        ("beem", "plain"), ("beem", "ztw"), ("pcee", "plain"), ("pcee", "ztw"),
    ]  # fmt: skip
    table = np.asarray(made.figure.axes[0].images[0].get_array())
    assert table.ravel() == pytest.approx(100 * made.data["gain"])
    assert made.data["gain"].iloc[1] == pytest.approx(cell.statistics.method("beem[heads=ztw]").curve.own.value)


@pytest.mark.parametrize(
    ("label", "rule"),
    [("pcee", "pcee"), ("pcee[heads=ztw]", "pcee"), ("a[heads=ztw,bins=5]", "a[bins=5]"), ("a[bins=5]", "a[bins=5]")],
)
def test_a_rule_is_a_label_without_its_heads(label, rule):
    assert rule_of(label) == rule


def with_bins(*lines, seeds=(0, 1)):
    held = records(methods=["jeidnn"], seeds=(0, 1))
    return one_cell([r.model_copy(update={"reliability": list(lines)}) if r.point.seed in seeds else r for r in held])


def test_reliability_puts_the_bins_of_all_seeds_together():
    made = reliability(with_bins((1, 30, 0.10, 0.0), (5, 29, 0.4, 1.0), (14, 91, 0.98, 2 / 3)))
    assert list(made.data["bin"]) == [1, 14] and list(made.data["share"]) == [0.2, 91 / 150]  # 29 samples say nothing
    assert list(made.data["accuracy"]) == pytest.approx([0, 2 / 3])
    assert list(made.data["confidence"]) == pytest.approx([0.1, 0.98])
    drawn_at = made.figure.axes[0].collections[0].get_offsets()
    assert np.asarray(drawn_at) == pytest.approx(made.data[["confidence", "accuracy"]].to_numpy() * 100)


def test_reliability_needs_the_bins_of_every_seed():
    made = reliability(with_bins((7, 1, 0.5, 1.0), seeds=(0,)))
    assert "exit" in made.data and "bin" not in made.data


def test_without_confidences_the_exits_are_the_bins():
    made = reliability(one_cell(methods=["jeidnn"], seeds=(0, 1)))
    assert "leave at an exit" in told(made.figure) and set(made.data["budget"]) == {0.5}
    assert made.data["confidence"].to_numpy() == pytest.approx(0.7)
    same = decomposition(one_cell(methods=["jeidnn"], seeds=(0, 1))).data.dropna()
    assert list(made.data["accuracy"]) == pytest.approx(list(same["accuracy_exited"]))
    drawn_at = made.figure.axes[0].collections[0].get_offsets()
    assert np.asarray(drawn_at) == pytest.approx(made.data[["confidence", "accuracy"]].to_numpy() * 100)
    bare = [r.model_copy(update={"per_exit": []}) for r in records(methods=["jeidnn"])]
    with pytest.raises(Missing, match="per exit"):
        reliability(one_cell(bare))


@pytest.mark.slow
def test_what_is_missing_is_left_out_with_a_reason(monkeypatch):
    monkeypatch.setattr(rendering, "render", lambda figure, form: b"")
    bare = [r for r in records(methods=["jeidnn"]) if r.point.kind == "reference"]
    gaps = {gap.name: gap.reason for gap in cell_figures(one_cell(bare)).left_out}
    assert set(gaps) == {*ALWAYS, "best", "recipes"}
    assert gaps["accuracy"] == "No method has a result yet."
    alone = {gap.name: gap.reason for gap in cell_figures(one_cell(methods=["jeidnn"])).left_out}
    assert "No other method" in alone["comparison"]
    held = [r.model_copy(update={"metrics": {k: v for k, v in r.metrics.items() if "lac" not in k}}) for r in records()]
    gaps = {gap.name for gap in cell_figures(one_cell(held)).left_out}
    assert {"inefficiency", "coverage"} <= gaps and "accuracy" not in gaps


def test_figures_over_cells_draw_means_and_counts():
    names = ["jeidnn", "msdnet_thresh", "entropy_thresh"]
    held = [r for i in range(5) for r in records(methods=names[: 2 if i == 1 else 3], dataset=f"set{i}", lift=0.3)]
    whole = report(held + records(methods=names, samples=200, dataset="cifar10", limit=100))
    made = own_gain(whole)
    means = made.data[made.data["series"] == "mean"].set_index("method")
    for overall in whole.across.methods:
        value = 100 * overall.own.value if overall.own else math.nan
        assert means.loc[overall.label, "gain"] == pytest.approx(value, nan_ok=True)
    assert means.loc["entropy_thresh", "flags"] == "4 of 5 settings"
    assert any("4 of 5 settings: no mean" in t.get_text() for t in made.figure.axes[0].texts)
    made = tally(whole)
    widths = np.array([bar.get_width() for bar in made.figure.axes[0].patches]).reshape(-1, 3)
    counts = made.data[["wins", "ties", "losses"]].to_numpy()
    assert widths == pytest.approx(100 * counts / counts.sum(1, keepdims=True))
    assert counts[:, 0].sum() == counts[:, 2].sum()


def test_networks_of_a_dataset_meet_on_one_axis_of_absolute_costs():
    names = ["jeidnn", "msdnet_thresh"]
    held = records(methods=names) + records(methods=names, backbone="resnet18")
    whole = report(held + records(methods=names, dataset="svhn"))
    made = absolute(whole)
    assert set(made.data["data"]) == {"cifar100lt, protocol v1"} and made.data["setting"].nunique() == 2
    (axes,) = made.figure.axes
    assert axes.get_xscale() == "log" and len(axes.get_legend().get_texts()) == 2
    for (setting, series, point), row in made.data.groupby(["setting", "series", "point"]):
        mine = [r for r in held if r.cell.backbone == setting.split(" ")[0] and r.point.point == point]
        mine = [r for r in mine if r.point.label == row["method"].iloc[0] and r.status == "ok"]
        expected = [np.mean([r.metrics[name] for r in mine]) for name in ("macs", "accuracy")]
        assert row[["macs", "accuracy"]].to_numpy().ravel() == pytest.approx([expected[0], 100 * expected[1]])
        assert series in ("static", "method")
    last = made.data[made.data["series"] == "static"].groupby("setting")["macs"].max()
    drawn_whole = [line.get_xdata()[-1] for line in axes.lines if line.get_markersize() == 10]
    assert sorted(drawn_whole) == pytest.approx(sorted(last / 1e6))


def test_methods_are_measured_against_smaller_networks_without_exits():
    """A network that costs a tenth: its static exits are all that the large one's method can be compared with."""
    small = [
        r.model_copy(update={"metrics": r.metrics | {"macs": r.metrics["macs"] / 10, "accuracy": 0.5}})
        for r in records(methods=["eefp"], backbone="resnet18", protocol_version="v1-seen")
        if "macs" in r.metrics
    ]
    large = records(methods=["jeidnn"])
    whole = report(small + large + records(methods=["jeidnn"], backbone="resnet50", limit=40))
    made = absolute(whole)
    names = ["efficientnet_lite0 · 96 px · 6 exits", "resnet18 · 96 px · 6 exits · v1-seen"]
    assert sorted(set(made.data["setting"])) == names and "half of the test images" in made.caption
    method = made.data[made.data["series"] == "method"].set_index("setting")
    assert method.loc[names[0], "lead"].to_numpy() == pytest.approx(method.loc[names[0], "accuracy"].to_numpy() - 50)
    (axes,) = made.figure.axes
    labels = [" ".join(t.get_text().split()) for t in axes.get_legend().get_texts()]
    low, high = method.loc[names[0], "lead"].min(), method.loc[names[0], "lead"].max()
    span = f"{low:+.1f} to {high:+.1f}".replace("-", "−")
    assert f"{names[0]} jeidnn: {span} points against other networks" in labels
    assert f"{names[1]} eefp: no other network costs less" in labels
    best = frontier(made.data)
    static = made.data[made.data["series"] == "static"]
    for macs, value in best[["macs", "accuracy"]].to_numpy():
        assert value == static.loc[static["macs"] <= macs, "accuracy"].max()
    assert best["accuracy"].is_monotonic_increasing and len(best) == 1 + sum(
        static.loc[static["setting"] == names[0], "accuracy"] > 50
    )


def test_two_networks_of_one_title_are_drawn_apart():
    held = records(methods=["jeidnn"]) + records(methods=["jeidnn"], bank_digest="c" * 16)
    assert absolute_data(report(held))["setting"].nunique() == 2


def test_over_no_cells_there_are_reasons():
    held = records(methods=["jeidnn"], limit=50)
    gaps = overall_figures(report(held)).left_out
    assert [gap.name for gap in gaps] == ["own_gain", "tally", "absolute"] and all(gap.reason for gap in gaps)


@pytest.mark.filterwarnings("error")
def test_one_method_over_five_cells_is_drawn_without_a_warning_and_over_four_not_at_all():
    grid = {"methods": ["jeidnn"], "budgets": (0.3,), "lift": 0.9}
    held = [r for i in range(5) for r in records(**grid, dataset=f"set{i}")]
    low, high = own_gain(report(held)).figure.axes[0].get_xlim()
    assert low < high
    with pytest.raises(Missing, match="Fewer than 5 settings are valid"):
        own_gain(report([r for r in held if r.cell.dataset != "set4"]))
