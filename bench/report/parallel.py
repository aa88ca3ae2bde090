"""Do the same work for every setting, in several processes if that saves time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from multiprocessing import get_context
from typing import Any, Protocol, TypeVar

from threadpoolctl import threadpool_limits

T = TypeVar("T")
R = TypeVar("R")
_limits: list[Any] = []


class Each(Protocol):
    """A `map` that keeps the order of the items."""

    def __call__(self, work: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
        """Yield the result of each item as soon as it and all items before it are done."""


def serially(work: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
    """Do the work in this process, one item after the other."""
    return (work(item) for item in items)


class _Pool:
    def __init__(self, jobs: int, threads: int) -> None:
        # spawned, not forked, because this process may have threads
        self.executor = ProcessPoolExecutor(jobs, get_context("spawn"), _limit, (threads,))

    def __enter__(self) -> Each:
        return lambda work, items: self.executor.map(work, items)

    def __exit__(self, kind: object, *rest: object) -> None:
        self.executor.shutdown(cancel_futures=kind is not None)


def workers(jobs: int, settings: int) -> AbstractContextManager[Each]:
    """Return a context manager whose value maps work over settings: with up to `jobs` processes, or in this one."""
    count = min(jobs, settings)
    return _Pool(count, max(jobs // count, 1)) if count > 1 else nullcontext(serially)


def _limit(threads: int) -> None:
    _limits.append(threadpool_limits(threads))
