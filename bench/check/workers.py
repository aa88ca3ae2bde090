"""What workers ask of a method: that it can be pickled, and that it is quick."""

from __future__ import annotations

import pickle
from typing import Any

from bench.check import tasks
from bench.check.compare import exact_difference
from bench.check.result import Caution, Violation
from bench.check.subject import BUDGETS, Clock, Subject, play
from bench.method import Method, Policy

PLAYED = 4096
SLOW_FIT, SLOW_PLAY = 5.0, 1.0  # seconds: for the ordinary task, and for one policy on PLAYED samples
ABSURD = 30  # times slow


def picklable(subject: Subject) -> None:
    """Send the method, its Config and its policies through pickle and play what comes out."""
    data = tasks.unseen()
    things: list[tuple[str, Any]] = [("The method", subject.method())]
    things += [(f"The answer for budget {b}", a) for b, a in zip(BUDGETS, subject.answers, strict=True)]
    for what, thing in things:
        try:
            copy = pickle.loads(pickle.dumps(thing))
        except Exception as error:
            raise Violation(
                f"{what} cannot be pickled ({type(error).__name__}: {error}): store no lambda, closure, generator or "
                "open file in it, and define its classes at the top of a module."
            ) from error
        if isinstance(thing, Method):
            if copy.config != thing.config:
                raise Violation(
                    "The method's config comes out of pickle changed: make Config a plain frozen dataclass."
                )
        elif isinstance(thing, Policy) and (found := exact_difference(play(thing, data), play(copy, data))):
            raise Violation(f"{what} plays differently after pickling: {found}. Keep all that it needs in the policy.")


def speed(subject: Subject) -> str:
    """Measure the fit of the ordinary task, the quickest of several, and the play of its dearest policy."""
    data = tasks.unseen(PLAYED)
    policy = list(subject.policies.values())[-1]
    clock = Clock()
    play(policy, data)
    played = clock.seconds()
    said = (
        f"fit {subject.seconds:.2f} s, {subject.seconds / len(BUDGETS):.3f} s per operating point; "
        f"play {1e6 * played / PLAYED:.1f} µs per sample"
    )
    excess = max(subject.seconds / SLOW_FIT, played / SLOW_PLAY)
    advice = f"{said}. Make operating points a batch dimension, and score in leave only what exit k needs."
    if excess > ABSURD:
        raise Violation(advice)
    return Caution(advice) if excess > 1 else said
