"""Which class an integer means: the classes of all splits, matched by name, or a sentence that says why they can't be.

Every dataset family goes through `unite`. Class names come with each split; the order of the classes is that of the
training split.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.errors import UserError
from bench.system.notices import tell_once

NAMED = 10  # classes that a sentence lists
UNLABELLED = -1


@dataclass(frozen=True)
class Labels:
    """The labels of one split as they are stored."""

    split: str  # as its author calls it
    values: np.ndarray  # [N]: whole numbers, text or truth values; None, NaN and -1 stand for no label
    names: tuple[str, ...] | None = None  # the classes that the numbers 0 … C-1 stand for; None: values are names


@dataclass(frozen=True)
class _Split:
    """One split with the classes that its codes [N] index."""

    title: str
    names: tuple[str, ...]
    codes: np.ndarray
    numbered: bool  # its classes are bare numbers

    def counts(self) -> dict[str, int]:
        """Images by the key of their class; classes without images are left out."""
        found: dict[str, int] = {}
        for name, count in zip(self.names, np.bincount(self.codes, minlength=len(self.names)), strict=True):
            if count:
                found[_key(name)] = found.get(_key(name), 0) + int(count)
        return found


def unite(where: str, splits: Mapping[str, Labels]) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
    """Return the class names in order, and the labels int64 [N] of each partition that has labels.

    A split without labels is left out, which is said once; so are names that no image has. Raises UserError if the
    training split has no labels or fewer than two classes, if another split has a class that it has not, if only some
    images of a split have labels, and for labels that are not classes.
    """
    parts = {part: read for part, labels in splits.items() if (read := _read(where, labels))}
    if "train" not in parts:
        raise UserError(f"'{where}' has no labels in its training split. Choose another column with label=.")
    for part in splits.keys() - parts.keys():
        tell_once(f"Split '{splits[part].split}' of '{where}' has no labels and is left out.")
    train, counts = parts["train"], {part: read.counts() for part, read in parts.items()}
    if splits["train"].names is None and len(counts["train"]) == len(train.codes) > 2:
        raise UserError(
            f"The labels of split '{train.title}' of '{where}' are different for each of its {len(train.codes):,} "
            "images, so they name no classes. Choose another column with label=."
        )
    index: dict[str, int] = {}
    order: list[str] = []
    for name in train.names:
        if _key(name) in counts["train"] and _key(name) not in index:
            index[_key(name)] = len(order)
            order.append(name)
    for part, read in parts.items():
        if read.numbered != train.numbered and not _are_numbers(train.names) & _are_numbers(read.names):
            named, bare = (train, read) if read.numbered else (read, train)
            raise UserError(
                f"'{where}' names its classes in split '{named.title}' ({listed(named.names)}), but only numbers them "
                f"in split '{bare.title}'. Store the same class names with every split."
            )
        for key, count in counts[part].items():
            if key not in index:
                raise UserError(_foreign(where, key, count, read.title, train.title, order))
    _check_lookalikes(where, order)
    if len(order) < 2:
        raise UserError(f"'{where}' has one class only ({listed(order)}); two are needed. Choose other labels.")
    _tell_unused(where, parts, counts)
    lookups = {part: np.array([index.get(_key(name), -1) for name in read.names]) for part, read in parts.items()}
    return tuple(order), {part: lookups[part][read.codes] for part, read in parts.items()}


def natural(names: Iterable[str]) -> list[str]:
    """Sort class names: as numbers if all of them are numbers, otherwise as text."""
    found = sorted(names)
    return sorted(found, key=int) if _are_numbers(found) else found


def _are_numbers(names: Iterable[str]) -> bool:
    return all(name.isascii() and name.isdigit() for name in names)


def _read(where: str, labels: Labels) -> _Split | None:
    """Return a split with its classes; None if it has no labels at all."""
    first: dict[object, int] = {}  # distinct values, with the row of their first image
    rows = np.array([first.setdefault(value, row) for row, value in enumerate(labels.values.tolist())], dtype=np.int64)
    missing = [(row, value) for value, row in first.items() if value is None or value != value or value == UNLABELLED]
    if len(missing) == len(first):
        return None
    if missing:
        row, value = missing[0]
        what = f"has the label {UNLABELLED}, which stands for none" if value == UNLABELLED else "has no label"
        raise _bad(where, labels, row, f"{what}; other rows have one. Remove such rows, or number the classes from 0")
    if labels.names is None:
        texts = {row: _text(where, labels, row, value) for value, row in first.items()}
        names = natural(set(texts.values()))
        position = {name: code for code, name in enumerate(names)}
        codes = {row: position[text] for row, text in texts.items()}
        return _Split(
            labels.split, tuple(names), _lookup(codes, rows), not any(isinstance(v, str | bool) for v in first)
        )
    if twice := next((name for name in labels.names if labels.names.count(name) > 1), None):
        raise UserError(f"'{where}' names the class '{twice}' twice in split '{labels.split}'. Rename one.")
    codes = {row: _code(where, labels, row, value) for value, row in first.items()}
    return _Split(labels.split, labels.names, _lookup(codes, rows), False)


def _lookup(codes: Mapping[int, int], rows: np.ndarray) -> np.ndarray:
    """Return the code of each image [N] from the row of the first image with the same label."""
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
    raise _bad(where, labels, row, f"has the label {value}, {kind}, which names no class. Choose another with label=")


def _bad(where: str, labels: Labels, row: int, problem: str) -> UserError:
    return UserError(f"Row {row} of split '{labels.split}' of '{where}' {problem}.")


def _foreign(where: str, key: str, count: int, split: str, train: str, order: Sequence[str]) -> str:
    """Say that a class has no training images, and how it differs from one that looks like it."""
    twin = next((name for name in order if _alike(name) == _alike(key)), None)
    if twin is not None:
        return (
            f"The class {key!r} of split '{split}' and the class {twin!r} of split '{train}' of '{where}' differ only "
            f"in {_difference(key, twin)}. Give them one name."
        )
    return (
        f"'{key}' is a class that has no training images in '{where}': {count:,} in split '{split}', none in split "
        f"'{train}'. Valid classes: {listed(order)}. Add training images, or remove the class."
    )


def _check_lookalikes(where: str, order: Sequence[str]) -> None:
    """Refuse two classes whose names look the same; say which differ only in upper and lower case."""
    seen: dict[str, str] = {}
    cased: list[str] = []
    for name in order:
        twin = seen.setdefault(_alike(name), name)
        if twin == name:
            continue
        if (how := _difference(name, twin)) != CASE:
            raise UserError(f"The classes {twin!r} and {name!r} of '{where}' differ only in {how}. Give them one name.")
        cased.append(f"{twin} and {name}")
    if cased:
        tell_once(f"'{where}' has classes whose names differ only in {CASE}: {listed(cased)}.")


def _tell_unused(where: str, parts: Mapping[str, _Split], counts: Mapping[str, Mapping[str, int]]) -> None:
    used = {key for found in counts.values() for key in found}
    unused = list(dict.fromkeys(name for read in parts.values() for name in read.names if _key(name) not in used))
    if unused:
        them = "class names that no image has are" if len(unused) > 1 else "class name that no image has is"
        tell_once(f"{len(unused):,} {them} left out of '{where}': {listed(unused)}.")


CASE = "upper and lower case"
_TWINS = str.maketrans("АВЕКМНОРСТХаеорсухіјѕһԁΑΒΕΖΗΙΚΜΝΟΡΤΧοɡ", "ABEKMHOPCTXaeopcyxijshdABEZHIKMNOPTXog")


def _key(name: str) -> str:
    """Return a name in the one Unicode form in which names are compared."""
    return unicodedata.normalize("NFC", name)


def _alike(name: str) -> str:
    """Return what the names that look the same share: no case, no spaces around, nothing invisible."""
    visible = "".join(c for c in unicodedata.normalize("NFKC", name) if unicodedata.category(c) not in ("Cf", "Cc"))
    return " ".join(visible.split()).translate(_TWINS).casefold()


def _difference(name: str, other: str) -> str:
    if name.casefold() == other.casefold():
        return CASE
    if "".join(name.split()).casefold() == "".join(other.split()).casefold():
        return "spaces"
    if any(unicodedata.category(c) in ("Cf", "Cc") for c in name + other):
        return "invisible characters"
    return "the Unicode form of a letter, or in a letter of another script"


def listed(names: Sequence[str]) -> str:
    """Name the first few of these, and count the others."""
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
