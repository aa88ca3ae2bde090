"""Charts on an axis of one's own draw the numbers of the statistics."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex

import bench
from bench.errors import UserError
from bench.report.stored import report_of
from bench.report.style import OTHERS, looks
from bench.trials.table import frame_of
from tests.helpers.records import records

MANY = [f"method_{i}" for i in range(9)]
GRID = {"samples": 40, "seeds": [0, 1], "budgets": [0.3, 0.5, 0.9]}
CHARTS = {"gain": "gain", "accuracy": None, "calibration": "ece_mass15", "set_size": "set_size_lac@0.05"}


@pytest.fixture(scope="module")
def few():
    return frame_of(records(**GRID, methods=["jeidnn", "msdnet_thresh"], lift=0.3), outcomes=True)


@pytest.fixture(scope="module")
def many():
    return frame_of(records(**GRID, methods=MANY), outcomes=True)


@pytest.fixture
def axes():
    figure, found = plt.subplots(1, 2)
    yield found
    plt.close(figure)


def coloured(axes, method, names):
    """The points of a method's line."""
    (line,) = [found for found in axes.lines if to_hex(found.get_color()).upper() == looks(names)[method].colour
               and found.get_linestyle() != "None" and len(found.get_xdata())]  # fmt: skip
    return np.asarray(line.get_xydata())


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_draws_on_the_axis_that_is_given_and_on_no_other(few, axes, name):
    before = dict(plt.rcParams)
    assert getattr(bench.plot, name)(few, ax=axes[1]) is axes[1]
    assert dict(plt.rcParams) == before and not axes[0].lines and len(axes[1].figure.axes) == 2
    named = [text.get_text() for text in axes[1].get_legend().get_texts()]
    order = [m.label for m in report_of(few).statistics.methods]
    assert named[:2] == order and "other methods" not in named
    assert "cost" in axes[1].get_xlabel() or "MACs" in axes[1].get_xlabel()
    assert axes[1].get_title(loc="left") == "cifar100lt · efficientnet_lite0 · 96 px · 6 exits · protocol v1"


def test_the_numbers_are_those_of_the_statistics(few, axes):
    cell, names = report_of(few).statistics, ["jeidnn", "msdnet_thresh"]
    bench.plot.gain(few, ax=axes[0])
    for method in cell.methods:
        wanted = [(b.budget, 100 * b.gain.value) for b in method.curve.budgets]
        assert coloured(axes[0], method.label, names) == pytest.approx(np.array(wanted))
    bench.plot.calibration(few, ax=axes[1])
    means = few[few["kind"] == "method"].groupby(["method", "budget"])[["macs_fraction", "ece_mass15"]].mean()
    for name in names:
        assert coloured(axes[1], name, names) == pytest.approx(means.loc[name].to_numpy() * [1, 100])


def test_of_many_methods_the_foremost_are_in_colour_or_those_that_are_named(many, axes):
    bench.plot.gain(many, ax=axes[0])
    order = [m.label for m in report_of(many).statistics.methods]
    named = [text.get_text() for text in axes[0].get_legend().get_texts()]
    assert named[:5] == order[:5] and named[-1] == "other methods"
    assert any(to_hex(line.get_color()).upper() == OTHERS for line in axes[0].lines)
    bench.plot.accuracy(many, ax=axes[1], methods=["method_3"])
    named = [text.get_text() for text in axes[1].get_legend().get_texts()]
    assert named[0] == "method_3" and not {*MANY} & {*named[1:]} and not axes[1].collections


def test_without_an_axis_the_current_one_is_drawn_on(few, axes):
    plt.sca(axes[0])
    assert bench.plot.set_size(few) is axes[0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda frame, ax: bench.plot.gain(frame, ax, methods=["jeidn"]), r"no method 'jeidn'.*Did you mean 'jeidnn'"),
        (lambda frame, ax: bench.plot.gain(frame[frame["method"] != "static"], ax), "static exits"),
        (lambda frame, ax: bench.plot.calibration(frame.drop(columns="ece_mass15"), ax), "No record has"),
        (lambda frame, ax: bench.plot.gain(frame, ax, setting="svhn"), "no setting 'svhn'"),
    ],
)
def test_what_cannot_be_drawn_is_a_sentence_and_leaves_the_axis_alone(few, axes, call, message):
    with pytest.raises(UserError, match=message):
        call(few, axes[0])
    assert not axes[0].lines
