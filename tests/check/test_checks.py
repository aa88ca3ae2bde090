from __future__ import annotations

import random
import re
from collections import Counter

import numpy as np
import pytest
import torch

from bench.check import run
from bench.check import workers as workers_module
from bench.check.examine import checks
from bench.method import Policy
from bench.plugins import registry
from tests.helpers import broken_methods as broken
from tests.helpers import broken_play
from tests.helpers import good_method as good
from tests.helpers.paths import ROOT

NAMES = [check.name for check in checks()]


def failing(method) -> dict[str, str]:
    return {r.name: r.message for r in run(method) if r.status == "fail"}


def built_on(names: set[str]) -> set[str]:
    """The checks that need one of these, directly or not."""
    found: set[str] = set()
    while more := {c.name for c in checks() if {*c.needs} & (names | found)} - found:
        found |= more
    return found


def test_a_method_that_holds_the_contract_passes_every_check():
    results = run(good.Good)
    assert [r.name for r in results] == NAMES
    assert {r.status for r in results} == {"pass"}, [r for r in results if r.status != "pass"]
    said = {r.name: r.message for r in results}
    assert said["ranges"] == "1 tunable: sharpness"
    assert said["fit"] == "5 policies, 1 infeasible"
    assert said["execution"] == "4 exits used"


@pytest.mark.parametrize("method", list(good.EXPECTED), ids=lambda m: m.__name__)
def test_a_broken_method_fails_what_it_breaks_and_nothing_else(method):
    results = run(method)
    expected = good.EXPECTED[method]
    found = {r.name: r.message for r in results if r.status == "fail"}
    assert found.keys() == expected, found
    assert {r.name for r in results if r.status == "skip"} == built_on(expected) - expected
    assert all(message.rstrip().endswith(".") for message in found.values())


@pytest.mark.parametrize("kind", list(broken.RANGES))
def test_an_unsound_range_is_named(kind, monkeypatch):
    monkeypatch.setattr(broken, "RangedConfig", broken.RANGES[kind], raising=False)
    monkeypatch.setattr(good.Good, "Config", broken.RANGES[kind])
    found = failing(good.Good)
    assert found.keys() == {"ranges"}
    assert "RangedConfig.x" in found["ranges"]


@pytest.mark.parametrize("kind", list(broken_play.HARD))
def test_a_crash_on_a_hard_task_fails_that_check_alone(kind, monkeypatch):
    monkeypatch.setattr(broken_play.Fragile, "on", kind)
    found = failing(broken_play.Fragile)
    assert found.keys() == {kind}
    assert "ValueError: singular matrix (broken_play.py:" in found[kind]


def test_what_cannot_be_imported_or_is_no_method_fails_at_once(monkeypatch):
    ghost = registry.Plugin("methods", "ghost", "no_such_module:Ghost", "ghosts")
    monkeypatch.setitem(registry._files, "methods", {"ghost": ghost})
    for method, says in (("ghost", "No module named 'no_such_module'"), (dict, "derive a class")):
        first, *rest = run(method)
        assert first.name == "loads" and first.status == "fail" and says in first.message
        assert {r.status for r in rest} == {"skip"} and not any(r.passed for r in rest)


def test_a_slow_method_is_warned_of_and_an_absurd_one_fails(monkeypatch):
    monkeypatch.setattr(workers_module, "SLOW_INFERENCE", 1e-5)
    by_name = {r.name: r for r in run(good.Good)}
    assert by_name["speed"].status == "fail" and "batch dimension" in by_name["speed"].message
    monkeypatch.setattr(workers_module, "ABSURD", 1e9)
    by_name = {r.name: r for r in run(good.Good)}
    assert by_name["speed"].status == "warn" and by_name["speed"].passed


def test_a_budget_left_over_in_silence_is_warned_of(monkeypatch):
    whole = good.Good.fit

    def thrifty(self, task, budgets):
        return [p if not isinstance(p, Policy) else self.policy(task, p.heads, 0.0) for p in whole(self, task, budgets)]

    monkeypatch.setattr(good.Good, "fit", thrifty)
    by_name = {r.name: r for r in run(good.Good)}
    assert by_name["budgets"].status == "warn" and "unreachable" in by_name["budgets"].message


def test_every_check_has_a_method_that_breaks_it():
    tested = {name for names in good.EXPECTED.values() for name in names} | set(broken_play.HARD)
    tested_here = {"loads", "ranges", "speed"}
    assert tested | tested_here == set(NAMES)
    assert max(Counter(NAMES).values()) == 1


def test_global_random_states_are_left_alone():
    random.seed(7)
    np.random.seed(7)  # noqa: NPY002
    torch.manual_seed(7)
    expected = random.random(), np.random.rand(), float(torch.rand(1))  # noqa: NPY002
    random.seed(7)
    np.random.seed(7)  # noqa: NPY002
    torch.manual_seed(7)
    run(good.Good)
    assert (random.random(), np.random.rand(), float(torch.rand(1))) == expected  # noqa: NPY002


def test_the_documentation_lists_every_check():
    text = (ROOT / "docs" / "checking-a-method.md").read_text()
    assert re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE) == NAMES
