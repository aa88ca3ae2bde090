"""exitbench: early-exit methods on one frozen backbone, one feature bank, one protocol."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    import pandas as pd

    from bench import plot  # noqa: F401
    from bench.api.evaluate import evaluate, load_method, open_bank  # noqa: F401
    from bench.api.leaderboard import leaderboard  # noqa: F401
    from bench.api.running import run  # noqa: F401
    from bench.bank.logits import load_logits  # noqa: F401
    from bench.export import load as load_policy  # noqa: F401

# Must be set before torch is imported. Threads that busy-wait for each other slow a shared machine down many times.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"


def load_records(folder: str | Path, *, outcomes: bool = False) -> pd.DataFrame:
    """Read a store into a DataFrame, one row per operating point; see `bench.trials.table.load_records`."""
    from bench.trials.table import load_records as load

    return load(folder, outcomes=outcomes)


_LAZY = {
    "run": "bench.api.running:run",
    "open_bank": "bench.api.evaluate:open_bank",
    "load_method": "bench.api.evaluate:load_method",
    "evaluate": "bench.api.evaluate:evaluate",
    "leaderboard": "bench.api.leaderboard:leaderboard",
    "plot": "bench.plot",
    "load_logits": "bench.bank.logits:load_logits",
    "load_policy": "bench.export:load",
}


def __getattr__(name: str) -> Any:
    """Import a public function or the charting module at its first use and return it."""
    if name not in _LAZY:
        raise AttributeError(f"module 'bench' has no attribute '{name}'")
    from importlib import import_module

    module, _, attribute = _LAZY[name].partition(":")
    found = import_module(module)
    return getattr(found, attribute) if attribute else found
