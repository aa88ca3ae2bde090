from __future__ import annotations

import warnings
from dataclasses import dataclass

import pandas as pd
import pytest

import bench
from bench.errors import UserError
from bench.method import Infeasible, Method
from bench.plugins import registry
from bench.rules import too_small
from tests.helpers.commands import SMALL_CONFIG

VARYING = ["fit_seconds", "play_seconds", "score_seconds", "created", "provenance"]
KEYS = ["method", "kind", "point", "seed"]


@pytest.fixture(autouse=True)
def forget_plugins(monkeypatch):
    monkeypatch.setattr(registry, "_files", {kind: {} for kind in registry._files})


@dataclass(frozen=True)
class Nothing:
    """No parameters."""


class Never(Method):
    """Never find a policy."""

    name = "never"
    Config = Nothing

    def fit(self, task, budgets):
        return [Infeasible("not today") for _ in budgets]


class Broken(Never):
    """Fail."""

    name = "broken"

    def fit(self, task, budgets):
        raise ValueError("on purpose")


def test_a_run_returns_what_it_stores_and_only_what_it_asked_for(small_bank, tmp_path):
    settings = {**SMALL_CONFIG, "output": tmp_path / "runs", "seeds": (0,), "budgets": (0.6,)}
    first = bench.run(**{**settings, "methods": "global_thresh"})
    both = bench.run(**{**settings, "methods": ["global_thresh", "margin_thresh"]})
    stored = bench.load_records(tmp_path / "runs")
    assert set(first.query("kind == 'method'")["method"]) == {"global_thresh"}
    assert both["id"].tolist() == stored["id"].tolist() and set(first["id"]) < set(both["id"])
    again = bench.run(**{**settings, "methods": "margin_thresh"})
    assert set(again.query("kind == 'method'")["method"]) == {"margin_thresh"}
    assert not (tmp_path / "runs" / "report").exists()


def test_an_evaluation_gives_the_numbers_of_a_run(small_bank, tmp_path):
    settings = {**SMALL_CONFIG, "output": tmp_path / "runs", "seeds": (0,), "budgets": (0.6, 1.0)}
    ran = bench.run(**{**settings, "methods": "global_thresh"})
    found = bench.evaluate("global_thresh", small_bank, seeds=[0], budgets=[0.6, 1.0])
    left, right = (frame.drop(columns=VARYING).sort_values(KEYS).reset_index(drop=True) for frame in (ran, found))
    pd.testing.assert_frame_equal(left, right)


def test_references_may_be_left_out(small_bank):
    found = bench.evaluate(["global_thresh", "global_thresh"], str(small_bank.path), [0], [1.0], references=False)
    assert found["method"].tolist() == ["global_thresh"]


def test_a_class_of_the_session_is_evaluated_under_its_name(small_bank):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = bench.evaluate([Never, "global_thresh"], small_bank, [0], [1.0], references=False)
    assert dict(zip(found["method"], found["status"], strict=True)) == {"never": "infeasible", "global_thresh": "ok"}


def test_the_newest_class_of_a_name_counts(small_bank):
    def policies(self, task, budgets):
        return [too_small(b, 0.9) for b in budgets]

    again = type("Never", (Never,), {"fit": policies, "__doc__": Never.__doc__})
    for cls, reason in ((Never, "not today"), (again, "0.9")):
        (found,) = bench.evaluate(cls, small_bank, [0], [0.5], references=False)["reason"]
        assert reason in found


def test_failures_are_told_of_with_their_reason(small_bank):
    with pytest.warns(UserWarning, match=r"1 operating point failed, .*broken.*on purpose"):
        found = bench.evaluate(Broken, small_bank, [0], [1.0], references=False)
    assert found["status"].tolist() == ["failed"]


def test_a_method_is_loaded_from_text():
    method = bench.load_method("eefp[top=3]")
    assert (method.name, method.config.top) == ("eefp", 3)
    assert bench.load_method(method) is method
    assert isinstance(bench.load_method(Never), Never)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bench.load_method("eefpp"), r"no method 'eefpp'.*eefp"),
        (lambda: bench.load_method("all"), r"'all' names \d+ methods"),
        (lambda: bench.load_method(Method), "is not a method: "),
        (lambda: bench.load_method(type("Taken", (Never,), {"name": "jeidnn"})), "Two methods are called 'jeidnn'"),
        (lambda: bench.open_bank("no-such-bank"), r"no bank 'no-such-bank'.*bench bank list"),
        (lambda: bench.open_bank("no/such/bank"), r"no bank 'no/such/bank'\. Give the folder of one"),
        (lambda: bench.run(datasett="digits"), r"bench.run has no setting 'datasett'.*dataset"),
        (lambda: bench.run(budgets=[0]), "bench.run: 'budgets'"),
    ],
)
def test_what_is_not_valid_is_a_sentence(call, message, environment):
    with pytest.raises(UserError, match=message):
        call()


def test_a_bank_is_opened_by_folder_and_by_name(small_bank):
    for name in (small_bank.path, small_bank.path.name, small_bank.digest[:12]):
        assert bench.open_bank(name).digest == small_bank.digest
