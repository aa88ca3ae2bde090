"""Propose the parameters that a search tries next. Trials come in rounds; a round's proposals use only earlier rounds.

A proposal is thus a function of (space, search seed, number, earlier rounds) and does not depend on the order in which
workers finish: a search has the same trials with any number of workers, and after an interruption.
"""

from __future__ import annotations

import hashlib
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from optuna.samplers import RandomSampler, TPESampler
from optuna.trial import TrialState

from bench.tune.history import Row
from bench.tune.space import Space
from bench.tune.study import study_of

ROUND = 4  # trials that are proposed together
RANDOM = 8  # finished trials before the Parzen estimators start; random draws until then
ATTEMPTS = 50  # maximum number of draws for a trial that is new and valid for its Config
LEAST = 4  # finished trials before the median rule prunes


def propose(
    space: Space,
    earlier: Sequence[Row],
    numbers: Sequence[int],
    seed: int,
    accepts: Callable[[Mapping[str, Any]], bool],
) -> list[dict[str, Any]]:
    """Return the parameters of a round's trials; trial 0 has the defaults.

    Each contains only parameters that have an effect. It is drawn by TPE, then at random, until it is new and `accepts`
    returns true; when a finite space is exhausted, earlier proposals are repeated.
    """
    tried = [row.params for row in earlier]
    found: list[dict[str, Any]] = []
    for number in numbers:
        usual = space.active(space.defaults)
        found.append(usual if number == 0 else _draw(space, earlier, number, seed, [*tried, *found], accepts))
    return found


def _draw(
    space: Space,
    earlier: Sequence[Row],
    number: int,
    seed: int,
    tried: Sequence[Mapping[str, Any]],
    accepts: Callable[[Mapping[str, Any]], bool],
) -> dict[str, Any]:
    study = study_of(space.distributions, earlier)
    spare = space.active(space.defaults)
    for attempt in range(ATTEMPTS):
        key = hashlib.sha256(f"exitbench|tune|{seed}|{number}|{attempt}".encode()).digest()
        start = int.from_bytes(key[:4], "big")
        modelled = attempt < ATTEMPTS // 2  # a confident model repeats a few choices
        study.sampler = TPESampler(seed=start, n_startup_trials=RANDOM) if modelled else RandomSampler(seed=start)
        trial = study.ask(space.distributions)
        params = space.active(space.rounded(trial.params))
        study.tell(trial, state=TrialState.FAIL)
        if accepts(params):
            spare = params
            if params not in tried:
                return params
    return spare


def bars(earlier: Sequence[Row], seeds: int) -> list[float | None]:
    """Return the bar for a trial's mean over its first 1, 2, … seeds (all but the last); None: no bar.

    Median rule: the median of the same means of all earlier trials that were scored on every seed.
    """
    whole = [row.running for row in earlier if row.status == "ok" and row.same_as is None]
    if len(whole) < LEAST:
        return [None] * (seeds - 1)
    return [statistics.median(running[t] for running in whole) for t in range(seeds - 1)]
