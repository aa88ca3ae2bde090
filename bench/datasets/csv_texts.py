"""Any labelled texts in CSV or TSV files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from bench.datasets.classes import unite
from bench.datasets.labels import Labels
from bench.datasets.nearby import similar
from bench.datasets.roles import PARTS, assign, role
from bench.datasets.sheets import SUFFIXES, Sheet, read_sheet
from bench.datasets.texts import TextDataset, checked, rows_of, store, text_columns
from bench.errors import UserError
from bench.system.notices import tell_once
from bench.system.paths import user_path
from bench.system.public_data import named
from bench.system.recall import watch

LABELS = ("label", "labels", "intent", "category", "class")
SPLIT = "split"


def csv(
    argument: str | None,
    data_dir: Path | None,
    *,
    text: str | None = None,
    label: str | None = None,
    text_pair: str | None = None,
    split: str | None = None,
) -> TextDataset:
    """Any labelled texts in CSV or TSV files, csv:PATH (columns by text=, text_pair=, label=, split=).

    PATH is a .csv or .tsv file with a header, in UTF-8 or UTF-16, with commas, semicolons or tabs; or a folder with
    train.csv and, if available, val.csv and test.csv. A file without a column of splits is split by the protocol.
    """
    if argument is None:
        raise UserError("'csv' needs a file. Write csv:PATH with a .csv or .tsv file, or a folder with train.csv.")
    where, path = f"csv:{argument}", _path(argument, data_dir)
    asked = {"text": text, "label": label, "text_pair": text_pair, "split": split}
    chosen = [f"{key}={value}" for key, value in asked.items() if value is not None]
    title = f"csv:{path.name}"
    files = _files(where, path)
    watch(path, *files.values())
    sheets = {part: read_sheet(file) for part, file in files.items()}
    columns = list(sheets["train"].columns)
    label = _label_column(where, columns, label)
    if path.is_file() and split is None:
        split = next((name for name in columns if name.casefold() == SPLIT), None)
    if split is not None and split not in columns:
        raise UserError(f"'{where}' has no column '{split}' for split=. It has: {', '.join(columns)}.")
    texts = text_columns(where, columns, [c for c in columns if c not in (label, split)], text, text_pair)
    for sheet in sheets.values():
        if missing := [name for name in (label, *texts) if name not in sheet.columns]:
            raise UserError(f"{sheet.path} has no column '{missing[0]}'. Name its columns as in the other files.")
        _check_labels(sheet, label)
    parts = {part: (sheet, list(range(len(sheet.numbers)))) for part, sheet in sheets.items()}
    if split is not None:
        parts = _by_column(where, sheets["train"], split)
    names, codes = unite(where, {part: _labels(sheet, rows, label, part) for part, (sheet, rows) in parts.items()})
    held = [[_texts(*parts[part], name) for name in texts] for part in codes]
    return TextDataset(
        title + (f"[{','.join(chosen)}]" if chosen else ""),
        named(*path.parts) or title,
        names,
        np.concatenate(list(codes.values())),
        np.repeat(np.array(list(codes)), [len(values) for values in codes.values()]),
        store(held, tuple(files.values()), (*texts, label, split or "")),
    )


def _path(argument: str, data_dir: Path | None) -> Path:
    given = user_path(argument)
    places = (given, *([data_dir / given] if data_dir else []))
    watch(*places)
    for path in places:
        if path.exists():
            return path.resolve()
    raise UserError(
        f"{given} does not exist.{similar(given)} Write csv:PATH with a .csv or .tsv file, or their folder."
    )


def _files(where: str, path: Path) -> dict[str, Path]:
    """Return the file of each part: a single file contains all data, files in a folder are recognised by name."""
    if path.is_file():
        if path.suffix.lower() not in SUFFIXES:
            raise UserError(f"{path} is not a .csv or .tsv file. Save it as CSV, or write hf:PATH for other tables.")
        return {"train": path}
    found = {entry.stem: entry for entry in sorted(path.iterdir()) if entry.suffix.lower() in SUFFIXES}
    if not found:
        raise UserError(f"{path} has no .csv or .tsv files. Write csv:PATH with a file, or a folder with train.csv.")
    parts = assign(where, list(found), {})
    if "train" not in parts:
        listed = ", ".join(entry.name for entry in found.values())
        raise UserError(f"'{where}' has no training file among {listed}. Name it train.csv, or give one file.")
    if left := [entry.name for stem, entry in found.items() if stem not in parts.values()]:
        tell_once(f"Left out of '{where}' (neither train, validation nor test): {', '.join(left)}.")
    return {part: found[stem] for part, stem in parts.items()}


def _label_column(where: str, columns: Sequence[str], wanted: str | None) -> str:
    if wanted is not None and wanted not in columns:
        raise UserError(f"'{where}' has no label column '{wanted}'. It has: {', '.join(columns)}.")
    found = wanted or next((c for name in LABELS for c in columns if c.casefold() == name), None)
    if found is None:
        raise UserError(f"'{where}' has no label column among {', '.join(columns)}. Name it: {where}[label=COLUMN].")
    return found


def _check_labels(sheet: Sheet, label: str) -> None:
    missing = [row for row, value in enumerate(sheet.columns[label]) if not value.strip()]
    if missing and len(missing) < len(sheet.numbers):
        begin = rows_of(missing, str(sheet.path), sheet.numbers.__getitem__)
        raise UserError(f"{begin} no label in column '{label}'. Fill in or remove such rows.")


def _by_column(where: str, sheet: Sheet, column: str) -> dict[str, tuple[Sheet, list[int]]]:
    """Return the rows of each part, by a column of split names."""
    values = sheet.columns[column]
    roles = {value: role(value) for value in dict.fromkeys(values)}
    parts = {value: said.part if said else None for value, said in roles.items()}
    if strange := [row for row, value in enumerate(values) if parts[value] is None]:
        raise UserError(
            f"{rows_of(strange, str(sheet.path), sheet.numbers.__getitem__)} '{values[strange[0]]}' in column "
            f"'{column}', which is not a split. Valid: train, val, test."
        )
    found = {part: [row for row, value in enumerate(values) if parts[value] == part] for part in PARTS}
    if not found["train"]:
        raise UserError(f"Column '{column}' of '{where}' marks no training rows. Write train in some of them.")
    return {part: (sheet, rows) for part, rows in found.items() if rows}


def _labels(sheet: Sheet, rows: Sequence[int], label: str, part: str) -> Labels:
    values: list[str | None] = [sheet.columns[label][row].strip() or None for row in rows]
    return Labels(part, np.array(values, dtype=object))


def _texts(sheet: Sheet, rows: Sequence[int], name: str) -> pa.ChunkedArray:
    column = pa.chunked_array([pa.array([sheet.columns[name][row] for row in rows], pa.large_string())])
    return checked(column, name, str(sheet.path), lambda at: sheet.numbers[rows[at]])
