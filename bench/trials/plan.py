"""The plan of a run: its trials, and the operating points that each of them has to compute."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from bench.bank.cell import Cell
from bench.config import RunConfig
from bench.errors import UserError
from bench.plugins import registry
from bench.plugins.params import configure, label
from bench.plugins.spec import parse
from bench.system.recall import unrepeatable
from bench.system.text import clean
from bench.trials.record import Point
from bench.trials.rerun import wanted
from bench.trials.store import Store

if TYPE_CHECKING:
    from bench.method import Method

REFERENCES = "references"


@dataclass(frozen=True)
class Trial:
    """One unit of work: one method (or the references) on one bank with one seed, with all its operating points."""

    cell: Cell
    method: str
    config: Any
    seed: int
    points: tuple[Point, ...]  # those to compute
    # All budgets of the run. A fit covers them even if only some are to be computed, so that a resumed run gives the
    # same numbers.
    budgets: tuple[float, ...] = ()

    @property
    def title(self) -> str:
        """Return the name that a progress display shows."""
        return f"{self.cell.dataset} · {self.part}"

    @property
    def part(self) -> str:
        """Return which part of its setting it is."""
        name = REFERENCES if self.method == REFERENCES else self.points[0].label
        return f"{name} · seed {self.seed}"


@dataclass(frozen=True)
class Configured:
    """A method as a run uses it; `tuned` says what `bench tune` kept for it, if the run asks for that."""

    method: Method
    tuned: Literal["tuned", "defaults"] | None = None

    @property
    def label(self) -> str:
        """The name with the parameters that differ from their defaults."""
        return label(self.method.name, self.method.config)


def load_methods(names: Sequence[str]) -> list[Method]:
    """Load and configure methods from what the user wrote; raise UserError for unknown names or parameters.

    `all` means every registered method with its defaults. A broken one is skipped, with a message on stderr.
    """
    found: dict[str, Method] = {}
    for text in names:
        for name in registry.plugins("methods") if text == "all" else (text,):
            try:
                method = _load_method(name)
            except UserError as error:
                if text != "all":
                    raise
                unrepeatable()
                print(f"bench: skipped in 'all': {clean(error)}", file=sys.stderr)
            else:
                found.setdefault(label(method.name, method.config), method)
    return list(found.values())


def _load_method(text: str) -> Method:
    from bench.trials.identity import method_identity

    spec = parse(text)
    cls = registry.load("methods", spec.name)
    method = cls(configure(cls.Config, spec))
    method_identity(method)  # checks its heads, and reads the code now: files may be edited during the run
    return method


def method_points(
    method: Method, budgets: Sequence[float], seed: int, tuned: Literal["tuned", "defaults"] | None = None
) -> tuple[Point, ...]:
    """Return the operating points of one fit of a method: one per budget."""
    from bench.trials.identity import method_identity

    identity = method_identity(method)._asdict()
    params = dataclasses.asdict(method.config)
    name = label(method.name, method.config)
    return tuple(
        Point(
            kind="method",
            method=method.name,
            label=name,
            params=params,
            **identity,
            point=f"budget={b:g}",
            budget=b,
            seed=seed,
            tuned=tuned,
        )
        for b in budgets
    )


def reference_points(exits: int, budgets: Sequence[float], seed: int) -> tuple[Point, ...]:
    """Return the reference points of one seed on plain heads: static exits, oracle, hull and random per budget."""
    from bench.trials.identity import reference_identity
    from bench.trials.references import MIXED

    points: list[tuple[str, str, float | None, int | None]]
    points = [*(("static", f"exit={k}", None, k) for k in range(exits)), ("oracle", "oracle", None, None)]
    points += [(name, f"budget={b:g}", b, None) for name in MIXED for b in budgets]
    identities = {name: reference_identity(name)._asdict() for name in {name for name, *_ in points}}
    return tuple(
        Point(
            kind="reference",
            method=name,
            label=name,
            params={"heads": "plain"},
            **identities[name],
            point=point,
            budget=budget,
            exit=exit_index,
            seed=seed,
        )
        for name, point, budget, exit_index in points
    )


def every_trial(config: RunConfig, cell: Cell, methods: Sequence[Configured]) -> list[Trial]:
    """Return all trials of a run on a cell, done or not. They are ordered by seed, so that methods share heads."""
    trials = []
    for seed in config.seeds:
        points = reference_points(len(cell.exit_names), config.budgets, seed)
        trials.append(Trial(cell, REFERENCES, None, seed, points, config.budgets))
        for configured in methods:
            m = configured.method
            points = method_points(m, config.budgets, seed, configured.tuned)
            trials.append(Trial(cell, m.name, m.config, seed, points, config.budgets))
    return trials


def owed(every: Sequence[Trial], store: Store, rerun: str) -> tuple[list[Trial], int]:
    """Return the trials to run, with the points to compute, and the number of points that are done."""
    trials, done = [], 0
    for trial in every:
        todo = tuple(wanted(store, trial.cell, trial.points, rerun))
        done += len(trial.points) - len(todo)
        if todo:
            trials.append(dataclasses.replace(trial, points=todo))
    return trials, done
