"""Digests of everything that a report depends on: code, libraries and stores. Imports nothing heavy."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

import bench

# Code that the pages of a setting depend on, relative to the package. Other code makes records or only calls this.
USED = (
    "errors.py", "execution/measurements.py", "metrics", "plugins/registry.py", "plugins/spec.py", "report", "stats",
    "suites", "system", "trials", "tune/history.py", "tune/study.py", "tune/verdict.py",
)  # fmt: skip
LIBRARIES = ("jinja2", "matplotlib", "numpy", "optuna", "pandas", "pillow", "plotly", "pyarrow", "scipy", "seaborn")
CODE = (".py", ".html", ".css", ".js", ".txt", ".yaml")


def code_digest() -> str:
    """Return a digest of the code that makes the pages of a setting, and of the versions of libraries."""
    root = Path(bench.__file__).parent
    return _digest(root, [root / name for name in USED])


def whole_digest() -> str:
    """Return a digest of all code of bench and of the built-in methods, whose docstrings the site shows."""
    root = Path(bench.__file__).parents[1]
    return _digest(root, [root / "bench", root / "methods"])


def _digest(root: Path, places: Iterable[Path]) -> str:
    found = hashlib.sha256()
    for path in sorted(path for place in places for path in _files(place)):
        found.update(f"{path.relative_to(root)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    for name in LIBRARIES:
        found.update(f"{name} {_version(name)}\n".encode())
    return found.hexdigest()


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:  # optuna is an extra
        return ""


def _files(place: Path) -> Iterator[Path]:
    if place.is_file():
        yield place
    for folder, _, names in os.walk(place):
        yield from (Path(folder) / name for name in names if name.endswith(CODE))


def state_of(roots: Iterable[Path], out: Path) -> str:
    """Return a digest of the names, sizes and times of all files of some stores; it changes if something is written.

    The folder of the report is left out, because it may be within a store.
    """
    found = hashlib.sha256()
    for root in map(os.path.realpath, roots):
        found.update(os.fsencode(f"{root}\n"))
        for folder, folders, names in os.walk(root):
            inner = (name for name in folders if not name.startswith("."))
            folders[:] = sorted(name for name in inner if os.path.join(folder, name) != os.path.realpath(out))  # noqa: PTH118
            for entry in sorted(n for n in names if not n.startswith(".")):
                path = os.path.join(folder, entry)  # noqa: PTH118  Path is too slow for tens of thousands of files
                try:
                    stat = os.stat(path)  # noqa: PTH116
                except OSError:  # a broken link, or a file that was removed meanwhile
                    continue
                found.update(os.fsencode(f"{path}\0{stat.st_size}\0{stat.st_mtime_ns}\n"))
    return found.hexdigest()
