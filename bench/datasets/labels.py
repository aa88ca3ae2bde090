"""The labels of one split: as stored, and as codes with their classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from bench.datasets.lookalikes import canonical
from bench.errors import UserError

UNLABELLED = -1


@dataclass(frozen=True)
class Labels:
    """The labels of one split as they are stored."""

    split: str  # the author's name for it
    values: np.ndarray  # [N]: whole numbers, text or booleans; None, NaN and -1 mean no label
    names: tuple[str, ...] | None = None  # class names of the numbers 0 … C-1; None: values are names


@dataclass(frozen=True)
class Coded:
    """One split with the classes that its codes [N] index."""

    title: str
    names: tuple[str, ...]
    codes: np.ndarray
    numbered: bool  # its classes are numbers without names

    def counts(self) -> dict[str, int]:
        """Return the number of samples per class key; classes without samples are left out."""
        found: dict[str, int] = {}
        for name, count in zip(self.names, np.bincount(self.codes, minlength=len(self.names)), strict=True):
            if count:
                found[canonical(name)] = found.get(canonical(name), 0) + int(count)
        return found


def read(where: str, labels: Labels) -> Coded | None:
    """Return a split with its classes; None if it has no labels at all."""
    first: dict[object, int] = {}  # distinct values, with the row where each appears first
    rows = np.array([first.setdefault(value, row) for row, value in enumerate(labels.values.tolist())], dtype=np.int64)
    missing = [(row, value) for value, row in first.items() if value is None or value != value or value == UNLABELLED]
    if len(missing) == len(first):
        return None
    if missing:
        row, value = missing[0]
        what = f"has the label {UNLABELLED}, which means no label" if value == UNLABELLED else "has no label"
        raise _bad(where, labels, row, f"{what}; other rows have one. Remove such rows, or number the classes from 0")
    if labels.names is None:
        texts = {row: _text(where, labels, row, value) for value, row in first.items()}
        names = natural(set(texts.values()))
        position = {name: code for code, name in enumerate(names)}
        codes = {row: position[text] for row, text in texts.items()}
        return Coded(
            labels.split, tuple(names), _lookup(codes, rows), not any(isinstance(v, str | bool) for v in first)
        )
    if twice := next((name for name in labels.names if labels.names.count(name) > 1), None):
        raise UserError(f"'{where}' names the class '{twice}' twice in split '{labels.split}'. Rename one.")
    codes = {row: _code(where, labels, row, value) for value, row in first.items()}
    return Coded(labels.split, labels.names, _lookup(codes, rows), False)


def _lookup(codes: Mapping[int, int], rows: np.ndarray) -> np.ndarray:
    """Return the code of each sample [N] from the row of the first one with the same label."""
    table = np.full(len(rows), -1, dtype=np.int64)
    table[list(codes)] = list(codes.values())
    return table[rows]


def _text(where: str, labels: Labels, row: int, value: object) -> str:
    if isinstance(value, str):
        if not value.strip():
            raise _bad(where, labels, row, "has an empty label. Remove the row, or name its class")
        return value
    if isinstance(value, bool):
        return str(value)
    number = _whole(where, labels, row, value)
    if number < 0:
        raise _bad(where, labels, row, f"has the label {number}. Number the classes from 0")
    return str(number)


def _code(where: str, labels: Labels, row: int, value: object) -> int:
    assert labels.names is not None
    number = _whole(where, labels, row, value)
    if not 0 <= number < len(labels.names):
        last = len(labels.names) - 1
        has = f"has the label {number}, but only {last + 1} classes have names (0 to {last})"
        raise _bad(where, labels, row, f"{has}. Correct the label, or name its class")
    return number


def _whole(where: str, labels: Labels, row: int, value: object) -> int:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, int):
        return value
    kind = "a float that is not a whole number" if isinstance(value, float) else f"a {type(value).__name__}"
    raise _bad(where, labels, row, f"has the label {value}, {kind}, which is not a class. Choose another with label=")


def _bad(where: str, labels: Labels, row: int, problem: str) -> UserError:
    return UserError(f"Row {row} of split '{labels.split}' of '{where}' {problem}.")


def natural(names: Iterable[str]) -> list[str]:
    """Sort class names: as numbers if all of them are numbers, otherwise as text."""
    found = sorted(names)
    return sorted(found, key=int) if are_numbers(found) else found


def are_numbers(names: Iterable[str]) -> bool:
    return all(name.isascii() and name.isdigit() for name in names)
