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
    """Return methods by falling own gain in every setting of a store or of rows of records, or in one setting.

    data: the folder of a store, published (`results`) or working (`runs`), or a DataFrame of `bench.run`,
    `bench.evaluate` or `bench.load_records(folder, outcomes=True)`. setting: `banking77/minilm_l6`, or the beginning of
    its name. Numbers are those of the report's tables as CSV, with costs as shares of the plain backbone's; `x_low` and
    `x_high` are the 95 % interval of `x`. Below the methods are static hull, plain backbone and oracle.
    The statistics of a store are kept in the cache folder until its records change; to compute them takes up to a
    minute for a large setting. Raises UserError for a folder without records and an unknown setting.
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
