"""Files to download: what is stored beside the site, and the records of a setting as one CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterable
from pathlib import PurePosixPath
from typing import Any

from bench.report.formats.table import Table, Value
from bench.report.site.grid import plain
from bench.report.summary import SCORES, CellSummary, Download

FORMS = ("csv", "parquet", "tex", "md", "svg", "png")
HEAD = ("id", "dataset", "backbone", "protocol", "kind", "method", "point", "budget", "seed", "status")


def beside(there: Collection[str], folder: str, parts: Iterable[Any]) -> list[Download]:
    """Return the files of a setting's tables and figures ('' for those across settings) that are `there`."""
    found = []
    for part in parts:
        room = PurePosixPath(folder) / ("tables" if isinstance(part, Table) else "figures")
        paths = {form: str(room / f"{part.name}.{form}") for form in FORMS}
        held = tuple((form, path) for form, path in paths.items() if path in there)
        if held:
            found.append(Download(part.name, part.title, held))
    return found


def size(figure: Any) -> tuple[int, int] | None:
    """Return a picture's width and height from its SVG, so that a page keeps its place; None if it states none."""
    head = figure.files.get(f"{figure.name}.svg", b"")[:2000].decode(errors="replace")
    found = re.search(r'<svg[^>]*viewBox="0 0 ([\d.]+) ([\d.]+)"', head)
    return (round(float(found[1])), round(float(found[2]))) if found else None


def records_csv(cells: Iterable[CellSummary]) -> bytes:
    """Return one row per record: its setting and point, its status and main scores."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*HEAD, *SCORES, "fit_seconds", "note", "reason"])
    for cell in cells:
        for line in cell.lines:
            where = (line.id, cell.dataset, cell.backbone, cell.protocol)
            point = (line.kind, line.label, line.point, line.budget, line.seed, line.status)
            row = (*where, *point, *line.scores, line.fit_seconds, line.note, line.reason)
            writer.writerow([_safe(value) for value in row])
    return text.getvalue().encode()


def _safe(value: Value) -> str:
    """Write a value so that no spreadsheet takes a text from a record for a formula."""
    text = plain(value)
    return f"'{text}" if isinstance(value, str) and text[:1] in "=+-@\t\r" and text else text
