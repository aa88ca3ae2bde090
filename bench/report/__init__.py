"""Tables and figures from records alone: deterministic and offline."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd


def build(records: pd.DataFrame, out: Path, *, only: str | None = None) -> list[Path]:
    """Write the report of a DataFrame of records; see `bench.report.build.build`."""
    from bench.report.build import build as write

    return write(records, out, only=only)
