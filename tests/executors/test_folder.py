from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.errors import UserError
from bench.executors import folder as module
from bench.executors.folder import WORK, place, swept

SLEEP = "import time; print(1, flush=True); time.sleep(60)"


def sleeper(cwd: Path) -> subprocess.Popen:
    process = subprocess.Popen([sys.executable, "-c", SLEEP], cwd=cwd, stdout=subprocess.PIPE)
    process.stdout.readline()
    return process


def gone(process: subprocess.Popen, seconds: float = 10) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    return True


@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="processes are found through /proc")
def test_a_folder_goes_with_the_processes_that_were_started_in_it():
    with swept() as folder:
        process, other = sleeper(folder / WORK), sleeper(folder)
    assert gone(process) and not folder.exists()
    assert not gone(other, 0.1)  # a user's shell, say


@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="processes are found through /proc")
def test_so_it_does_if_the_run_is_killed(tmp_path):
    code = (
        "import subprocess, sys, time; from bench.executors.folder import swept\n"
        "with swept() as f:\n"
        f"    p = subprocess.Popen([sys.executable, '-c', {SLEEP!r}], cwd=f / 'work', stdout=subprocess.PIPE)\n"
        "    p.stdout.readline(); print(f, p.pid, flush=True); time.sleep(60)\n"
    )
    run = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    folder, pid = run.stdout.readline().split()
    assert gone(run, 0) is False  # kills it
    end = time.monotonic() + 10
    while (Path(folder).exists() or _lives(pid)) and time.monotonic() < end:
        time.sleep(0.05)
    assert not Path(folder).exists() and not _lives(pid)


def _lives(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("name", ["x" * 100, "é", "短"])
def test_long_and_foreign_temporary_folders_are_not_for_sockets(tmp_path, monkeypatch, name):
    (tmp_path / name).mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / name))
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    found = place()
    assert found.isascii() and len(found) <= module.LONGEST


def test_no_short_folder_at_all_is_a_sentence(monkeypatch):
    monkeypatch.setattr(module, "LONGEST", 0)
    with pytest.raises(UserError, match="RAY_TMPDIR"):
        place()
