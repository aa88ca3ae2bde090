"""exitbench: early-exit methods on one frozen backbone, one feature bank, one protocol."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    import pandas as pd

    from bench.export import load as load_policy  # noqa: F401

# Read when torch is loaded. Threads that spin while they wait for each other slow a busy machine down many times.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"


def load_records(folder: str | Path, *, outcomes: bool = False) -> pd.DataFrame:
    """Read a store into a DataFrame, one row per operating point; see `bench.trials.table.load_records`."""
    from bench.trials.table import load_records as load

    return load(folder, outcomes=outcomes)


def __getattr__(name: str) -> Any:
    """Return `load_policy`, which is `bench.export.load`; it is imported when it is first used."""
    if name == "load_policy":
        from bench.export import load

        return load
    raise AttributeError(f"module 'bench' has no attribute '{name}'")
