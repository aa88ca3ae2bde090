"""The tables that a run ends with."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from statistics import mean
from typing import TYPE_CHECKING, NamedTuple

from rich.table import Table

from bench.cli.terminal import table as plain_table
from bench.trials.folders import names_of
from bench.trials.record import Record
from bench.trials.stores import by_setting, versions

if TYPE_CHECKING:
    import pandas as pd

MOST = 8  # budgets that fit beside a label into the 80 columns of a log


class Entry(NamedTuple):
    """What the tables show of one operating point."""

    label: str
    budget: float
    seed: int
    status: str
    accuracy: float
    macs_fraction: float


def summary_tables(records: Iterable[Record]) -> Iterator[Table]:
    """Yield the tables of every setting: methods × budgets, mean test accuracy over mean realised cost."""
    settings = by_setting(records)
    for cell, name in sorted(names_of(settings).items(), key=lambda item: item[1]):
        rows = [newest for newest, *_ in versions(settings[cell]) if newest.point.kind == "method"]
        yield from _tables(name, [_entry(row) for row in rows if row.point.budget is not None])


def summary_table(frame: pd.DataFrame) -> Iterator[Table]:
    """Yield the same tables of a frame of records, as `bench.load_records` returns it."""
    methods = frame[frame["kind"] == "method"]
    for (dataset, backbone), part in methods.groupby(["dataset", "backbone"], sort=True):
        columns = part[["method", *Entry._fields[1:]]]
        yield from _tables(f"{dataset} · {backbone}", [Entry(*row) for row in columns.itertuples(index=False)])


def _tables(name: str, rows: Sequence[Entry]) -> Iterator[Table]:
    seeds = len({row.seed for row in rows})
    over = "one seed" if seeds == 1 else f"mean of {seeds} seeds"
    caption = f"Test accuracy (%), below it the cost as a share of the backbone's; {over}."
    for budgets in batched(sorted({row.budget for row in rows}), MOST):
        table = plain_table(title=name, caption=caption, show_lines=True)
        table.add_column("budget", overflow="fold", min_width=12)
        for budget in budgets:
            table.add_column(f"{budget:g}", justify="right", no_wrap=True, min_width=4)
        for label in sorted({row.label for row in rows}):
            mine = [row for row in rows if row.label == label]
            table.add_row(label, *(_text([r for r in mine if r.budget == b], seeds) for b in budgets))
        yield table


def batched(values: Sequence[float], size: int) -> Iterator[Sequence[float]]:
    """Yield the values in groups; one empty group if there are none."""
    yield from (values[start : start + size] for start in range(0, max(len(values), 1), size))


def _entry(record: Record) -> Entry:
    point, nothing = record.point, math.nan
    scores = (record.metrics.get(name, nothing) for name in Entry._fields[4:])
    return Entry(point.label, float(point.budget or 0), point.seed, record.status, *scores)


def _text(rows: Sequence[Entry], seeds: int) -> str:
    ok = [row for row in rows if row.status == "ok"]
    if not ok:
        return {"infeasible": "–\nn/a"}.get(rows[0].status, "–\nfail") if rows else "–"
    missing = "" if len(ok) >= seeds else f"\n{len(ok)}/{seeds}"
    accuracy, cost = mean(row.accuracy for row in ok), mean(row.macs_fraction for row in ok)
    return f"{100 * accuracy:.1f}\n{cost:.2f}{missing}"
