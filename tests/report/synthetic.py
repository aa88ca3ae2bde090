"""Made-up records in the shape of `bench.load_records`, with plausible curves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

FULL_MACS = 385_000_000
EXITS = 6
SKILL = {"jeidnn": 0.045, "msdnet_thresh": 0.032, "entropy_thresh": 0.024}


def row(**known: Any) -> dict[str, Any]:
    """One record row; everything not given has a default."""
    base = {
        "status": "ok", "reason": None, "dataset": "cifar100lt", "dataset_variant": "jpeg90",
        "backbone": "efficientnet_lite0", "image_size": 96, "num_exits": EXITS, "protocol": "v1", "limit": np.nan,
        "bank_digest": "b" * 16, "method": "jeidnn", "kind": "method", "budget": 0.5, "point": "budget=0.5", "seed": 0,
        "full_macs": FULL_MACS, "source_digest": "s" * 16, "created": "2026-01-01T00:00:00+00:00",
        "per_exit": [], "provenance": {},
    }  # fmt: skip
    base |= known
    base["id"] = known.get(
        "id", "-".join(str(base[k]) for k in ("backbone", "method", "point", "seed", "source_digest", "limit"))
    )
    return base


def metrics(accuracy: float, fraction: float, calibration: float, random: float) -> dict[str, float]:
    return {
        "accuracy": accuracy, "accuracy_random": random, "macs": fraction * FULL_MACS, "macs_fraction": fraction,
        "nll": 1.9 - 1.5 * accuracy, "brier": 1.0 - 0.9 * accuracy,
        "ece_mass15": calibration, "ece_width15": calibration + 0.001,
        "collapsed": 0.4, "mean_exit": fraction * 5, "coverage_lac@0.05": 0.95 + 0.1 * (calibration - 0.06),
        "set_size_lac@0.05": 1.2 + 70 * (1 - accuracy) ** 3,
        "val_accuracy": accuracy + 0.004, "val_macs_fraction": fraction,
    }  # fmt: skip


def curve(fraction: float) -> float:
    """Accuracy of a static exit at a cost."""
    return 0.78 - 0.62 * math.exp(-3.1 * fraction)


def records(
    methods: Sequence[str] = tuple(SKILL), seeds: Sequence[int] = (0, 1, 2),
    budgets: Sequence[float] = (0.3, 0.5, 0.7, 0.9),
    noise: float = 0.004, **cell: Any,
) -> pd.DataFrame:  # fmt: skip
    """A complete grid with references."""
    rng, rows = np.random.default_rng(7), []
    for seed in seeds:
        shared = rng.normal() * noise
        for name in methods:
            for b in budgets:
                spent = b * (0.97 + 0.02 * rng.random())
                static = curve(spent)
                got = static + SKILL.get(name, 0.02) * (1.2 - b) + shared + rng.normal() * noise
                known = metrics(got, spent, 0.03 + 0.05 * (1 - b) + abs(rng.normal()) * noise, static - 0.02)
                rows.append(
                    row(method=name, budget=b, point=f"budget={b:g}", seed=seed, fit_seconds=3.0, **known, **cell)
                )
        for k in range(EXITS):
            spent = 1.0 if k == EXITS - 1 else (0.14, 0.24, 0.4, 0.62, 0.83)[k]
            known = metrics(curve(spent) + shared, spent, 0.04 + 0.06 * (1 - spent), curve(spent) + shared)
            known |= {"collapsed": 1.0}
            rows.append(
                row(kind="reference", method="static", budget=np.nan, point=f"exit={k}", seed=seed, **known, **cell)
            )
        for b in budgets:
            for name, lost in (("hull", 0.0), ("random", 0.06)):
                known = {"accuracy": curve(b) - lost + shared, "macs": b * FULL_MACS, "macs_fraction": b, "nll": 0.9}
                rows.append(
                    row(kind="reference", method=name, budget=b, point=f"budget={b:g}", seed=seed, **known, **cell)
                )
        oracle = {"accuracy": 0.86 + shared, "macs": 0.33 * FULL_MACS, "macs_fraction": 0.33}
        rows.append(row(kind="reference", method="oracle", budget=np.nan, point="oracle", seed=seed, **oracle, **cell))
    return pd.DataFrame(rows)
