from __future__ import annotations

import re

import pytest
import yaml

from bench.errors import UserError
from bench.tune import history
from bench.tune.history import Row
from tests.helpers.searches import without_times

pytestmark = pytest.mark.slow


def test_a_search_ends_with_its_file(search_of, run_all):
    search = search_of("eero")
    rows = run_all(search)
    stored = history.read(search.path)
    assert re.fullmatch(r"digits--cifar_resnet20--eero--[0-9a-f]{8}\.yaml", search.path.name)
    assert stored == search.result() and stored.kept in ("tuned", "defaults") and stored.reason
    assert [row.number for row in rows] == list(range(6)) == [row.number for row in stored.history]
    assert stored.history[0].params == {"beta": 1.0}
    assert stored.subject.bank_digest == search.bank.digest and stored.subject.protocol_version == "v2"
    assert stored.protocol.seeds == (0, 1) and stored.protocol.window == (0.4, 1.0)
    assert stored.versions["optuna"] and stored.versions["torch"]
    assert all(0 < score < 1 for row in stored.history for score in row.scores)


@pytest.mark.slow
def test_a_search_is_the_same_twice_and_another_under_another_seed(search_of, run_all, made_up, tmp_path):
    found = [search_of("eero", folder=tmp_path / name, search_seed=s) for name, s in (("a", 0), ("b", 0), ("c", 1))]
    run_all(*found)
    one, same, other = (without_times(search.result()) for search in found)
    assert one == same
    assert [r["params"] for r in one["history"]] != [r["params"] for r in other["history"]]
    assert one["history"][0] == other["history"][0]


@pytest.mark.slow
def test_a_search_goes_on_from_whatever_it_has(search_of, run_all, made_up, tmp_path):
    whole = search_of("eero", 7, folder=tmp_path / "whole")
    run_all(whole)
    first = search_of("eero", 7)
    for have in ({0, 1, 2}, {0, 1, 3, 2, 4}):  # with two workers, trial 3 may end before 2
        data = yaml.safe_load(whole.path.read_text())
        data |= {"kept": None, "reason": "", "parameters": {}, "decision": None}
        data["history"] = [row for row in data["history"] if row["number"] in have]
        first.path.parent.mkdir(exist_ok=True)
        first.path.write_text(yaml.safe_dump(data))
        again = search_of("eero", 7)
        ran = run_all(again)
        assert {row.number for row in ran} == set(range(7)) - have
        assert without_times(again.result()) == without_times(whole.result())


def test_a_finished_search_runs_nothing_and_more_trials_go_on(search_of, run_all, made_up):
    run_all(search_of("eero", 4))
    assert run_all(search_of("eero", 4)) == []
    longer = search_of("eero", 6)
    assert history.read(longer.path).kept is not None  # the finished one stays until a trial is added
    assert [row.number for row in run_all(longer)] == [4, 5]
    shorter = search_of("eero", 3)
    assert run_all(shorter) == [] and shorter.result().trials == 3
    assert len(history.read(shorter.path).history) == 6  # nothing that was found is thrown away


def test_other_settings_start_anew_and_lose_nothing(search_of, run_all):
    run_all(search_of("eero", 2))
    other = search_of("eero", 2, seeds=(0, 2))
    assert other.history == ()
    kept = list(other.path.parent.glob("earlier/*.yaml"))
    assert [path.name for path in kept] == [f"{other.path.stem}--1.yaml"]
    assert history.read(kept[0]).protocol.seeds == (0, 1)


def test_a_finite_space_is_fitted_once_each(search_of, run_all):
    search = search_of("beem", 8)
    rows = run_all(search)
    assert len(rows) < 8 and search.finished
    fitted = [row for row in search.history if row.same_as is None]
    assert {row.params["weights"] for row in fitted} == {"val", "cost", "released"}
    for row in search.history:
        if row.same_as is not None:
            assert row.scores == search.history[row.same_as].scores
    assert len(history.read(search.path).history) == 8


def test_a_method_that_raises_is_a_failed_trial_and_the_search_goes_on(search_of, run_all, monkeypatch):
    search = search_of("eero", 5)
    kind = type(search.method)
    fit = kind.fit

    def breaks(self, task, budgets):
        if self.config.beta > 1.5:
            raise ArithmeticError("beta is too much")
        return fit(self, task, budgets)

    monkeypatch.setattr(kind, "fit", breaks)
    run_all(search)
    failed = [row for row in search.history if row.status == "failed"]
    assert failed and all("beta is too much" in row.reason and row.scores == () for row in failed)
    assert search.history[0].status == "ok" and search.result().kept is not None
    again = search_of("eero", 5)
    assert run_all(again) == []


def test_a_bad_start_is_stopped_after_one_seed(search_of, run_all, monkeypatch):
    from bench.tune.objective import Evaluator

    asked = []

    def score(self, bank, method, seed, budgets):
        asked.append((method.config.beta, seed))
        return 1 / (1 + abs(method.config.beta - 1.0)) + 0.1 * seed

    monkeypatch.setattr(Evaluator, "score", score)
    search = search_of("eero", 12, seeds=(0, 1, 2))
    run_all(search)
    assert all(row.status == "ok" for row in search.history[:4])  # nothing to compare with in the first round
    pruned = [row for row in search.history if row.status == "pruned"]
    assert pruned and all(len(row.scores) < 3 and "median" in row.reason for row in pruned)
    assert len(asked) == sum(len(row.scores) for row in search.history) < 36
    best = max((r for r in search.history if r.status == "ok"), key=lambda r: r.mean)
    assert best.number == 0 and search.result().decision is None


def test_a_time_limit_makes_a_failed_trial(bank, search_of, monkeypatch):
    import time

    from bench.tune.attempt import run_whole
    from bench.tune.objective import Evaluator

    monkeypatch.setattr(Evaluator, "score", lambda *given: time.sleep(30))
    row = run_whole(search_of("eero").take(), bank, Evaluator("cpu", 1), 0.3)
    assert row.status == "failed" and "0.3 seconds" in row.reason and row.seconds < 10


def test_a_folder_that_cannot_be_written_is_a_sentence(search_of, monkeypatch):
    search = search_of("eero")

    def full(*given):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(history, "write_atomic", full)
    with pytest.raises(UserError, match="No space left"):
        search.put(Row(number=0, params={"beta": 1.0}, status="ok", scores=(0.5, 0.5)))


@pytest.mark.parametrize("text", ["", "[1, 2", "a: 1", "schema_version: 9", "schema_version: 2\nsubject: 3"])
def test_a_damaged_file_is_a_sentence_and_stays(search_of, text):
    path = search_of("eero").path
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    with pytest.raises(UserError, match=r"eero--\w+\.yaml"):
        search_of("eero")
    assert path.read_text() == text


def test_a_search_ends_with_a_comparison_on_other_seeds_and_images(search_of, run_all, bank, monkeypatch):
    from bench.tune.objective import Evaluator

    asked = []
    last = Evaluator.last

    def watched(self, bank, method, seed, budgets):
        asked.append((method.config.beta, seed))
        return last(self, bank, method, seed, budgets)

    monkeypatch.setattr(Evaluator, "score", lambda self, bank, method, seed, budgets: method.config.beta / 1000)
    monkeypatch.setattr(Evaluator, "last", watched)
    search = search_of("eero", 4, seeds=(3, 9))
    run_all(search)
    decision, best = search.result().decision, max(search.history, key=lambda row: row.params["beta"])
    assert decision.trial == best.number and decision.images > 50 and len(decision.best) == 5
    assert asked == [(b, s) for s in (10, 11, 12, 13, 14) for b in (1.0, best.params["beta"])]
    assert search.result().protocol.deciding == (10, 11, 12, 13, 14)
    assert run_all(search_of("eero", 4, seeds=(3, 9))) == [] and len(asked) == 10  # and is not done again


def test_a_winner_that_breaks_at_the_end_keeps_the_defaults(search_of, run_all, monkeypatch):
    from bench.tune.objective import Evaluator

    def breaks(*given):
        raise ArithmeticError("too late")

    monkeypatch.setattr(Evaluator, "score", lambda self, bank, method, seed, budgets: method.config.beta / 1000)
    monkeypatch.setattr(Evaluator, "last", breaks)
    search = search_of("eero", 4)
    run_all(search)
    assert search.finished and search.result().kept == "defaults" and "too late" in search.result().reason


def test_a_real_method_is_pruned_on_its_intermediate_scores(search_of, run_all):
    search = search_of("eero", 10, seeds=(0, 1, 2))
    run_all(search)
    pruned = [row for row in search.history if row.status == "pruned"]
    assert pruned and all(1 <= len(row.scores) < 3 for row in pruned)
    assert {len(row.scores) for row in search.history if row.status == "ok"} == {3}


def test_one_seed_has_no_intermediate_scores_and_every_trial_runs_whole(search_of, run_all):
    search = search_of("eero", 3, seeds=(0,))
    run_all(search)
    assert {row.status for row in search.history} == {"ok"}


def test_what_does_nothing_is_not_searched_again(search_of, run_all):
    search = search_of("pcee", 10, seeds=(0,))
    rows = run_all(search)
    fitted = [row.params for row in rows]
    assert fitted[0] == {"smoothing": "isotonic"}
    assert fitted.count(fitted[0]) == 1  # whatever `bins` might have been
    assert len({p.get("bins") for p in fitted}) == len(fitted) > 5
