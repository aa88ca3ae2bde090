"""What decides the bytes of a report: its code, libraries and stores. Imports nothing heavy."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

import bench

USED = (
    "errors.py", "report", "stats", "plugins/registry.py", "system/files.py",
    "trials/outcomes.py", "trials/record.py", "trials/stores.py", "tune/history.py", "tune/study.py", "tune/verdict.py",
)  # fmt: skip
LIBRARIES = ("jinja2", "matplotlib", "numpy", "optuna", "pandas", "pillow", "plotly", "pyarrow", "scipy", "seaborn")
CODE = (".py", ".html", ".css", ".js")


def code_digest() -> str:
    """Return a digest of the code of reports and statistics, of what they use, and of the versions of libraries."""
    root = Path(bench.__file__).parent
    found = hashlib.sha256()
    for path in sorted(p for name in USED for p in _files(root / name)):
        found.update(str(path.relative_to(root)).encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    for name in LIBRARIES:
        found.update(f"{name} {metadata.version(name)}\n".encode())
    return found.hexdigest()


def _files(place: Path) -> Iterator[Path]:
    if place.is_file():
        yield place
    for folder, _, names in os.walk(place):
        yield from (Path(folder) / name for name in names if name.endswith(CODE))


def described_digest() -> str:
    """Return a digest of the built-in methods' sources, whose docstrings the site shows."""
    from bench.plugins.registry import plugins

    found = hashlib.sha256()
    for name, plugin in sorted(plugins("methods").items()):
        found.update(f"{name} {plugin.target}\n".encode())
    folder = Path(bench.__file__).parents[1] / "methods"
    for path in sorted(_files(folder)):
        found.update(path.read_bytes())
    return found.hexdigest()


def state_of(roots: Iterable[Path]) -> str:
    """Return a digest of the names, sizes and times of all files of some stores: equal unless something was written."""
    found = hashlib.sha256()
    for root in roots:
        found.update(f"{root.resolve()}\n".encode())
        for folder, folders, names in os.walk(root):
            folders[:] = sorted(name for name in folders if name != "report" and not name.startswith("."))
            for entry in sorted(n for n in names if not n.startswith(".")):
                path = os.path.join(folder, entry)  # noqa: PTH118  tens of thousands of files
                stat = os.stat(path)  # noqa: PTH116
                found.update(f"{path}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return found.hexdigest()
