from __future__ import annotations

import pytest

from bench.config import RunConfig
from bench.trials import plan as plans
from bench.trials.estimate import OTHERS, SOURCES, Counts, Estimate, Group, History, groups, wall_seconds
from bench.trials.plan import REFERENCES, Configured, load_methods
from bench.trials.record import Record
from bench.trials.store import Store
from tests.helpers import records as made_up

HERE = ("cpu model", "cpu", 1)


def record(cell, point, status="ok", fit=0.0, play=0.0, score=0.0, threads=1) -> Record:
    timings = {"fit_seconds": fit, "play_seconds": play, "score_seconds": score}
    provenance = {"cpu": "cpu model", "device": "cpu", "threads": threads}
    return made_up.record(cell, point, status=status, timings=timings, provenance=provenance)


def records(trial, **values) -> list[Record]:
    return [record(trial.cell, point, **values) for point in trial.points]


@pytest.fixture
def config() -> RunConfig:
    return RunConfig(methods=("msdnet_thresh", "entropy_thresh"), seeds=(0, 1, 2), budgets=(0.5, 1.0))


@pytest.fixture
def methods(config):
    return [Configured(method) for method in load_methods(config.methods)]


def test_a_trial_costs_its_fit_once_and_playing_and_scoring_per_point(trial_of):
    trial = trial_of("msdnet_thresh")
    history = History(records(trial_of("msdnet_thresh", budgets=(0.5, 0.8)), fit=10.0, play=0.25, score=0.75))
    assert history.estimate(trial, HERE) == Estimate(13.0, SOURCES[0])
    infeasible = record(trial.cell, trial.points[0], status="infeasible", fit=4.0)
    assert History([infeasible]).estimate(trial, HERE).seconds == 4.0


def test_the_price_is_the_median_of_the_most_similar_records(trial_of):
    trial, cell = trial_of("msdnet_thresh"), trial_of("msdnet_thresh").cell
    near = [
        r for seed, fit in enumerate((1.0, 2.0, 9.0)) for r in records(trial_of("msdnet_thresh", seed=seed), fit=fit)
    ]
    resized = cell.model_copy(update={"bank_digest": "other", "image_size": 9})
    foreign = cell.model_copy(update={"bank_digest": "third", "dataset": "another"})
    smoke = cell.model_copy(update={"bank_digest": "fourth", "limit": 40})
    other_params = records(trial_of("msdnet_thresh[ratios=published]"), fit=30.0)
    of = {c.bank_digest: [record(c, p, fit=f) for p in trial.points] for c, f in ((resized, 20.0), (foreign, 40.0))}
    tiny = [record(smoke, p, fit=0.1) for p in trial.points]
    everything = [*near, *of["other"], *other_params, *of["third"], *tiny]
    for source, seconds in zip(SOURCES, (2.0, 20.0, 30.0, 40.0), strict=True):
        assert History(everything).estimate(trial, HERE) == Estimate(seconds, source)
        everything = [r for r in everything if r.timings["fit_seconds"] > seconds + 8 or r in tiny]
    assert History(tiny).estimate(trial, HERE).seconds is None


def test_records_of_this_hardware_come_first_and_others_are_named(trial_of):
    trial = trial_of("msdnet_thresh")
    slow = records(trial_of("msdnet_thresh", seed=1), fit=50.0, threads=8)
    assert History([*slow, *records(trial, fit=1.0)]).estimate(trial, HERE) == Estimate(1.0, SOURCES[0])
    assert History(slow).estimate(trial, HERE) == Estimate(50.0, f"{SOURCES[0]}, on other hardware or threads")


def test_a_failure_is_no_price(trial_of):
    trial = trial_of("msdnet_thresh")
    assert History(records(trial, status="failed", fit=1.0)).estimate(trial, HERE).seconds is None


def test_unknown_trials_cost_what_the_others_of_the_run_do(trial_of, cell, config, methods):
    every = plans.every_trial(config, cell, methods)
    assert {g.each.seconds for g in groups(every, History([]), HERE, "missing")} == {None}
    history = History(records(trial_of("msdnet_thresh", budgets=(0.5, 1.0)), fit=6.0))
    by_name = {g.method: g for g in groups(every, history, HERE, "missing")}
    assert list(by_name) == [REFERENCES, "msdnet_thresh", "entropy_thresh"]
    assert by_name["msdnet_thresh"].each.source == SOURCES[0]
    assert by_name["entropy_thresh"].each == by_name[REFERENCES].each == Estimate(6.0, OTHERS)
    assert by_name["entropy_thresh"].seconds == 18.0 and by_name["msdnet_thresh"].seconds == 12.0


@pytest.mark.parametrize("rerun", ["missing", "failed", "changed", "all"])
def test_states_and_trials_are_those_that_a_run_finds(tmp_path, cell, config, methods, rerun):
    store = Store(tmp_path)
    every = plans.every_trial(config, cell, methods)
    assert len(every) == 9
    for trial, statuses in zip(every, (["ok"] * 9, ["ok", "infeasible"], ["failed", "ok"], ["ok"]), strict=False):
        for point, status in zip(trial.points, statuses, strict=False):
            made = point if trial.seed else point.model_copy(update={"code": "0-0"})
            store.write(record(cell, made, status=status))
    todo, done = plans.owed(every, store, rerun)
    found = groups(every, History(store.records()), HERE, rerun)
    trials, points = sum((g.trials for g in found), Counts()), sum((g.points for g in found), Counts())
    assert trials.todo == len(todo) and points.todo == sum(len(t.points) for t in todo)
    assert points.total == done + points.todo
    assert (trials.total, trials.failed) == (9, 1) and points.failed == 1
    assert trials.done + trials.failed + trials.missing == trials.total


def test_wall_time_is_shared_by_jobs_but_no_shorter_than_one_trial():
    def group(seconds, todo):
        return Group("m", Counts(todo, todo=todo), Counts(), Estimate(seconds, ""))

    assert wall_seconds([group(2.0, 6), group(6.0, 2)], 4) == 6.0
    assert wall_seconds([group(2.0, 6), group(6.0, 2)], 2) == 12.0
    assert wall_seconds([group(2.0, 6), group(None, 0)], 1) == 12.0
    assert wall_seconds([group(2.0, 6), group(None, 1)], 1) is None
    assert wall_seconds([group(2.0, 6)], None) is None
    assert wall_seconds([group(None, 0)], None) == 0.0
