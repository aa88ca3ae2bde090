"""Figures as files (SVG, PNG, and their data as CSV), and figures that could not be drawn."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from bench.report.formats.csv import entry
from bench.report.style import settings

DPI = 130
PICTURES: tuple[Literal["svg", "png"], ...] = ("svg", "png")


class Missing(Exception):
    """The reason why a figure cannot be drawn from these records."""


@dataclass(frozen=True)
class FigureFile:
    """One figure: its files by name (`name.svg`, `name.png`, `name.csv`), a title and a caption in plain text."""

    name: str
    title: str
    caption: str
    files: dict[str, bytes]


@dataclass(frozen=True)
class LeftOut:
    """A figure that was left out, and the reason as a sentence."""

    name: str
    title: str
    reason: str


@dataclass(frozen=True)
class FigureSet:
    """The figures of a page in their order, and those left out; iterating gives the figures."""

    figures: tuple[FigureFile, ...]
    left_out: tuple[LeftOut, ...] = ()

    def __iter__(self) -> Iterator[FigureFile]:
        return iter(self.figures)

    def __len__(self) -> int:
        return len(self.figures)


@dataclass(frozen=True)
class Drawing:
    """A figure before it is rendered, the data that it shows, and its caption."""

    figure: Figure
    data: pd.DataFrame
    caption: str


def pack(name: str, title: str, drawing: Drawing) -> FigureFile:
    """Render a drawing as SVG and PNG, and write its data as CSV with nine significant digits."""
    files = {f"{name}.{form}": render(drawing.figure, form) for form in PICTURES}
    data = drawing.data.map(lambda value: entry(value) if isinstance(value, str) else value).rename(columns=entry)
    files[f"{name}.csv"] = data.to_csv(index=False, float_format="%.9g", lineterminator="\n").encode()
    return FigureFile(name, title, drawing.caption, files)


def render(figure: Figure, form: Literal["svg", "png"]) -> bytes:
    """Return the figure as `svg` or `png` bytes, without dates or versions in them."""
    out = io.BytesIO()
    with mpl.rc_context(settings()):
        if form == "svg":
            figure.savefig(out, format=form, metadata={"Date": None, "Creator": None})
            return out.getvalue()
        figure.savefig(out, format=form, dpi=DPI, pil_kwargs={"compress_level": 1})
    return _small(out)


def _small(picture: io.BytesIO) -> bytes:
    """Reduce a PNG to 256 colours, which looks the same and has a quarter of the size."""
    out = io.BytesIO()
    whole = Image.open(picture).convert("RGB")
    whole.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    return out.getvalue()
