"""Names from outside reach every form of a report, and harm none."""

from __future__ import annotations

import csv
import io
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from bench.report.build import build
from bench.report.formats.csv import entry
from bench.report.request import request_of
from bench.report.text import link
from bench.system.text import clean
from tests.helpers.records import at, cell, changed, records, write

BAD = "\x1b[31mred\x7f\x9b\u202egnp\u2028\x00"
DATASET = f"folder:={BAD}"
LABEL = f"jeidnn[x={BAD}<b>$|`&_#%^~\\"
NOTE = f"\n=cmd|' /C calc'!A0 {BAD}"
ODD = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    held = records(methods=(LABEL, "msdnet_thresh"), seeds=(0, 1), budgets=(0.3, 0.5), where=cell(dataset=DATASET))
    held = changed(held, at(LABEL, 0.3), note=NOTE)
    held = changed(held, at("msdnet_thresh", 0.5, 1), status="failed", reason=NOTE)
    out = folder / "odd (name) [1] #2"
    (folder / "README.md").write_text("<!-- leaderboard -->\n<!-- /leaderboard -->\n")
    request = request_of(write(folder / "store", held), out, readme=folder / "README.md")
    build(request)
    return out


@pytest.mark.slow
def test_no_form_has_control_characters_or_overrides_of_direction(report):
    texts = [p for p in report.rglob("*") if p.suffix in (".md", ".csv", ".tex", ".svg", ".html")]
    assert {p.suffix for p in texts} == {".md", ".csv", ".tex", ".svg", ".html"}
    assert not {str(p): found[0] for p in [*texts, report.parent / "README.md"] if (found := ODD.search(p.read_text()))}
    shown = (report / "README.md").read_text()
    assert r"\\x1b" in shown and "red" in shown


@pytest.mark.slow
def test_pictures_are_xml_and_tables_have_no_formulas(report):
    for picture in report.rglob("*.svg"):
        ET.parse(picture)
    for table in report.rglob("*.csv"):
        rows = list(csv.reader(io.StringIO(table.read_text())))
        assert len({len(row) for row in rows}) == 1
        for text in (text for row in rows for text in row):
            assert not re.search(r"(^|[\r\n])\s*[=@]", text) and "\n" not in text


@pytest.mark.slow
def test_links_lead_to_files_whatever_their_folders_are_called(report):
    from urllib.parse import unquote

    for page in [*report.rglob("*.md"), report.parent / "README.md"]:
        for target in re.findall(r"\]\(([^)]*)\)", page.read_text()):
            assert " " not in target and (page.parent / unquote(target)).is_file(), (page, target)


@pytest.mark.parametrize(
    ("text", "written"),
    [("=1+1", "'=1+1"), ("\n=1", "' =1"), (" \t@x", "' \t@x"), ("a\r\n=1", "a  =1"), ("\ufeff=1", r"\ufeff=1"),
     ("＝1", "'＝1"), ("-x", "'-x"), ("a\x1bb", r"a\x1bb"), ("plain – text", "plain – text"), ("\x00=1", r"\x00=1")],
)  # fmt: skip
def test_a_text_of_csv_is_one_line_and_no_formula(text, written):
    assert entry(text) == written


def test_a_link_is_quoted():
    assert link("a", "my set (1)/x#y.md") == "[a](my%20set%20%281%29/x%23y.md)"
    assert link("a", "cifar100lt_imbalance=50/x.md") == "[a](cifar100lt_imbalance=50/x.md)"
    assert clean(link("a", "caf\udce9")) == "[a](caf%E9)"
