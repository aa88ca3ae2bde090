"""A table before it is written in any form: Markdown for readers, LaTeX for papers, CSV and Parquet for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from bench.stats.bootstrap import Estimate

Value = str | int | float | Estimate | None
# best: bold, and leading; leading: shaded or ●, may be the best; above, below: ▲ ▼, significantly above or below what
# the caption names
Highlight = Literal["best", "leading", "above", "below"]


@dataclass(frozen=True)
class Column:
    """A column: its key in data, its title, and how its numbers are shown (data has them unscaled).

    interval: readers see the 95 % interval beside the value (data always has it). signed: with a plus sign.
    p: a p-value. data: only in CSV and Parquet, not for readers. note: one line on what it is, for a tooltip.
    """

    key: str
    title: str
    digits: int = 0
    scale: float = 1.0
    interval: bool = False
    signed: bool = False
    p: bool = False
    data: bool = False
    note: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of values under columns. `name` is a file's stem, `title` its heading, `caption` all a reader must know.

    highlights: how the value at (row, column key) is highlighted. shown: only the first so many rows are for readers
    (None: all, 0: none, the table is data only); CSV and Parquet have every row.
    """

    name: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Mapping[str, Value]]
    caption: str = ""
    highlights: Mapping[tuple[int, str], Highlight] = field(default_factory=dict)
    shown: int | None = None

    @property
    def visible(self) -> list[Column]:
        """The columns that are for readers."""
        return [column for column in self.columns if not column.data]

    def is_text(self, column: Column) -> bool:
        """Whether a column holds words."""
        return any(isinstance(row.get(column.key), str) for row in self.rows)
