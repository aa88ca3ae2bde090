"""`bench tune` as a user has it."""

from __future__ import annotations

import json
import os
import signal
import time

import pytest

from bench.tune.edges import at_edges
from bench.tune.history import read, searches
from tests.helpers.forked import Forked
from tests.helpers.searches import TUNE, without_times

JOB = ["--methods", "eefp,patient_confident,entropy_thresh", "--trials", "6", "--seeds", "0,1"]


@pytest.mark.slow
def test_it_searches_says_what_it_kept_and_goes_on(tune, tmp_path):
    done = tune(*JOB)
    assert done.returncode == 0, done.stderr
    found = searches(tmp_path / "runs" / "tuned")
    assert [s.subject.method for s in found] == ["eefp", "patient_confident"]
    assert all(len(s.history) == 6 and s.kept for s in found)
    assert all(s.protocol == found[0].protocol for s in found)  # the same budget for every method
    assert "No search space: entropy_thresh" in done.stdout
    for s in found:
        assert s.reason in done.stdout
        assert all(sentence in done.stdout for sentence in at_edges(s))
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "runs").rglob("*.yaml")}
    again = tune(*JOB, "--json")
    told = json.loads(again.stdout)
    assert again.returncode == 0 and told["without_space"] == ["entropy_thresh"]
    assert [t["kept"] for t in told["searches"]] == [s.kept for s in found]
    assert [t["at_edges"] for t in told["searches"]] == [at_edges(s) for s in found]
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "runs").rglob("*.yaml")} == before


@pytest.mark.slow
def test_killed_it_ends_as_if_it_had_not_been(tune, start, tmp_path):
    words = ["--methods", "eefp", "--trials", "8", "--seeds", "0,1", "-o", "killed"]
    driver = start(*TUNE, *words)
    folder = tmp_path / "killed" / "tuned"
    _wait_for(lambda: sum(len(read(p).history) for p in folder.glob("*.yaml")) >= 3, driver)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    (stored,) = searches(folder)
    assert len(stored.history) >= 3 and stored.kept is None
    assert tune(*words[:-2], "-o", "killed").returncode == 0
    assert tune(*words[:-2], "-o", "whole").returncode == 0
    (ended,), (whole,) = searches(folder), searches(tmp_path / "whole" / "tuned")
    assert without_times(ended) == without_times(whole)
    assert all(row == ended.history[row.number] for row in stored.history)  # what was there was not run again


@pytest.mark.slow
def test_interrupted_it_says_so_and_keeps_what_it_has(start, bank, tmp_path):
    driver = start(*TUNE, "--methods", "eefp", "--trials", "400", "--seeds", "0,1")
    folder = tmp_path / "runs" / "tuned"
    _wait_for(lambda: any(len(read(p).history) >= 2 for p in folder.glob("*.yaml")), driver)
    driver.send_signal(signal.SIGINT)
    _, errors = driver.communicate(timeout=60)
    assert driver.returncode == 130 and "run the same command again" in errors
    assert searches(folder)[0].kept is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--methods", "eeero"], "Did you mean 'eero'?"),
        (["--methods", "eero", "--trials", "1"], "--trials"),
        (["--methods", "eero", "--budgets", "0.01"], "first exit"),
        (["--methods", "eero", "-o", "/proc/nowhere"], "cannot be written to"),
    ],
)
def test_mistakes_are_sentences(tune, words, said):
    done = tune(*words)
    assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_failed_trial_ends_with_one_and_its_reason(tune, tmp_path):
    (tmp_path / "brittle.py").write_text(
        "from bench.methods.eero import EERO\n"
        "class Brittle(EERO):\n"
        '    """Breaks for large beta."""\n'
        '    name = "brittle"\n'
        "    def fit(self, task, budgets):\n"
        "        if self.config.beta > 5:\n"
        '            raise ArithmeticError("beta is too much")\n'
        "        return super().fit(task, budgets)\n"
    )
    done = tune("--plugin", "brittle.py", "--methods", "brittle", "--trials", "4", "--seeds", "0")
    assert done.returncode == 1 and "beta is too much" in done.stdout and "Traceback" not in done.stderr
    assert len(searches(tmp_path / "runs" / "tuned")[0].history) == 4


@pytest.mark.slow
def test_a_method_of_others_changes_no_other_search(tune, tmp_path):
    (tmp_path / "meddler.py").write_text(
        "from bench.methods.eero import EERO\n"
        "from bench.tune import objective\n"
        "class Meddler(EERO):\n"
        '    """Makes every score perfect."""\n'
        '    name = "meddler"\n'
        "    def fit(self, task, budgets):\n"
        "        objective.area = lambda *given: 1.0\n"
        "        return super().fit(task, budgets)\n"
    )
    words = ["--trials", "3", "--seeds", "0", "-o"]
    assert tune("--plugin", "meddler.py", "--methods", "meddler,eefp", *words, "both").returncode == 0
    assert tune("--methods", "eefp", *words, "alone").returncode == 0
    (alone,) = searches(tmp_path / "alone" / "tuned")
    eefp, meddler = searches(tmp_path / "both" / "tuned")
    assert without_times(eefp) == without_times(alone)
    assert meddler.history[1].scores == (1.0,)  # what it changed counts from its second trial on


def _wait_for(true, driver: Forked, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert driver.poll() is None, "it ended before it could be stopped"
        assert time.monotonic() < end
        time.sleep(0.05)
