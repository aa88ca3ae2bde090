"""A split as the Hugging Face library opens it, and helpers shared by all ways of opening one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import datasets as hub

from bench.datasets import digests
from bench.errors import UserError, nearest
from bench.system.cache import cache_dir
from bench.system.notices import tell_once


@dataclass(frozen=True)
class Split:
    """One split: its title, its rows, and the class names that its files store for a column."""

    title: str
    data: hub.Dataset
    names: Callable[[str], tuple[str, ...] | None] = lambda column: None


def tell_left_out(where: str, titles: Sequence[str]) -> None:
    """Report which splits are not used."""
    if titles:
        them = "splits are" if len(titles) > 1 else "split is"
        tell_once(
            f"{len(titles)} {them} left out of '{where}' (neither train, validation nor test): {', '.join(titles)}."
        )


def converted(files: Iterable[Path]) -> str:
    """Return the folder for the library's conversion of files; the library knows files by name and time alone."""
    return str(cache_dir("datasets", digests.files(sorted(files))[:16]))


@contextmanager
def opening(where: str, advice: str) -> Iterator[None]:
    """Turn an error of the library while it opens a dataset into a UserError that ends with advice."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # the library and its file systems raise many kinds
        raise UserError(f"'{where}' cannot be opened ({reason(error)}). {advice}.") from error


def reason(error: BaseException) -> str:
    """Return the first line of the original error."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).strip().partition("\n")[0] or type(error).__name__).rstrip(".")


def check_config(where: str, names: Sequence[str], config: str | None) -> None:
    """Raise UserError for an unknown configuration, and if there are several and none was given."""
    if config is None and len(names) > 1:
        listed = ", ".join(names)
        raise UserError(f"'{where}' has several configurations ({listed}). Name one: {where}[config={names[0]}].")
    if config is not None and config not in names:
        raise UserError(f"'{where}' has no configuration '{config}'.{nearest(config, names)}")
