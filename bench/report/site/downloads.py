"""Files to take away: what lies beside the site, and all records as one CSV within it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from bench.report.context import Report
from bench.report.formats.table import Table, Value
from bench.report.site.grid import plain

FORMS = ("csv", "parquet", "tex", "md", "html", "svg", "png")
KEYS = ("accuracy", "macs", "macs_fraction", "nll", "brier", "ece_mass15", "set_size_lac@0.05",
        "coverage_lac@0.05", "aurc")  # fmt: skip


@dataclass(frozen=True)
class Download:
    """A table or figure with its files: (form, path relative to the report's folder)."""

    name: str
    title: str
    files: list[tuple[str, str]]

    def path(self, form: str) -> str | None:
        """Where it lies in one form, None where it does not."""
        return dict(self.files).get(form)


def beside(there: Collection[str], folder: str, parts: Iterable[Any]) -> list[Download]:
    """Return the files of a cell's tables and figures ('' for those across cells) among those that lie `there`."""
    found = []
    for part in parts:
        room = PurePosixPath(folder) / ("tables" if isinstance(part, Table) else "figures")
        paths = {form: str(room / f"{part.name}.{form}") for form in FORMS}
        held = [(form, path) for form, path in paths.items() if path in there]
        if held:
            found.append(Download(part.name, part.title, held))
    return found


def size(figure: Any) -> tuple[int, int] | None:
    """Return a picture's width and height from its SVG, so that a page keeps its place; None where it says none."""
    head = figure.files.get(f"{figure.name}.svg", b"")[:2000].decode(errors="replace")
    found = re.search(r'<svg[^>]*viewBox="0 0 ([\d.]+) ([\d.]+)"', head)
    return (round(float(found[1])), round(float(found[2]))) if found else None


def records_csv(report: Report) -> bytes:
    """Return one row per record: what it is of, its status and main scores."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = ["id", "dataset", "backbone", "protocol", "kind", "method", "point", "budget", "seed", "status", *KEYS]
    writer.writerow([*names, "fit_seconds", "note", "reason"])
    for cell in report.cells:
        for r in sorted(cell.records, key=lambda r: r.id):
            p = r.point
            values: list[Value] = [r.id, r.cell.dataset, r.cell.backbone, r.cell.protocol_version, p.kind, p.label]
            values += [p.point, p.budget, p.seed, r.status, *(r.metrics.get(key) for key in KEYS)]
            values += [r.timings.get("fit_seconds"), r.note, r.reason]
            writer.writerow([_safe(value) for value in values])
    return text.getvalue().encode()


def _safe(value: Value) -> str:
    """Write a value so that no spreadsheet takes a text from a record for a formula."""
    text = plain(value)
    return f"'{text}" if isinstance(value, str) and text[:1] in "=+-@\t\r" and text else text
