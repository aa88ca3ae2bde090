from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from bench.cli.progress import MOST, Board, building, clock_time, running
from bench.trials.plan import Trial
from tests.helpers.records import cell, point


def trial(method: str, seed: int, backbone: str = "net") -> Trial:
    return Trial(
        cell(dataset="data", backbone=backbone), method, None, seed, (point(method, "budget=1", seed),), (1.0,)
    )


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def drawn(board: Board) -> str:
    console = Console(file=io.StringIO(), width=80)
    console.print(board.table())
    return console.file.getvalue()


def test_the_rest_is_expected_from_finished_trials_of_the_same_method():
    trials = [trial(m, s) for m in ("slow", "fast") for s in (0, 1, 2)]
    clock = Clock()
    board = Board(trials, clock)
    assert board.left() is None
    board.start(trials[0])
    clock.now += 10
    board.finish(trials[0])
    assert board.left() == pytest.approx(5 * 10)  # nothing known of the other method yet
    board.start(trials[3])
    clock.now += 2
    board.finish(trials[3], failed=True)
    assert (board.done, board.failed) == (2, 1)
    assert board.left() == pytest.approx(2 * 10 + 2 * 2)
    board.start(trials[1])
    board.start(trials[4])
    clock.now += 1
    assert board.left() == pytest.approx((9 + 1 + 10 + 2) / 2)  # two run at once
    board.finish(trials[4])
    board.start(trials[5])
    clock.now += 100
    assert board.left() == pytest.approx(10)  # one trial that is still to start, whatever else runs at once


def test_the_table_names_running_trials_and_counts_the_others():
    trials = [trial("m", s) for s in range(MOST + 5)]
    board = Board(trials, Clock())
    assert "starting" in drawn(board)
    for t in trials[: MOST + 3]:
        board.start(t)
    text = drawn(board)
    assert f"0 of {MOST + 5} trials done, 0 failed, {MOST + 3} running" in text
    assert "seed 0" in text and "seed 3" in text and "and 3 more" in text
    assert "other" in drawn(_begun([trial("m", 0), trial("m", 0, "other")]))


def test_on_a_narrow_terminal_times_seeds_and_methods_are_legible():
    text = drawn(_begun([trial("jeidnn[preset=paper,lambda_points=40]", 17, "n" * 60)]))
    assert max(map(len, text.splitlines())) <= 80
    assert re.search(r"0\.0 s +seed 17 +jeidnn\[preset=paper", text) and "…" in text


def _begun(trials: list[Trial]) -> Board:
    board = Board(trials, Clock())
    for t in trials:
        board.start(t)
    return board


def test_a_trial_that_is_started_again_is_one_trial():
    only = trial("m", 0)
    board = _begun([only])
    board.start(only)
    board.finish(only)
    assert (board.done, len(board.running), board.total) == (1, 0, 1)


def test_a_pipe_gets_one_line_for_a_tenth_of_the_trials():
    console = Console(file=io.StringIO(), width=200)
    trials = [trial("m", s) for s in range(200)]
    with running(console, trials, kept=7) as board:
        for t in trials:
            board.start(t)
            board.finish(t)
    lines = console.file.getvalue().splitlines()
    assert lines[0] == "7 operating points were done already."
    assert 9 <= len(lines) <= 13 and "[" not in "".join(lines)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.42, "0.4 s"), (9.96, "10 s"), (59, "59 s"), (185, "3:05"), (3753.2, "1:02:33")]
)
def test_durations_are_written_for_people(seconds, text):
    assert clock_time(seconds) == text


def test_a_log_says_that_a_bank_is_built_but_not_for_every_batch():
    console = Console(file=io.StringIO(), width=40)
    with building(console, "data → net, 32 px") as advance:
        assert "building" not in console.file.getvalue()
        for done in (0, 64, 128):
            advance(done, 1000)
    assert console.file.getvalue().count("building bank data → net, 32 px: 0 of 1,000 samples\n") == 1
    assert "64 of" not in console.file.getvalue()
