from __future__ import annotations

import math

import pytest

from bench.trials.plan import load_methods
from bench.tune import rounds
from bench.tune.history import Row
from bench.tune.rounds import bars, propose
from bench.tune.space import space_of


def row(number: int, *scores: float, params=None, status="ok", same_as=None) -> Row:
    return Row(number=number, params=params or {"beta": 1.0 + number}, status=status, scores=scores, same_as=same_as)


@pytest.fixture(scope="module")
def space():
    return space_of(load_methods(["eero"])[0])


def yes(params) -> bool:
    return True


def test_trial_zero_is_the_defaults_and_a_round_depends_on_earlier_rounds_alone(space):
    first = propose(space, [], range(4), 0, yes)
    assert first[0] == space.defaults
    assert len({p["beta"] for p in first}) == 4 and all(0.01 <= p["beta"] <= 100 for p in first)
    assert propose(space, [], range(4), 0, yes) == first
    assert propose(space, [], range(4), 1, yes)[1:] != first[1:]
    assert propose(space, [], range(2), 0, yes) == first[:2]  # fewer trials asked for: the same ones first


def test_what_earlier_rounds_scored_leads_to_better_trials():
    """On a bowl over the four parameters of eenet, 20 trials end nearer to its bottom than 20 random ones."""
    space = space_of(load_methods(["eenet"])[0])
    ends = {name: (d.low, d.high) for name, d in space.distributions.items()}

    def distance(params) -> float:
        logs = {n: math.log(params[n] / low) / math.log(high / low) for n, (low, high) in ends.items()}
        return sum((logs[n] - 0.3) ** 2 for n in ends)

    def nearest(search_seed: int, learns: bool) -> float:
        rows: list[Row] = []
        for first in range(0, 20, 4):
            found = propose(space, rows if learns else [], range(first, first + 4), search_seed, yes)
            rows += [row(first + i, -distance(p), params=p) for i, p in enumerate(found)]
        return min(distance(r.params) for r in rows[1:])

    seeds = range(12)
    assert sum(nearest(s, True) for s in seeds) < 0.8 * sum(nearest(s, False) for s in seeds)


def test_a_config_that_refuses_is_asked_again(space):
    found = propose(space, [], range(1, 5), 0, lambda params: params["beta"] > 10)
    assert all(p["beta"] > 10 for p in found)


def test_a_used_up_space_repeats_what_it_has():
    beem = space_of(load_methods(["beem"])[0])
    found = propose(beem, [], range(4), 0, yes)
    assert {p["weights"] for p in found[:3]} == {"val", "cost", "released"}
    assert found[3] in found[:3]


def test_bars_are_the_medians_of_whole_trials_at_the_same_seeds():
    whole = [row(n, 0.1 * n, 0.3, 0.9) for n in range(4)]
    rest = [row(4, 0.9, status="pruned"), row(5, status="failed"), row(6, 5.0, 5.0, 5.0, same_as=0)]
    assert bars(whole[:3] + rest, 3) == [None, None]
    assert bars(whole + rest, 3) == pytest.approx([0.15, 0.225])
    assert bars(whole, 1) == []
    assert rounds.LEAST == 4


def test_a_model_that_is_sure_of_one_choice_does_not_repeat_it():
    """Every `bins` scored far below `isotonic`, of which there is only one: the next trials are new all the same."""
    space = space_of(load_methods(["pcee"])[0])
    rows = [row(0, 0.9, params={"smoothing": "isotonic"})]
    rows += [row(n, 0.1, params={"smoothing": "bins", "bins": 5 + n}) for n in range(1, 16)]
    found = propose(space, rows, range(16, 24), 0, yes)
    assert all(p not in [r.params for r in rows] for p in found) and len({p["bins"] for p in found}) == 8
