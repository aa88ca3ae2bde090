"""exitbench: early-exit methods on one frozen backbone, one feature bank, one protocol."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

# Read when torch is loaded. Threads that spin while they wait for each other slow a busy machine down many times.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"


def load_records(folder: str | Path, *, outcomes: bool = False) -> pd.DataFrame:
    """Read a store into a DataFrame, one row per operating point; see `bench.trials.table.load_records`."""
    from bench.trials.table import load_records as load

    return load(folder, outcomes=outcomes)
