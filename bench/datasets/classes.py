"""Match the classes of all splits by name, or explain in one sentence why they do not match.

Every dataset family uses `unite`. Class names come with each split; the order of the classes is that of the
training split.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bench.datasets.labels import Coded, Labels, are_numbers
from bench.datasets.labels import read as read_labels
from bench.datasets.lookalikes import CASE, alike, canonical, difference
from bench.errors import UserError
from bench.system.notices import tell_once

NAMED = 10  # classes listed in a message


def unite(where: str, splits: Mapping[str, Labels]) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
    """Return the class names in order, and the labels int64 [N] of each partition that has labels.

    Splits without labels and class names without samples are left out, which is reported once. Raises UserError if the
    training split has no labels or fewer than two classes, if another split has a class that train does not have, if
    only some samples of a split have labels, and for labels that are not classes.
    """
    parts = {part: read for part, labels in splits.items() if (read := read_labels(where, labels))}
    if "train" not in parts:
        raise UserError(f"'{where}' has no labels in its training split. Choose another column with label=.")
    for part in splits.keys() - parts.keys():
        tell_once(f"Split '{splits[part].split}' of '{where}' has no labels and is left out.")
    train, counts = parts["train"], {part: read.counts() for part, read in parts.items()}
    if splits["train"].names is None and len(counts["train"]) == len(train.codes) > 2:
        raise UserError(
            f"The labels of split '{train.title}' of '{where}' are different for each of its {len(train.codes):,} "
            "samples, so they are not classes. Choose another column with label=."
        )
    index: dict[str, int] = {}
    order: list[str] = []
    for name in train.names:
        if canonical(name) in counts["train"] and canonical(name) not in index:
            index[canonical(name)] = len(order)
            order.append(name)
    for part, read in parts.items():
        numbers = all(map(_plain_numbers, (train, read), (splits["train"], splits[part])))
        if read.numbered != train.numbered and not numbers:
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
        raise UserError(f"'{where}' has only one class ({listed(order)}). Choose labels with at least two.")
    _tell_unused(where, parts, counts)
    lookups = {part: np.array([index.get(canonical(name), -1) for name in read.names]) for part, read in parts.items()}
    return tuple(order), {part: lookups[part][read.codes] for part, read in parts.items()}


def _plain_numbers(coded: Coded, labels: Labels) -> bool:
    """Return whether all class names are numbers, and any names stored for the labels 0 … C-1 equal those labels."""
    stored = labels.names
    return are_numbers(coded.names) and (stored is None or stored == tuple(map(str, range(len(stored)))))


def _foreign(where: str, key: str, count: int, split: str, train: str, order: Sequence[str]) -> str:
    """Return the message for a class without training samples, with the difference to one that looks the same."""
    twin = next((name for name in order if alike(name) == alike(key)), None)
    if twin is not None:
        return (
            f"The class {key!r} of split '{split}' and the class {twin!r} of split '{train}' of '{where}' differ only "
            f"in {difference(key, twin)}. Give them one name."
        )
    return (
        f"The class '{key}' has no training samples in '{where}': {count:,} in split '{split}', none in split "
        f"'{train}'. Valid classes: {listed(order)}. Add training samples, or remove the class."
    )


def _check_lookalikes(where: str, order: Sequence[str]) -> None:
    """Refuse two classes whose names look the same; report those that differ only in upper and lower case."""
    seen: dict[str, str] = {}
    cased: list[str] = []
    for name in order:
        twin = seen.setdefault(alike(name), name)
        if twin == name:
            continue
        if (how := difference(name, twin)) != CASE:
            raise UserError(f"The classes {twin!r} and {name!r} of '{where}' differ only in {how}. Give them one name.")
        cased.append(f"{twin} and {name}")
    if cased:
        tell_once(f"'{where}' has classes whose names differ only in {CASE}: {listed(cased)}.")


def _tell_unused(where: str, parts: Mapping[str, Coded], counts: Mapping[str, Mapping[str, int]]) -> None:
    used = {key for found in counts.values() for key in found}
    unused = list(dict.fromkeys(name for read in parts.values() for name in read.names if canonical(name) not in used))
    if unused:
        them = "class names without samples are" if len(unused) > 1 else "class name without samples is"
        tell_once(f"{len(unused):,} {them} left out of '{where}': {listed(unused)}.")


def listed(names: Sequence[str]) -> str:
    """Return the first few names, and the number of others."""
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
