from __future__ import annotations

import csv
import io
import math

import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bench.report.formats import csv as csv_form
from bench.report.formats import latex, markdown, parquet
from bench.report.formats.latex import escape as escape_latex
from bench.report.formats.table import Column, Table
from bench.report.text import escape
from bench.stats.bootstrap import UNKNOWN, Estimate

NAN = math.nan
HOSTILE = "<script>alert(1)</script> a|b_c $x$ 50% & #1 {y} \\z ~ ^ `q` [l](javascript:x) *b*"


def estimate(value: float, low: float = NAN, high: float = NAN) -> Estimate:
    return Estimate(value, low, high, NAN, NAN, NAN)


def table(**known) -> Table:
    base = {
        "name": "t", "title": "T", "columns": [
            Column("name", "Name|x"), Column("v", "V %", 1, 100, interval=True, signed=True),
            Column("p", "p", 3, p=True), Column("n", "N"), Column("hidden", "Hidden", 2, data=True),
        ],
        "rows": [
            {"name": "a,b", "v": estimate(0.5, 0.4, 0.61), "p": 0.0001, "n": 3, "hidden": 0.25},
            {"name": "c", "v": estimate(-0.0001), "p": 0.25},
            {"name": "d", "v": UNKNOWN},
            {"name": "e", "v": estimate(math.inf), "n": 1},
            {"name": "f", "v": estimate(-0.25, -math.inf, math.inf)},
        ],
        "caption": "Over 3_seeds.", "highlights": {(0, "v"): "best", (1, "v"): "above", (4, "v"): "below"},
    }  # fmt: skip
    return Table(**(base | known))


def test_markdown():
    lines = markdown.render(table()).splitlines()
    assert lines[:2] == ["| Name\\|x | V % | p | N |", "| --- | --: | --: | --: |"]
    assert lines[2] == "| a,b | ● **+50.0**<br><sub>\\[+40.0,&nbsp;+61.0\\]</sub> | &lt;0.001 | 3 |"
    assert lines[3] == "| c | 0.0 ▲ | 0.250 | – |"
    assert lines[4:6] == ["| d | – | – | – |", "| e | ∞ | – | 1 |"]
    assert lines[6] == "| f | −25.0 ▼<br><sub>\\[−∞,&nbsp;∞\\]</sub> | – | – |"
    assert lines[-1] == "Over 3_seeds."


def test_csv_has_every_row_and_column_unscaled():
    rows = list(csv.DictReader(io.StringIO(csv_form.render(table(shown=1)))))
    assert len(rows) == 5
    assert list(rows[0]) == ["name", "v", "v_low", "v_high", "v_highlight", "p", "n", "hidden"]
    assert list(rows[0].values()) == ["a,b", "0.5", "0.4", "0.61", "best", "0.0001", "3", "0.25"]
    assert list(rows[1].values()) == ["c", "-0.0001", "", "", "above", "0.25", "", ""]
    assert list(rows[2].values()) == ["d", "", "", "", "", "", "", ""]
    assert rows[3]["v"] == "inf" and rows[4]["v_low"] == "-inf"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\r=x"])
def test_csv_texts_are_no_formulas(text):
    made = csv_form.render(Table("t", "T", [Column("a", "A"), Column("b", "B", 1)], [{"a": text, "b": -1.5}]))
    (row,) = csv.DictReader(io.StringIO(made, newline=""))
    assert row["a"] == f"'{text}".replace("\r", " ") and row["b"] == "-1.5"


def test_parquet_has_types_and_the_caption():
    found = pq.read_table(io.BytesIO(parquet.render(table())))
    assert found.column_names == ["name", "v", "v_low", "v_high", "v_highlight", "p", "n", "hidden"]
    assert [str(t) for t in found.schema.types] == ["string", *["double"] * 3, "string", "double", "int64", "double"]
    assert found["n"].to_pylist() == [3, None, None, 1, None]
    assert found["v"].to_pylist()[3] == math.inf and found["v"].to_pylist()[2] is None
    assert found.schema.metadata == {b"title": b"T", b"caption": b"Over 3_seeds."}
    assert parquet.render(table()) == parquet.render(table())


def test_latex():
    text = latex.render(table())
    assert r"\caption{T. Over 3\_seeds.}" in text and r"\label{tab:t}" in text and r"\begin{tabular}{lrrr}" in text
    assert r"Name\textbar{}x & V \% & p & N \\" in text
    assert r"a,b & \cellcolor[gray]{0.9}\valued{\textbf{+50.0}}{[+40.0, +61.0]} & \textless{}0.001 & 3 \\" in text
    assert r"c & 0.0 $\uparrow$ & 0.250 & -- \\" in text
    assert r"\valued{$-$25.0 $\downarrow$}{[$-$$\infty$, $\infty$]}" in text
    assert text.count("{") == text.count("}")
    order = [text.index(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")]
    assert order == sorted(order)


def test_latex_breaks_long_texts():
    text = latex.render(Table("t", "T", [Column("a", "A")], [{"a": "far too long for one line of a column"}]))
    assert r"\parbox[c]{36mm}{\raggedright far too long for one line of a column} \\" in text


def test_a_latex_row_may_begin_with_a_bracket():
    text = latex.render(Table("t", "T", [Column("a", "A")], [{"a": "[1]"}]))
    assert "\n{[1]} \\\\" in text


def test_hostile_text_stays_text_in_every_form():
    made = table(rows=[{"name": HOSTILE}], caption=HOSTILE, title=HOSTILE, highlights={})
    text = markdown.render(made)
    assert "<script" not in text and r"\](javascript" in text
    assert all(line.replace("\\|", "").count("|") == 5 for line in text.splitlines()[:3])
    assert escape_latex(HOSTILE) in latex.render(made)
    (row,) = csv.DictReader(io.StringIO(csv_form.render(made)))
    assert row["name"] == HOSTILE
    assert pq.read_table(io.BytesIO(parquet.render(made)))["name"].to_pylist() == [HOSTILE]


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"])))
@example(" ")
def test_any_text_is_safe(text):
    made = Table("t", "T", [Column("a", "A")], [{"a": text or "x"}], text)
    assert "<" not in markdown.render(made) and "\n\n\n" not in markdown.render(made)
    # nothing but our own commands is left of a text's special characters
    bare = escape_latex(text)
    for known in ("\\textbackslash{}", "\\textasciitilde{}", "\\textasciicircum{}", "\\textquotedbl{}", r"\{", r"\}"):
        bare = bare.replace(known, "")
    assert "~" not in bare and "^" not in bare and '"' not in bare
    assert bare.count("{") == bare.count("}")


def test_shown_limits_what_readers_see():
    short = table(shown=2)
    assert markdown.render(short).count("\n| ") == 3
    assert latex.render(short).count("\\\\\n") == 3


def test_markdown_escapes():
    assert escape("msdnet_thresh _x_ a*b\n<i>") == r"msdnet_thresh \_x\_ a\*b &lt;i&gt;"
