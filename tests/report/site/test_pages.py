from __future__ import annotations

import csv
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest

from bench.report.context import cell_reports
from bench.report.site import files
from bench.report.site.names import method_page, method_records, setting_records
from bench.report.style import looks
from bench.report.summary import report_of
from tests.helpers.records import COSTS
from tests.helpers.site_records import BOOTSTRAP, ESCAPES, EVIL, METHODS, made, records, shuffled


class Reader(HTMLParser):
    """Collects elements, links, ids and text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)


def read(path: Path) -> Reader:
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    return reader


@pytest.fixture(scope="module")
def pages(site):
    return {p.relative_to(site).as_posix(): read(p) for p in sorted(site.rglob("*.html"))}


def test_there_is_a_page_for_everything(pages, report):
    methods = {m.label for c in report for m in c.statistics.methods}
    assert methods == set(METHODS)
    assert len([p for p in pages if p.startswith("methods/")]) == len(methods) + 1
    assert len([p for p in pages if p.startswith("settings/")]) == len(report) == 2
    assert {"index.html", "protocol.html", "downloads.html", "methods/index.html"} <= set(pages)


def test_every_link_and_picture_exists(pages, site):
    checked = 0
    for name, page in pages.items():
        for tag, attrs in page.tags:
            for key in ("href", "src"):
                target = attrs.get(key)
                if target is None or (attrs.get("rel") == "noreferrer noopener" and target.startswith("https://")):
                    continue
                assert not re.match(r"[a-z]+:|//", target), f"{name} leaves the disk: {target}"
                path, fragment = urldefrag(target)
                found = (site / name).parent / unquote(path) if path else site / name
                assert found.is_file(), f"{name}: <{tag}> {target}"
                if fragment:
                    ids = [a.get("id") for _, a in pages[found.resolve().relative_to(site.resolve()).as_posix()].tags]
                    assert ids.count(fragment) == 1, f"{name}: {target}"
                checked += 1
    assert checked > 200


def test_ids_are_unique_and_labels_point_to_them(pages):
    for name, page in pages.items():
        ids = [a["id"] for _, a in page.tags if "id" in a]
        assert len(ids) == len(set(ids)), name
        for _, attrs in page.tags:
            for key in ("aria-labelledby", "aria-controls"):
                assert attrs.get(key) is None or attrs[key] in ids, (name, attrs)


def test_every_page_forbids_the_network_and_has_no_code_of_its_own(pages):
    for name, page in pages.items():
        (policy,) = [a["content"] for t, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"]
        rules = dict(rule.strip().partition(" ")[::2] for rule in policy.split(";"))
        assert rules["default-src"] == "'none'", name
        assert rules["script-src"] == "'self'", name
        assert ("'unsafe-inline'" in rules["style-src"]) == name.startswith("settings/"), name
        for tag, attrs in page.tags:
            assert not [key for key in attrs if key.startswith("on") or key == "style"], (name, tag, attrs)
            if tag == "script":
                assert "src" in attrs or attrs.get("type") == "application/json", name


def test_harmful_names_stay_text(pages, site, report):
    for name, page in pages.items():
        sources = [a.get("src") for t, a in page.tags if t == "script" and a.get("type") != "application/json"]
        assert all(re.fullmatch(r"(\.\./)*assets/[a-z.]+\.js", s) for s in sources), name
        assert [a for t, a in page.tags if t == "img"] == [] or name.startswith("settings/"), name
    heading = "".join(pages["index.html"].text)
    assert EVIL in heading or EVIL in "".join(pages["methods/index.html"].text)
    everything = "".join(p.read_text(encoding="utf-8") for p in site.rglob("*.html"))
    assert "<script>alert" not in everything
    assert "<img src=x" not in everything


def test_data_of_plots_cannot_end_its_element(site):
    for path in sorted((site / "settings").rglob("*.html")):
        (text,) = re.findall(r'<script type="application/json" id="plot-data">(.*?)</script>', path.read_text(), re.S)
        assert not set("<>&\u2028\u2029") & set(text)
        assert json.loads(text)["views"]


def test_plots_wear_the_colours_of_the_figures_and_hold_every_point(site, report):
    found = next(c for c in report if c.cell.limit is None)
    page = next(p for p in (site / "settings").rglob("*.html") if "resnet18" in p.name)
    data = json.loads(re.findall(r'id="plot-data">(.*?)</script>', page.read_text(), re.S)[0])
    wanted = looks(METHODS)
    symbols = {"o": "circle", "s": "square", "^": "triangle-up", "D": "diamond", "v": "triangle-down", "P": "cross"}
    drawn = {s["name"]: s for s in data["series"]}
    assert drawn["jeidnn"]["colour"] == wanted["jeidnn"].colour
    assert drawn["pcee"]["symbol"] == symbols[wanted["pcee"].marker]
    accuracy = next(v for v in data["views"] if v["key"] == "accuracy")
    names = [s["name"] for s in data["series"]]
    trace = {names[t["series"]]: t for t in accuracy["traces"]}
    method = found.statistics.method("jeidnn")
    assert trace["jeidnn"]["y"] == pytest.approx([100 * p.accuracy.value for p in method.points], rel=1e-5)
    assert trace["jeidnn"]["x"] == pytest.approx([p.cost.value for p in method.points], rel=1e-5)
    ups = [100 * (p.accuracy.high - p.accuracy.value) for p in method.points]
    assert trace["jeidnn"]["up"] == pytest.approx(ups, rel=1e-4)
    assert "budget 0.3" in trace["jeidnn"]["text"][0]
    assert f"[{100 * method.points[0].accuracy.low:.2f}, " in trace["jeidnn"]["text"][0]
    assert len(trace["static exits"]["x"]) == len(COSTS)
    assert len(trace["=gaps"]["x"]) == 3
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in drawn


def test_the_same_records_give_the_same_bytes_in_any_order(report):
    first = made(report)
    assert made(cell_reports(shuffled(list(records())), BOOTSTRAP)) == first
    assert "site/assets/plotly.min.js" in first


def test_plotly_is_there_once_and_the_rest_is_small(site):
    sizes = {p.relative_to(site).as_posix(): p.stat().st_size for p in site.rglob("*") if p.is_file()}
    assert sum(name.endswith("plotly.min.js") for name in sizes) == 1
    assert sum(size for name, size in sizes.items() if not name.endswith("plotly.min.js")) < 1_000_000


def test_what_is_not_beside_the_site_is_not_linked(report, pages):
    alone = made(report, beside=False)
    assert b"accuracy.svg" not in b"".join(v for k, v in alone.items() if k.endswith(".html"))
    page = next(p for name, p in pages.items() if name.startswith("settings/") and "resnet18" in name)
    (shown,) = [a for t, a in page.tags if t == "img"]
    assert shown["src"].endswith("figures/accuracy.svg")
    assert (shown["width"], shown["height"]) == ("200", "100")


def test_the_records_csv_has_every_record_and_no_formula(site):
    rows = list(csv.DictReader(io.StringIO((site / "records.csv").read_text())))
    assert {r["id"] for r in rows} == {r.id for r in records()}
    assert {r["method"] for r in rows if "gaps" in r["method"]} == {"'=gaps"}
    assert any(r["reason"] == f"it said {ESCAPES}" for r in rows)


def test_an_empty_report_says_so():
    empty = files(report_of([], BOOTSTRAP), [], [], [])
    assert b"There are no records yet" in empty["site/index.html"]
    assert not [name for name in empty if name.startswith("site/settings/")]


def test_a_method_page_has_its_description_source_and_values(pages, site):
    page = pages["methods/pcee.html"]
    text = " ".join("".join(page.text).split())
    assert "One threshold δ on the accuracy" in text
    assert "rate" in text and "bench export" in text
    assert "Fidelity" in text and "calibrated" in text
    papers = [a["href"] for t, a in page.tags if t == "a" and a.get("rel")]
    assert len(papers) == 1 and papers[0].startswith("https://")
    gone = " ".join("".join(pages[method_page("=gaps")].text).split())
    assert "No method called =gaps is installed here" in gone and "Fidelity" not in gone
    assert "not run" in gone


def test_each_setting_and_method_has_the_csv_of_its_records(site, report):
    def ids(path: str) -> list[str]:
        return [r["id"] for r in csv.DictReader(io.StringIO((site / path).read_text()))]

    for c in report:
        assert ids(setting_records(c.folder)) == [r.id for r in c.records]
    mine = [r.id for c in report for r in c.records if r.point.label == EVIL]
    assert ids(method_records(EVIL)) == mine and len(mine) == 12


def test_the_script_of_methods_names_family_and_fidelity_and_holds_no_markup(site):
    text = (site / "assets" / "methods.js").read_text()
    held = json.loads(text.partition(" = ")[2].rstrip(";\n"))
    assert held["jeidnn"] == {"family": "joint", "basis": "checked against the authors' code"}
    assert held[EVIL] == {"family": "", "basis": ""} and "<" not in text


def test_the_protocol_page_names_versions_digests_and_flags(pages):
    text = " ".join("".join(pages["protocol.html"].text).split())
    for wanted in ("2.13.0", "d" * 64, "b" * 16, "s" * 16, "collapsed", "smoke run", EVIL):
        assert wanted in text
