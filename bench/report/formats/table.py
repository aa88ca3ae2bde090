"""One table, five forms: Markdown and HTML for readers, LaTeX for papers, CSV and Parquet for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from bench.stats.bootstrap import Estimate

Value = str | int | float | Estimate | None
Highlight = Literal["best", "above", "below"]  # bold; ▲ and ▼: surely above or below what the caption names


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

    marks: how the value at (row, column key) stands out. shown: only the first so many rows are for readers (None: all,
    0: the table is data alone, and its other forms are empty); CSV and Parquet have every row.
    """

    name: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Mapping[str, Value]]
    caption: str = ""
    marks: Mapping[tuple[int, str], Highlight] = field(default_factory=dict)
    shown: int | None = None

    def markdown(self) -> str:
        """Return a GitHub table followed by its caption."""
        from bench.report.formats.markdown import render

        return "" if self.shown == 0 else render(self)

    def html(self) -> str:
        """Return a `<table>` element with its caption; cells hold their unscaled values as `data-value`."""
        from bench.report.formats.html import render

        return "" if self.shown == 0 else render(self)

    def latex(self) -> str:
        """Return a `table` environment of booktabs rules."""
        from bench.report.formats.latex import render

        return "" if self.shown == 0 else render(self)

    def csv(self) -> str:
        """Return plain numbers; see `bench.report.formats.data`."""
        from bench.report.formats.csv import render

        return render(self)

    def parquet(self) -> bytes:
        """Return the same columns with their types, and title and caption in the file's metadata."""
        from bench.report.formats.parquet import render

        return render(self)

    @property
    def visible(self) -> list[Column]:
        """The columns that are for readers."""
        return [column for column in self.columns if not column.data]

    def is_text(self, column: Column) -> bool:
        """Whether a column holds words."""
        return any(isinstance(row.get(column.key), str) for row in self.rows)
