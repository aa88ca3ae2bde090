"""Write a report: one folder per cell with its page, tables and figures, an index, a site; or check what is there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from bench.errors import UserError
from bench.report.context import Report, count_cells
from bench.report.context import make as make_report
from bench.report.context import read as read_records
from bench.report.files import ENDINGS, FORMATS, make_files, write
from bench.report.parallel import workers
from bench.report.readme import BEGIN, END, has_markers, read, updated
from bench.stats.resample import Effort
from bench.tune.history import FOLDER, searches

LIST = "files.json"  # all files that reports have written into the folder


@dataclass(frozen=True)
class Made:
    """A report in memory: its files by their path, and the README whose leaderboard belongs to it."""

    report: Report
    files: dict[Path, bytes]
    stale: tuple[Path, ...]  # that an earlier report wrote and this one has no more


def build(
    results: str | Path,
    out: str | Path,
    *,
    only: str | None = None,
    formats: Sequence[str] = FORMATS,
    readme: str | Path | None = None,
    effort: Effort | None = None,
    jobs: int = 1,
) -> list[Path]:
    """Write the report of a results folder into `out`; return the paths, sorted. See `make` for what it holds.

    Files that an earlier report wrote where this one has nothing to say are removed; all others are left alone.
    """
    made = make(results, out, only=only, formats=formats, readme=readme, effort=effort, jobs=jobs)
    for path in made.stale:
        path.unlink(missing_ok=True)
        _remove_empty(path.parent, Path(out))
    write(Path(), {str(path): content for path, content in made.files.items()})
    return sorted(made.files)


def make(
    results: str | Path,
    out: str | Path,
    *,
    only: str | None = None,
    formats: Sequence[str] = FORMATS,
    readme: str | Path | None = None,
    effort: Effort | None = None,
    jobs: int = 1,
) -> Made:
    """Make everything that `build` writes, in memory. Bytes depend on the records alone, not on their order.

    `only` limits it to the cells of one dataset (`cifar100`) or to one (`cifar100/resnet18`), without what is made of
    all cells: index, site, README. Raises UserError where the folder holds no records, for a name in `only` that no
    cell has, and for a `readme` without markers. jobs: processes for a store of several cells and many records.
    """
    out = Path(out)
    records = read_records(results)
    if not records:
        raise UserError(f"The results folder '{results}' holds no records. Run `bench run` first.")
    with workers(jobs, count_cells(records), len(records)) as each:
        searched = searches(Path(results) / FOLDER)
        report = make_report(records, effort, only=only, each=each, searched=searched)
        files = make_files(report, formats, overall=only is None, each=each)
    before = _listed(out)
    folders = {str(cell.cell.folder) for cell in report.cells}
    kept = {path for path in before if not _ours(path, formats, folders if only is not None else None)}
    stale = [path for path in sorted(before - kept) if path not in files]
    files[LIST] = (json.dumps(sorted({*files, *kept}), indent=0) + "\n").encode()
    found = {out / name: files[name] for name in sorted(files)}
    if readme is not None and only is None:
        text = read(Path(readme))
        if not has_markers(text):
            raise UserError(f"'{readme}' has no place for a leaderboard: put {BEGIN} and {END} on lines of their own.")
        found[Path(readme)] = updated(text, report, Path(readme), out).encode()
    return Made(report, found, tuple(out / path for path in stale))


def _listed(out: Path) -> set[str]:
    """Return the paths that earlier reports wrote, as far as they lie in the folder."""
    try:
        found = json.loads((out / LIST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return set()
    except ValueError:
        raise UserError(f"'{out / LIST}' is damaged. Delete it, and files of old reports by hand.") from None
    paths = [PurePosixPath(p) for p in found if isinstance(p, str)] if isinstance(found, list) else []
    return {str(p) for p in paths if not p.is_absolute() and ".." not in p.parts and str(p) != LIST}


def _ours(path: str, formats: Sequence[str], folders: set[str] | None) -> bool:
    """Whether a file is of these formats and, where folders are given, of their cells."""
    p = PurePosixPath(path)
    if folders is not None and not any(p.is_relative_to(folder) for folder in folders):
        return False
    if p.parts[0] == "site":
        return "site" in formats
    return p.suffix.removeprefix(".") in {ENDINGS.get(name, name) for name in formats}


def _remove_empty(folder: Path, root: Path) -> None:
    while folder != root and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
