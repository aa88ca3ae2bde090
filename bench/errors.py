"""Errors that are sentences for the user: what was wrong, what is valid, what to do next."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake in what the user asked for; the command line prints it as one sentence and exits with code 2."""


class BankError(UserError):
    """A feature bank that is corrupt, foreign or incomplete, and is therefore not used."""


class NeedsTrain(UserError):
    """The train split was asked for, and the bank has none."""


def nearest(name: str, valid: Iterable[str]) -> str:
    """Name the closest valid choice as a hint (" Did you mean 'x'?"), or list the choices when none is close."""
    choices = sorted(valid)
    close = difflib.get_close_matches(name.lower(), choices, n=1, cutoff=0.5)
    if close:
        return f" Did you mean '{close[0]}'?"
    return f" Valid: {', '.join(choices)}." if choices else ""
