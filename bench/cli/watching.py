"""Show a run in the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bench.api.running import Watcher
from bench.cli.planned import crowded
from bench.cli.progress import Board, building, running
from bench.cli.terminal import say
from bench.system.text import counted

if TYPE_CHECKING:
    from rich.console import Console

    from bench.session import Session
    from bench.trials.plan import Trial


class OnConsole(Watcher):
    """Print the progress and the messages of a run."""

    def __init__(self, console: Console) -> None:
        self.console = console

    @contextmanager
    def building(self, title: str) -> Iterator[Callable[[int, int], None]]:
        """Show the progress of a bank that is built, in images."""
        with building(self.console, title) as advance:
            yield advance

    @contextmanager
    def running(self, session: Session, trials: Sequence[Trial], done: int) -> Iterator[Board]:
        """Show the progress of the trials."""
        if trials:
            self.console.print(f"{counted(len(trials), 'trial')} to do: {session.dispatch.title}.")
            if remark := crowded(session):
                self.console.print(remark)
        with running(self.console, trials, done) as board:
            yield board

    def say(self, line: str) -> None:
        """Print a line to the stream of the console."""
        say(line, error=self.console.stderr)
