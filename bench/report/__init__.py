"""Tables and figures from records alone: deterministic and offline."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd

    from bench.tune.history import Tuned


def build(records: pd.DataFrame, out: Path, *, only: str | None = None, searches: Sequence[Tuned] = ()) -> list[Path]:
    """Write the report of a DataFrame of records and the searches of its banks; see `bench.report.build.build`."""
    from bench.report.build import build as write

    return write(records, out, only=only, searches=searches)
