"""The ledger of a distributed run, with nodes and a clock made up."""

from __future__ import annotations

import pytest

from bench.executors.ledger import SETTLE, Ledger


class World:
    def __init__(self, retries: int = 1) -> None:
        self.now, self.nodes = 0.0, {"a", "b"}
        self.ledger = Ledger(retries, lambda nodes: self.nodes & nodes, lambda: self.now)

    def begin(self, node: str = "a", index: int = 0) -> str:
        """Begin as a worker does: ask again while told to wait."""
        while (answer := self.ledger.begin(index, node)) == "wait":
            self.now += 0.5
        return answer

    def last(self, seconds: float, index: int = 0) -> None:
        """Let the attempt go on for a while, and its process die."""
        self.now += seconds
        self.ledger.died(index)

    def events(self) -> list[tuple]:
        return [(e.kind, e.payload) for e in self.ledger.take()]


@pytest.fixture
def world() -> World:
    return World()


def test_results_come_home_once(world):
    assert world.begin() == "go"
    world.ledger.finish(0, "first")
    world.ledger.finish(0, "second")
    assert world.events() == [("started", None), ("finished", "first")]
    assert world.events() == []
    assert world.begin() == "stop"


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_a_process_that_dies_is_tried_again_as_often_as_agreed(retries):
    world = World(retries)
    for _ in range(retries + 1):
        assert world.begin() == "go"
        world.last(2)
        world.now += 30  # until another worker is up
    assert world.begin() == "stop"
    assert world.events()[-1] == ("died", [2.0] * (retries + 1))


def test_a_death_that_nobody_reported_is_noticed_at_the_next_attempt():
    world = World(retries=0)
    world.begin()
    world.now += 7
    assert world.begin() == "stop"
    assert world.events()[-1] == ("died", [7.0])


def test_nodes_that_die_count_for_nothing(world):
    for round_ in range(10):
        world.nodes.add(f"spot {round_}")
        assert world.begin(f"spot {round_}") == "go"
        world.last(5)
        world.nodes.discard(f"spot {round_}")
    assert world.begin() == "go"
    assert "died" not in [kind for kind, _ in world.events()]


def test_a_trial_is_given_up_only_once_it_is_clear_that_its_node_lives():
    world = World(retries=0)
    assert world.begin("b") == "go"
    world.last(5)
    assert world.ledger.begin(0, "a") == "wait"
    world.now += SETTLE / 2
    world.nodes.discard("b")  # the cluster notices only now
    assert world.ledger.begin(0, "a") == "go"


def test_after_a_node_died_a_later_doubt_waits_anew():
    world = World(retries=0)
    world.begin("b")
    world.last(5)
    assert world.ledger.begin(0, "a") == "wait"
    world.nodes.discard("b")
    assert world.ledger.begin(0, "a") == "go"
    world.last(100)
    assert world.ledger.begin(0, "a") == "wait"


def test_trials_are_counted_apart():
    world = World(retries=0)
    world.begin(index=0)
    world.last(1, index=0)
    assert world.begin(index=1) == "go"
    assert world.begin(index=0) == "stop"
    world.ledger.finish(1, "fine")
    assert [e.index for e in world.ledger.take()] == [0, 1, 0, 1]


def test_a_refusal_closes_a_trial_unless_it_is_done(world):
    world.ledger.finish(0, "fine")
    world.ledger.refuse(0, "no worker")
    world.ledger.refuse(1, "no worker")
    assert world.events() == [("finished", "fine"), ("refused", "no worker")]
    assert world.begin(index=1) == "stop"


def test_a_bank_is_wanted_once_and_kept(world):
    assert world.ledger.want("d") is None
    assert world.ledger.want("d") is None
    assert world.events() == [("wanted", "d")]
    world.ledger.offer("d", {"bank.json": 1})
    assert world.ledger.want("d") == {"bank.json": 1}
    assert world.events() == []


def test_after_the_end_no_worker_begins(world):
    world.ledger.shut_down()
    assert world.begin() == "stop"
