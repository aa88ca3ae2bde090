"""Build the files of a report in memory (path in the report's folder: bytes), for writing and for checking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from bench.report import site
from bench.report.condense import summarised
from bench.report.context import CellReport
from bench.report.figures import FigureSet, cell_figures, overall_figures
from bench.report.formats import DATA, FORMS, write
from bench.report.formats.table import Table
from bench.report.page import cell_page, index_page
from bench.report.request import DRAWN, ENDINGS
from bench.report.site.downloads import beside
from bench.report.summary import CellSummary, Report
from bench.report.tables import cell_tables, overall_tables


def cell_files(report: CellReport, formats: Sequence[str]) -> tuple[dict[str, bytes], CellSummary]:
    """Return all files of a setting, and its summary for pages across settings."""
    tables, folder = cell_tables(report), report.folder
    figures = cell_figures(report) if _drawn(formats) else FigureSet(())
    files = _table_files(tables, formats, folder) | _figure_files(figures, formats, folder)
    downloads = [*beside(files, folder, tables), *beside(files, folder, figures)]
    if "site" in formats:
        files |= site.setting_page(report, tables, figures, files)
    if "md" in formats:
        files[f"{folder}/leaderboard.md"] = cell_page(report, tables, figures, formats).encode()
    return files, summarised(report, downloads)


def overall_files(report: Report, formats: Sequence[str]) -> dict[str, bytes]:
    """Return the files across settings: tables, figures, index and site."""
    tables = overall_tables(report)
    figures = overall_figures(report) if _drawn(formats) else FigureSet(())
    files = _table_files(tables, formats) | _figure_files(figures, formats)
    if "site" in formats:
        files |= site.files(report, tables, figures, files)
    if "md" in formats:
        files["README.md"] = index_page(report, tables, figures, formats).encode()
    return files


def _drawn(formats: Sequence[str]) -> bool:
    return bool(DRAWN & set(formats))


def _table_files(tables: Sequence[Table], formats: Sequence[str], folder: str = "") -> dict[str, bytes]:
    room = PurePosixPath(folder) / "tables"
    return {
        str(room / f"{table.name}.{ENDINGS.get(form, form)}"): write(table, form)
        for table in tables
        for form in formats
        if form in FORMS and form != "md" and (table.shown != 0 or form in DATA)
    }


def _figure_files(figures: FigureSet, formats: Sequence[str], folder: str = "") -> dict[str, bytes]:
    room = PurePosixPath(folder) / "figures"
    return {
        str(room / name): made
        for figure in figures
        for name, made in figure.files.items()
        if name.rpartition(".")[2] in formats
    }


def save(root: Path, files: Mapping[str, bytes]) -> None:
    """Write files below a folder; files that already have the same content are not touched."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_bytes() != content:
            path.write_bytes(content)
