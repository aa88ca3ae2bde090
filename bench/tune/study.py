"""Stored trials as an Optuna study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from bench.tune.history import Row

optuna.logging.set_verbosity(optuna.logging.ERROR)


def study_of(distributions: Mapping[str, BaseDistribution], rows: Sequence[Row]) -> optuna.Study:
    """Return an Optuna study with these trials in the order of their numbers, each with its own parameters."""
    study = optuna.create_study(direction="maximize")
    for row in sorted(rows, key=lambda r: r.number):
        state = {"ok": TrialState.COMPLETE, "pruned": TrialState.PRUNED}.get(row.status, TrialState.FAIL)
        study.add_trial(
            create_trial(
                state=state,
                value=row.mean if row.status == "ok" else None,
                params=row.params,
                distributions={name: distributions[name] for name in row.params},
                intermediate_values=dict(enumerate(row.running)) if state is not TrialState.FAIL else {},
            )
        )
    return study


def described(distributions: Mapping[str, BaseDistribution]) -> dict[str, Any]:
    """Return distributions as plain values: {low, high, log}, or the list of choices."""
    found: dict[str, Any] = {}
    for name, d in distributions.items():
        if isinstance(d, CategoricalDistribution):
            found[name] = list(d.choices)
        elif isinstance(d, FloatDistribution | IntDistribution):
            found[name] = {"low": d.low, "high": d.high, "log": d.log}
    return found


def distributions_of(description: Mapping[str, Any]) -> dict[str, BaseDistribution]:
    """Return the distributions of a description by `described`; two integer ends mean an integer parameter."""
    found: dict[str, BaseDistribution] = {}
    for name, entry in description.items():
        if isinstance(entry, list):
            found[name] = CategoricalDistribution(entry)
        elif isinstance(entry["low"], int) and isinstance(entry["high"], int):
            found[name] = IntDistribution(entry["low"], entry["high"], log=entry["log"])
        else:
            found[name] = FloatDistribution(entry["low"], entry["high"], log=entry["log"])
    return found
