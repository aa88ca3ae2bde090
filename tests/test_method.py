"""The contract of methods."""

from __future__ import annotations

import pickle

from bench.method import Infeasible


def test_an_infeasible_budget_is_a_value_with_a_reason():
    answer = Infeasible("budget 0.1 is too small")
    assert str(answer) == answer.reason == "budget 0.1 is too small"
    assert pickle.loads(pickle.dumps(answer)) == answer != Infeasible("another reason")
    assert not isinstance(answer, BaseException)
