"""Searches through Ray Tune: the same numbers as in this process, and what becomes of workers that die."""

from __future__ import annotations

import pytest

from bench.executors.worker import Settings
from bench.plugins.files import load_file
from bench.tune.history import read
from tests.helpers.searches import without_times

pytestmark = pytest.mark.ray

DEADLY = 5.0  # the beta above which a trial takes its process along
WATCHED = '''
"""Methods that look at where they run."""
import os
from bench.bank.bank import Bank
from bench.methods.eero import EERO

whole = Bank.exit_data

def refuse(*given, **options):
    raise AssertionError("cal and test are not for a search")

def watched(self, split, rows=None, **options):
    if split == "test" or (split == "pool" and rows is None):
        refuse()
    return whole(self, split, rows, **options)

Bank.held_out, Bank.exit_data = refuse, watched

class Watched(EERO):
    name = "watched"
    def fit(self, task, budgets):
        assert Bank.held_out is refuse or os.getpid() == {pid}
        return super().fit(task, budgets)

class Deadly(EERO):
    name = "deadly"
    def fit(self, task, budgets):
        if self.config.beta > {deadly}:
            os.kill(os.getpid(), 9)
        return super().fit(task, budgets)
'''


@pytest.fixture(scope="module")
def cluster():
    """One Ray of two processors for all tests of this module."""
    from bench.executors.cluster import Cluster, connected

    with connected(Cluster(jobs=2), Settings("cpu", 1, {}), 2):
        yield Cluster(jobs=2)


@pytest.fixture
def through_ray(cluster):
    def run(*searches, plugins=(), timeout=None) -> list:
        from bench.tune import ray

        rows: list = []
        settings = Settings("cpu", 1, {}, timeout=timeout)
        ray.run(searches, settings, cluster, plugins, lambda s, number: None, lambda s, row: rows.append(row))
        return rows

    return run


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    import os

    from bench.bank.bank import Bank
    from bench.plugins import registry

    monkeypatch.setattr(registry, "_files", {kind: dict(known) for kind, known in registry._files.items()})
    monkeypatch.setattr(Bank, "held_out", Bank.held_out)  # both are put back after the test
    monkeypatch.setattr(Bank, "exit_data", Bank.exit_data)
    file = tmp_path / "watched_methods.py"
    file.write_text(WATCHED.replace("{pid}", str(os.getpid())).replace("{deadly}", str(DEADLY)))
    load_file(file)
    return file


def test_two_workers_give_what_one_process_gives(search_of, run_all, through_ray, tmp_path):
    names = ("eefp", "beem")
    serial = [search_of(name, 6, folder=tmp_path / "serial") for name in names]
    run_all(*serial)
    through = [search_of(name, 6, folder=tmp_path / "ray") for name in names]
    ended = through_ray(*through)
    assert len(ended) == sum(row.same_as is None for s in serial for row in s.history)
    for one, two in zip(serial, through, strict=True):
        assert without_times(read(one.path)) == without_times(read(two.path))
    assert through_ray(*through) == []


def test_no_worker_opens_cal_or_test_and_one_that_is_killed_is_a_failed_trial(search_of, through_ray, plugin):
    watched, deadly = search_of("watched", 4), search_of("deadly", 4)
    through_ray(watched, deadly, plugins=[plugin])
    assert [row.status for row in watched.history] == ["ok"] * 4, [row.reason for row in watched.history]
    assert deadly.finished
    died = [row for row in deadly.history if row.params["beta"] > DEADLY]
    assert 0 < len(died) < 4 and all(row.status == "failed" and "process died" in row.reason for row in died)
    assert [row.status for row in deadly.history if row not in died] == ["ok"] * (4 - len(died))


def test_a_file_that_cannot_be_written_ends_the_run_with_a_sentence(search_of, through_ray, monkeypatch):
    from bench.errors import UserError
    from bench.tune import history

    def full(*given):
        raise OSError(28, "No space left on device")

    search = search_of("eero", 4)
    monkeypatch.setattr(history, "write_atomic", full)
    with pytest.raises(UserError, match="No space left"):
        through_ray(search)
