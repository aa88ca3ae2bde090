"""All files of a report in memory: path within its folder to bytes. Writing and checking start from the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from bench.errors import UserError, nearest
from bench.report import site
from bench.report.context import CellReport, Report
from bench.report.figures import FigureSet, cell_figures, overall_figures
from bench.report.formats import html
from bench.report.formats.table import Table
from bench.report.page import DATA_FORMS, cell_page, index_page
from bench.report.parallel import Each, serially
from bench.report.tables import cell_tables, overall_tables

FORMATS = ("md", "csv", "parquet", "latex", "html", "svg", "png", "site")
ENDINGS = {"latex": "tex"}  # of the others the name is the ending


def parse_formats(text: str) -> tuple[str, ...]:
    """Turn `md,csv` into formats, in the order of FORMATS. Raises UserError for an unknown or no format."""
    asked = [word.strip().lower() for word in text.split(",") if word.strip()]
    for word in asked:
        if word not in FORMATS:
            raise UserError(f"There is no format '{word}'.{nearest(word, FORMATS)} Valid: {', '.join(FORMATS)}.")
    if not asked:
        raise UserError(f"--format names no format. Valid: {', '.join(FORMATS)}.")
    return tuple(name for name in FORMATS if name in asked)


def make_files(
    report: Report, formats: Sequence[str] = FORMATS, *, overall: bool = True, each: Each = serially
) -> dict[str, bytes]:
    """Return all files of a report; without `overall` those of its cells alone. each: maps the work over cells."""
    files: dict[str, bytes] = {}
    tables: dict[str, list[Table]] = {}
    figures: dict[str, FigureSet] = {}
    drawn = bool({"svg", "png", "csv", "site"} & set(formats))
    endings = {ENDINGS.get(name, name) for name in formats}
    made = each(partial(_cell, formats, endings, drawn), report.cells)
    for cell, (own_tables, own_figures, found) in zip(report.cells, made, strict=True):
        folder = str(cell.cell.folder)
        tables[folder], figures[folder] = own_tables, own_figures
        files |= {f"{folder}/{name}": content for name, content in found.items()}
    if not overall:
        return files
    tables[""] = overall_tables(report)
    figures[""] = overall_figures(report) if drawn else FigureSet(())
    files |= {f"tables/{name}": made for name, made in _table_files(tables[""], formats).items()}
    files |= {f"figures/{name}": made for name, made in _figure_files(figures[""], endings).items()}
    pages = site.files(report, tables, figures, files) if "site" in formats and report.cells else {}
    if "md" in formats:
        files["README.md"] = index_page(report, tables[""], figures[""], endings, site=bool(pages)).encode()
    return files | pages


def _cell(
    formats: Sequence[str], endings: set[str], drawn: bool, cell: CellReport
) -> tuple[list[Table], FigureSet, dict[str, bytes]]:
    """Make the tables, figures and files of a cell; paths are within its folder."""
    tables, figures = cell_tables(cell), cell_figures(cell) if drawn else FigureSet(())
    found = {f"tables/{name}": made for name, made in _table_files(tables, formats).items()}
    found |= {f"figures/{name}": made for name, made in _figure_files(figures, endings).items()}
    if "md" in formats:
        found["leaderboard.md"] = cell_page(cell, tables, figures, endings).encode()
    return tables, figures, found


def _table_files(tables: Sequence[Table], formats: Sequence[str]) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for table in tables:
        for name in formats:
            if table.shown == 0 and name not in DATA_FORMS:
                continue
            if name == "csv":
                files[f"{table.name}.csv"] = table.csv().encode()
            elif name == "parquet":
                files[f"{table.name}.parquet"] = table.parquet()
            elif name == "latex":
                files[f"{table.name}.tex"] = table.latex().encode()
            elif name == "html":
                files[f"{table.name}.html"] = html.page(table).encode()
    return files


def _figure_files(figures: FigureSet, endings: set[str]) -> dict[str, bytes]:
    return {
        name: made for figure in figures for name, made in figure.files.items() if name.rpartition(".")[2] in endings
    }


def write(root: Path, files: Mapping[str, bytes]) -> None:
    """Write files below a folder; those that are already so stay untouched."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_bytes() != content:
            path.write_bytes(content)
