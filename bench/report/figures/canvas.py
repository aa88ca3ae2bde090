"""The sheet that a figure is drawn on: keys and warnings at the top, axes below, placed in inches."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from bench.report.style import ALARM, FONT, NOTE

KEYS = 8.5  # points


@dataclass
class Sheet:
    """A figure of fixed size with a body of `width` × `body` inches below a header."""

    figure: Figure
    width: float
    body: float
    height: float
    shown: list[Axes] = field(default_factory=list)

    def axes(self, left: float, bottom: float, width: float, height: float) -> Axes:
        """Add axes; all lengths are in inches from the lower left corner of the body."""
        box = (left / self.width, bottom / self.height, width / self.width, height / self.height)
        self.shown.append(self.figure.add_axes(box))
        return self.shown[-1]

    def text(self, x: float, y: float, text: str, **look: object) -> None:
        """Write text at (x, y) in inches from the lower left corner of the body."""
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
        """Add panels row by row, each `row` inches high, with gaps (across, down), and `top` inches for titles."""
        rows = math.ceil(count / columns)
        across, down = gap
        width = (self.width - left - right - (columns - 1) * across) / columns
        start = bottom + rows * row + (rows - 1) * down
        assert start + top <= self.body + 1e-6, (start, top, self.body)
        places = [divmod(i, columns) for i in range(count)]
        return [self.axes(left + c * (width + across), start - (r + 1) * row - r * down, width, row) for r, c in places]


def sheet(*, width: float, body: float, keys: Sequence[str] = (), warnings: Sequence[str] = ()) -> Sheet:
    """Return a new figure with keys in grey and warnings in red at the top; the caption explains the rest."""
    blocks = [("; ".join(filter(None, keys)), NOTE, KEYS, "normal")] if any(keys) else []
    blocks += [(warning, ALARM, 9.0, "bold") for warning in warnings]
    lines: list[tuple[str, str, float, str, float]] = []
    top = 0.08
    for text, colour, size, weight in blocks:
        for line in textwrap.wrap(text, characters(text, width - 0.2, size, weight)) if text else []:
            lines.append((line, colour, size, weight, top))
            top += size * 1.45 / 72
        top += 0.015
    height = body + top + 0.06
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    for line, colour, size, weight, place in lines:
        figure.text(0.1 / width, 1 - place / height, line, color=colour, fontsize=size, fontweight=weight, va="top")
    return Sheet(figure, width, body, height)


@lru_cache(maxsize=4096)
def inches(text: str, size: float, weight: str = "normal") -> float:
    """Return the width of a line of text at a font size in points."""
    font = FontProperties(family=FONT, size=size, weight=weight)
    return float(text_to_path.get_text_width_height_descent(text, font, ismath=False)[0]) / 72


def characters(text: str, room: float, size: float, weight: str) -> int:
    """Return how many characters of a text fit in `room` inches, by their mean width."""
    return max(8, int(0.94 * room * len(text) / max(inches(text, size, weight), 1e-6)))


def fit(names: Sequence[str], room: float, size: float) -> list[str]:
    """Shorten names to `room` inches by cutting out the middle; names that become equal get a number."""
    found: list[str] = []
    for name in names:
        short, keep = name, len(name)
        while keep > 4 and inches(short, size) > room:
            keep -= 1
            head = keep * 2 // 3
            short = f"{name[:head]}…{name[len(name) - (keep - head) :]}"
        found.append(short)
    seen: dict[str, int] = {}
    for i, short in enumerate(found):
        seen[short] = seen.get(short, 0) + 1
        if seen[short] > 1 and short != names[i]:
            found[i] = f"{short} ({seen[short]})"
    return found
