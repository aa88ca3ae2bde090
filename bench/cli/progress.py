"""Live progress in the terminal: building a bank, running trials."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

if TYPE_CHECKING:
    from rich.console import Console

    from bench.session import Session, Source
    from bench.trials.plan import Trial


def _progress(console: Console) -> Progress:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, transient=not console.is_terminal)


def opened(console: Console, session: Session) -> Iterator[Source]:
    """Yield the sources of a session, and say that something happens while the next one is opened."""
    sources = session.sources()
    while True:
        with console.status("Opening dataset and backbone …"):
            source = next(sources, None)
        if source is None:
            return
        yield source


@contextmanager
def building(console: Console, title: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bank build in images; nothing appears where the bank is there already."""
    with _progress(console) as progress:
        task = None

        def advance(done: int, total: int) -> None:
            nonlocal task
            if task is None:
                task = progress.add_task(f"bank {title}", total=total)
            progress.update(task, completed=done)

        yield advance


@contextmanager
def running(
    console: Console, trials: int, kept: int
) -> Iterator[tuple[Callable[[Trial], None], Callable[[Trial], None]]]:
    """Show trials as they start and finish."""
    with _progress(console) as progress:
        task = progress.add_task("trials", total=trials)

        def started(trial: Trial) -> None:
            progress.update(task, description=trial.title)

        def finished(trial: Trial) -> None:
            progress.update(task, advance=1)

        yield started, finished
        note = f"; {kept} operating points were there already" if kept else ""
        progress.update(task, description=f"{trials} trials{note}")
