"""Measure latencies on a setting: fit the methods on the bank, time their policies and store the results."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import scipy.linalg  # noqa: F401 - its BLAS must be loaded before thread pools are limited
import torch
from threadpoolctl import threadpool_limits

from bench.bank.cell import cell_of
from bench.errors import UserError
from bench.execution.latency import Measured, exit_milliseconds, in_milliseconds, latencies
from bench.execution.measurements import Machine, Row, add, load, path_of
from bench.execution.network import Network, fit
from bench.method import Policy, Task
from bench.system.memory import reuse_freed_memory
from bench.trials.plan import Configured

FEWEST = 30  # repeats


@dataclass(frozen=True)
class Wanted:
    """What to measure."""

    fractions: Sequence[float]  # budgets as fractions of the backbone's MACs
    milliseconds: Sequence[float]  # budgets as milliseconds per batch of the first batch size
    batch_sizes: Sequence[int]
    images: int
    repeats: int

    def __post_init__(self) -> None:
        sizes = list(self.batch_sizes)
        if not sizes or min(sizes) < 1 or len(set(sizes)) < len(sizes):
            raise UserError("--batch-sizes must be distinct numbers above 0, such as 1,8,64,256.")
        if any(not 0 < m < float("inf") for m in self.milliseconds):
            raise UserError("A budget in milliseconds must be above 0, such as 5ms.")


@dataclass(frozen=True)
class Prepared:
    """The policies to measure, and a message for each budget that a method cannot meet."""

    policies: list[Measured]
    infeasible: list[str]
    exit_milliseconds: list[float]  # [K]; empty unless a budget is in milliseconds


def prepare(network: Network, methods: Sequence[Configured], wanted: Wanted, threads: int) -> Prepared:
    """Fit methods on the bank for all budgets; per-exit latencies are measured if a budget is in milliseconds."""
    with threadpool_limits(threads):
        torch.set_num_threads(threads)
        task, times = network.bank.task(network.seed, network.device), []
        asked: list[tuple[Task, dict[float, str]]] = []
        if wanted.fractions:
            asked.append((task, {b: f"{b:g}" for b in wanted.fractions}))
        if wanted.milliseconds:
            times = exit_milliseconds(network, task, wanted.batch_sizes[0], wanted.images, wanted.repeats)
            asked.append((in_milliseconds(task, times), {m / times[-1]: f"{m:g}ms" for m in wanted.milliseconds}))
        found, infeasible = [], []
        for part, names in asked:
            budgets = sorted(names)
            for method in methods:
                for budget, policy in fit(method.method, part, budgets).items():
                    if isinstance(policy, Policy):
                        found.append(Measured(method.label, names[budget], policy))
                    else:
                        infeasible.append(f"{method.label}, budget {names[budget]}: {policy}")
        return Prepared(found, infeasible, times)


def run(
    network: Network,
    policies: Sequence[Measured],
    wanted: Wanted,
    store: Path,
    threads: int,
    advance: Callable[[], None] = lambda: None,
) -> Iterator[tuple[int, list[Row]]]:
    """Measure policies at each batch size and store the rows; yield them with the batch size. Calls advance per repeat.

    Raises UserError if the stored measurements are damaged.
    """
    reuse_freed_memory()
    cell = cell_of(network.bank)
    path, machine = path_of(store, cell), Machine.here(str(network.device), threads)
    load(path, cell)  # fail now rather than after the measurements
    for size in wanted.batch_sizes:
        with threadpool_limits(threads):
            torch.set_num_threads(threads)
            rows = latencies(network, policies, size, images=wanted.images, repeats=wanted.repeats, advance=advance)
        add(path, cell, machine, rows)
        yield size, rows
