"""Check what workers need of a method: it can be pickled, and it is fast."""

from __future__ import annotations

import pickle
from typing import Any

from bench.check import tasks
from bench.check.compare import exact_difference
from bench.check.result import Caution, Violation
from bench.check.subject import BUDGETS, Clock, Subject, infer
from bench.method import Method, Policy

SAMPLES = 4096
SLOW_FIT, SLOW_INFERENCE = 5.0, 1.0  # seconds: for the ordinary task, and for one policy on SAMPLES samples
ABSURD = 30  # a method fails if it is this many times slower than these limits


def copied(what: str, thing: Any) -> Any:
    """Return a pickled and unpickled copy; raise Violation if that fails."""
    try:
        return pickle.loads(pickle.dumps(thing))
    except Exception as error:
        raise Violation(
            f"{what} cannot be pickled ({type(error).__name__}: {error}): do not store a lambda, closure, generator or "
            "open file in it, and define its classes at the top of a module."
        ) from error


def picklable(subject: Subject) -> None:
    """Pickle and unpickle the method, its Config and its policies, and compare the results of the copies."""
    data = tasks.unseen()
    things: list[tuple[str, Any]] = [("The method", subject.method())]
    things += [(f"The answer for budget {b}", a) for b, a in zip(BUDGETS, subject.answers, strict=True)]
    for what, thing in things:
        copy = copied(what, thing)
        if isinstance(thing, Method):
            if copy.config != thing.config:
                raise Violation("The method's config changes in pickle: make Config a plain frozen dataclass.")
        elif isinstance(thing, Policy) and (found := exact_difference(infer(thing, data), infer(copy, data))):
            raise Violation(f"{what} runs differently after pickling: {found}. Keep everything it needs in the policy.")


def speed(subject: Subject) -> str:
    """Measure the fastest fit of the ordinary task, and a run of its most expensive policy."""
    data = tasks.unseen(SAMPLES)
    policy = list(subject.policies.values())[-1]
    clock = Clock()
    infer(policy, data)
    seconds = clock.seconds()
    said = (
        f"fit {subject.seconds:.2f} s, {subject.seconds / len(BUDGETS):.3f} s per operating point; "
        f"inference {1e6 * seconds / SAMPLES:.1f} µs per sample"
    )
    excess = max(subject.seconds / SLOW_FIT, seconds / SLOW_INFERENCE)
    advice = f"{said}. Make operating points a batch dimension, and score in leave only what exit k needs."
    if excess > ABSURD:
        raise Violation(advice)
    return Caution(advice) if excess > 1 else said
