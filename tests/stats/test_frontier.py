from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.stats import frontier

COST = np.array([0.2, 0.5, 0.4, 1.0, 0.7])
ACCURACY = np.array([0.5, 0.7, 0.55, 0.8, 0.65])
HULL = COST[[0, 1, 3]][None], ACCURACY[[0, 1, 3]][None]
STEPS = COST[[0, 2, 1, 3]][None], ACCURACY[[0, 2, 1, 3]][None]

points = st.lists(
    st.tuples(st.integers(1, 100).map(lambda c: c / 100), st.integers(0, 100).map(lambda a: a / 100)),
    min_size=1,
    max_size=12,
)


def rows(members, cost, accuracy):
    return frontier.by_cost(cost[None, members], accuracy[None, members])


def test_members_of_a_hand_made_hull_and_envelope():
    assert frontier.hull_members(COST, ACCURACY) == [0, 1, 3]
    assert frontier.step_members(COST, ACCURACY) == [0, 2, 1, 3]


def test_a_point_on_a_chord_and_a_copy_are_no_members():
    assert frontier.hull_members([0.2, 0.4, 0.6, 0.6], [0.1, 0.2, 0.3, 0.3]) == [0, 2]


def test_points_without_numbers_are_no_members():
    assert frontier.hull_members([np.nan, 0.5], [0.9, 0.4]) == [1]
    assert frontier.hull_members([], []) == []


def test_area_of_the_hand_made_hull():
    # (0.3 · 0.6 + 0.5 · 0.75), and 0.1 · 0.5 before the first point
    assert frontier.hull_area(*HULL, 0.2, 1.0) == pytest.approx([0.555])
    assert frontier.hull_area(*HULL, 0.1, 1.0) == pytest.approx([0.605])
    assert frontier.hull_area(*HULL, 0.35, 0.6) == pytest.approx([0.15 * 0.65 + 0.1 * 0.71])
    assert frontier.hull_area(HULL[0] / 2, HULL[1], 0.5, 1.0) == pytest.approx([0.5 * 0.8])


def test_values_on_the_hand_made_hull():
    at = [0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.2]
    assert frontier.hull_values(*HULL, at)[0] == pytest.approx([0.5, 0.5, 0.6, 0.7, 0.75, 0.8, 0.8])


def test_iso_accuracy_costs_of_the_hand_made_hull():
    targets = np.array([[0.4, 0.5, 0.6, 0.75, 0.8, 0.81]])
    assert frontier.iso_cost(*HULL, targets)[0] == pytest.approx([0.2, 0.2, 0.35, 0.75, 1.0, np.inf])


def test_iso_accuracy_is_met_before_a_fall_and_not_after():
    cost, accuracy = np.array([[0.2, 0.5, 1.0]]), np.array([[0.5, 0.7, 0.6]])
    assert frontier.iso_cost(cost, accuracy, np.array([[0.65, 0.71]]))[0] == pytest.approx([0.425, np.inf])


def test_hypervolume_of_the_hand_made_envelope():
    # (0.4-0.2)·0.1 + (0.5-0.4)·0.15 + (1-0.5)·0.3 + 0 against the corner (1, 0.4)
    assert frontier.hypervolume(*STEPS, 1.0, 0.4) == pytest.approx([0.185])
    assert frontier.hypervolume(*STEPS, 0.6, 0.52) == pytest.approx([0.1 * 0.03 + 0.1 * 0.18])


def test_points_that_swap_places_on_test_are_sorted_with_their_accuracies():
    cost, accuracy = frontier.by_cost(np.array([[0.5, 0.4]]), np.array([[0.7, 0.6]]))
    assert cost.tolist() == [[0.4, 0.5]] and accuracy.tolist() == [[0.6, 0.7]]


@settings(max_examples=50, deadline=None)
@given(points)
def test_the_hull_lies_on_or_above_every_point_and_rises(held):
    cost, accuracy = np.array(held).T
    hull = rows(frontier.hull_members(cost, accuracy), cost, accuracy)
    steps = rows(frontier.step_members(cost, accuracy), cost, accuracy)
    at = sorted({*cost, *np.linspace(cost.min(), 1, 23)})
    upper = frontier.hull_values(*hull, at)[0]
    assert (frontier.hull_values(*hull, cost)[0] >= accuracy - 1e-12).all()
    assert (np.diff(upper) >= -1e-12).all()
    assert frontier.hull_area(*hull, cost.min(), 1.0)[0] >= frontier.hypervolume(*steps, 1.0, 0.0)[0] - 1e-12


@settings(max_examples=50, deadline=None)
@given(points, st.randoms(use_true_random=False))
def test_the_order_of_points_changes_nothing(held, random):
    shuffled = list(held)
    random.shuffle(shuffled)
    curves = []
    for some in (held, shuffled):
        cost, accuracy = np.array(some).T
        curves.append(rows(frontier.hull_members(cost, accuracy), cost, accuracy))
    assert np.array_equal(curves[0][0], curves[1][0]) and np.array_equal(curves[0][1], curves[1][1])


@settings(max_examples=50, deadline=None)
@given(points, points)
def test_more_points_never_lower_the_hull(held, more):
    at = np.linspace(0.01, 1, 34)
    cost, accuracy = np.array(held).T
    both = np.array(held + more).T
    few = frontier.hull_values(*rows(frontier.hull_members(cost, accuracy), cost, accuracy), at)[0]
    many = frontier.hull_values(*rows(frontier.hull_members(*both), *both), at)[0]
    defined = at >= cost.min()
    assert (many[defined] >= few[defined] - 1e-12).all()


@settings(max_examples=50, deadline=None)
@given(points, st.floats(0, 0.6), st.floats(0.05, 0.4))
def test_the_area_is_what_sampling_the_curve_gives(held, low, width):
    cost, accuracy = np.array(held).T
    curve = rows(list(range(len(cost))), cost, accuracy)
    grid = np.linspace(low, low + width, 20_001)
    sampled = frontier.hull_values(*curve, grid)[0].mean() * width
    assert frontier.hull_area(*curve, low, low + width)[0] == pytest.approx(sampled, abs=1e-4)


@settings(max_examples=50, deadline=None)
@given(points, st.integers(0, 100).map(lambda a: a / 100))
def test_the_iso_cost_is_the_first_place_where_the_hull_is_that_high(held, target):
    cost, accuracy = np.array(held).T
    hull = rows(frontier.hull_members(cost, accuracy), cost, accuracy)
    found = frontier.iso_cost(*hull, np.array([[target]]))[0, 0]
    if np.isinf(found):
        assert hull[1].max() < target
    else:
        assert frontier.hull_values(*hull, [found])[0, 0] >= target - 1e-9
        before = found - 1e-6
        assert before < hull[0][0, 0] or frontier.hull_values(*hull, [before])[0, 0] < target


def test_rows_are_independent():
    rng = np.random.default_rng(0)
    cost, accuracy = frontier.by_cost(rng.random((5, 4)), rng.random((5, 4)))
    together = frontier.hull_values(cost, accuracy, [0.3, 0.6])
    for r in range(5):
        assert np.array_equal(together[r], frontier.hull_values(cost[r : r + 1], accuracy[r : r + 1], [0.3, 0.6])[0])
