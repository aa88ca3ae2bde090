"""The leaderboard as a DataFrame."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.report.formats.data import Plain, columns
from bench.report.stored import named, reports_of, summaries
from bench.report.tables.board import board

if TYPE_CHECKING:
    import pandas as pd

    from bench.report.context import CellReport
    from bench.report.summary import CellSummary


def leaderboard(data: pd.DataFrame | str | Path, setting: str | None = None) -> pd.DataFrame:
    """Return the methods of one or all settings of a store or a DataFrame of records, largest own gain first.

    data: the folder of a store, published (`results`) or working (`runs`), or a DataFrame of `bench.run`,
    `bench.evaluate` or `bench.load_records(folder, outcomes=True)`. setting: `banking77/minilm_l6`, or the beginning of
    its name. Numbers are those of the report's CSV tables, with costs as shares of the plain backbone's; `x_low` and
    `x_high` are the 95 % interval of `x`. The last rows are static hull, plain backbone and oracle.
    The statistics of a store are cached until its records change; computing them takes up to a minute for a large
    setting. Raises UserError for a folder without records and for an unknown setting.
    """
    import pandas as pd

    found: Sequence[CellSummary | CellReport]
    if isinstance(data, str | Path):
        found = summaries(data, setting)
    else:
        found = reports_of(data)
        if setting is not None:
            name = named(setting, [one.folder for one in found])
            found = [one for one in found if one.folder == name]
    rows: list[dict[str, Plain]] = []
    for one in found:
        held = columns(board(one.statistics))
        values = zip(*held.values(), strict=True)
        rows += [{"setting": one.folder, **dict(zip(held, row, strict=True))} for row in values]
    return pd.DataFrame(rows)
