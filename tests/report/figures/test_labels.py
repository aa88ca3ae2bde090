from __future__ import annotations

import itertools

import matplotlib as mpl
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bench.report.figures.canvas import fit, inches, sheet
from bench.report.figures.file import DPI
from bench.report.figures.labels import Label, beside, spread
from bench.report.style import settings


def test_labels_with_room_stay_where_they_are():
    assert spread([0.2, 0.8, 0.5], [0.1, 0.1, 0.1]) == [0.2, 0.8, 0.5]


def test_equal_labels_move_apart_evenly():
    low, middle, high = spread([0.5, 0.5, 0.5], [0.1, 0.1, 0.1])
    assert abs(low - 0.4) < 1e-9 and abs(middle - 0.5) < 1e-9 and abs(high - 0.6) < 1e-9


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.floats(0.01, 0.08))
def test_labels_keep_their_order_and_never_overlap(wanted, height):
    found = spread(wanted, [height] * len(wanted))
    ordered = [found[i] for i in sorted(range(len(wanted)), key=lambda i: (wanted[i], i))]
    assert all(b - a >= height - 1e-9 for a, b in itertools.pairwise(ordered))
    assert min(found) - height / 2 >= -1e-9 and max(found) + height / 2 <= 1 + 1e-9


@given(st.lists(st.text(st.characters(codec="latin-1", categories=("L", "N", "P")), max_size=60), max_size=8))
def test_fitted_names_are_short_enough_and_differ_where_the_names_do(names):
    names = list(dict.fromkeys(names))
    found = fit(names, 1.5, 8.5)
    assert len(set(found)) == len(found)
    assert all(short == name or "…" in short for short, name in zip(found, names, strict=True))
    assert all(
        inches(short.partition(" (")[0], 8.5) <= 1.5 or len(name) <= 8 for short, name in zip(found, names, strict=True)
    )


def test_width_of_text_is_that_of_the_drawn_text():
    with mpl.rc_context(settings()):
        figure = Figure(dpi=DPI)
        canvas = FigureCanvasAgg(figure)
        text = figure.text(0, 0, "WWWW method_iii $x_1$", fontsize=8.5)
        drawn = text.get_window_extent(canvas.get_renderer()).width / DPI
    assert abs(inches("WWWW method_iii $x_1$", 8.5) / drawn - 1) < 0.06


def test_of_points_that_meet_the_first_label_is_the_upper_one():
    with mpl.rc_context(settings()):
        page = sheet(width=6, body=3)
        axes = page.axes(0.5, 0.5, 3, 2)
        style = {"color": "black"}
        beside(axes, [Label("first", 1, 0.5, style), Label("second", 1, 0.5001, style), Label("top", 1, 0.9, style)])
    heights = {t.get_text(): t.get_position()[1] for t in axes.texts}
    assert heights["top"] > heights["first"] > heights["second"]


def test_a_header_stays_inside_the_sheet():
    with mpl.rc_context(settings()):
        page = sheet(width=5, body=2, keys=["key " * 60], warnings=["W" * 90])
        renderer = FigureCanvasAgg(page.figure).get_renderer()
        boxes = [t.get_window_extent(renderer) for t in page.figure.texts]
        width, height = page.figure.bbox.width, page.figure.bbox.height
        assert all(b.x1 <= width and b.y1 <= height and b.y0 >= height * page.body / page.height for b in boxes)
        assert all(a.y0 >= b.y1 - 2 for a, b in itertools.pairwise(boxes))
