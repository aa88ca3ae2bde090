"""What several tests of the command line need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from tests.helpers.commands import JOB


@pytest.fixture(scope="session")
def finished(environment, small_bank, run_folder) -> tuple[Path, str]:
    """The small job, run to its end by the serial executor, once for all processes: its folder, and what it printed."""
    folder = run_folder / "job"
    with FileLock(run_folder / "job.lock"):
        if not (folder / "stdout.txt").exists():
            folder.mkdir()
            command = [sys.executable, "-m", "bench", *JOB]
            done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
            assert done.returncode == 0, done.stderr
            (folder / "stdout.txt").write_text(done.stdout)
    return folder, (folder / "stdout.txt").read_text()
