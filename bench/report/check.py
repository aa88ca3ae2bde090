"""Compare the files of a report with those made from its records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from bench.report.request import FORMATS, PAGE, Request, in_git
from bench.report.state import LIST, current, unchanged


def drift(
    request: Request, *, jobs: int = 1, force: bool = False, tell: Callable[[str], None] = lambda line: None
) -> list[tuple[Path, str]]:
    """Return the sorted files of a report that are 'missing', 'stale' or that 'differ' from the records.

    Parts that may have changed are rebuilt in memory. Nothing is written, and files that no report wrote are ignored.
    """
    # the files in git are the same in a report of all formats and in one of only the formats in git
    wider = [replace(request, formats=FORMATS)] if request.formats == PAGE else []
    if not force and request.only is None and any(unchanged(r, current(r)) is not None for r in [request, *wider]):
        return []
    from bench.report.make import make

    made = make(request, jobs=jobs, force=force, tell=tell)
    whole = request.formats != PAGE  # otherwise compare only the files in git, because a clone has no others
    files = {
        request.out / name: content for name, content in made.files.items() if whole or in_git(name) or name == LIST
    }
    if request.readme is not None and made.readme is not None:
        files[request.readme] = made.readme
    found = [(request.out / name, "stale") for name in made.stale if (request.out / name).exists()]
    for path, content in files.items():
        if not path.is_file():
            found.append((path, "missing"))
        elif path.read_bytes() != content:
            found.append((path, "differs"))
    return sorted(found)
