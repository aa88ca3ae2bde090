"""The figures of a report, in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from bench.report.context import CellReport
from bench.report.figures.absolute import absolute
from bench.report.figures.accuracy import accuracy, best
from bench.report.figures.coverage import coverage
from bench.report.figures.critical import critical
from bench.report.figures.decomposition import decomposition
from bench.report.figures.depth import depth
from bench.report.figures.exit_calibration import exit_calibration
from bench.report.figures.file import Drawing, FigureSet, LeftOut, Missing, pack
from bench.report.figures.gain import gain
from bench.report.figures.overall import own_gain, tally
from bench.report.figures.recipes import recipes
from bench.report.figures.reliability import reliability
from bench.report.figures.scores import ece, inefficiency
from bench.report.figures.search import search_figures
from bench.report.summary import Report

Figures = Sequence[tuple[str, str, Callable[[], Drawing]]]


def cell_figures(report: CellReport) -> FigureSet:
    """Return the figures of a setting; those for which the records have no data are left out with a reason."""
    made = _make(
        [
            ("gain", "Own gain against cost", partial(gain, report)),
            ("best", "Accuracy against cost: the best methods", partial(best, report)),
            ("accuracy", "Accuracy against cost", partial(accuracy, report)),
            ("comparison", "Comparison with the baseline", partial(critical, report)),
            ("recipes", "Head recipes and exit rules", partial(recipes, report)),
            ("ece", "Calibration error against cost", partial(ece, report)),
            ("inefficiency", "Size of conformal sets against cost", partial(inefficiency, report)),
            ("coverage", "Requested and empirical coverage", partial(coverage, report)),
            ("exits", "Accuracy exit by exit", partial(decomposition, report)),
            ("exit_calibration", "Calibration exit by exit", partial(exit_calibration, report)),
            ("depth", "Exit distribution", partial(depth, report)),
            ("reliability", "Reliability", partial(reliability, report)),
        ]
    )
    return replace(made, figures=(*made.figures, *search_figures(report.searches, report.looks)))


def overall_figures(report: Report) -> FigureSet:
    """Return the figures across the settings of each track."""
    wanted = (
        ("own_gain", "Own gain over settings", own_gain),
        ("tally", "Settings won, tied, lost", tally),
        ("absolute", "Accuracy against absolute cost", absolute),
    )
    return _make(
        [
            (*report.labelled(name, title, track), partial(draw, track))
            for track in report.tracks
            for name, title, draw in wanted
        ]
    )


def _make(wanted: Figures) -> FigureSet:
    figures, left_out = [], []
    for name, title, draw in wanted:
        try:
            figures.append(pack(name, title, draw()))
        except Missing as reason:
            left_out.append(LeftOut(name, title, str(reason)))
    return FigureSet(tuple(figures), tuple(left_out))
