"""The Ray executor on this machine."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator

import pytest

from bench.errors import UserError
from bench.executors import serial
from bench.executors.cluster import Cluster, need, ray
from bench.executors.ray import run
from bench.trials.plan import Trial
from tests.helpers.trials import FAULTY, by_title

pytestmark = [pytest.mark.ray, pytest.mark.slow]


@pytest.fixture(scope="module")
def local() -> Iterator[None]:
    """One Ray with four slots, whatever this machine has."""
    ray.init(address="local", num_cpus=4, include_dashboard=False, log_to_driver=False, logging_level="CRITICAL")
    yield
    ray.shutdown()


def test_the_same_numbers_as_in_one_process(local, work, settings):
    trials = work("msdnet_thresh", seeds=(0, 1), references=True)
    expected = by_title(serial.run(trials, settings()))
    assert len(expected) == 4
    begun: list[Trial] = []
    assert by_title(run(trials, settings(), begun.append, cluster=Cluster(jobs=2))) == expected
    assert sorted(trial.title for trial in begun) == sorted(expected)


def test_a_trial_is_divided_where_workers_would_idle(local, work, settings, tmp_path):
    trials = work(f"fine[mark={tmp_path},seconds=0.5]", budgets=(0.5, 0.7, 0.9))
    expected = by_title(serial.run(trials, settings()))
    (trial, results), *more = run(trials, settings(), cluster=Cluster(jobs=3), plugins=[FAULTY])
    assert not more
    assert by_title([(trial, results)]) == expected
    assert len(list(tmp_path.glob("fine-*"))) > 2


def test_faults_become_records_and_the_run_goes_on(local, work, settings, tmp_path):
    statuses = {
        "killed": "failed",
        "killed_once": "ok",
        "raises": "failed",
        "eats_torch": "failed",
    }
    trials = work(*(f"{name}[mark={tmp_path}]" for name in statuses), budgets=(0.9,))
    options = {"retries": 1, "timeout": 120.0, "memory": 2.0}
    done = {t.method: r[0][0] for t, r in run(trials, settings(**options), cluster=Cluster(jobs=2), plugins=[FAULTY])}
    assert {name: record.status for name, record in done.items()} == statuses
    assert "process died in 2 attempts" in done["killed"].reason
    assert "the moon is in the wrong house" in done["raises"].reason
    assert "more memory than its limit of 2 GiB" in done["eats_torch"].reason
    tries = {name: len(list(tmp_path.glob(f"{name}-0-*"))) for name in statuses}
    assert tries == dict.fromkeys(statuses, 2)


def test_a_trial_that_hangs_is_ended_and_tried_again(local, work, settings, tmp_path, hasty):
    trials = work(f"stubborn[mark={tmp_path}]", budgets=(0.9,))
    ((_, results),) = run(trials, settings(retries=1, timeout=1.0), cluster=Cluster(jobs=1), plugins=[FAULTY, hasty])
    (record,) = (r for r, _ in results)
    assert record.status == "timeout"
    assert "no result within 1 second" in record.reason and "was killed (2 attempts)" in record.reason
    assert len(list(tmp_path.glob("stubborn-0-*"))) == 2


def test_a_bank_that_cannot_be_opened_is_a_failed_record(local, work, settings, bank, tmp_path):
    (_, trial), *_ = work("msdnet_thresh", budgets=(0.9,))
    gone = dataclasses.replace(bank, path=tmp_path / "gone")
    ((_, results),) = run([(gone, trial)], settings(), cluster=Cluster(jobs=1))
    assert [r.status for r, _ in results] == ["failed"]
    assert "not visible on this node" in results[0][0].reason


def test_a_trial_computes_with_the_threads_of_its_plan(local, work, settings, tmp_path):
    trials = work(f"threads[mark={tmp_path}]", budgets=(0.9,))
    list(run(trials, settings(threads=2), cluster=Cluster(jobs=1), plugins=[FAULTY]))
    assert (tmp_path / "threads.txt").read_text() == "2 [2]"


def test_a_machine_without_room_is_a_sentence(local, work, settings):
    trials = work("msdnet_thresh")
    with pytest.raises(UserError, match=r"No machine has 64 CPUs for one trial \(the largest has 4 CPUs"):
        next(run(trials, settings(threads=64)))
    with pytest.raises(UserError, match=r"1 CPU and 0\.5 GPUs for one trial .* --gpus-per-trial"):
        next(run(trials, settings(), cluster=Cluster(gpus_per_trial=0.5)))


def test_a_run_that_is_left_does_not_begin_more(local, work, settings, tmp_path):
    trials = work(f"fine[mark={tmp_path},seconds=1]", seeds=tuple(range(6)), budgets=(0.9,))
    running = run(trials, settings(), cluster=Cluster(jobs=1), plugins=[FAULTY])
    next(running)
    running.close()
    time.sleep(3)
    assert len(list(tmp_path.glob("fine-*"))) <= 3


@pytest.mark.parametrize(("gpus", "device", "expected"), [
    (0.0, "cpu", {"CPU": 2.0}),
    (0.25, "cuda", {"CPU": 2.0, "GPU": 0.25}),
    (2.0, "cuda", {"CPU": 2.0, "GPU": 2.0}),
    (0.0, "cuda", {"CPU": 2.0, "GPU": 1.0}),
])  # fmt: skip
def test_what_a_trial_takes(settings, gpus, device, expected):
    assert need(Cluster(gpus_per_trial=gpus), settings(threads=2, device=device)) == expected


@pytest.mark.parametrize("gpus", [1.5, -1.0])
def test_a_share_of_gpus_that_cannot_be(settings, gpus):
    with pytest.raises(UserError, match=r"cannot take .* GPUs"):
        need(Cluster(gpus_per_trial=gpus), settings())
