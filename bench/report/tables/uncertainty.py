"""The quality of confidences and prediction sets: ECE, NLL, inefficiency and coverage at 95 %."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from bench.report.aggregate import Row
from bench.report.context import CellReport
from bench.report.formats.table import Column, Highlight, Table
from bench.report.tables.at_budget import scores_at_budgets
from bench.report.tables.words import T_INTERVAL, caption, seeds

COVERAGE, LOW, HIGH = "coverage_lac@0.05", "coverage_band_low@0.05", "coverage_band_high@0.05"
COLUMNS = (
    Column("accuracy", "Accuracy, %", 2, 100, interval=True),
    Column("macs_fraction", "Cost", 3, interval=True, note="share of the plain backbone's MACs, realised on test"),
    Column("ece_mass15", "ECE, %", 2, 100, interval=True, note="15 bins of equal mass"),
    Column("nll", "NLL, nats", 3, interval=True),
    Column("brier", "Brier", 4, data=True),
    Column("set_size_lac@0.05", "Inefficiency, classes", 2, interval=True, note="mean size of LAC sets, α = 0.05"),
    Column(COVERAGE, "Coverage, %", 2, 100, interval=True, note="share of sets that contain the label, α = 0.05"),
    Column("coverage_low_lac@0.05", "Coverage at least", 2, 100, data=True),
    Column("coverage_high_lac@0.05", "Coverage at most", 2, 100, data=True),
    Column("exit_gap_lac@0.05", "Largest coverage gap of an exit, points", 1, 100, note="|coverage − 95 %|"),
    Column(LOW, "Band from", 2, 100, data=True),
    Column(HIGH, "Band to", 2, 100, data=True),
    Column("aurc", "AURC", 4, data=True),
)


def uncertainty(report: CellReport) -> Table | None:
    """Return the table, or None if no record has an ECE."""
    table = scores_at_budgets(report, "uncertainty", "Uncertainty", COLUMNS, "ece_mass15", _outside)
    if table is None:
        return None
    cell = report.statistics
    text = caption(
        cell,
        f"Test scores of each method's own policy, mean over {seeds(cell)}; {T_INTERVAL}. Lower is better except for "
        "accuracy and coverage. ECE: 15 bins of equal mass. Inefficiency: mean number of classes in split conformal "
        "LAC sets for 95 % coverage, calibrated on cal.",
        _band(report),
        "Data files have all budgets, and exact intervals (Clopper–Pearson) of coverage on this test set.",
    )
    return replace(table, caption=text)


def _outside(row: Row) -> Mapping[str, Highlight]:
    """Highlight coverage whose mean over seeds is outside the band of one seed."""
    value, low, high = (row.estimate(name) for name in (COVERAGE, LOW, HIGH))
    if value is None or low is None or high is None:
        return {}
    return {COVERAGE: "below"} if value.value < low.value else {COVERAGE: "above"} if value.value > high.value else {}


def _band(report: CellReport) -> str:
    bands = {
        (low.value, high.value)
        for row in report.rows
        if (low := row.estimate(LOW)) is not None and (high := row.estimate(HIGH)) is not None
    }
    if not bands:
        return "Coverage should be 95 %."
    least, most = min(b[0] for b in bands), max(b[1] for b in bands)
    return (
        f"Coverage should be 95 %; the draws of cal and test alone put one seed within {100 * least:.1f}–"
        f"{100 * most:.1f} % (Beta-binomial, 95 %); ▲ ▼: the mean is above or below that."
    )
