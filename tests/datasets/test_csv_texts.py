"""Texts in CSV files: as spreadsheets write them, and what is said of bad rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import datasets, protocol
from bench.errors import UserError
from tests.helpers.words import mails, write_csv

ROWS = [
    ('He said "no", twice', "a"),
    ("two\nlines, one comma; and a semicolon", "b"),
    ("über Äpfel 😀", "a"),
    ("tab\there", "b"),
    ("plain", "a"),
    ("plain too", "b"),
]


def opened(path: Path, options: str = ""):
    return datasets.load(f'csv:"{path}"{options}')


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_what_a_spreadsheet_writes_is_read_as_it_was(tmp_path, encoding, separator):
    rows = ROWS if encoding not in ("utf-16-le", "utf-16-be") else [row for row in ROWS if row[0].isascii()]
    found = opened(write_csv(tmp_path / "sheet.csv", rows, encoding=encoding, separator=separator))
    assert found.modality == "text" and found.native_size is None
    assert found.read(range(len(rows))) == [text for text, _ in rows]
    assert [found.class_names[y] for y in found.labels] == [label for _, label in rows]
    assert found.digest == opened(write_csv(tmp_path / "other.csv", rows[::-1])).digest


def test_a_tsv_file_a_named_separator_and_blank_rows_are_read(tmp_path):
    (tmp_path / "a.tsv").write_text("text\tlabel\none, two\tx\n\nthree\ty\n\t\n")
    (tmp_path / "b.csv").write_text("sep=;\r\ntext;label;\r\none, two;x;\r\nthree;y\r\n")
    assert opened(tmp_path / "a.tsv").read([1, 0]) == ["three", "one, two"]
    with pytest.raises(UserError, match=r"Row 4 of .*b.csv has 2 fields, but the header has 3"):
        opened(tmp_path / "b.csv")
    (tmp_path / "b.csv").write_text("sep=;\r\ntext;label\r\none, two;x\r\nthree;y;\r\n")
    assert opened(tmp_path / "b.csv").read([0, 1]) == ["one, two", "three"]


def test_columns_are_found_or_named_and_two_make_pairs(tmp_path):
    rows = [("1", "a b", "c", "yes"), ("2", "d", "e f", "no")]
    path = write_csv(tmp_path / "pairs.csv", rows, ("id", "premise", "hypothesis", "verdict"))
    with pytest.raises(UserError, match=r"no label column among id, premise, hypothesis, verdict. Name it: .*label="):
        opened(path)
    with pytest.raises(UserError, match=r"several text columns \(premise, hypothesis\)"):
        opened(path, "[label=verdict]")
    found = opened(path, "[label=verdict,text=premise,text_pair=hypothesis]")
    assert found.read([1, 0]) == [("d", "e f"), ("a b", "c")]
    assert found.name == "csv:pairs.csv[text=premise,label=verdict,text_pair=hypothesis]"
    assert found.digest != opened(path, "[label=verdict,text=premise]").digest
    assert opened(path, "[label=verdict,text=hypothesis]").read([0]) == ["c"]
    with pytest.raises(UserError, match="no column 'sentence' for text="):
        opened(path, "[label=verdict,text=sentence]")
    with pytest.raises(UserError, match="for both text= and text_pair="):
        opened(path, "[label=verdict,text=premise,text_pair=premise]")


def test_splits_come_from_a_column_from_files_or_from_the_protocol(tmp_path):
    rows = mails(60)
    roles = ["train"] * 40 + ["dev"] * 8 + ["test"] * 12
    write_csv(tmp_path / "all.csv", [(*r, s) for r, s in zip(rows, roles, strict=True)], ("text", "label", "split"))
    folder = tmp_path / "files"
    folder.mkdir()
    for name, part in (("train", rows[:40]), ("val", rows[40:48]), ("test", rows[48:])):
        write_csv(folder / f"{name}.csv", part)
    one, several = opened(tmp_path / "all.csv"), opened(folder)
    assert one.digest == several.digest and one.partition.tolist() == several.partition.tolist()
    assert [int((one.partition == part).sum()) for part in ("train", "val", "test")] == [40, 8, 12]
    split = protocol.split(one, tuned=True)
    assert len(split.test) == 12 and sorted(split.pool) == list(range(40, 48))
    alone = protocol.split(opened(write_csv(tmp_path / "one.csv", rows)), tuned=True)
    assert [len(alone.train), len(alone.pool), len(alone.test)] == [36, 12, 12]
    with pytest.raises(UserError, match="no column 'fold' for split="):
        opened(tmp_path / "all.csv", "[split=fold]")


def test_copies_of_a_text_never_part(tmp_path):
    rows = [(f"text {i}", "ab"[i % 2]) for i in range(60) for _ in range(3)]
    dataset = opened(write_csv(tmp_path / "copies.csv", rows))
    found = protocol.split(dataset, tuned=True)
    parts = [set(dataset.read(rows)) for rows in (found.train, found.pool, found.test)]
    assert not (parts[0] & parts[1]) and not (parts[1] & parts[2]) and not (parts[0] & parts[2])


BAD = {
    "an empty text": ("text,label\na,x\n  ,y\n,x\n", r"Rows 3 and 4 of .* have no text in column 'text'"),
    "no label": ("text,label\na,x\nb,\nc,y\n", r"Row 3 of .* has no label in column 'label'"),
    "an open quote": ('text,label\na,x\n"b,y\n', r"Row 3 of .* cannot be read .*Close its quotes"),
    "too many fields": ("text,label\na,x\nb, and c,y\n", r"Row 3 of .* has 3 fields, but the header has 2"),
    "one column": ("text\na\nb\n", "no header of at least two columns"),
    "two names": ("text,text,label\na,b,x\n", "has two columns 'text'"),
    "a NUL": ("text,label\na,x\nb\0,y\n" + "c,x\n" * 99, r"Row 3 of .* NUL"),
    "a strange split": ("text,label,split\na,x,train\nb,y,fold 1\n", r"Row 3 of .* has 'fold 1' in column 'split'"),
    "no training rows": ("text,label,split\na,x,test\nb,y,test\n", "marks no training rows"),
    "a class for each": ("text,label\na,x\nb,y\nc,z\n", "different for each of its 3 samples"),
}


@pytest.mark.parametrize(("text", "said"), BAD.values(), ids=BAD)
def test_a_bad_row_is_named(tmp_path, text, said):
    (tmp_path / "bad.csv").write_text(text)
    with pytest.raises(UserError, match=said):
        opened(tmp_path / "bad.csv")


def test_broken_encoding_is_named_with_its_row(tmp_path):
    (tmp_path / "bad.csv").write_bytes(b'text,label\n"a\nb",x\ncaf\xe9,y\n')
    with pytest.raises(UserError, match=r"Row 3 of .* is not valid UTF-8 \(byte 0xE9\). Save the file as UTF-8"):
        opened(tmp_path / "bad.csv")
    (tmp_path / "bad.csv").write_bytes("text,label\na,x\n".encode("utf-16") + b"b")
    with pytest.raises(UserError, match=r"Row 3 of .* is not valid UTF-16"):
        opened(tmp_path / "bad.csv")


def test_paths_that_hold_no_table_are_explained(tmp_path):
    (tmp_path / "mails.csv").write_text("text,label\n")
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "empty").mkdir()
    for name, said in (
        ("mail.csv", "does not exist. Did you mean"),
        ("notes.txt", "not a .csv or .tsv file"),
        ("empty", "has no .csv or .tsv files"),
        ("mails.csv", "no labels in its training split"),
    ):
        with pytest.raises(UserError, match=said):
            opened(tmp_path / name)
    with pytest.raises(UserError, match="'csv' needs a file"):
        datasets.load("csv")
