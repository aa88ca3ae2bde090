"""Run checks on a subject: each at most once, those it needs first, global random states restored."""

from __future__ import annotations

import random
import time
import warnings
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import torch

from bench.check import answers, batches, costs, described, execution, isolation, parameters, repeats, workers
from bench.check.edge_cases import edge_case_checks
from bench.check.result import Caution, Check, Result, Status, Violation
from bench.check.subject import Subject
from bench.errors import UserError
from bench.method import Method


@cache
def checks() -> tuple[Check, ...]:
    """Return all checks of a method in the order in which they are shown."""
    return (
        Check("loads", "The name must point to a class derived from bench.method.Method.", described.loads, ()),
        Check("name", "Name and docstring must describe the method.", described.named, ("loads",)),
        Check("fidelity", "The method must say where it comes from.", described.sourced, ("loads",)),
        Check(
            "config", "Config must be a frozen dataclass with a default everywhere.", described.configured, ("loads",)
        ),
        Check("ranges", "Ranges for a search must be valid.", described.ranges, ("config",)),
        Check("fit", "fit must return one Policy or Infeasible per budget.", answers.fits, ("config",)),
        Check("shapes", "A policy's functions must return what the interface requires.", answers.shapes, ("fit",)),
        Check("replay", "Running twice must give the same result.", repeats.replays),
        Check("refit", "Fitting twice with one seed must give the same result.", repeats.refits),
        Check("own_budget", "A budget's answer must not depend on the others.", repeats.own_budgets),
        Check("budgets", "Budgets must be met on val.", costs.budgets),
        Check("costs", "macs(k) must count what runs.", costs.costs),
        Check("causality", "Later exits must not change an earlier decision.", isolation.causality),
        Check("no_labels", "Inference must not read the task's labels or val.", isolation.no_labels),
        Check("untouched", "Fitting and inference must not change the data.", isolation.untouched),
        Check("row_order", "The order of samples must not matter.", batches.row_order),
        Check("batch_size", "The size of batches must not matter.", batches.batch_size),
        Check("execution", "Executed inference must agree with simulated inference.", execution.execution),
        *edge_case_checks(),
        Check("effects", "Every tunable parameter must have an effect.", parameters.effects, ("ranges", "shapes")),
        Check("pickle", "Method and policies must survive pickling.", workers.picklable),
        Check("speed", "Fitting and inference must be fast.", workers.speed),
    )


def examination(method: str | type[Method]) -> Examination:
    """Return the examination of a method, a registered `name[param=value,…]` or a class; UserError for a wrong name."""
    return Examination(Subject(method), checks())


class Examination:
    """The checks of one subject; each runs at most once."""

    def __init__(self, subject: Any, checks: Sequence[Check]) -> None:
        self.subject = subject
        self._checks = {check.name: check for check in checks}
        self._done: dict[str, Result] = {}

    def results(self) -> list[Result]:
        """Return the results of all checks."""
        return [self.result(name) for name in self._checks]

    def result(self, name: str) -> Result:
        """Return the result of one check, running it if it has not run yet."""
        if name not in self._done:
            check = self._checks[name]
            missing = [self.result(need) for need in check.needs if not self.result(need).passed]
            self._done[name] = _skipped(name, missing[0]) if missing else _examine(check, self.subject)
        return self._done[name]


def _skipped(name: str, missing: Result) -> Result:
    message = missing.message if missing.status == "skip" else f"Not run, because '{missing.name}' fails."
    return Result(name, "skip", message, 0.0)


def _examine(check: Check, subject: Any) -> Result:
    start = time.perf_counter()
    status: Status
    threads = torch.get_num_threads()
    states = random.getstate(), np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        repeats.scatter(0)
        torch.set_num_threads(1)  # for tiny tensors more threads are slower
        try:
            remark = check.examine(subject)
            status, message = ("warn" if isinstance(remark, Caution) else "pass"), str(remark or "")
        except Violation as violation:
            status, message = "fail", str(violation)
        except UserError as error:
            status, message = "fail", str(error)
        except Exception as error:
            from bench.trials.run import explain

            status, message = "fail", f"{check.asks} Instead: {explain(error)}."
        finally:
            torch.set_num_threads(threads)
            random.setstate(states[0])
            np.random.set_state(states[1])  # noqa: NPY002
    return Result(check.name, status, message, time.perf_counter() - start)
