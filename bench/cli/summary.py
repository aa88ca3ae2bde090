"""The tables that a run ends with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from statistics import mean

from rich.markup import escape
from rich.table import Table

from bench.trials.record import Record
from bench.trials.stores import by_setting, versions


def summary_tables(records: Iterable[Record]) -> Iterator[Table]:
    """Yield one table per setting: methods × budgets, mean test accuracy over mean realised cost."""
    for cell, found in sorted(by_setting(records).items(), key=lambda item: (item[0].dataset, item[0].backbone)):
        rows = [newest for newest, *_ in versions(found) if newest.point.kind == "method"]
        budgets = sorted({row.point.budget for row in rows if row.point.budget is not None})
        seeds = len({row.point.seed for row in rows})
        table = Table(title=f"{cell.dataset} · {cell.backbone}", title_justify="left", show_lines=True)
        over = "one seed" if seeds == 1 else f"mean of {seeds} seeds"
        table.caption = f"Test accuracy (%), below it the cost as a share of the backbone's; {over}."
        table.caption_justify = "left"
        table.add_column("budget", no_wrap=True)
        for budget in budgets:
            table.add_column(f"{budget:g}", justify="right", no_wrap=True)
        for label in sorted({row.point.label for row in rows}):
            mine = [row for row in rows if row.point.label == label]
            entries = [_entry([row for row in mine if row.point.budget == budget], seeds) for budget in budgets]
            table.add_row(escape(label), *entries)
        yield table


def _entry(rows: Sequence[Record], seeds: int) -> str:
    ok = [row.metrics for row in rows if row.status == "ok"]
    if not ok:
        return {"infeasible": "–\nn/a"}.get(rows[0].status, "–\nfail") if rows else "–"
    missing = "" if len(ok) >= seeds else f"\n{len(ok)}/{seeds}"
    accuracy, cost = (mean(metrics[name] for metrics in ok) for name in ("accuracy", "macs_fraction"))
    return f"{100 * accuracy:.1f}\n{cost:.2f}{missing}"
