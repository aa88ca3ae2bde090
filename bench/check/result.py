"""A check and its result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Status = Literal["pass", "warn", "fail", "skip"]


class Violation(Exception):
    """A requirement is broken; the message says what was seen and what the author must change."""


class Caution(str):
    """The remark of a check that passes with a warning."""


@dataclass(frozen=True)
class Check:
    """One requirement on a plugin. `examine` raises Violation, or returns a remark or None."""

    name: str
    asks: str
    examine: Callable[[Any], str | None]
    needs: tuple[str, ...] = ("shapes",)  # checks that must pass before this one runs


@dataclass(frozen=True)
class Result:
    """The outcome of one check."""

    name: str
    status: Status
    message: str
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether the check ran and found nothing wrong; a skipped one is not passed."""
        return self.status in ("pass", "warn")
