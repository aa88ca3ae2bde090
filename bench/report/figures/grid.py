"""A figure of small panels, one per method, in rows of four on common axes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import seaborn as sns
from matplotlib.axes import Axes

from bench.report.cells import warnings
from bench.report.context import CellReport
from bench.report.figures.canvas import Sheet, fit, inches, sheet

COLUMNS = 4
WIDTH, LEFT, RIGHT, BOTTOM, TOP = 9.2, 0.7, 0.12, 0.62, 0.32  # inches
GAP = (0.16, 0.36)
SIZE = 8.5  # points, of titles


@dataclass(frozen=True)
class Grid:
    """The sheet and its panels by method."""

    page: Sheet
    panels: Mapping[str, Axes]
    bottom: float
    height: float

    def __iter__(self) -> Iterator[tuple[str, Axes]]:
        return iter(self.panels.items())

    def finish(self) -> None:
        """Keep tick labels at the left and at the foot of the grid alone; call when all is drawn."""
        columns, count = columns_for(len(self.panels)), len(self.panels)
        for i, axes in enumerate(self.panels.values()):
            axes.tick_params(labelsize=8, pad=2, labelleft=i % columns == 0, labelbottom=i + columns >= count)
            sns.despine(ax=axes)


def columns_for(count: int) -> int:
    """Return how many panels stand side by side."""
    return min(COLUMNS, max(count, 2))


def titles(names: Sequence[str], room: float, signs: bool) -> list[str]:
    """Names in so many inches: on two lines, broken after a bracket or a comma if possible, where one is too short."""
    room -= 0.25 if signs else 0.0
    found = [_broken(name, room) if inches(name, SIZE) > room else name for name in names]
    long = dict(zip(names, fit(names, room, SIZE), strict=True))
    return [title or long[name] for name, title in zip(names, found, strict=True)]


def _broken(name: str, room: float) -> str:
    """Return the name on two lines that both fit, the first as long as possible; empty where there is no such break."""
    places = [i for signs in ("[, ", "=_-") for i in range(len(name) - 1, 0, -1) if name[i - 1] in signs]
    for i in places:
        if max(inches(name[:i], SIZE), inches(name[i:], SIZE)) <= room:
            return f"{name[:i]}\n{name[i:]}"
    return ""


def panels(
    report: CellReport,
    title: str,
    names: Sequence[str],
    xlabel: str,
    ylabel: str,
    *,
    keys: Sequence[str],
    row: tuple[float, float] = (1.25, 1.9),
    right: float = RIGHT,
    signs: Mapping[str, str] | None = None,
) -> Grid:
    """Start the figure: a panel per method `row` inches high (in several rows, or alone), titled with its name.

    `signs` are put after names, such as × where a policy has collapsed.
    """
    columns = columns_for(len(names))
    rows = -(-len(names) // columns)
    high = row[0] if rows > 1 else row[1]
    height = rows * high + (rows - 1) * GAP[1]
    page = sheet(title, report.name, width=WIDTH, body=BOTTOM + height + TOP, keys=keys, warnings=warnings(report.cell))
    grid = page.grid(len(names), columns, left=LEFT, right=right, bottom=BOTTOM, row=high, gap=GAP, top=TOP)
    wide = (WIDTH - LEFT - right - (columns - 1) * GAP[0]) / columns
    for axes, name, short in zip(grid, names, titles(names, wide - 0.05, bool(signs)), strict=True):
        notes = " ".join(filter(None, [short, (signs or {}).get(name)]))
        axes.set_title(notes, fontsize=8.5, loc="left", pad=2, linespacing=1.0)
    page.text(LEFT + (WIDTH - LEFT - right) / 2, 0.1, xlabel, ha="center", fontsize=9.5)
    page.text(0.1, BOTTOM + height / 2, ylabel, rotation=90, va="center", fontsize=9.5)
    return Grid(page, dict(zip(names, grid, strict=True)), BOTTOM, height)


def area_key(grid: Grid, area: float, shares: Sequence[float] = (0.1, 0.5, 1.0)) -> None:
    """Draw circles of known shares at the foot of the figure, at the right."""
    page = grid.page
    axes = page.axes(WIDTH - 2.35, 0.0, 2.25, 0.36)
    axes.set_axis_off()
    axes.set_xlim(0, 2.25)
    axes.set_ylim(0, 0.36)
    for i, share in enumerate(shares):
        x = 0.15 + 0.75 * i
        axes.scatter([x], [0.18], s=area * share, color="#9A9A9A", linewidth=0)
        axes.text(x + 0.19, 0.18, f"{100 * share:.0f} %", fontsize=8, va="center")
