"""Tables in text files, as spreadsheets save them: CSV and TSV in UTF-8 or UTF-16, any usual separator."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.errors import UserError
from bench.system.files import read_regular

SUFFIXES = (".csv", ".tsv")
MOST_BYTES = 1 << 31  # per file
SEPARATORS = (",", ";", "\t")
MOST_FIELD = 1 << 28  # characters


@dataclass(frozen=True)
class Sheet:
    """One table: its columns by name, and the number that a spreadsheet shows next to each row (the header is 1)."""

    path: Path
    columns: dict[str, list[str]]
    numbers: list[int]


def read_sheet(path: Path) -> Sheet:
    """Read a file; blank rows are skipped.

    Raises UserError with the row of a bad encoding, an open quote, or too few or too many fields.
    """
    try:
        content = read_regular(path, MOST_BYTES)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}). Repair or remove it.") from error
    text = _decoded(path, content)
    first, _, rest = text.partition("\n")
    told = first.strip().lower()
    skipped = 0
    if told.startswith("sep=") and told[4:] in (*SEPARATORS, "|"):  # Excel's way to declare the separator
        text, separator, skipped = rest, told[4], 1
    else:
        separator = "\t" if path.suffix.lower() == ".tsv" else _separator(text)
    records = _records(path, text, separator, skipped)
    at, header = next(records, (0, []))
    names = [name.strip() for name in header]
    if len(names) < 2:
        raise UserError(f"{path} has no header of at least two columns. Begin it with a line such as text,label.")
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"{path} has two columns '{twice}'. Rename one of them.")
    columns: list[list[str]] = [[] for _ in names]
    numbers = []
    for at, fields in records:
        while len(fields) > len(names) and not fields[-1]:
            fields.pop()
        if len(fields) != len(names):
            raise UserError(
                f"Row {at} of {path} has {len(fields)} fields, but the header has {len(names)}. Put a text that "
                f"contains {separator!r} into double quotes."
            )
        numbers.append(at)
        for column, field in zip(columns, fields, strict=True):
            column.append(field)
    return Sheet(path, dict(zip(names, columns, strict=True)), numbers)


def _records(path: Path, text: str, separator: str, skipped: int = 0) -> Iterator[tuple[int, list[str]]]:
    """Yield the records that are not blank, with their numbers from 1."""
    at = skipped
    csv.field_size_limit(MOST_FIELD)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        for at, fields in enumerate(reader, 1 + skipped):
            if any(field.strip() for field in fields):
                yield at, fields
    except csv.Error as error:
        raise UserError(
            f"Row {at + 1} of {path} cannot be read ({error}). Close its quotes, and double those within a text."
        ) from error


def _separator(text: str) -> str:
    """Return the separator that splits the header into the most columns; ties go to the comma."""

    def columns(separator: str) -> int:
        try:
            return len(next(csv.reader(io.StringIO(text, newline=""), delimiter=separator), []))
        except csv.Error:
            return 0

    return max(SEPARATORS, key=columns)


def _decoded(path: Path, content: bytes) -> str:
    """Return the text of a file by its byte order mark, else as UTF-8, or as UTF-16 if half of its bytes are zero."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        codec = "utf-16"
    else:
        head = content[:200]
        codec = next(
            (c for c, at in (("utf-16-le", 1), ("utf-16-be", 0)) if head and not any(head[at::2])), "utf-8-sig"
        )
    try:
        text = content.decode(codec)
    except UnicodeDecodeError as error:
        before = content[: error.start].decode(codec, errors="ignore")
        name = "UTF-8" if codec == "utf-8-sig" else "UTF-16"
        raise UserError(
            f"Row {_row(before)} of {path} is not valid {name} (byte 0x{content[error.start]:02X}). Save the file as "
            "UTF-8, which spreadsheets offer as 'CSV UTF-8'."
        ) from error
    if "\0" in text:
        raise UserError(f"Row {_row(text[: text.index(chr(0))])} of {path} contains a NUL character. Remove it.")
    return text


def _row(before: str) -> int:
    """Return the number of the row in which a text ends."""
    reader = csv.reader(io.StringIO(before + "x", newline=""), delimiter=_separator(before))
    return sum(1 for _ in reader)
