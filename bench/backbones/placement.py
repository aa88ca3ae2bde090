"""Turn the `exits` option into the indices of the blocks after which the intermediate exits are placed."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bench.errors import UserError

EMBEDDINGS = -1  # index of an exit before the first block


def place(
    text: str | None,
    *,
    owner: str,
    blocks: int,
    default: str,
    stage_ends: Sequence[int] | None = None,
    embeddings: bool = False,
) -> tuple[int, ...]:
    """Return the 0-based indices of the blocks after which the intermediate exits are placed, ascending.

    text: None (the default), "blocks" (every block but the last), "stages" (the last block of every stage but the last
        one; CNNs), "every=N" (every N-th block) or indices, "2,5,8". An intermediate exit after the last block is not
        allowed, because it would duplicate the backbone's own head.
    embeddings: an exit may be placed before the first block, at index -1; "blocks" includes it.
    Raises UserError with the valid values for anything else.
    """
    text = (default if text is None else text).strip()
    stages = "stages, " if stage_ends is not None else ""
    valid = (
        f"Valid for {owner}: blocks, {stages}every=1 … every={blocks - 1}, "
        f"or indices from {'-1 (the embeddings)' if embeddings else 0} to {blocks - 2} such as {_example(blocks)}."
    )
    first = EMBEDDINGS if embeddings else 0
    if text == "blocks":
        found: list[int] = list(range(first, blocks - 1))
    elif text == "stages":
        if stage_ends is None:
            raise UserError(f"'stages' is not a valid value for exits: {owner} has blocks of one kind only. {valid}")
        found = [e for e in stage_ends if e < blocks - 1]
    elif match := re.fullmatch(r"every=(\d+)", text):
        step = int(match[1])
        found = list(range(step - 1, blocks - 1, step)) if step else []
        if not found:
            raise UserError(f"'{text}' gives no intermediate exit in the {blocks} blocks of {owner}. {valid}")
    elif re.fullmatch(r"(-1|\d+)(\s*,\s*\d+)*" if embeddings else r"\d+(\s*,\s*\d+)*", text):
        found = [int(t) for t in text.split(",")]
        _check(found, text, owner, blocks, valid)
    else:
        raise UserError(f"'{text}' is not a valid value for exits. {valid}")
    return tuple(found)


def _check(found: list[int], text: str, owner: str, blocks: int, valid: str) -> None:
    """Raise UserError if indices are out of range, not ascending, or after the last block."""
    if blocks - 1 in found:
        raise UserError(
            f"'{text}' puts an exit after the last block, {blocks - 1}, where {owner}'s own head is. {valid}"
        )
    outside = [i for i in found if i >= blocks]
    if outside:
        raise UserError(
            f"'{text}' names block {outside[0]}, but {owner} has {blocks} blocks, 0 to {blocks - 1}. {valid}"
        )
    if found != sorted(set(found)):
        raise UserError(f"'{text}' must ascend, each block once: {','.join(map(str, sorted(set(found))))}.")


def _example(blocks: int) -> str:
    """Return an example of indices that are valid for this depth."""
    return (
        ",".join(str(i) for i in range(max(blocks // 4 - 1, 0), blocks - 1, max(blocks // 4, 1)))
        if blocks > 1
        else "none"
    )
