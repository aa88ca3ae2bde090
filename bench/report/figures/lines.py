"""Draw the points, line and band of a method, and references."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from bench.report.figures.labels import Label
from bench.report.style import HULL, OTHERS, REFERENCE, Look

STATIC: Mapping[str, Any] = {"color": REFERENCE, "linewidth": 1.1, "marker": "o", "markersize": 3.2}
STATIC_HULL: Mapping[str, Any] = {"color": HULL, "linewidth": 1.2, "linestyle": (0, (4, 2))}
ORACLE: Mapping[str, Any] = {"color": "black", "linewidth": 1.2, "linestyle": (0, (1, 1.6))}


def _nothing(*columns: str) -> pd.DataFrame:
    return pd.DataFrame({name: np.empty(0) for name in columns})


@dataclass(frozen=True)
class Line:
    """A method's operating points, line and band, in the units of the axes.

    points: x, y, low, high, incomplete, collapsed, and optionally `hollow`. Without a line, the points are joined.
    """

    name: str
    points: pd.DataFrame
    line: pd.DataFrame = field(default_factory=lambda: _nothing("x", "y"))
    band: pd.DataFrame = field(default_factory=lambda: _nothing("x", "low", "high"))

    @property
    def path(self) -> pd.DataFrame:
        """The line to draw: `line`, or the points if that is empty."""
        return self.line if len(self.line) else self.points


@dataclass(frozen=True)
class Reference:
    """A reference line. `number` in its data is the number of an exit; `key` names the line if there are no labels."""

    name: str
    data: pd.DataFrame  # x, y
    style: Mapping[str, Any]
    key: str


def draw(axes: Axes, line: Line, look: Look, *, band: float, size: float = 6.0) -> None:
    """Draw a method: its band (or the intervals of its points), line and points. band: opacity of the band, 0: none."""
    if len(line.band) and band:
        x, low, high = (line.band[key].to_numpy(float) for key in ("x", "low", "high"))
        axes.fill_between(x, low, high, color=look.colour, alpha=band, linewidth=0, zorder=1.8)
    axes.plot(line.path["x"], line.path["y"], color=look.colour, linestyle=look.dash, linewidth=1.6, zorder=4)
    known = line.points[line.points["low"].notna()]
    if not len(line.band) and len(known) and band:
        axes.vlines(known["x"], known["low"], known["high"], color=look.colour, linewidth=0.9, alpha=0.5, zorder=3)
    markers(axes, line.points, look, size)


def markers(axes: Axes, points: pd.DataFrame, look: Look, size: float) -> None:
    """Draw a method's markers; incomplete or `hollow` points are hollow, and collapsed points are crossed out."""
    gone = points["incomplete"].to_numpy(bool)
    gone = gone | points["hollow"].to_numpy(bool) if "hollow" in points else gone
    style: dict[str, Any] = {"linestyle": "none", "marker": look.marker, "markersize": size, "zorder": 5}
    full, hollow, crossed = points[~gone], points[gone], points[points["collapsed"].to_numpy(bool)]
    edge = "white" if size > 5 else look.colour
    if len(full):
        axes.plot(full["x"], full["y"], color=look.colour, markeredgecolor=edge, markeredgewidth=0.5, **style)
    if len(hollow):
        axes.plot(
            hollow["x"], hollow["y"], markerfacecolor="white", markeredgecolor=look.colour, markeredgewidth=1.0, **style
        )
    if len(crossed):
        style |= {"marker": "x", "markersize": size * 1.1, "markeredgewidth": 1.2, "zorder": 6}
        axes.plot(crossed["x"], crossed["y"], color="black", **style)


def others(axes: Axes, lines: Sequence[Line]) -> None:
    """Draw other methods in grey, as one path with gaps."""
    xs = [v for line in lines for v in (*line.path["x"], np.nan)]
    ys = [v for line in lines for v in (*line.path["y"], np.nan)]
    axes.plot(xs, ys, color=OTHERS, linewidth=0.7, zorder=1)


def reference(axes: Axes, drawn: Reference, *, small: bool) -> None:
    """Draw a reference; its exits are numbered unless `small`."""
    style = {**drawn.style, "linewidth": 0.9, "markersize": 2.0} if small else drawn.style
    axes.plot(drawn.data["x"], drawn.data["y"], zorder=2, **style)
    if "number" in drawn.data and not small:
        notes: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "va": "top", "fontsize": 8}
        for n, x, y in zip(drawn.data["number"], drawn.data["x"], drawn.data["y"], strict=True):
            axes.annotate(str(n), (x, y), (0, -4), color="#5F5F5F", annotation_clip=True, **notes)


def label(name: str, path: pd.DataFrame, style: Mapping[str, Any]) -> Label:
    """Return a label for the end of a path."""
    return Label(name, float(path["x"].iloc[-1]), float(path["y"].iloc[-1]), style)


def sample(look: Look) -> dict[str, Any]:
    """Return the style of a method's line with its marker, for a label."""
    shown = {"color": look.colour, "linestyle": look.dash, "linewidth": 1.6}
    return {**shown, "marker": look.marker, "markersize": 5.5, "markeredgecolor": "white", "markeredgewidth": 0.5}
