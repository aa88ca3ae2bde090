"""TextDataset: labelled texts, or pairs of texts, from columns that are checked row by row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bench.datasets import digests
from bench.datasets.dataset import Dataset
from bench.errors import UserError

NAMED = 5  # bad rows listed in a message
NAMES = (
    *("text", "sentence", "utterance", "query", "question", "content", "review", "document", "message", "tweet"),
    *("headline", "title", "description"),
)  # of columns that contain the texts
NO_TEXTS = {"id", "idx", "index", "key", "path", "file", "file_name", "filename", "url", "split", "label_text"}


class TextDataset(Dataset):
    """N labelled texts: `read` returns a `str` each, or a `tuple[str, str]` for text pairs."""

    modality = "text"
    scheme = digests.TEXTS


@dataclass(frozen=True, eq=False)
class TextStore:
    """Texts in Arrow columns: one, or two for text pairs."""

    columns: tuple[pa.ChunkedArray, ...]
    files: tuple[Path, ...]
    names: tuple[str, ...]  # of the columns

    def read(self, rows: Sequence[int] | np.ndarray) -> list[str] | list[tuple[str, str]]:
        """Return the texts of these rows, in the given order."""
        wanted = pa.array(np.asarray(rows, dtype=np.int64))
        found = [column.take(wanted).to_pylist() for column in self.columns]
        return found[0] if len(found) == 1 else list(zip(*found, strict=True))

    def fingerprint(self) -> str | None:
        """Return a fingerprint of the files and the columns."""
        return digests.files(self.files, *self.names) if self.files else None

    def encoding(self) -> str | None:
        """Return None: texts are not encoded."""
        return None


def store(parts: Sequence[Sequence[pa.ChunkedArray]], files: Sequence[Path], names: Sequence[str]) -> TextStore:
    """Return a store over the checked columns of several splits: parts[s][c], as many columns in each."""
    joined = (pa.chunked_array([chunk for column in of for chunk in column.chunks]) for of in zip(*parts, strict=True))
    return TextStore(tuple(joined), tuple(files), tuple(names))


def checked(column: pa.ChunkedArray, name: str, where: str, number: Callable[[int], int] = int) -> pa.ChunkedArray:
    """Return a column as text; UserError lists the rows of `where` that have none, or that are not UTF-8.

    number: maps a position to the user's row number.
    """
    try:
        column.validate(full=True)
    except pa.ArrowException as error:
        broken = _not_utf8(column)
        if not broken:
            raise UserError(f"The tables of {where} are damaged ({str(error).strip()}). Save them again.") from error
        raise UserError(
            f"{rows_of(broken, where, number)} broken text in column '{name}' (not UTF-8). Save the file as UTF-8."
        ) from error
    texts = column.cast(pa.large_string())
    empty = pc.equal(pc.utf8_trim_whitespace(texts.fill_null("")), "")
    if pc.any(empty).as_py():
        bad = np.flatnonzero(empty.to_numpy())
        raise UserError(
            f"{rows_of(bad.tolist(), where, number)} no text in column '{name}'. Fill in or remove such rows."
        )
    return texts


def rows_of(positions: Sequence[int], where: str, number: Callable[[int], int] = int) -> str:
    """Return the beginning of a sentence on rows: `Rows 3, 7 and 12 of … have`."""
    listed = [str(number(row)) for row in positions[:NAMED]]
    if len(positions) == 1:
        return f"Row {listed[0]} of {where} has"
    more = len(positions) - len(listed)
    last = f"{more:,} more" if more else listed.pop()
    return f"Rows {', '.join(listed)} and {last} of {where} have"


def _not_utf8(column: pa.ChunkedArray) -> list[int]:
    """Return the positions of values that are not UTF-8; empty if the problem is another one."""
    bad, at = [], 0
    for chunk in column.chunks:
        try:
            chunk.view(pa.large_binary() if pa.types.is_large_string(chunk.type) else pa.binary()).validate(full=True)
        except (pa.ArrowException, ValueError):
            return []
        for value in chunk.cast(pa.large_binary(), safe=False).to_pylist():
            try:
                (value or b"").decode()
            except UnicodeDecodeError:
                bad.append(at)
            at += 1
    return bad


def text_columns(
    where: str, columns: Sequence[str], texts: Sequence[str], text: str | None, pair: str | None
) -> tuple[str, ...]:
    """Return the column of the texts, or the two of text pairs: those that the user names, else the only candidate.

    columns: all of them; texts: those that contain texts, except the label's. Without a user's choice, only a column
    with a usual name (`text`, `sentence`, …) or the only one is used. Otherwise raises UserError listing the columns.
    """
    for role, wanted in (("text", text), ("text_pair", pair)):
        if wanted is not None and wanted not in columns:
            raise UserError(f"'{where}' has no column '{wanted}' for {role}=. It has: {', '.join(columns)}.")
    if text is None:
        usual = [name for name in texts if name.casefold() in NAMES and name != pair]
        others = [name for name in texts if name.casefold() not in NO_TEXTS and name != pair]
        found = [n for n in usual if n.casefold() == "text"] or (usual if len(usual) == 1 else []) or others
        if len(found) != 1:
            several = f"several text columns ({', '.join(found)})" if found else "no text column"
            example = f"[text={found[0]},text_pair={found[1]}] for both, or one" if found else "[text=COLUMN]"
            raise UserError(f"'{where}' has {several} among {', '.join(columns)}. Name it: {where}{example}.")
        text = found[0]
    if pair == text:
        raise UserError(f"'{where}' uses column '{text}' for both text= and text_pair=. Give two different ones.")
    return (text,) if pair is None else (text, pair)
