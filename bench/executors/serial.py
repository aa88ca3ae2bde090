"""The serial executor: trials one after the other in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch

from bench.bank.bank import Bank
from bench.trials.plan import Trial
from bench.trials.run import Result, Splits, load_splits, run_trial


def run(
    trials: Iterable[tuple[Bank, Trial]],
    *,
    device: str,
    threads: int,
    provenance: dict[str, Any],
    started: Callable[[Trial], None] = lambda trial: None,
) -> Iterator[tuple[Trial, list[Result]]]:
    """Yield each trial with its results as it ends; neighbours of one bank and seed share their task."""
    torch.set_num_threads(threads)
    held: tuple[str, int, Splits] | None = None
    for bank, trial in trials:
        started(trial)
        if held is None or held[:2] != (bank.digest, trial.seed):
            held = None  # let go of the last splits before the next are loaded
            held = (bank.digest, trial.seed, load_splits(bank, trial.seed, device))
        yield trial, run_trial(trial, held[2], provenance)
