from __future__ import annotations

import math

import pytest

from bench.report.figures.search import draw, history_data, importances, search_figures
from bench.report.style import Look
from bench.tune.history import Row
from tests.helpers.searches import made, row


@pytest.fixture
def rows() -> list[Row]:
    """Twelve trials in which the rate alone decides, one that was stopped, one that failed."""
    whole = [row(n, 0.6 + 0.02 * n, 0.5 + 0.02 * n, rate=0.001 * 1.8**n, depth=1 + n % 3) for n in range(10)]
    return [*whole, row(10, 0.7, status="pruned", reason="low"), row(11, status="failed", reason="broke")]


def test_data_holds_every_trial_and_compares_on_the_same_seeds(rows):
    data = history_data(made(rows))
    assert data["trial"].tolist() == list(range(12))
    assert data["gain"][:10].tolist() == pytest.approx([0.02 * n for n in range(10)])
    assert data["gain"][10] == pytest.approx(0.7 - 0.6)  # against the defaults' first seed, not against both
    assert math.isnan(data["score"][11]) and math.isnan(data["gain"][11])
    assert data["best"].tolist() == pytest.approx([*(0.02 * n for n in range(10)), 0.18, 0.18])


def test_the_parameter_that_decides_is_the_important_one(rows):
    shares = importances(made(rows))
    assert next(iter(shares)) == "rate" and shares["rate"] > 0.5
    assert sum(shares.values()) == pytest.approx(1)
    assert importances(made(rows)) == shares


def test_importances_need_trials_that_differ(rows):
    assert importances(made(rows[:3])) == {}
    assert importances(made([row(n, 0.5, 0.5) for n in range(6)])) == {}
    assert (
        importances(made([rows[0], *(rows[1].model_copy(update={"number": n, "same_as": 1}) for n in range(1, 9))]))
        == {}
    )


@pytest.mark.slow
def test_figures_depend_on_the_searches_alone(rows):
    found = [made(rows), made(rows[:5], method="other[x=1]", finished=False)]
    figures = search_figures(found, {"made": Look("#0072B2", "o", "-")})
    assert [f.name for f in figures] == ["search--made", "search--other_x=1"]
    assert search_figures(found[::-1], {"made": Look("#0072B2", "o", "-")}) == figures
    assert (
        b"<svg" in figures[0].files["search--made.svg"] and b"#0072b2" in figures[0].files["search--made.svg"].lower()
    )


def test_without_searches_there_are_no_figures():
    assert search_figures([], {}) == []
    assert search_figures([made([], finished=False)], {}) == []


@pytest.mark.parametrize("first", [row(0, status="failed", reason="broke"), row(0, 0.5, 0.5)])
def test_a_search_of_one_trial_or_without_defaults_can_be_drawn(first):
    for rows in ([first], [first, row(1, 0.6, 0.6)]):
        search = made(rows)
        assert draw(search, history_data(search), Look("#0072B2", "o", "-")).axes
        assert search_figures([search], {})
