"""The command line as a user has it: a subprocess, with caches of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.commands import JOB


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
