"""Write a report: one folder per setting with its page, tables and figures, an index, a site. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from bench.report.request import Request
from bench.report.state import FOLDER, current, index, state_path, unchanged


def build(
    request: Request, *, jobs: int = 1, force: bool = False, tell: Callable[[str], None] = lambda line: None
) -> list[Path]:
    """Write the report of one or several stores and return the sorted paths of its files.

    A setting is rebuilt only if its records, its searches or the code of reports changed, or with `force`. Files of an
    earlier report that are no longer part of the report are removed; other files in the folder are not touched.
    jobs: the number of processes, used if several settings have many records. tell: is called with a line per setting.
    """
    state = current(request)
    if not force and request.only is None and (names := unchanged(request, state)) is not None:
        return _paths(request, names)
    from bench.report.files import save
    from bench.report.make import make

    made = make(request, jobs=jobs, force=force, tell=tell)
    for name in made.stale:
        (request.out / name).unlink(missing_ok=True)
        _remove_empty((request.out / name).parent, request.out)
    save(request.out, made.files)
    save(request.out, {state_path(folder): kept.write() for folder, kept in made.kept.items()})
    if request.readme is not None and made.readme is not None and request.readme.read_bytes() != made.readme:
        request.readme.write_bytes(made.readme)
    digests = made.digests()
    if request.only is None:
        save(request.out, {f"{FOLDER}/index.json": index(state, digests, made.readme)})
    return _paths(request, digests)


def _paths(request: Request, names: Sequence[str] | dict[str, str]) -> list[Path]:
    found = [request.out / name for name in names]
    return sorted([*found, *([request.readme] if request.readme is not None and request.only is None else [])])


def _remove_empty(folder: Path, root: Path) -> None:
    while folder != root and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
