"""Check whether a setting can tell methods apart: sound exits, a method that gains, and pairs that differ."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from bench.stats.bootstrap import Estimate
from bench.stats.compare import MIN_SEEDS

SHORT, DROP = 0.01, 0.02  # largest deficits in accuracy: of the last exit to the best, of an exit to an earlier one


@dataclass(frozen=True)
class Check:
    """One requirement, what was found, and whether it is met; None if the records cannot tell."""

    name: str
    found: str
    passed: bool | None

    @property
    def word(self) -> str:
        """Its outcome in a word or two."""
        return {True: "passed", False: "failed", None: "not judged"}[self.passed]


def checks(
    exits: Sequence[float],
    best: tuple[str, Estimate] | None,
    labels: Sequence[str],
    sure: Collection[tuple[str, str]],
    seeds: Sequence[int],
) -> tuple[Check, ...]:
    """Return the four checks of a setting.

    exits: mean test accuracy of the static exits, first to last. best: the method with the largest own gain on cal, and
    its own gain on test, so that its interval needs no correction for that choice. labels: all methods with complete
    grids. sure: the pairs of them that differ significantly.
    """
    return (*_exits(exits), _gain(best), _pairs(labels, sure, seeds))


def failed(found: Sequence[Check]) -> list[str]:
    """Return the names of the checks that failed."""
    return [check.name for check in found if check.passed is False]


def _exits(exits: Sequence[float]) -> tuple[Check, Check]:
    names = (
        f"last exit within {100 * SHORT:g} point of the best",
        f"no exit over {100 * DROP:g} points below an earlier one",
    )
    if not exits:
        return Check(names[0], "no static exits", None), Check(names[1], "no static exits", None)
    values = np.asarray(exits)
    best = int(values.argmax())
    short = float(values[best] - values[-1])
    last = f"last exit {100 * values[-1]:.2f} %, best exit {best} with {100 * values[best]:.2f} %"
    drops = np.maximum.accumulate(values) - values
    worst = int(drops.argmax())
    if drops[worst] > 0:
        earlier = int(values[:worst].argmax())
        order = f"exit {worst} is {100 * drops[worst]:.2f} points below exit {earlier}"
    else:
        order = "no exit is below an earlier one"
    return Check(names[0], last, short <= SHORT), Check(names[1], order, bool(drops[worst] <= DROP))


def _gain(best: tuple[str, Estimate] | None) -> Check:
    name = "the best own gain is clearly above zero"
    if best is None:
        return Check(name, "no method has a complete grid", None)
    label, gain = best
    found = f"{label}: {_points(gain.value)} points"
    if not gain.known:
        return Check(name, f"{found}, no interval", None)
    return Check(name, f"{found} [{_points(gain.low)}, {_points(gain.high)}]", gain.low > 0)


def _points(value: float) -> str:
    return f"{100 * value:+.2f}".replace("-", "−")


def _pairs(labels: Sequence[str], sure: Collection[tuple[str, str]], seeds: Sequence[int]) -> Check:
    name = "some pairs of methods can be told apart"
    pairs = list(combinations(labels, 2))
    if not pairs:
        return Check(name, "fewer than two methods have complete grids", None)
    if len(seeds) < MIN_SEEDS:
        return Check(name, f"{len(seeds)} seeds, fewer than {MIN_SEEDS}", None)
    apart = sum((a, b) in sure or (b, a) in sure for a, b in pairs)
    return Check(name, f"{apart} of {len(pairs)} pairs, {100 * apart / len(pairs):.0f} %", apart > 0)
