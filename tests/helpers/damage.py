"""Damage: strategies that change valid files and values a little, which reaches deeper than random bytes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hypothesis import strategies as st

from bench.errors import UserError

EXTREMES = [b"\0" * 4, b"\xff" * 4, b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0" * 8, b"\xff" * 8, b"\x80", b"\x01"]
DEEP = (lambda value: [value := [value] for _ in range(500)][-1])(0)
NUMBERS = st.sampled_from([0, -1, 1, 2**31, 2**63, 2**70, 10**400, 0.5, -0.0, 1e308, float("inf"), float("nan")])
TEXTS = st.sampled_from(["", "1", "\0", "\ud800", "x" * 5000, "../..", "final", "0"])
LEAVES = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS, st.text(max_size=8))
VALUES = st.one_of(
    LEAVES,
    st.lists(LEAVES, max_size=3),
    st.dictionaries(st.text(max_size=4), LEAVES, max_size=3),
    st.just(DEEP),
)
CHANGES = st.sampled_from(["replace", "replace", "remove", "double", "extreme", "cut"])


@st.composite
def damaged(draw: st.DrawFn, valid: Sequence[bytes]) -> bytes:
    """Return one of these contents with up to four changes: bytes replaced, removed, doubled, made extreme, cut off."""
    content = bytearray(draw(st.sampled_from(list(valid))))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.sampled_from([1, 2, 4, 8, 64, 1 << 20])))
        change = draw(CHANGES)
        if change == "replace":
            content[start:end] = draw(st.binary(max_size=16))
        elif change == "remove":
            del content[start:end]
        elif change == "double":
            content[start:start] = content[start:end]
        elif change == "extreme":
            value = draw(st.sampled_from(EXTREMES))
            content[start : start + len(value)] = value
        else:
            del content[start:]
    return bytes(content)


@st.composite
def lying(draw: st.DrawFn, valid: Sequence[Any]) -> Any:
    """Return one of these JSON values with up to three parts replaced, removed, doubled or exchanged for another."""
    value = copy.deepcopy(draw(st.sampled_from(list(valid))))
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(value))
        if not places:
            return value
        holder, key = draw(st.sampled_from(places))
        change = draw(CHANGES)
        if change == "remove":
            del holder[key]
        elif change == "double" and isinstance(holder, list):
            holder.append(copy.deepcopy(holder[key]))
        elif change == "cut":
            other, name = draw(st.sampled_from(places))
            holder[key] = copy.deepcopy(other[name])
        else:
            holder[key] = draw(VALUES)
    return value


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every place in nested containers: the container and the key."""
    if value is not DEEP and isinstance(value, dict | list):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _places(value[key])


def sentence(read: Callable[[], object]) -> None:
    """Read; a UserError must say something."""
    try:
        read()
    except UserError as error:
        assert str(error).strip().endswith(".")
