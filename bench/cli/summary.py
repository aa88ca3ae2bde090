"""The tables that a run ends with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from statistics import mean

from rich.table import Table

from bench.cli.terminal import table as plain_table
from bench.trials.folders import names_of
from bench.trials.record import Record
from bench.trials.stores import by_setting, versions

MOST = 8  # budgets that fit beside a label into the 80 columns of a log


def summary_tables(records: Iterable[Record]) -> Iterator[Table]:
    """Yield the tables of every setting: methods × budgets, mean test accuracy over mean realised cost."""
    settings = by_setting(records)
    for cell, name in sorted(names_of(settings).items(), key=lambda item: item[1]):
        found = settings[cell]
        rows = [newest for newest, *_ in versions(found) if newest.point.kind == "method"]
        every = sorted({row.point.budget for row in rows if row.point.budget is not None})
        seeds = len({row.point.seed for row in rows})
        over = "one seed" if seeds == 1 else f"mean of {seeds} seeds"
        caption = f"Test accuracy (%), below it the cost as a share of the backbone's; {over}."
        for budgets in batched(every, MOST):
            table = plain_table(title=name, caption=caption, show_lines=True)
            table.add_column("budget", overflow="fold", min_width=12)
            for budget in budgets:
                table.add_column(f"{budget:g}", justify="right", no_wrap=True, min_width=4)
            for label in sorted({row.point.label for row in rows}):
                mine = [row for row in rows if row.point.label == label]
                table.add_row(label, *(_entry([r for r in mine if r.point.budget == b], seeds) for b in budgets))
            yield table


def batched(values: Sequence[float], size: int) -> Iterator[Sequence[float]]:
    """Yield the values in groups; one empty group if there are none."""
    yield from (values[start : start + size] for start in range(0, max(len(values), 1), size))


def _entry(rows: Sequence[Record], seeds: int) -> str:
    ok = [row.metrics for row in rows if row.status == "ok"]
    if not ok:
        return {"infeasible": "–\nn/a"}.get(rows[0].status, "–\nfail") if rows else "–"
    missing = "" if len(ok) >= seeds else f"\n{len(ok)}/{seeds}"
    accuracy, cost = (mean(metrics[name] for metrics in ok) for name in ("accuracy", "macs_fraction"))
    return f"{100 * accuracy:.1f}\n{cost:.2f}{missing}"
