"""exitbench: early-exit methods on one frozen backbone, one feature bank, one protocol."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd

    from bench.export import LoadedPolicy

# Read when torch is loaded. Threads that spin while they wait for each other slow a busy machine down many times.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"


def load_records(folder: str | Path, *, outcomes: bool = False) -> pd.DataFrame:
    """Read a store into a DataFrame, one row per operating point; see `bench.trials.table.load_records`."""
    from bench.trials.table import load_records as load

    return load(folder, outcomes=outcomes)


def load_policy(
    folder: str | Path,
    *,
    device: str = "cpu",
    backbone: str | None = None,
    weights: str | Path | None = None,
    data_dir: str | Path | None = None,
    plugins: Sequence[str | Path] = (),
) -> LoadedPolicy:
    """Load a policy that `bench export` wrote, for `predictions, exits = policy(images)`; see `bench.export.load`."""
    from bench.export import load

    return load(folder, device=device, backbone=backbone, weights=weights, data_dir=data_dir, plugins=plugins)
