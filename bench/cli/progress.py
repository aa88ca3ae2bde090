"""Show progress in the terminal while banks are built and trials run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from statistics import mean
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bench.cli.terminal import plain
from bench.system.text import clean, counted
from bench.trials.folders import names_of
from bench.trials.plan import REFERENCES

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from bench.finetune import Progress as Training
    from bench.trials.plan import Trial

MOST = 12  # maximum number of running trials in the table
PAUSE = 60.0  # seconds after which a log gets another line


def _progress(console: Console) -> Progress:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, transient=not console.is_terminal)


@contextmanager
def building(console: Console, title: str) -> Iterator[Callable[[int, int], None]]:
    """Show that a bank is opened and, if it is built, the progress in samples; otherwise the display disappears.

    A log gets a line when the build starts, and then at most one per minute.
    """
    with _progress(console) as progress:
        due = 0.0 if not console.is_interactive else float("inf")
        looking = progress.add_task(clean(f"opening {title}"), total=None)
        build = progress.add_task(clean(f"bank {title}"), visible=False, start=False)

        def advance(done: int, total: int) -> None:
            if not progress.tasks[build].started:
                progress.update(looking, visible=False)
                progress.start_task(build)
            progress.update(build, completed=done, total=total, visible=True)
            nonlocal due
            if time.monotonic() >= due:
                due = time.monotonic() + PAUSE
                line = f"building bank {clean(title)}: {done:,} of {total:,} samples"
                console.print(line, highlight=False, markup=False, soft_wrap=True)

        try:
            yield advance
        finally:
            progress.update(looking, visible=False)


@contextmanager
def training(console: Console, title: str) -> Iterator[Training]:
    """Show the progress of a training in steps, and print a line per epoch."""
    from bench.finetune import Progress as Training

    with _progress(console) as progress:
        looking = progress.add_task(clean(f"opening {title}"), total=None)
        steps = progress.add_task(clean(title), visible=False, start=False)

        def step(done: int, total: int, loss: float) -> None:
            if not progress.tasks[steps].started:
                progress.update(looking, visible=False)
                progress.start_task(steps)
            progress.update(
                steps, completed=done, total=total, visible=True, description=clean(f"{title} · loss {loss:.3f}")
            )

        def epoch(entry: dict[str, Any]) -> None:
            shares = ", ".join(f"{100 * share:.1f}" for share in entry["accuracy"])
            speed = entry["samples_per_second"]
            console.print(f"epoch {entry['epoch']}: loss {entry['loss']:.3f}, val {shares} %, {speed:.0f} samples/s")

        yield Training(step, epoch)


class Board:
    """The state of a run: which trials are running, done and failed, and the expected time of the rest."""

    def __init__(self, trials: Sequence[Trial], clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.began = clock()
        self.open = {id(trial): trial for trial in trials}
        self.running: dict[int, float] = {}  # id of the trial, when it started
        self.total, self.failed = len(trials), 0
        self.took: dict[str, list[float]] = {}  # by method
        self.names = names_of(trial.cell for trial in trials)

    @property
    def done(self) -> int:
        """The number of finished trials, including failed ones."""
        return self.total - len(self.open)

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self.clock() - self.began

    def start(self, trial: Trial) -> None:
        """Note that a trial has started, perhaps again."""
        self.running.setdefault(id(trial), self.clock())

    def finish(self, trial: Trial, *, failed: bool = False) -> None:
        """Note that a trial has ended."""
        began = self.running.pop(id(trial), None)
        if began is not None:
            self.took.setdefault(_method(trial), []).append(self.clock() - began)
        self.open.pop(id(trial), None)
        self.failed += failed

    def left(self) -> float | None:
        """Estimate the remaining seconds from finished trials of the same methods; None before one has finished."""
        every = [seconds for times in self.took.values() for seconds in times]
        if not every:
            return None
        now = self.clock()
        rest = []
        for key, trial in self.open.items():
            spent = now - self.running[key] if key in self.running else 0.0
            rest.append(max(mean(self.took.get(_method(trial), every)) - spent, 0.0))
        return max(sum(rest) / max(len(self.running), 1), max(rest, default=0.0))

    def line(self) -> str:
        """Return the state in one line."""
        return "; ".join(self._state())

    def _state(self) -> tuple[str, str]:
        parts = [f"{self.done} of {self.total} trials done", f"{self.failed} failed", f"{len(self.running)} running"]
        left = self.left()
        ahead = f", about {clock_time(left)} left" if left is not None and self.open else ""
        return ", ".join(parts), f"{clock_time(self.elapsed)} so far{ahead}"

    def table(self) -> RenderableType:
        """Return the state, a bar, and the running trials (time, seed, method, setting), cut to the width."""
        now, shown = self.clock(), list(self.running.items())
        grid = Table.grid(padding=(0, 2), expand=True)
        grid.add_column(width=9, justify="right")
        grid.add_column(width=max((len(f"seed {trial.seed}") for trial in self.open.values()), default=4))
        grid.add_column(no_wrap=True, overflow="ellipsis", ratio=3)
        grid.add_column(no_wrap=True, overflow="ellipsis", ratio=2)
        for key, began in shown[:MOST]:
            trial = self.open.get(key)
            if trial is not None:
                method, setting = plain(_shown(trial)), plain(self.names[trial.cell], "dim")
                grid.add_row(Text(clock_time(now - began), style="cyan"), f"seed {trial.seed}", method, setting)
        below = [f"and {len(shown) - MOST} more"] if len(shown) > MOST else []
        below += ["starting …"] if not shown and self.open else []
        bar = ProgressBar(total=max(self.total, 1), completed=self.done, width=60)
        return Group(*map(Text, self._state()), bar, grid, *(Text(line, style="dim") for line in below))


@contextmanager
def running(console: Console, trials: Sequence[Trial], kept: int) -> Iterator[Board]:
    """Show trials as they start and finish: a live table on a terminal, otherwise a line from time to time."""
    board = Board(trials)
    if kept:
        verb = "was" if kept == 1 else "were"
        console.print(f"{counted(kept, 'operating point')} {verb} done already.", highlight=False)
    if not trials:
        yield board
    elif console.is_interactive:
        with Live(console=console, get_renderable=board.table, refresh_per_second=4):
            yield board
    else:
        yield _Lines(console, trials)


class _Lines(Board):
    """A board for logs and pipes: prints a line per tenth of the trials, and at most one a minute in between."""

    def __init__(self, console: Console, trials: Sequence[Trial]) -> None:
        super().__init__(trials)
        self._console, self._next, self._spoke = console, 0.0, self.began

    def finish(self, trial: Trial, *, failed: bool = False) -> None:
        """Note that a trial has ended, and print a line if one is due."""
        super().finish(trial, failed=failed)
        if self.done >= self._next or not self.open or self.clock() - self._spoke > PAUSE:
            self._next, self._spoke = self.done + self.total / 10, self.clock()
            self._console.print(self.line(), highlight=False, soft_wrap=True)


def clock_time(seconds: float) -> str:
    """Return a duration as text: 0.4 s, 12 s, 3:05, 1:02:33."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _method(trial: Trial) -> str:
    return trial.method if trial.points[0].kind == "reference" else trial.points[0].label


def _shown(trial: Trial) -> str:
    return _method(trial) if _method(trial) != REFERENCES else "static exits and other references"
