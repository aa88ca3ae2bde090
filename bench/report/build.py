"""Write a report: one folder per cell with its leaderboard and figures, and a page that links them all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from bench.errors import UserError, nearest
from bench.report.aggregate import aggregate
from bench.report.cells import Cell, split_cells
from bench.report.figures import PLOTS, draw, figure_data, render
from bench.report.page import cell_page, index_page
from bench.report.panels import draw_panels
from bench.report.search import PAGE as SEARCH_PAGE
from bench.report.search import PREFIX as SEARCH
from bench.report.search import search_files
from bench.report.style import MOST_LINES, Look, looks
from bench.report.table import leaderboard
from bench.tune.history import Tuned

FILES = ("leaderboard.md", "leaderboard.csv", *(f"{p.name}.{form}" for p in PLOTS for form in ("svg", "png", "csv")))


def build(records: pd.DataFrame, out: Path, *, only: str | None = None, searches: Sequence[Tuned] = ()) -> list[Path]:
    """Write `out/<dataset>/<backbone>/` for every cell of the records and `out/README.md`; return the paths, sorted.

    `only` limits the cells written to one dataset (`cifar100`) or one cell's folder (`cifar100/resnet18`). Each cell
    shows the searches of its bank. Bytes depend on records and searches alone, not on their order. Files that an
    earlier report left where this one has nothing to say are removed. Raises UserError for a frame that holds no
    records, or a name in `only` that no cell has.
    """
    cells = split_cells(records)
    wanted = (
        cells
        if only is None
        else [c for c in cells if only.strip("/") in (str(c.folder), c.folder.parts[0], c.dataset)]
    )
    if cells and not wanted:
        valid = {c.folder.parts[0] for c in cells} | {str(c.folder) for c in cells}
        raise UserError(f"No record belongs to '{only}'.{nearest(str(only), valid)}")
    shared = looks(records.loc[records["kind"] == "method", "method"])
    written: list[Path] = []
    for cell in wanted:
        files = cell_files(cell, shared, [s for s in searches if s.subject.bank_digest == cell.bank_digest])
        _remove_stale(out, cell, cells, keep=set(files))
        written += [_write(out / cell.folder / name, content) for name, content in files.items()]
    there = [(c, (out / c.folder / "leaderboard.md").is_file()) for c in cells]
    written.append(_write(out / "README.md", index_page(there).encode()))
    return sorted(written)


def cell_files(cell: Cell, shared: Mapping[str, Look], searches: Sequence[Tuned] = ()) -> dict[str, bytes]:
    """Make all files of one cell: name to bytes. Figures without a single point are left out, and the page says so."""
    rows = aggregate(cell)
    files: dict[str, bytes] = {}
    drawn = []
    for plot in PLOTS:
        data = figure_data(rows, plot)
        if not len(data):
            continue
        drawn.append(plot)
        many = data.loc[data["kind"] == "method", "method"].nunique() > MOST_LINES
        figure = draw_panels(cell, data, plot) if many else draw(cell, data, plot, shared)
        files |= {f"{plot.name}.{form}": render(figure, form) for form in ("svg", "png")}
        files[f"{plot.name}.csv"] = data.to_csv(index=False, float_format="%.9g", lineterminator="\n").encode()
    table = leaderboard(rows, cell.num_exits)
    files["leaderboard.csv"] = table.csv().encode()
    files["leaderboard.md"] = cell_page(cell, rows, table, drawn, searches).encode()
    return files | search_files(searches, shared)


def _write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def _remove_stale(out: Path, cell: Cell, cells: Sequence[Cell], keep: set[str]) -> None:
    """Remove report files that no longer hold: figures without points, and folders named when the cells were others."""
    base = cell.folder.name.partition("--")[0]
    current = {str(c.folder) for c in cells}
    parent = out / cell.folder.parent
    siblings = [d for d in sorted(parent.glob(f"{base}*")) if d.name == base or d.name.startswith(f"{base}--")]
    for folder in siblings:
        for name in (*FILES, SEARCH_PAGE, *(p.name for p in folder.glob(f"{SEARCH}--*"))):
            if folder == out / cell.folder:
                if name not in keep:
                    (folder / name).unlink(missing_ok=True)
            elif str(cell.folder.parent / folder.name) not in current:
                (folder / name).unlink(missing_ok=True)
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
