"""A table before it is written in a format: Markdown for readers, LaTeX for papers, CSV and Parquet for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from bench.stats.bootstrap import Estimate

Value = str | int | float | Estimate | None
# leading: shaded or ●, may be the best method. best: also bold. above, below: ▲ ▼, significantly above or below the
# reference that the caption names.
Highlight = Literal["best", "leading", "above", "below"]


@dataclass(frozen=True)
class Column:
    """A column: its key in data files, its title, and the format of its numbers (unscaled in data files).

    interval: show the 95 % interval beside the value (data files always have it). signed: show a plus sign.
    p: a p-value. data: only in CSV and Parquet. note: one line that explains the column, for a tooltip.
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
    """Rows of values under columns. `name` is the stem of its file, `title` its heading, `caption` the text below it.

    highlights: the highlight of the value at (row, column key). shown: the number of first rows that readers see
    (None: all; 0: none, the table is only in data files); CSV and Parquet have every row.
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
        """The columns that readers see."""
        return [column for column in self.columns if not column.data]

    def is_text(self, column: Column) -> bool:
        """Return whether a column has text values."""
        return any(isinstance(row.get(column.key), str) for row in self.rows)
