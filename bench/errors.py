"""Errors whose messages tell the user what is wrong, what is valid and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake in what the user asked for; the command line prints it as one sentence and exits with code 2."""


class BankError(UserError):
    """A feature bank that is corrupt, foreign or incomplete, and is therefore not used."""


class NeedsTrain(UserError):
    """The train split is needed, but the bank has none."""


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return the closest valid choice as a hint (" Did you mean 'x'?"), or a list of all choices if none is close."""
    choices = sorted(valid)
    close = difflib.get_close_matches(name.lower(), choices, n=1, cutoff=0.5)
    if close:
        return f" Did you mean '{close[0]}'?"
    return f" Valid: {', '.join(choices)}." if choices else ""
