"""Settings of a store or of a DataFrame of records, with statistics, which are computed once per store."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

from bench.bank.cell import Cell
from bench.errors import UserError, nearest
from bench.report.cells import Address, addresses
from bench.report.request import Request, target
from bench.report.state import state_path
from bench.system.cache import cache_dir
from bench.system.cpus import cpu_count
from bench.system.files import write_atomic
from bench.system.paths import user_path
from bench.trials.stores import open_store, read_all

if TYPE_CHECKING:
    import pandas as pd

    from bench.report.context import CellReport
    from bench.report.summary import CellSummary

Tell = Callable[[str], None]


def folders(store: Path) -> list[str]:
    """Return the names of all settings of a store, which are also their folders in reports: `banking77/minilm_l6`."""
    return [str(address.folder) for address in addresses(open_store(store).digests()).values()]


def named(text: str, valid: Sequence[str]) -> str:
    """Return the setting with this name, or the only one whose dataset or backbone equals it or starts with it.

    Raises UserError if no setting or several settings match.
    """
    name = text.strip("/")
    exact = [one for one in valid if name == one or name in one.split("/", 1)]
    found = exact or [one for one in valid if one.startswith(name) or f"/{name}" in one]
    if len(found) == 1:
        return found[0]
    if found:
        raise UserError(f"'{text}' matches {len(found)} settings: {', '.join(found)}. Write one of them.")
    raise UserError(f"There is no setting '{text}'.{nearest(name, valid)} `bench show` lists all settings.")


def summaries(
    store: str | Path, setting: str | None = None, tell: Tell = lambda line: None, *, also: Sequence[Path] = ()
) -> tuple[CellSummary, ...]:
    """Return the summaries of all settings of a store, or of one, the same as in its report.

    Summaries of unchanged settings are read from the report of the store or from the cache folder; those from the files
    of statistics lack what only pages need. Others are computed, which may take a minute each, and stored in the cache
    folder. tell: is called with a line per setting. also: folders of other reports of these records.
    Raises UserError for a folder without records, and for a setting that it does not have.
    """
    root = user_path(store)
    only = None if setting is None else named(setting, folders(root))
    kept = cache_dir("summaries", hashlib.sha256(bytes(root.resolve())).hexdigest()[:16])
    from bench.report.make import make

    known = (*also, target(root))
    made = make(Request((root,), kept, only=only, formats=(), also=known), jobs=cpu_count(), tell=tell)
    for folder, one in made.kept.items():
        path = kept / state_path(folder)
        write_atomic(path, partial(_write, one.write()))
    return made.report.cells


def summaries_of(store: Path, cells: Sequence[Cell], *, also: Sequence[Path] = ()) -> dict[Cell, CellSummary]:
    """Return the summaries of those of the given settings that have records in a store, ordered by name."""
    places = addresses(open_store(store).digests())
    names = {cell: str(places[cell].folder) for cell in cells if cell in places}
    found = {cell: summaries(store, names[cell], also=also) for cell in sorted(names, key=lambda cell: names[cell])}
    return {cell: one for cell, (one,) in found.items()}


def _write(content: bytes, file: IO[bytes]) -> None:
    file.write(content)


def report_of(data: pd.DataFrame | str | Path, setting: str | None = None) -> CellReport:
    """Return the report of a setting. Raises UserError if `data` has several settings and none is named."""
    if isinstance(data, str | Path):
        root = user_path(data)
        digests = open_store(root).digests()
        places = {str(address.folder): (cell, address) for cell, address in addresses(digests).items()}
        cell, address = places[_one(setting, list(places))]
        return _stored(root, cell, address, digests[cell])
    reports = {report.folder: report for report in reports_of(data)}
    return reports[_one(setting, list(reports))]


@lru_cache(maxsize=2)
def _stored(root: Path, cell: Cell, address: Address, digest: str) -> CellReport:
    """Return the report of a setting of a store. digest: that of its records, which makes the cache valid."""
    from bench.report.context import cell_report

    (known,) = summaries(root, str(address.folder))
    return cell_report(read_all([root], [cell]), address, statistics=known.statistics)


def reports_of(frame: pd.DataFrame) -> tuple[CellReport, ...]:
    """Return the reports of all settings of a DataFrame of records with outcomes; the latest results are cached.

    Raises UserError for a DataFrame without rows, or without the columns of records.
    """
    if not len(frame):
        raise UserError("The DataFrame has no rows.")
    return _computed(_Rows(_digest(frame), frame))


@dataclass(frozen=True)
class _Rows:
    digest: bytes
    frame: pd.DataFrame = field(compare=False)


def _digest(frame: pd.DataFrame) -> bytes:
    """Return a digest of the ids and numbers of the rows."""
    from pandas.util import hash_pandas_object

    kept = frame.select_dtypes("number").assign(id=frame.get("id", ""))
    return hashlib.sha256(hash_pandas_object(kept, index=False).to_numpy().tobytes()).digest()


@lru_cache(maxsize=2)
def _computed(rows: _Rows) -> tuple[CellReport, ...]:
    from bench.report.context import cell_reports
    from bench.trials.table import records_of

    return tuple(cell_reports(records_of(rows.frame)))


def _one(setting: str | None, valid: Sequence[str]) -> str:
    if setting is None and len(valid) > 1:
        raise UserError(f"The records belong to {len(valid)} settings. Choose one with setting=…: {', '.join(valid)}.")
    return valid[0] if setting is None else named(setting, valid)
