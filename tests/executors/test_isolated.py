"""The serial executor, in this process and in a child that can be ended."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from bench.executors import isolated, serial
from tests.helpers.trials import FAULTY, by_title

pytestmark = pytest.mark.slow


@pytest.fixture
def run(tmp_path, work, settings):
    """Run faulty methods in a child and return the (single) record of each, and how long each took."""

    def go(*names: str, plugins=(FAULTY,), **options):
        trials = work(*(f"{name}[mark={tmp_path}]" for name in names), budgets=(0.9,))
        done, begun = {}, []
        for trial, results in serial.run(
            trials, settings(**{"timeout": 60.0} | options), lambda t: begun.append(t.method), plugins=plugins
        ):
            done[trial.method] = results[0][0]
        assert begun == list(done) == list(names)
        return done

    return go


def _pids(folder: Path, name: str) -> list[int]:
    return [int(p.read_text().split()[0]) for p in sorted(folder.glob(f"{name}-*"))]


def test_the_same_numbers_in_a_child(work, settings):
    trials = work("msdnet_thresh", "entropy_thresh", seeds=(0, 1), references=True)
    here = by_title(serial.run(trials, settings()))
    there = by_title(serial.run(trials, settings(timeout=60.0)))
    assert here == there
    assert len(here) == 6


@pytest.mark.slow
def test_faults_become_records_and_the_run_goes_on(run, tmp_path):
    done = run("killed", "fine", "raises", "quits", "killed_once", "raises_once", retries=1)
    assert {name: record.status for name, record in done.items()} == {
        "killed": "failed",
        "fine": "ok",
        "raises": "failed",
        "quits": "failed",
        "killed_once": "ok",
        "raises_once": "ok",
    }
    assert "SIGKILL" in done["killed"].reason
    assert "the moon is in the wrong house" in done["raises"].reason
    assert "SystemExit" in done["quits"].reason
    pids = {name: _pids(tmp_path, name) for name in done}
    assert {name: len(p) for name, p in pids.items()} == {
        "killed": 2,
        "fine": 1,
        "raises": 2,
        "quits": 2,
        "killed_once": 2,
        "raises_once": 2,
    }
    assert len(set(pids["killed"])) == 2  # a fresh child after a death
    assert [len(set(pids[name])) for name in ("fine", "raises", "quits")] == [1, 1, 1]  # the same as long as it lives
    assert len({*pids["fine"], *pids["raises"], *pids["quits"]}) == 3  # and one for each method
    assert os.getpid() not in {p for each in pids.values() for p in each}


@pytest.mark.slow
def test_what_hangs_is_ended(run, monkeypatch, hasty):
    monkeypatch.setattr(isolated, "GRACE", 2.0)
    monkeypatch.setattr(isolated, "SLACK", 0.5)
    start = time.monotonic()
    done = run("sleeps", "stubborn", "stopped", timeout=4.0, plugins=[FAULTY, hasty])
    assert {name: record.status for name, record in done.items()} == {
        "sleeps": "timeout",
        "stubborn": "timeout",
        "stopped": "timeout",
    }
    assert done["sleeps"].reason == "no result within 4 seconds"
    assert "was killed" in done["stubborn"].reason
    assert time.monotonic() - start < 60


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux keeps a limit on memory")
def test_what_eats_memory_fails_and_says_so(run):
    done = run("eats_torch", "eats_python", "fine", timeout=None, memory=2.0)
    assert [r.status for r in done.values()] == ["failed", "failed", "ok"]
    for name in ("eats_torch", "eats_python"):
        assert "more memory than its limit of 2 GiB" in done[name].reason


def test_a_bank_that_cannot_be_opened_is_a_failed_record(work, settings, bank, tmp_path):
    from dataclasses import replace

    (_, trial), *_ = work("msdnet_thresh")
    gone = replace(bank, path=tmp_path / "gone")
    for options in ({}, {"timeout": 60.0}):
        ((_, results),) = serial.run([(gone, trial)], settings(**options))
        assert [r.status for r, _ in results] == ["failed"] * len(trial.points)
        assert "gone" in results[0][0].reason


@pytest.mark.slow
def test_a_trial_computes_with_the_threads_of_its_plan(work, settings, tmp_path):
    threads = 2
    trials = work(f"threads[mark={tmp_path}]")
    list(serial.run(trials, settings(threads=threads)))
    assert (tmp_path / "threads.txt").read_text() == f"{threads} [{threads}]"
    (tmp_path / "threads.txt").unlink()
    list(serial.run(trials, settings(threads=threads, timeout=60.0), plugins=[FAULTY]))
    assert (tmp_path / "threads.txt").read_text() == f"{threads} [{threads}]"


@pytest.mark.slow
def test_no_child_outlives_the_run(work, settings, tmp_path):
    trials = work(f"fine[mark={tmp_path}]", seeds=(0, 1))
    running = serial.run(trials, settings(timeout=60.0), plugins=[FAULTY])
    next(running)
    (pid,) = _pids(tmp_path, "fine")
    os.kill(pid, 0)
    running.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_no_child_outlives_its_parent(number, bank, start, tmp_path):
    """A driver that is interrupted or killed in the middle of a trial leaves nothing behind."""
    code = f"""
import sys
from pathlib import Path
from bench.bank.bank import Bank
from bench.executors import serial
from bench.executors.worker import Settings
from bench.plugins.files import load_file
from bench.trials.plan import Trial, load_methods, method_points
from bench.bank.cell import cell_of
if __name__ == "__main__":
    load_file({str(FAULTY)!r})
    (method,) = load_methods(["sleeps[mark={tmp_path}]"])
    bank = Bank.open({str(bank.path)!r})
    trial = Trial(cell_of(bank), method.name, method.config, 0, method_points(method, (0.9,), 0), (0.9,))
    list(serial.run([(bank, trial)], Settings("cpu", 1, {{}}, timeout=500.0), plugins=[{str(FAULTY)!r}]))
"""
    script = tmp_path / "driver.py"
    script.write_text(code)
    driver = start(script)
    limit = time.monotonic() + 60
    while not (pids := _pids(tmp_path, "sleeps")) and time.monotonic() < limit:
        time.sleep(0.1)
    driver.send_signal(number)
    driver.communicate(timeout=30)
    assert pids
    while time.monotonic() < limit:
        try:
            os.kill(pids[0], 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    pytest.fail("the child is still there")
