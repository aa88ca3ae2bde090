"""Check that every parameter that a search may vary has an effect; trials on any other would be wasted."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any, get_type_hints

from bench.check import tasks
from bench.check.compare import exact_difference
from bench.check.result import Violation
from bench.check.subject import Subject, infer
from bench.method import ExitData, Infeasible, Policy, Task
from bench.plugins.active import conditions, distinct, meaning
from bench.plugins.params import choices

TASKS = (tasks.task, tasks.uneven, tasks.deep)
BUDGETS = (0.45, 0.7, 0.9)


def effects(subject: Subject) -> str:
    """Set each tunable parameter to the ends of its range, or to its other choices, and compare the policies."""
    config = subject.method().config
    tunable = [f.name for f in dataclasses.fields(config) if "tune" in f.metadata]
    fits = Fits(subject)
    for name in tunable:
        variants = list(_variants(config, name, subject.cls.name))
        if variants and not any(fits.differ(*pair, which) for which in range(len(TASKS)) for pair in variants):
            values = ", ".join(str(getattr(other, name)) for _, other in variants)
            raise Violation(
                f"{type(config).__name__}.{name} is tunable but has no effect: on {len(TASKS)} synthetic tasks "
                f"{values} give the same policies as {getattr(variants[0][0], name)}. Remove it, give it an effect, or "
                "declare the values of other parameters that it depends on: tunable(…, when={…})."
            )
    return f"{len(tunable)} tunable, each changes a policy" if tunable else "nothing is tunable"


def _variants(config: Any, name: str, method: str) -> Iterator[tuple[Any, Any]]:
    """Yield pairs of Configs that differ only in one field, with values of the others for which it has an effect."""
    if (base := _acting(config, name, method)) is None:
        return
    tune = next(f for f in dataclasses.fields(config) if f.name == name).metadata["tune"]
    ends = [tune["high"], tune["low"]]
    values = distinct(base, name, choices(get_type_hints(type(base))[name])) if None in ends else ends
    for value in values:
        if value != getattr(base, name):
            with contextlib.suppress(ValueError):
                yield base, dataclasses.replace(base, **{name: value})


def _acting(config: Any, name: str, method: str) -> Any:
    """Return the Config with the changes for which a field has an effect; None if its Config rejects them."""
    hints, changes = get_type_hints(type(config)), {}
    for other, wanted in conditions(config, method).get(name, {}).items():
        if meaning(config, other, getattr(config, other)) not in wanted:
            found = [c for c in choices(hints[other]) if meaning(config, other, c) in wanted]
            changes[other] = found[0] if found else wanted[0]
    with contextlib.suppress(ValueError):
        return dataclasses.replace(config, **changes)
    return None


class Fits:
    """The policies of a method under several Configs on the same tasks, each fitted once."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.tasks: dict[int, Task] = {}
        self.found: dict[tuple[int, Any], list[Policy | Infeasible]] = {}

    def of(self, config: Any, which: int) -> list[Policy | Infeasible]:
        """Return the answers of this Config to all budgets on one of the tasks."""
        if (which, config) not in self.found:
            if which not in self.tasks:
                self.tasks[which] = TASKS[which]()
            self.found[which, config] = list(self.subject.cls(config).fit(self.tasks[which], list(BUDGETS)))
        return self.found[which, config]

    def differ(self, one: Any, other: Any, which: int) -> bool:
        """Return whether two Configs differ in any decision, answer, cost or refusal on one of the tasks."""
        answers = zip(self.of(one, which), self.of(other, which), strict=True)
        return any(_differ(a, b, self.tasks[which].val) for a, b in answers)


def _differ(a: Policy | Infeasible, b: Policy | Infeasible, data: ExitData) -> bool:
    if isinstance(a, Infeasible) or isinstance(b, Infeasible):
        return isinstance(a, Infeasible) != isinstance(b, Infeasible)
    if any(a.macs(k) != b.macs(k) for k in range(data.num_exits)):
        return True
    return exact_difference(infer(a, data), infer(b, data)) is not None
