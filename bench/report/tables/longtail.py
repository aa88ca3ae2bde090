"""Accuracy and cost of classes with many, medium and few training samples."""

from __future__ import annotations

from dataclasses import replace

from bench.report.context import CellReport
from bench.report.formats.table import Column, Table
from bench.report.tables.at_budget import scores_at_budgets
from bench.report.tables.words import T_INTERVAL, caption, seeds

GROUPS = ("many", "medium", "few")
COLUMNS = (
    Column("accuracy", "Accuracy, %", 2, 100, interval=True),
    *(Column(f"accuracy_{g}", f"{g.capitalize()}, %", 2, 100, interval=True) for g in GROUPS),
    Column("macs_fraction", "Cost", 3, interval=True, note="share of the plain backbone's MACs, realised on test"),
    *(Column(f"macs_fraction_{g}", f"Cost, {g}", 3, interval=True) for g in GROUPS),
    Column("savings_disparity", "Few minus many", 3, interval=True, signed=True, note="cost of few minus cost of many"),
    *(Column(f"accuracy_tax_{g}", f"Tax, {g}", 2, 100, data=True) for g in GROUPS),
    Column("balanced_accuracy", "Balanced accuracy", 2, 100, data=True),
    Column("accuracy_worst20", "Accuracy of the worst 20 classes", 2, 100, data=True),
)


def longtail(report: CellReport) -> Table | None:
    """Return the table, or None if no record has scores per group."""
    table = scores_at_budgets(report, "longtail", "Long tail", COLUMNS, "accuracy_many")
    if table is None:
        return None
    cell = report.statistics
    text = caption(
        cell,
        "Test accuracy and mean exit cost of classes with many (over 100), medium (20 to 100) and few (under 20) "
        f"training samples, for each method's own policy; mean over {seeds(cell)}, {T_INTERVAL}.",
        "Few minus many: how much more a sample of a rare class costs. Data files have all budgets.",
    )
    return replace(table, caption=text)
