"""The command line as a user has it: a subprocess, with caches of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SMALL = [
    "--dataset",
    "digits",
    "--backbone",
    "cifar_resnet20",
    "--weights",
    "random",
    "--exits",
    "2,5",
    "--threads",
    "1",
]


@pytest.fixture(scope="session")
def cache(tmp_path_factory) -> Path:
    """One cache for all command-line tests, so that the bank of the small job is built once."""
    return tmp_path_factory.mktemp("bench-cache")


@pytest.fixture(scope="session")
def environment(cache) -> dict[str, str]:
    return {**os.environ, "BENCH_CACHE": str(cache), "MPLBACKEND": "agg", "COLUMNS": "100"}


@pytest.fixture
def bench(environment, tmp_path) -> Callable[..., subprocess.CompletedProcess]:
    """Run `bench …` in an empty folder and return the finished process."""

    def run(*words: object) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "bench", *map(str, words)]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)

    return run
