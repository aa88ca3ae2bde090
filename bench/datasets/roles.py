"""Decide by name which part of a dataset a split, folder or file is: one rule for all sources."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.errors import UserError, nearest

PARTS = {"train": "training", "val": "validation", "test": "test"}  # each with its adjective for messages
_WORDS = {
    "train": ("train", "training", "trn", "trainval"),
    "val": ("val", "valid", "validation", "validate", "dev", "development"),
    "test": ("test", "testing", "tst", "eval", "evaluation", "evaluate", "holdout", "heldout"),
}
_THINGS = r"(?:sets?|data|datasets?|images?|imgs?|pics?|pictures?|photos?|splits?|folders?|dirs?|files?)"
_PART = {part: re.compile(rf"(?:{'|'.join(words)}){_THINGS}?") for part, words in _WORDS.items()}
_GENERIC = re.compile(rf"{_THINGS}|\d+|of|the")
_TOKEN = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_A-Za-z]+")


@dataclass(frozen=True)
class Role:
    """The part that a name states, and its remaining words (possibly none)."""

    part: str
    rest: tuple[str, ...]


def role(name: str) -> Role | None:
    """Return the role of a name such as `Training`, `test_set`, `train2017` or `seg_train`; None if it has no part."""
    tokens = [token.casefold() for token in _TOKEN.findall(unicodedata.normalize("NFKC", name))]
    said = [(token, part) for token in tokens for part, form in _PART.items() if form.fullmatch(token)]
    if len(said) != 1:
        return None
    rest = (token for token in tokens if token != said[0][0] and not _GENERIC.fullmatch(token))
    return Role(said[0][1], tuple(rest))


def generic(name: str) -> bool:
    """Return whether a name is generic, like `images` and `data_set`."""
    return all(_GENERIC.fullmatch(token.casefold()) for token in _TOKEN.findall(name))


def parts_of(names: Iterable[str]) -> dict[str, list[str]]:
    """Return the names of each part.

    A name with no words besides its part counts (`test_set`); one with more words (`seg_train`) counts only if another
    part has the same words (`seg_test`).
    """
    roles = {name: found for name in names if (found := role(name))}
    groups: dict[tuple[str, ...], set[str]] = {}
    for found in roles.values():
        groups.setdefault(found.rest, set()).add(found.part)
    parts: dict[str, list[str]] = {}
    for name, found in roles.items():
        if not found.rest or len(groups[found.rest]) > 1:
            parts.setdefault(found.part, []).append(name)
    return {part: sorted(parts[part]) for part in PARTS if part in parts}


def assign(where: str, names: Sequence[str], wanted: Mapping[str, str | None], kind: str = "split") -> dict[str, str]:
    """Return the name of each part: the user's, else the one that `parts_of` finds.

    If the user names the training split, no other parts are searched for. `kind` is what the names are. Raises
    UserError for a wanted name that is missing, for one name given to two parts, and for two names found for one part.
    """
    asked = {part: name for part, name in wanted.items() if name is not None}
    for part, name in asked.items():
        if name not in names:
            raise UserError(f"'{where}' has no {kind} '{name}' to use as {part}.{nearest(name, names)}")
    if len(set(asked.values())) < len(asked):
        raise UserError(f"'{where}' names one {kind} for two parts. Give train=, val= and test= different names.")
    found = {} if "train" in asked else parts_of(name for name in names if name not in asked.values())
    chosen = dict(asked)
    for part, several in found.items():
        if part not in asked and len(several) > 1:
            raise UserError(
                f"'{where}' has {len(several)} {kind}s that are named as its {PARTS[part]} data "
                f"({', '.join(several)}). Name one: {where}[{part}={several[0]}]."
            )
        chosen.setdefault(part, several[0])
    return {part: chosen[part] for part in PARTS if part in chosen}
