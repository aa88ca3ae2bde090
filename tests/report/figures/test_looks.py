from __future__ import annotations

import re
from dataclasses import replace
from typing import get_args
from xml.etree import ElementTree

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from bench.report.figures import cell_figures
from bench.report.figures.accuracy import accuracy, best
from bench.report.figures.coverage import coverage
from bench.report.figures.critical import critical
from bench.report.figures.decomposition import decomposition
from bench.report.figures.depth import depth
from bench.report.figures.exit_calibration import exit_calibration
from bench.report.figures.grid import packed, titles
from bench.report.figures.scores import ece, inefficiency
from bench.report.style import ALARM, OTHER_FAMILY, distinct, families, looks, settings
from tests.helpers.figures import MANY, drawn, one_cell, told
from tests.helpers.records import at, changed, records

pytestmark = pytest.mark.slow


def test_names_stay_text():
    names = ["<script>alert(1)</script>", "$x_1$", "_hidden", "a\\b & 'c' \"d\""]
    cell = one_cell(methods=[*names, "msdnet_thresh"], seeds=(0, 1), budgets=(0.3, 0.7))
    files = {file.name: file.files[f"{file.name}.svg"] for file in cell_figures(cell)}
    for svg in files.values():
        root = ElementTree.fromstring(svg)
        assert not [e for e in root.iter() if str(e.tag).rpartition("}")[2] in ("script", "foreignObject")]
    assert b"DejaVuSans-24" in files["accuracy"]  # the glyph of U+0024: a dollar is drawn as a dollar
    labels = {t.get_text(): t for t in accuracy(cell).figure.axes[0].texts}
    assert not any(labels[name].get_parse_math() for name in names)


def test_marks_are_seen():
    held = records()
    held = [r for r in held if not at("jeidnn", 0.5, 1)(r)]
    whole = [{**row, "share": float(row["exit"] == 2)} for row in held[0].per_exit]
    held = [r.model_copy(update={"per_exit": whole}) if at("msdnet_thresh", 0.7)(r) else r for r in held]
    cell = one_cell(held)
    for made, axes in ((accuracy(cell), 0), (ece(cell), 0)):
        lines = made.figure.axes[axes].lines
        hollow = [line for line in lines if line.get_markerfacecolor() == "white" and line.get_linestyle() == "None"]
        assert [len(line.get_xdata()) for line in hollow] == [1]
        assert len(drawn(made.figure.axes[axes], "x")) == 1
        assert "hollow: not all seeds" in told(made.figure) and "×: collapsed" in told(made.figure)
        kept = made.data[made.data.get("series").isin(["policy", "method"])]
        assert kept["incomplete"].sum() == 1 and kept["collapsed"].sum() == 1
    signs = [line.get_marker() for a in depth(cell).figure.axes for line in a.lines]
    assert sorted(signs) == ["o", "x"]
    assert "jeidnn ○" in [a.get_title(loc="left") for a in decomposition(cell).figure.axes]


@pytest.mark.parametrize(
    ("known", "warning"),
    [
        ({"limit": 200}, "LIMIT 200"),
        ({"protocol_version": "v1-seen"}, "SEEN"),
        ({"dataset_variant": "jpeg90"}, "VARIANT"),
    ],
)
def test_warnings_stand_in_every_figure(known, warning):
    cell = one_cell(methods=["jeidnn", "msdnet_thresh"], budgets=(0.3, 0.7), **known)
    for made in (f(cell) for f in (accuracy, critical, ece, coverage, decomposition, exit_calibration, depth)):
        assert any(t.get_text().startswith(warning) and t.get_color() == ALARM for t in made.figure.texts)


def test_a_column_without_results_is_hatched():
    held = changed(records(), at("jeidnn", 0.3), status="infeasible", reason="below exit 0")
    made = depth(one_cell(held))
    panel = next(a for a in made.figure.axes if a.get_title(loc="left") == "jeidnn")
    assert [patch.get_hatch() for patch in panel.patches] == ["////"] and "hatched: no result" in told(made.figure)


def test_one_seed_has_no_intervals_of_seeds():
    cell = one_cell(seeds=(0,))
    assert "1 seed, so no intervals" in ece(cell).caption
    assert ece(cell).data["low"].isna().all()


def test_many_methods_have_panels_and_an_overview_of_the_best():
    cell = one_cell(methods=MANY, seeds=(0, 1), budgets=(0.3, 0.5, 0.7), samples=200)
    panels = {a: [t.get_text() for t in a.get_legend().get_texts()] for a in accuracy(cell).figure.axes}
    titles = [a.get_title(loc="left") for a in panels]
    assert titles == ["own confidence", "joint training", "other methods", "other methods"]
    assert list(panels.values())[:2] == [["msdnet_thresh"], ["jeidnn"]]
    order = [m.label for m in cell.statistics.methods if m.label.startswith("method_")]
    assert list(panels.values())[2:] == [order[:6], order[6:]]
    made = best(cell)
    labels = [t.get_text() for t in made.figure.axes[0].texts]
    shown = list(dict.fromkeys(made.data.loc[made.data["series"] == "policy", "method"]))
    assert shown[:5] == [m.label for m in cell.statistics.methods[:5]] and set(shown) <= set(labels)
    assert cell.statistics.baseline.label in shown
    assert not made.figure.axes[0].collections  # no bands one over the other


@pytest.mark.parametrize("draw", [accuracy, best, ece, inefficiency, critical, decomposition, depth, exit_calibration])
def test_no_text_lies_over_another_or_outside(draw):
    names = [*MANY[:-1], "a_method[with=many,settings=that,make=it,very=long,indeed=yes]"]
    made = draw(one_cell(methods=names, seeds=(0, 1), budgets=(0.3, 0.5, 0.7), samples=200))
    figure = made.figure
    figure.draw_without_rendering()
    renderer = FigureCanvasAgg(figure).get_renderer()
    texts = [t for a in figure.axes for t in [*a.texts, a._left_title, a.xaxis.label, a.yaxis.label]]
    for axis in (axis for a in figure.axes for axis in (a.xaxis, a.yaxis)):
        low, high = sorted(axis.get_view_interval())
        texts += [t.label1 for t in axis.get_major_ticks() if low <= t.get_loc() <= high]
    # the numbers of static exits stand among lines
    boxes = [
        (t.get_text(), t.get_window_extent(renderer))
        for t in [*figure.texts, *texts]
        if t.get_text().strip() and t.get_visible() and not re.fullmatch(r"\d", t.get_text())
    ]
    width, height = figure.bbox.width, figure.bbox.height
    for text, box in boxes:
        assert box.x0 >= -1 and box.x1 <= width + 1 and box.y0 >= -1 and box.y1 <= height + 1, text
    for i, (a, box) in enumerate(boxes):
        for b, other in boxes[i + 1 :]:
            apart = box.x1 <= other.x0 + 2 or other.x1 <= box.x0 + 2 or box.y1 <= other.y0 + 2 or other.y1 <= box.y0 + 2
            assert apart, (a, b)


def test_panel_titles_break_rather_than_lose_what_tells_methods_apart():
    names = ["patience[heads=boosted,window=3]", "patience[heads=ztw,window=3]", "short"]
    assert titles(names, 1.7, False) == [
        "patience[heads=boosted,\nwindow=3]",
        "patience[heads=ztw,\nwindow=3]",
        "short",
    ]
    assert titles(names, 1.5, False)[1] == "patience[heads=ztw,\nwindow=3]"
    assert titles(["x" * 80], 1.9, True)[0].count("…") == 1


def test_a_method_has_one_colour_everywhere():
    cell = one_cell(methods=MANY, seeds=(0, 1), budgets=(0.3, 0.7), samples=100)
    look = cell.looks["jeidnn"]
    panel = next(a for a in accuracy(cell).figure.axes if a.get_title(loc="left") == "joint training")
    assert look.colour in {line.get_color() for line in panel.lines}
    data = critical(cell)
    row = list(data.data["method"]).index("jeidnn")
    assert {line.get_color() for line in data.figure.axes[0].lines if next(iter(line.get_ydata())) == row} >= {
        look.colour
    }


def test_few_methods_have_hues_of_their_own():
    known = looks(["diff_prob", "caching", "jeidnn", "ztw"])
    assert len({look.colour for look in known.values()}) < 4
    shown = distinct(["caching", "ztw", "jeidnn", "diff_prob"], known)
    assert len({look.colour for look in shown.values()}) == 4 == len({look.marker for look in shown.values()})
    assert shown["caching"].colour == known["caching"].colour and shown["ztw"].colour == known["ztw"].colour


def test_families_are_those_that_methods_name():
    from bench.method import Family
    from bench.plugins import registry

    own = [p.load() for p in registry.plugins("methods").values() if p.own]
    grouped = families(method.name for method in own)
    assert OTHER_FAMILY not in grouped and sum(map(len, grouped.values())) == len(own)
    by_name = {method.name: method.fidelity.family for method in own}
    assert [len({by_name[name] for name in names}) for names in grouped.values()] == [1] * len(get_args(Family))


def test_families_share_a_row_where_there_is_room():
    groups = {"a": list("pqrstuv"), "b": ["w", "x"], "c": list("klmno"), "d": ["y"]}
    assert packed(groups, 6) == [
        [("a", list("pqrstu"))],
        [("", ["v"]), ("b", ["w", "x"]), ("d", ["y"])],
        [("c", list("klmno"))],
    ]


def test_settings_do_not_leak():
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    cell_figures(replace(one_cell(methods=["jeidnn", "msdnet_thresh"], seeds=(0, 1), budgets=(0.3, 0.7))))
    assert dict(mpl.rcParams) == before and settings()["svg.hashsalt"] == "exitbench"
