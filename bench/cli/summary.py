"""The table that a run ends with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    import pandas as pd


def summary_table(records: pd.DataFrame) -> Iterator[Table]:
    """Yield one table per dataset and backbone: methods × budgets, mean test accuracy over mean realised cost."""
    methods = records[records["kind"] == "method"]
    for (dataset, backbone), cell in methods.groupby(["dataset", "backbone"], sort=True):
        budgets = sorted(cell["budget"].dropna().unique())
        seeds = cell["seed"].nunique()
        table = Table(title=f"{dataset} · {backbone}", title_justify="left", show_lines=True)
        table.caption = f"Test accuracy %, below it the realised cost as a share of the backbone; {seeds} seeds, mean."
        table.caption_justify = "left"
        table.add_column("budget", no_wrap=True)
        for budget in budgets:
            table.add_column(f"{budget:g}", justify="right", no_wrap=True)
        for method, rows in cell.groupby("method", sort=True):
            table.add_row(escape(str(method)), *(_entry(rows[rows["budget"] == b], seeds) for b in budgets))
        yield table


def _entry(rows: pd.DataFrame, seeds: int) -> str:
    ok = rows[rows["status"] == "ok"]
    if ok.empty:
        return {"infeasible": "–\ninf."}.get(rows["status"].iloc[0], "–\nfail") if len(rows) else "–"
    missing = "" if len(ok) >= seeds else f"\n{len(ok)}/{seeds}"
    return f"{100 * ok['accuracy'].mean():.1f}\n{ok['macs_fraction'].mean():.2f}{missing}"
