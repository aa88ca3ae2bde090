"""Whether the files of a report are what the records say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.report.build import make
from bench.report.files import FORMATS
from bench.stats.resample import Effort


def drift(
    results: str | Path,
    out: str | Path,
    *,
    only: str | None = None,
    formats: Sequence[str] = FORMATS,
    readme: str | Path | None = None,
    effort: Effort | None = None,
    jobs: int = 1,
) -> list[tuple[Path, str]]:
    """Make the report anew in memory; return each file that differs with 'missing', 'differs' or 'stale', sorted.

    Nothing is written. Files that no report has written are of no interest.
    """
    made = make(results, out, only=only, formats=formats, readme=readme, effort=effort, jobs=jobs)
    found = [(path, "stale") for path in made.stale if path.exists()]
    for path, content in made.files.items():
        if not path.is_file():
            found.append((path, "missing"))
        elif path.read_bytes() != content:
            found.append((path, "differs"))
    return sorted(found)
