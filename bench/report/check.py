"""Whether the files of a report are what the records say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bench.report.request import Request
from bench.report.state import current, unchanged


def drift(
    request: Request, *, jobs: int = 1, force: bool = False, tell: Callable[[str], None] = lambda line: None
) -> list[tuple[Path, str]]:
    """Make what is not known to be unchanged in memory; return each file that differs, sorted, and how.

    'missing', 'differs' or 'stale'. Nothing is written, and files that no report has written are ignored.
    """
    if not force and request.only is None and unchanged(request, current(request)) is not None:
        return []
    from bench.report.make import make

    made = make(request, jobs=jobs, force=force, tell=tell)
    files = {request.out / name: content for name, content in made.files.items()}
    if request.readme is not None and made.readme is not None:
        files[request.readme] = made.readme
    found = [(request.out / name, "stale") for name in made.stale if (request.out / name).exists()]
    for path, content in files.items():
        if not path.is_file():
            found.append((path, "missing"))
        elif path.read_bytes() != content:
            found.append((path, "differs"))
    return sorted(found)
