from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from bench.cli import app
from bench.errors import UserError
from bench.metrics.families import FAMILIES
from bench.trials import recomputed
from bench.trials.kept import FOLDER, Kept
from bench.trials.outcomes import pack, unpack
from bench.trials.plan import REFERENCES
from bench.trials.record import SCHEMA_VERSION
from bench.trials.rescore import rescore, rescore_file, wanted_paths
from bench.trials.run import run_trial
from bench.trials.splits import OwnAnswers, SeedSplits
from bench.trials.store import Store, read
from tests.helpers.records import record as record_of

RUN_TIME_ONLY = {f"nestedness_lac@{alpha}" for alpha in (0.01, 0.05, 0.1)}
OLD = ("accuracy", "macs", "macs_fraction", "nll", "brier", "ece_mass15", "ece_width15", "confidence", "mean_exit")
OLD += ("accuracy_random", "collapsed", "coverage_lac@0.05", "set_size_lac@0.05")
OLD_ROW = ("exit", "name", "macs", "share", "accuracy_all", "nll_all", "ece_mass15_all")
OLD_ROW += ("accuracy_exited", "mean_confidence_exited")


@pytest.fixture
def alone(monkeypatch):
    """Let every policy answer for itself, so that its outcomes are stored whole."""
    monkeypatch.setattr(SeedSplits, "answers_for", lambda self, policy, among: OwnAnswers(self.splits))


@pytest.fixture
def fresh(trial_of, splits, alone):
    """A record as a run makes it, with the arrays of a policy that shares nothing."""
    record, kept = run_trial(trial_of("msdnet_thresh"), splits, {})[1]
    return record, kept.arrays


def without(record, metrics=OLD, columns=OLD_ROW):
    """The record as an older version would have written it."""
    return record.model_copy(
        update={
            "metrics": {name: record.metrics[name] for name in metrics},
            "per_exit": [{key: row[key] for key in columns} for row in record.per_exit],
            "outcomes": None,
        }
    )


def old_arrays(arrays) -> dict[str, np.ndarray]:
    """The outcomes as an older version stored them."""
    held = {}
    for split in ("test", "cal"):
        for name in ("exit_index", "prediction", "correct", "confidence"):
            held[f"{split}_{name}"] = arrays[f"{split}_{name}"]
        held[f"{split}_lac"] = 1 - arrays[f"{split}_p_true"]
    return held


def test_all_scores_come_back_from_stored_outcomes(fresh):
    record, arrays = fresh
    done = rescore(without(record), arrays)
    assert done.record.metrics.keys() == record.metrics.keys() - RUN_TIME_ONLY
    for name, value in done.record.metrics.items():
        assert value == pytest.approx(record.metrics[name], abs=0.03 if "@" in name else 1e-3), name
    assert done.record.per_exit[0].keys() == {k for k in record.per_exit[0] if not k.startswith("nested")}
    assert done.record.outcomes == record.outcomes
    assert done.record.schema_version == SCHEMA_VERSION
    assert done.record.provenance["rescored"]["packages"]["mapie"]
    assert set(done.lacking) == RUN_TIME_ONLY | {f"per_exit.{name}" for name in RUN_TIME_ONLY}
    assert {len(lacks) for lacks in done.lacking.values()} == {1}
    assert {"aurc", "per_exit.arrived", "outcomes"} <= set(done.added)


def test_a_complete_record_is_left_as_it_is(fresh):
    record, arrays = fresh
    done = rescore(record, arrays)
    assert done.record is record and not done.added and not done.lacking


def test_what_is_there_stays_unless_again(fresh):
    record, arrays = fresh
    odd = record.model_copy(update={"metrics": record.metrics | {"aurc": 0.123, "of_my_own": 7.0}})
    del odd.metrics["e_aurc"]
    kept, redone = rescore(odd, arrays), rescore(odd, arrays, again=True)
    assert kept.added == ("e_aurc",) and kept.record.metrics["aurc"] == 0.123
    assert redone.record.metrics["aurc"] == record.metrics["aurc"]
    assert redone.record.metrics["of_my_own"] == 7.0
    assert redone.record.metrics.keys() >= RUN_TIME_ONLY and not redone.lacking


def test_old_outcomes_give_what_they_can_and_say_the_rest(fresh):
    record, arrays = fresh
    done = rescore(without(record), old_arrays(arrays))
    assert {"aurc", "coverage_low_lac@0.05", "coverage_mondrian_exit@0.05"} <= done.record.metrics.keys()
    assert done.lacking["anytime_accuracy"] == ("the answers of every exit", "the labels")
    assert "the labels" in done.lacking["class_gap_worst_lac@0.1"]
    made = {name for family in FAMILIES for name in family.names()}
    assert made <= done.record.metrics.keys() | done.lacking.keys()
    held = unpack(done.record)
    assert (held.correct == arrays["test_correct"]).all() and (held.exit_index == arrays["test_exit_index"]).all()


def test_static_rows_keep_their_one_exit(trial_of, splits, alone):
    results = {r.point.point: (r, s.arrays) for r, s in run_trial(trial_of(REFERENCES), splits, {}) if s is not None}
    record, arrays = results["exit=2"]
    done = rescore(without(record), arrays)
    (row,) = done.record.per_exit
    assert row["exit"] == 2 and row["arrived"] == 1.0
    assert row["misclass_auroc_all"] == pytest.approx(record.per_exit[0]["misclass_auroc_all"], abs=1e-6)


def test_outcomes_of_another_record_are_refused(fresh, trial_of, splits):
    record, _ = fresh
    other = run_trial(trial_of("entropy_thresh"), splits, {})[1][1].arrays
    with pytest.raises(UserError, match="belong to another run"):
        rescore(record, other)
    with pytest.raises(UserError, match="not outcomes of this version"):
        rescore(record, {"test_exit_index": np.arange(3)})


@pytest.fixture
def folder(tmp_path, fresh, cell, trial_of):
    """One old record with new outcomes, a reference and an infeasible point, in a results folder."""
    record, arrays = fresh
    store = Store(tmp_path / "results")
    path = store.write(without(record), Kept(arrays))
    random = next(p for p in trial_of(REFERENCES).points if p.method == "random")
    store.write(record_of(cell, random, metrics={"accuracy": 0.5}))
    store.write(record_of(cell, trial_of("msdnet_thresh").points[0], status="infeasible", reason="too small"))
    return store.root, path


def run(*words: object):
    return CliRunner().invoke(app, ["score", *map(str, words)])


def test_the_command_adds_scores_once(folder, fresh):
    root, path = folder
    beside = path.with_suffix(".npz").read_bytes()
    before = path.read_bytes()
    dry = run("-o", root, "--dry-run")
    assert "1 of 3 records would gain scores" in dry.output and path.read_bytes() == before
    first = run("-o", root)
    assert first.exit_code == 1  # nestedness cannot be made from stored outcomes, and it says so
    assert "1 of 3 records gained scores" in first.output and "needed for nestedness_lac" in first.output
    assert "--rerun all" in first.output
    after = path.read_bytes()
    assert read(path).metrics["aurc"] == fresh[0].metrics["aurc"]
    assert path.with_suffix(".npz").read_bytes() == beside
    assert "0 of 3 records gained scores" in run("-o", root).output and path.read_bytes() == after
    assert not list(root.rglob("*.tmp"))


def test_a_complete_folder_ends_with_zero(tmp_path, fresh):
    record, arrays = fresh
    Store(tmp_path).write(record, Kept(arrays))
    done = run("-o", tmp_path)
    assert (done.exit_code, done.output.strip()) == (0, "0 of 1 record gained scores.")


@pytest.mark.parametrize("damage", ["missing", "cut", "text", "pickle"])
def test_bad_outcomes_cost_no_record(folder, damage):
    root, path = folder
    beside, before = path.with_suffix(".npz"), path.read_bytes()
    if damage == "missing":
        beside.unlink()
    elif damage == "cut":
        beside.write_bytes(beside.read_bytes()[:1000])
    elif damage == "text":
        beside.write_text("no archive")
    else:
        np.savez(beside, test_exit_index=np.array([{}], dtype=object))
    done = run("-o", root)
    assert done.exit_code == 1 and path.read_bytes() == before
    said = "outcomes (.npz) beside them" if damage == "missing" else "the outcomes beside it are damaged"
    assert said in done.output and "Traceback" not in done.output
    assert json.loads(before)["metrics"]


def test_records_without_samples_are_no_fault(folder):
    root, path = folder
    others = [p for p in Store(root).paths() if p != path]
    assert len(others) == 2
    for other in others:
        done = rescore_file(other)
        assert not (done.added or done.lacking or done.problem)


def test_only_and_wrong_folders(folder, tmp_path):
    root, path = folder
    assert path in wanted_paths(Store(root), "made-up/noise") and len(wanted_paths(Store(root), "made-up")) == 3
    with pytest.raises(UserError, match=r"Did you mean 'made-up/noise'"):
        wanted_paths(Store(root), "made-up/noize")
    with pytest.raises(UserError, match="does not exist"):
        wanted_paths(Store(tmp_path / "nowhere"))
    missing = run("-o", tmp_path / "nowhere")
    assert missing.exit_code == 2


def test_again_without_outcomes_says_so(tmp_path, fresh):
    record, _ = fresh
    path = Store(tmp_path).write(record)
    assert rescore_file(path).problem == "" and "no outcomes" in rescore_file(path, again=True).problem
    assert pack([True], [0]) != record.outcomes


@pytest.fixture
def shared(tmp_path, trial_of, splits, monkeypatch):
    """Return the paths of old records whose policies share the outcomes of their heads, and the records as made."""
    recomputed._answers.cache_clear()
    monkeypatch.setattr(recomputed, "held_out", lambda digest, seed: {"cal": splits.cal, "test": splits.test})
    results = run_trial(trial_of("msdnet_thresh"), splits, {"threads": 1})[1:]  # the first budget is infeasible
    store = Store(tmp_path / "runs")
    return [store.write(without(record), kept) for record, kept in results], [record for record, _ in results]


def test_shared_outcomes_are_stored_once_and_give_every_score_again_to_the_last_bit(shared):
    paths, records = shared
    (together,) = (paths[0].parent.parent / FOLDER).iterdir()
    assert sum(path.with_suffix(".npz").stat().st_size for path in paths) < together.stat().st_size / 4
    for path, record in zip(paths, records, strict=True):
        done = rescore_file(path)
        assert not done.lacking and not done.problem
        assert done.record.metrics == record.metrics and done.record.per_exit == record.per_exit
        assert done.record.outcomes == record.outcomes


def test_without_the_bank_what_needs_all_probabilities_is_lacking_and_the_bank_is_named(shared, monkeypatch):
    paths, records = shared
    monkeypatch.undo()
    monkeypatch.setattr(recomputed, "with_digest", lambda digest: None)
    done = rescore_file(paths[0])
    assert done.record.metrics["aurc"] == records[0].metrics["aurc"] and "brier" in done.record.metrics
    ((reason,),) = set(done.lacking.values())
    assert "which is not on this machine" in reason and "set_size_aps@0.05" in done.lacking


def test_a_bank_that_answers_otherwise_is_refused(shared, splits, monkeypatch):
    paths, _ = shared
    monkeypatch.setattr(recomputed, "held_out", lambda digest, seed: {"cal": splits.test, "test": splits.test})
    assert "gives other answers" in rescore_file(paths[0]).lacking["set_size_aps@0.05"][0]


@pytest.mark.parametrize("damage", ["missing", "changed"])
def test_damaged_shared_outcomes_are_named(shared, damage):
    paths, _ = shared
    (together,) = (paths[0].parent.parent / FOLDER).iterdir()
    if damage == "missing":
        together.unlink()
    else:
        together.write_bytes(together.read_bytes()[:-1])
    assert together.name in rescore_file(paths[0]).problem
