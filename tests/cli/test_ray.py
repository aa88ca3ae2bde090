"""`bench run --executor ray` as a user has it: the numbers of the serial run, whatever is killed on the way."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest

from bench import load_records
from bench.executors import deadline
from tests.helpers.commands import JOB, begun, numbers, results_safely
from tests.helpers.processes import family, survivors

pytestmark = pytest.mark.ray
RAY = ["--executor", "ray", "-j", "2", "--no-report"]
SLOW = ["--methods", "msdnet_thresh,jeidnn[preset=paper,epochs=400]"]


def test_a_killed_driver_is_started_again_and_ends_with_the_same_numbers(finished, start, tmp_path):
    process = start(*JOB, *RAY)
    begun(process, tmp_path / "runs", 6)
    started = family(process.pid)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert started and not survivors(started, seconds=15)
    folders = {Path(found) for command in started.values() for found in re.findall(r"/[\w/.-]*/eb-\w+", command)}
    assert folders and not any(folder.exists() for folder in folders)
    survived = {p: p.read_bytes() for p in results_safely(tmp_path / "runs")}
    assert survived
    again = start(*JOB, *RAY)
    stdout, stderr = again.communicate(timeout=300)
    assert (again.returncode, stderr.strip()) == (0, "")
    assert "trials to do: ray, 2 at once." in stdout and " trials done, 0 failed" in stdout
    assert {p.name for p in tmp_path.iterdir()} == {"runs"}
    assert all(p.read_bytes() == content for p, content in survived.items())
    assert numbers(tmp_path / "runs") == numbers(finished[0] / "runs")


def test_ctrl_c_shuts_ray_down_keeps_finished_trials_and_ends_with_130(finished, start, tmp_path):
    process = start(*JOB, *RAY, *SLOW)
    begun(process, tmp_path / "runs", 6)
    started = family(process.pid)
    assert any("raylet" in command for command in started.values())
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, errors = process.communicate(timeout=180)
    assert process.returncode == 130 and "kept" in errors and "Traceback" not in errors, errors
    assert started and not survivors(started, seconds=15)
    assert len(load_records(tmp_path / "runs")) >= 6


PLUGIN = '''
"""Methods that misbehave."""
from dataclasses import dataclass
import os, time
from bench.executors import deadline
from bench.methods.msdnet_thresh import MSDNetThreshold

deadline.GRACE = 2.0

class Raises(MSDNetThreshold):
    """Raise."""
    name = "raises"
    def fit(self, task, budgets):
        raise ValueError("no fit today")

class Dies(MSDNetThreshold):
    """Take the process along."""
    name = "dies"
    def fit(self, task, budgets):
        os.kill(os.getpid(), 9)

class Hangs(MSDNetThreshold):
    """Never return."""
    name = "hangs"
    def fit(self, task, budgets):
        while True:
            try:
                time.sleep(1000)
            except BaseException:
                pass
'''


def test_faults_become_records_a_list_and_exit_code_1(small_bank, bench, tmp_path, monkeypatch):
    monkeypatch.setattr(deadline, "GRACE", deadline.GRACE)  # put back what the plugin file changes here
    (tmp_path / "bad.py").write_text(PLUGIN)
    bad = ["--plugin", "bad.py", "--methods", "raises,dies,hangs,msdnet_thresh", "--seeds", "0", "--budgets", "0.6,1"]
    done = bench(*JOB, *bad, "--timeout", "15", "--retries", "0", "--no-report")
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stdout + done.stderr
    frame = load_records(tmp_path / "runs").groupby("method")["status"].agg(set)
    assert frame["raises"] == frame["dies"] == {"failed"}
    assert frame["hangs"] == {"timeout"} and frame["msdnet_thresh"] == {"ok"}
    assert "6 operating points did not finish" in done.stdout
    for name in ("raises", "dies", "hangs"):
        assert f"digits · cifar_resnet20 · {name} · seed 0, budget=0.6: " in done.stdout
    assert "no fit today" in done.stdout and "3 failed" in done.stdout
    assert bench("plan", *JOB[1:], *bad).stdout.count("unknown") == 0
