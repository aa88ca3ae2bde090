"""Files to download: tables and figures beside the site, and the records of a setting as one CSV."""

from __future__ import annotations

import io
import re
from collections.abc import Collection, Iterable
from pathlib import PurePosixPath
from typing import Any

from bench.report.formats.csv import rows
from bench.report.formats.data import Plain
from bench.report.formats.data import plain as data
from bench.report.formats.table import Table
from bench.report.summary import SCORES, CellSummary, Download, Line

FORMS = ("csv", "parquet", "tex", "md", "svg", "png")
HEAD = ("id", "setting", "dataset", "backbone", "protocol", "kind", "method", "point", "budget", "seed", "status")


def beside(there: Collection[str], folder: str, parts: Iterable[Any]) -> list[Download]:
    """Return the tables and figures in `parts` with those of their files that are in `there`.

    folder: the folder of a setting, or '' across settings.
    """
    found = []
    for part in parts:
        room = PurePosixPath(folder) / ("tables" if isinstance(part, Table) else "figures")
        paths = {form: str(room / f"{part.name}.{form}") for form in FORMS}
        held = tuple((form, path) for form, path in paths.items() if path in there)
        if held:
            found.append(Download(part.name, part.title, held))
    return found


def size(figure: Any) -> tuple[int, int] | None:
    """Return the width and height in the SVG of a figure, with which a page reserves its space; None if not stated."""
    head = figure.files.get(f"{figure.name}.svg", b"")[:2000].decode(errors="replace")
    found = re.search(r'<svg[^>]*viewBox="0 0 ([\d.]+) ([\d.]+)"', head)
    return (round(float(found[1])), round(float(found[2]))) if found else None


def records_csv(cells: Iterable[CellSummary], label: str | None = None) -> bytes:
    """Return a CSV with one row per record: setting, operating point, status and main scores.

    label: only the records of this method.
    """
    text = io.StringIO()
    lines = ((cell, line) for cell in cells for line in (cell.lines if label is None else cell.of(label)))
    rows([[*HEAD, *SCORES, "fit_seconds", "note", "reason"], *(_row(cell, line) for cell, line in lines)], text)
    return text.getvalue().encode()


def _row(cell: CellSummary, line: Line) -> list[Plain]:
    where = (line.id, cell.folder, cell.dataset, cell.backbone, cell.protocol)
    point = (line.kind, line.label, line.point, line.budget, line.seed, line.status)
    return [*where, *point, *map(data, line.scores), data(line.fit_seconds), line.note, line.reason]
