"""Remember the trials of a run, so that planning the same run with the same code need not load its methods."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from bench.bank.cell import Cell
from bench.config import RunConfig
from bench.system.recall import Recording, recall, remember
from bench.trials.plan import Trial
from bench.trials.record import Point, record_id

METHODS, TRIALS = "methods", "trials"


def known_methods(config: RunConfig) -> bool:
    """Return whether the methods of a run are known to load and to accept their parameters; False if in doubt."""
    return _repeatable(config) and recall(METHODS, list(config.methods)) is not None


def remember_methods(config: RunConfig, found: Recording) -> None:
    """Remember that the methods of a run load."""
    if _repeatable(config):
        remember(METHODS, list(config.methods), True, found)


def known_trials(config: RunConfig, cell: Cell) -> list[Trial] | None:
    """Return the trials of a run on a setting, which can be counted but not run; None if in doubt."""
    known = recall(TRIALS, _request(config, cell)) if _repeatable(config) else None
    if known is None:
        return None
    return [
        Trial(cell, trial["method"], None, trial["seed"], tuple(map(Point.model_validate, trial["points"])))
        for trial in known
    ]


def remember_trials(config: RunConfig, cell: Cell, trials: Sequence[Trial], found: Recording) -> None:
    """Remember the trials of a run; `found` recorded how its methods were loaded."""
    if not _repeatable(config):
        return
    value = [
        {"method": t.method, "seed": t.seed, "points": [p.model_dump(mode="json") for p in t.points]} for t in trials
    ]
    read = [Point.model_validate(point) for trial in json.loads(json.dumps(value)) for point in trial["points"]]
    if [record_id(cell, p) for p in read] == [record_id(cell, p) for t in trials for p in t.points]:
        remember(TRIALS, _request(config, cell), value, found)


def _repeatable(config: RunConfig) -> bool:
    """Return whether the trials depend on the request alone: neither on plugin files nor on searches."""
    return not config.plugin and not config.tuned


def _request(config: RunConfig, cell: Cell) -> dict[str, Any]:
    names = {"methods", "budgets", "seeds"}
    return {**config.model_dump(mode="json", include=names), "exits": len(cell.exit_names)}
