"""The same work for every setting, on several processes where that pays."""

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
    """`map` in the order of the items."""

    def __call__(self, work: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
        """Yield the result for each item as soon as it and all before it are done."""


def serially(work: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
    """Do the work here, one item after the other."""
    return (work(item) for item in items)


class _Pool:
    def __init__(self, jobs: int, threads: int) -> None:
        # spawned, not forked: this process may have threads of its own
        self.executor = ProcessPoolExecutor(jobs, get_context("spawn"), _limit, (threads,))

    def __enter__(self) -> Each:
        return lambda work, items: self.executor.map(work, items)

    def __exit__(self, kind: object, *rest: object) -> None:
        self.executor.shutdown(cancel_futures=kind is not None)


def workers(jobs: int, settings: int) -> AbstractContextManager[Each]:
    """Return what maps work over settings: up to `jobs` processes, or none for one of them."""
    count = min(jobs, settings)
    return _Pool(count, max(jobs // count, 1)) if count > 1 else nullcontext(serially)


def _limit(threads: int) -> None:
    _limits.append(threadpool_limits(threads))
