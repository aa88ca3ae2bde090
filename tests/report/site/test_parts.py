from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.plugins import registry
from bench.report.context import cell_reports
from bench.report.formats.table import Column, Table
from bench.report.site.about import About, about, as_html
from bench.report.site.forest import forest
from bench.report.site.grid import grid, grids
from bench.report.site.headline import answers
from bench.report.site.names import LONGEST, stem
from bench.report.site.plot import dash
from bench.report.site.render import as_json, soft
from bench.report.site.traces import label
from bench.report.site.words import percent, points
from bench.stats.bootstrap import Estimate
from tests.helpers.site_records import BOOTSTRAP, METHODS, cell, cell_records, make_report


def estimate(value: float, low: float = math.nan, high: float = math.nan) -> Estimate:
    return Estimate(value, low, high, math.nan, math.nan, math.nan, (0, 1))


@given(st.sets(st.text(max_size=120), max_size=12))
def test_no_two_names_share_a_file(names):
    found = {name: stem(name) for name in names}
    assert len({s.lower() for s in found.values()}) == len(names)
    assert all(0 < len(s) <= LONGEST + 9 and "/" not in s and s.lower() != "index" for s in found.values())


def test_names_that_differ_in_case_or_marks_alone_stay_apart():
    found = {name: stem(name) for name in ("a[b]", "a(b)", "A_b", "plain")}
    assert len({s.lower() for s in found.values()}) == 4
    assert found["plain"] == "plain"


def test_json_keeps_what_it_says():
    import json

    value = {"a": "</script>\u2028&", "b": [1.5, None]}
    text = str(as_json(value))
    assert json.loads(text) == value
    assert not set("<>&\u2028") & set(text)
    with pytest.raises(ValueError):
        as_json(math.nan)


def test_words_of_numbers():
    assert points(0.0071) == "+0.71"
    assert points(-0.00001) == "0.00"
    assert points(-0.5) == "−50.00"
    assert percent(0.593) == "59.3\u00a0%"
    assert percent(math.inf) == "never"
    assert percent(math.nan) == "–"


def test_a_grid_sorts_by_unscaled_values_and_links_methods():
    columns = [Column("method", "Method"), Column("a", "A", 1, 100, interval=True, note="what"), Column("c", "C", 2)]
    rows = [
        {"method": "m", "a": estimate(0.5, 0.4, 0.6), "c": math.inf},
        {"method": "<n>", "a": estimate(math.nan), "c": None},
        {"method": "cut", "a": None, "c": 1.0},
    ]
    found = grid(
        Table("t", "T", columns, rows, highlights={(0, "a"): "best", (1, "c"): "below"}, shown=2),
        {"m": "methods/m.html"},
    )
    assert [[b.value for b in row] for row in found.rows] == [["m", "0.5", "Infinity"], ["<n>", "", ""]]
    assert found.rows[0][0].href == "methods/m.html"
    assert found.rows[1][0].href == ""
    assert (found.rows[0][1].text, found.rows[0][1].interval, found.rows[0][1].best) == ("50.0", "[40.0, 60.0]", True)
    assert found.rows[1][2].sign == "▼"
    group = grid(Table("t", "T", columns, rows, highlights={(0, "method"): "best", (1, "method"): "leading"}), {})
    assert [[b.leading for b in row] for row in group.rows] == [[True, False, False]] * 2 + [[False] * 3]
    assert [h.kind for h in found.heads] == ["text", "number", "number"]
    assert [h.title for h in found.notes] == ["A"]
    assert found.cut == 1
    assert grids([Table("d", "data alone", columns, rows, shown=0)], {}) == []


def test_a_forest_shares_one_axis_and_keeps_the_baseline():
    found = next(c for c in make_report() if c.cell.limit is None)
    baseline = found.statistics.baseline
    assert baseline is not None
    few = forest(found.statistics, found.looks, 1)
    assert baseline.label in [line.label for line in few.lines]
    assert few.more == len(found.statistics.methods) - len(few.lines)
    whole = forest(found.statistics, found.looks)
    ends = {line.label: (line.low, line.middle, line.high) for line in whole.lines}
    assert all(0 <= low <= middle <= high <= 100 for low, middle, high in ends.values())
    for method in found.statistics.methods:
        if method.label in ends:
            assert (ends[method.label][1] > whole.zero) == (method.curve.own.value > 0)


def test_answers_name_the_leader_only_where_ranks_do():
    found = make_report(("jeidnn", "msdnet_thresh"), seeds=range(6))[0]
    cell_ = found.statistics
    top = cell_.methods[0]
    assert top.rank is not None

    def told(first: tuple[int, int], second: tuple[int, int]) -> str:
        ranks = [replace(top.rank, first=a, last=b) for a, b in (first, second)]
        methods = tuple(replace(m, rank=r) for m, r in zip(cell_.methods, ranks, strict=True))
        return answers(replace(cell_, methods=methods))[0].answer

    assert told((1, 1), (2, 2)) == top.label
    assert told((1, 2), (1, 2)) == "No significant leader"
    assert [a.question for a in answers(cell_)] == [
        "Which method leads?",
        "By how much?",
        "At which cost?",
        "How certain?",
    ]
    assert answers(cell_)[3].answer == "6 seeds"


def test_answers_of_one_seed_and_of_none_complete():
    one = make_report(("jeidnn", "msdnet_thresh"), seeds=(0,))[0]
    assert "fewer than 6 seeds: no ranks" in answers(one.statistics)[0].behind
    gaps = cell_reports([r for r in cell_records(cell("a"), ("jeidnn", "pcee"), (0,)) if _kept(r)], BOOTSTRAP)[0]
    assert [a.answer for a in answers(gaps.statistics)] == ["Not known"]


def _kept(record) -> bool:
    return record.point.kind == "reference" or (record.point.label, record.point.budget) in (
        ("jeidnn", 0.5),
        ("pcee", 0.7),
    )


def test_docstrings_are_read_without_importing(tmp_path, monkeypatch):
    known = about("jeidnn")
    assert known.text is not None and known.text.startswith("Learned gates on uncertainty features")
    assert known.source["venue"] == "ICLR" and known.source["year"] == "2024" and known.link.startswith("https://")
    assert about("never heard of") == About()
    source = tmp_path / "mine.py"
    source.write_text(
        'raise SystemExit\nclass Mine:\n    """Says <b>this</b>.\n\n    And `code`:\n\n    - one\n    - two\n    """\n'
        '    fidelity = Fidelity(title="T", year=2 + 2, link="javascript:alert(1)", family="joint")\n'
    )
    plugin = registry.Plugin("methods", "mine", "mine:Mine", "", source)
    monkeypatch.setattr(registry, "plugins", lambda kind: {"mine": plugin})
    known = about("mine")
    text = known.text
    assert text is not None
    assert known.source == {"title": "T", "link": "javascript:alert(1)", "family": "joint"} and known.link == ""
    html = str(as_html(text))
    assert "<p>Says &lt;b&gt;this&lt;/b&gt;.</p>" in html
    assert "<code>code</code>" in html
    assert html.count("<li>") == 2


def test_line_styles_of_the_figures_in_plotly():
    assert dash("-") == "solid"
    assert dash((0, (5, 2))) == "15px,6px"
    assert label("<b>a</b>&amp;$x$") == "&lt;b&gt;a&lt;/b&gt;&amp;amp;&#36;x&#36;"
    assert str(soft("a_b[c=<d>]")) == "a_<wbr>b[<wbr>c=<wbr>&lt;d&gt;]"


def test_every_method_has_a_look():
    assert {m for c in make_report() for m in c.looks} == set(METHODS)
