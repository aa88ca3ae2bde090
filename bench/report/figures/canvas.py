"""The sheet that a figure is drawn on: title, what its marks mean and warnings above, axes placed below in inches."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bench.report.style import ALARM, NOTE

EM = 0.62  # mean width of a character, in units of the font size


@dataclass
class Sheet:
    """A figure of fixed size whose body of `width` × `body` inches lies below its header."""

    figure: Figure
    width: float
    body: float
    height: float
    shown: list[Axes] = field(default_factory=list)

    def axes(self, left: float, bottom: float, width: float, height: float) -> Axes:
        """Add axes; all lengths in inches, from the body's lower left corner."""
        box = (left / self.width, bottom / self.height, width / self.width, height / self.height)
        self.shown.append(self.figure.add_axes(box))
        return self.shown[-1]

    def text(self, x: float, y: float, text: str, **look: object) -> None:
        """Write text at a place in inches from the body's lower left corner."""
        self.figure.text(x / self.width, y / self.height, text, **look)  # type: ignore[arg-type]

    def grid(
        self,
        count: int,
        columns: int,
        *,
        left: float,
        right: float,
        bottom: float,
        row: float,
        gap: tuple[float, float],
        top: float,
    ) -> list[Axes]:
        """Add panels row by row, `row` inches high, with gaps (across, down) between, and `top` inches for titles."""
        rows = math.ceil(count / columns)
        across, down = gap
        width = (self.width - left - right - (columns - 1) * across) / columns
        start = bottom + rows * row + (rows - 1) * down
        assert start + top <= self.body + 1e-6, (start, top, self.body)
        places = [divmod(i, columns) for i in range(count)]
        return [self.axes(left + c * (width + across), start - (r + 1) * row - r * down, width, row) for r, c in places]


def sheet(
    title: str,
    cell: str,
    *,
    width: float,
    body: float,
    keys: Sequence[str] = (),
    warnings: Sequence[str] = (),
) -> Sheet:
    """Start a figure: what it shows and of which cell in bold, the keys of its marks in grey, warnings in red."""
    blocks = [(title, "black", 11.5, "bold"), (cell, "black", 9.5, "normal")]
    blocks += [("; ".join(filter(None, keys)), NOTE, 9.0, "normal")] if any(keys) else []
    blocks += [(warning, ALARM, 9.0, "bold") for warning in warnings]
    lines: list[tuple[str, str, float, str, float]] = []
    top = 0.08
    for text, colour, size, weight in blocks:
        for line in textwrap.wrap(text, characters(width - 0.2, size * (1.12 if weight == "bold" else 1.0))):
            lines.append((line, colour, size, weight, top))
            top += size * 1.45 / 72
        top += 0.015
    height = body + top + 0.06
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    for line, colour, size, weight, place in lines:
        figure.text(
            0.1 / width, 1 - place / height, line, color=colour, fontsize=size, fontweight=weight, va="top"
        )
    return Sheet(figure, width, body, height)


def characters(inches: float, size: float) -> int:
    """How many characters of a font size fit in a width."""
    return max(8, int(inches * 72 / (EM * size)))


def inches(text: str, size: float) -> float:
    """How wide the longest line of a text is at a font size, nearly."""
    return max((len(line) for line in text.split("\n")), default=0) * EM * size / 72


def wrapped(name: str, width: int = 28, lines: int = 2) -> str:
    """Break a name into at most so many lines; what is too long loses its middle."""
    room = width * lines
    if len(name) > room:
        head = (room - 1) * 2 // 3
        name = f"{name[:head]}…{name[-(room - 1 - head) :]}"
    found = textwrap.wrap(name, width, break_on_hyphens=False)
    if len(found) > lines:
        flat = name.replace(" ", "\u00a0")
        found = [flat[i : i + width] for i in range(0, len(flat), width)]
    return "\n".join(found) or "?"
