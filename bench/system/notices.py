"""Notices that are not errors: one line on the error stream, printed once."""

from __future__ import annotations

import sys

from bench.system.text import clean

_told: set[str] = set()


def tell_once(sentence: str) -> None:
    """Print a sentence on the error stream, unless this process has printed it before."""
    if sentence not in _told:
        _told.add(sentence)
        print(f"bench: {clean(sentence)}", file=sys.stderr)
