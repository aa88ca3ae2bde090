"""Where pages lie: one file name per cell and method, unique even where file systems ignore case."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from bench.report.cells import slug
from bench.report.context import Report

LONGEST = 80  # characters of a file name's stem


@dataclass(frozen=True)
class Places:
    """Paths of pages relative to the site's root, by cell folder and by method label."""

    cells: dict[str, str]
    methods: dict[str, str]


def places(report: Report) -> Places:
    """Name the pages of all cells and of all methods that occur in them."""
    folders = [str(c.cell.folder) for c in report.cells]
    labels = {m.label for c in report.cells for m in c.statistics.methods}
    cells = {name: f"cells/{stem}.html" for name, stem in stems(folders).items()}
    methods = {name: f"methods/{stem}.html" for name, stem in stems(labels, taken=("index",)).items()}
    return Places(cells, methods)


def stems(names: Iterable[str], taken: Iterable[str] = ()) -> dict[str, str]:
    """Return a file stem per name: its slug, with a digest where two would meet, or where it is too long or `taken`."""
    found = {name: slug(name.replace("/", "--")) for name in sorted(set(names))}
    often = Counter([stem.lower() for stem in found.values()])
    often.update({stem.lower(): 1 for stem in taken})
    return {
        name: stem
        if often[stem.lower()] == 1 and len(stem) <= LONGEST and stem != "unnamed"
        else f"{stem[:LONGEST]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
        for name, stem in found.items()
    }
