"""Fixtures of all tests, and how several processes share the tests: see [tool.pytest.ini_options] in pyproject.toml."""

from __future__ import annotations

import gc
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from tests.helpers.paths import GOLDEN, SHARED

if TYPE_CHECKING:  # the process that starts the others needs no torch
    from bench.bank.bank import Bank
    from tests.helpers.forked import Forked

# Read when torch and numpy are imported. Without byte code a hundred processes would compile all that they import.
os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MPLBACKEND": "agg", "PYTHONDONTWRITEBYTECODE": ""}
os.environ |= {"RAY_worker_niceness": "0"}  # by default Ray's workers wait for whatever else runs on a machine
sys.dont_write_bytecode = False
gc.disable()  # until all tests are collected

STARTS_RAY = re.compile(r"^pytestmark = \[?pytest\.mark\.ray", re.MULTILINE)
LONGEST = ("ray", "browser", "docs")  # marks of tests that are slow, in the order in which they begin

# An example may take long on a busy machine. In continuous integration the examples are always the same.
settings.register_profile("here", deadline=None)
settings.register_profile("gate", deadline=None, derandomize=True)
settings.register_profile("deep", deadline=None, max_examples=20_000, database=None)  # for tests/fuzz
settings.load_profile("gate" if os.environ.get("CI") else "here")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not import a file that would import Ray if all its tests are left out."""
    if config.option.markexpr != "not ray" or collection_path.suffix != ".py":
        return None
    return STARTS_RAY.search(collection_path.read_text(encoding="utf-8")) is not None or None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow what starts Ray or a browser, builds the site or needs a whole job; begin with the longest tests."""

    def rank(item: pytest.Item) -> int:
        marks = [*LONGEST, "slow"]
        return next((i for i, mark in enumerate(marks) if item.get_closest_marker(mark)), len(marks))

    items.sort(key=rank)
    for item in items:
        if rank(item) < len(LONGEST) or "finished" in getattr(item, "fixturenames", ()):
            item.add_marker("slow")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Let a process take whole files, so that their fixtures are made once; two take those that start Ray."""
    from xdist.scheduler import LoadFileScheduling

    class ByFile(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            path = Path(file)
            if not path.stem.startswith("test_ray"):
                return file
            return "ray executors" if path.parent.name == "executors" else "ray commands"

    config.option.loadscopereorder = False
    return ByFile(config, log)


def pytest_collection_finish() -> None:
    """Spare the garbage collector the modules and tests of the whole session, which none of its rounds can free."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data, weights and reference numbers, if it is available."""
    if not (SHARED / "golden").is_dir():
        pytest.skip("needs the shared folder of reference data (set EXITBENCH_SHARED)")
    return SHARED


@pytest.fixture(scope="session")
def golden() -> Path:
    """The small reference arrays that are part of the project."""
    return GOLDEN


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory) -> Path:
    """A folder that all processes of a test run share."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(scope="session", autouse=True)
def environment(run_folder) -> dict[str, str]:
    """The variables of this process and of every process that tests start: a cache of the run, no data of the user."""
    os.environ.pop("BENCH_DATA", None)
    os.environ |= {"BENCH_CACHE": str(run_folder / "cache"), "COLUMNS": "100"}
    return dict(os.environ)


@pytest.fixture(scope="session")
def small_bank(environment) -> Bank:
    """The bank of the small job; it is built once for all processes of a test run."""
    from bench.config import RunConfig
    from bench.session import Session
    from tests.helpers.commands import SMALL_CONFIG

    session = Session(RunConfig(**SMALL_CONFIG))
    return next(session.sources()).ensure("cpu")


@pytest.fixture
def bench(environment, tmp_path, monkeypatch) -> Callable[..., SimpleNamespace]:
    """Run `bench …` in this process, in an empty folder, and return exit code and output."""
    from typer.testing import CliRunner

    from bench.cli import app
    from bench.plugins import registry

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "_files", {kind: {} for kind in registry._files})

    def run(*words: object) -> SimpleNamespace:
        done = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
        return SimpleNamespace(returncode=done.exit_code, stdout=done.stdout, stderr=done.stderr)

    return run


@pytest.fixture
def start(environment, tmp_path) -> Iterator[Callable[..., Forked]]:
    """Start `bench …`, or a script, as a process of its own in an empty folder; it does not outlive the test.

    `first` is called in the process before the command, and must be picklable.
    """
    from tests.helpers.forked import Forked

    started: list[Forked] = []

    def begin(*words: object, first: Callable[[], Any] = int) -> Forked:
        started.append(Forked([str(word) for word in words], tmp_path, environment, first))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def write(tmp_path, monkeypatch) -> Iterator[Callable[..., Path]]:
    """Write `name.py` in an empty current folder, as a user does; it counts as never imported unless `loaded`."""
    monkeypatch.chdir(tmp_path)
    written: set[str] = set()

    def forget() -> None:
        for name in written:
            sys.modules.pop(name, None)

    def lay(name: str, text: str, *, loaded: bool = False) -> Path:
        written.add(name)
        if not loaded:
            forget()
        path = tmp_path / f"{name}.py"
        path.write_text(text)
        shutil.rmtree(tmp_path / "__pycache__", ignore_errors=True)  # which may be of the same second
        return path

    yield lay
    forget()
