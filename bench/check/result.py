"""What a check is, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from bench.check.subject import Subject

Status = Literal["pass", "warn", "fail", "skip"]


class Violation(Exception):
    """A method breaks what a check asks; the message is a sentence that says what its author must change."""


class Caution(str):
    """What a check that is passed returns where its author should still look at something."""


@dataclass(frozen=True)
class Check:
    """One thing that a method must hold. `examine` raises Violation, or returns a remark or nothing."""

    name: str
    asks: str
    examine: Callable[[Subject], str | None]
    needs: tuple[str, ...] = ("shapes",)  # checks without which this one means nothing


@dataclass(frozen=True)
class Result:
    """How a method did in one check."""

    name: str
    status: Status
    message: str
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong, as far as this check was run; a skipped one is not passed."""
        return self.status in ("pass", "warn")
