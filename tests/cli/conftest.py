"""The command line as a user has it: a subprocess, with caches of its own."""

from __future__ import annotations

import json
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

JOB = ["run", *SMALL, "--methods", "jeidnn,msdnet_thresh", "--seeds", "0,1", "--budgets", "0.2,0.6,1"]
POINTS = 2 * ((2 + 2) * 3 + 3 + 1)  # seeds × ((methods + hull and random) × budgets + static exits + oracle)


def results(folder: Path) -> dict[str, dict]:
    return {p.name: json.loads(p.read_text()) for p in folder.rglob("[!.]*.json")}


def numbers(folder: Path) -> dict[str, tuple]:
    return {n: (r["status"], r["metrics"], r["val"], r["per_exit"]) for n, r in results(folder).items()}


def results_safely(folder: Path) -> list[Path]:
    return list(folder.rglob("[!.]*.json")) if folder.exists() else []


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


@pytest.fixture(scope="session")
def finished(environment, tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess]:
    """The small job, run to its end with the serial executor: its folder, and its process."""
    folder = tmp_path_factory.mktemp("job")
    command = [sys.executable, "-m", "bench", *JOB]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return folder, done
