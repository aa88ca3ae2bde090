from __future__ import annotations

import json
import random
from types import SimpleNamespace

import pytest

from bench.errors import UserError
from bench.report import build as written
from bench.report import check, make, readme
from bench.report.markers import BEGIN, END
from bench.report.request import FORMATS, in_git, parse_formats, request_of
from bench.stats.bootstrap import Estimate
from bench.stats.compare import Comparison
from bench.stats.resample import BootstrapConfig
from tests.helpers.records import at, changed, record, records, write
from tests.helpers.records import cell as make_cell
from tests.helpers.records import point as make_point

pytestmark = pytest.mark.slow

CELL = "cifar100lt/efficientnet_lite0"
QUICK = {"bootstrap": BootstrapConfig(100, 20)}
TEXT = {**QUICK, "formats": ("md", "csv", "parquet", "latex")}  # without figures
DRAWN = {**QUICK, "formats": tuple(name for name in FORMATS if name != "png")}  # every figure once
SMALL = {"samples": 40, "seeds": [0, 1], "budgets": [0.3, 0.5]}
TABLES = ("leaderboard", "budgets", "costs", "uncertainty", "timing", "points")


def build(stores, out, *, jobs=1, force=False, tell=lambda line: None, **known):
    return written.build(request_of(stores, out, **known), jobs=jobs, force=force, tell=tell)


def drift(stores, out, *, force=False, **known):
    return check.drift(request_of(stores, out, **known), force=force)


def contents(folder):
    """All files of a report but what it remembers of itself."""
    found = {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    return {name: content for name, content in found.items() if not name.startswith(".state/")}


def page(folder, name=CELL):
    return (folder / name / "leaderboard.md").read_text()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Records, and the report of them in all formats."""
    root = tmp_path_factory.mktemp("whole")
    results = write(root / "results", records(**SMALL, dataset_variant="jpeg90"))
    return results, root / "reports", build(results, root / "reports", **QUICK)


def test_the_files_of_a_report(whole):
    _, out, paths = whole
    names = {str(p.relative_to(out)) for p in paths}
    assert names == set(contents(out)) and paths == sorted(paths)
    assert {"README.md", "files.json", f"{CELL}/leaderboard.md"} <= names
    for name in TABLES:
        endings = ("csv", "parquet") if name == "points" else ("csv", "parquet", "tex")
        assert {p for p in names if p.startswith(f"{CELL}/tables/{name}.")} == {
            f"{CELL}/tables/{name}.{e}" for e in endings
        }
    assert {f"{CELL}/figures/accuracy.{e}" for e in ("svg", "png", "csv")} <= names
    assert json.loads((out / "files.json").read_text()) == sorted(filter(in_git, names))


def test_all_links_of_the_pages_lead_to_files(whole):
    import re

    _, out, _ = whole
    for path in out.rglob("*.md"):
        links = re.findall(r"\]\(([^)]+)\)", path.read_text())
        assert len(links) > 5 or path.name == "README.md"
        for link in links:
            assert (path.parent / link).is_file(), (path, link)


def test_a_page_says_what_it_rests_on(whole):
    results, out, _ = whole
    text = page(out)
    assert "The grid is complete: 6 operating points × 2 seeds." in text
    assert "> **VARIANT jpeg90: not the official images.**" in text and "2 seeds (0, 1)" in text
    index = (out / "README.md").read_text()
    assert f"({CELL}/leaderboard.md)" in index and "100 bootstrap draws, 20 resamples" in index
    assert "cpu: Made-up CPU" in index and "There is no setting to average. Left out:" in index
    assert "Can this setting tell methods apart?" in text and "| failed: the best own gain" in index
    everything = b"".join(contents(out).values())
    assert str(out).encode() not in everything and str(results).encode() not in everything


def test_order_of_records_changes_no_byte(whole, tmp_path):
    _, out, _ = whole
    held = records(**SMALL, dataset_variant="jpeg90")
    random.Random(2).shuffle(held)
    again = tmp_path / "reports"
    build(write(tmp_path / "elsewhere", held), again, **QUICK)
    assert contents(again) == contents(out)


@pytest.mark.slow
def test_several_processes_change_no_byte(tmp_path, monkeypatch):
    held = [*records(**SMALL), *records(**SMALL, backbone="resnet18", bank_digest="c" * 16)]
    results = write(tmp_path / "results", held)
    build(results, tmp_path / "one", **TEXT)
    monkeypatch.setattr(make, "LEAST", 0)
    build(results, tmp_path / "two", **TEXT, jobs=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_check_finds_no_drift_and_writes_nothing(whole, monkeypatch):
    results, out, _ = whole
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*")}
    assert drift(results, out, **QUICK) == []
    assert drift(results, out, **QUICK, formats=("md", "csv", "png"), force=True) == []
    monkeypatch.setattr(make, "make", None)  # known without it
    assert drift(results, out, **QUICK, formats=("md", "csv", "png")) == []
    assert {p: p.stat().st_mtime_ns for p in out.rglob("*")} == before


def test_latex_needs_no_letter_beyond_ascii(whole):
    """What is not escaped stops pdflatex."""
    files = list(whole[1].rglob("*.tex"))
    assert {path.stem for path in files} >= {*TABLES} - {"points"}  # those are data alone
    assert {path.name for path in files if not path.read_text().isascii()} == set()


def test_check_names_what_drifted(tmp_path):
    held = records(**SMALL)
    out, results = tmp_path / "reports", write(tmp_path / "results", held)
    build(results, out, **TEXT)
    (out / "mine.txt").write_text("left alone")
    (out / CELL / "tables" / "costs.tex").unlink()
    (out / CELL / "tables" / "budgets.parquet").write_text("edited")
    found = [(str(p.relative_to(out)), how) for p, how in drift(results, out, **TEXT)]
    assert found == [(f"{CELL}/tables/budgets.parquet", "differs"), (f"{CELL}/tables/costs.tex", "missing")]
    build(results, out, **TEXT)
    assert drift(results, out, **TEXT) == []
    one = next(r for r in held if at("jeidnn", 0.3, 0)(r))
    write(results, [one.model_copy(update={"metrics": one.metrics | {"ece_mass15": 0.5}})])
    found = {str(p.relative_to(out)) for p, how in drift(results, out, **TEXT) if how == "differs"}
    assert f"{CELL}/tables/uncertainty.tex" not in found  # readers see budget 0.5 there
    tables = {f"{CELL}/tables/{name}.{e}" for name in ("uncertainty", "points") for e in ("csv", "parquet")}
    assert found == {*tables, f"{CELL}/statistics.json.bz2"}


def test_stale_files_are_found_and_removed_and_no_others(tmp_path):
    out, results = tmp_path / "reports", write(tmp_path / "results", records(**SMALL))
    build(results, out, **TEXT)
    (out / CELL / "notes.txt").write_text("mine")
    write(results, records(**SMALL, limit=50, bank_digest="c" * 16))
    gone = {str(p.relative_to(out)) for p, how in drift(results, out, **TEXT) if how == "stale"}
    assert f"{CELL}/leaderboard.md" in gone and not any("notes" in p for p in gone)
    build(results, out, **TEXT)
    folders = {p.parent.name for p in out.rglob("leaderboard.md")}
    assert folders == {"efficientnet_lite0--full", "efficientnet_lite0--limit50"}
    assert [p.name for p in (out / CELL).iterdir()] == ["notes.txt"]
    assert "LIMIT 50" in page(out, f"{CELL}--limit50")


@pytest.mark.slow
def test_pages_of_methods_that_are_gone_are_removed(tmp_path):
    held = records(**SMALL)
    out, results = tmp_path / "reports", write(tmp_path / "results", held)
    pages = {**QUICK, "formats": ("md", "site")}
    build(results, out, **pages)
    gone = [r for r in held if r.point.label == "jeidnn"]
    (page_of_it,) = (out / "site").glob("methods/jeidnn.html")
    for path in (p for r in gone for p in results.rglob(f"{r.id}.json")):
        path.unlink()
    build(results, out, **pages)
    assert gone and not page_of_it.exists() and (out / "site/methods/index.html").is_file()


def test_a_damaged_or_hostile_list_removes_nothing_else(tmp_path):
    out, results = tmp_path / "reports", write(tmp_path / "results", records(**SMALL))
    (tmp_path / "precious.md").write_text("x")
    out.mkdir()
    (out / "files.json").write_text(json.dumps(["../precious.md", str(tmp_path / "precious.md"), 3]))
    build(results, out, **TEXT)
    assert (tmp_path / "precious.md").is_file()
    (out / "files.json").write_text("{")
    with pytest.raises(UserError, match=r"files\.json' is damaged"):
        build(results, out, **TEXT)


def test_formats_choose_what_is_written_and_leave_the_rest(tmp_path):
    out, results = tmp_path / "reports", write(tmp_path / "results", records(**SMALL))
    build(results, out, **QUICK, formats=("md",))
    assert set(contents(out)) == {"README.md", "files.json", f"{CELL}/leaderboard.md"}
    assert "tables/" not in page(out)
    build(results, out, **QUICK, formats=("latex",))
    assert {p.rpartition(".")[2] for p in contents(out)} == {"md", "json", "tex"}
    assert drift(results, out, **QUICK, formats=("md", "latex")) == []
    assert drift(results, out, **QUICK, formats=("md", "csv", "latex"))  # pages would link the tables now


@pytest.mark.parametrize("text", ["", " , ", "pdf", "md,cvs"])
def test_formats_that_there_are_not(text):
    with pytest.raises(UserError, match=r"Valid: md, csv, parquet|--format is empty|Did you mean 'csv'"):
        parse_formats(text)


def test_formats_in_any_order():
    assert parse_formats("CSV, md,md") == ("md", "csv") and parse_formats(",".join(FORMATS)) == FORMATS


def test_only_writes_the_pages_of_one_cell(tmp_path):
    held = [*records(**SMALL), *records(**SMALL, backbone="resnet18", bank_digest="c" * 16)]
    out, results = tmp_path / "reports", write(tmp_path / "results", held)
    paths = build(results, out, **TEXT, only="cifar100lt/resnet18")
    assert {p.relative_to(out).parts[:2] for p in paths} == {("cifar100lt", "resnet18"), ("files.json",)}
    assert len(list(out.rglob("leaderboard.md"))) == 1
    build(results, out, **TEXT)
    everything = contents(out)
    assert drift(results, out, **TEXT, only="cifar100lt/efficientnet_lite0") == []
    build(results, out, **TEXT, only="cifar100lt")
    assert contents(out) == everything
    with pytest.raises(UserError, match="Did you mean 'cifar100lt/resnet18'"):
        build(results, out, **TEXT, only="cifar100lt/resnet17")


def test_gaps_are_told_from_infeasible_points(tmp_path):
    held = changed(records(**SMALL, methods=["jeidnn"]), at(budget=0.3, seed=0), status="infeasible", reason="no")
    out, results = tmp_path / "reports", write(tmp_path / "results", held)
    build(results, out, **TEXT)
    assert "complete: 2 operating points × 2 seeds. Of these, 1 cannot meet" in page(out)
    fewer = write(tmp_path / "fewer", [r for r in held if not at(budget=0.5, seed=1)(r)])
    build(fewer, out, **TEXT)
    assert "**The grid is incomplete: 3 of 4 results**" in page(out)


@pytest.mark.parametrize("references", [True, False])
def test_one_method_one_seed_one_budget(tmp_path, references):
    held = records(methods=["jeidnn"], seeds=[0], budgets=[0.5], samples=40, references=references)
    build(write(tmp_path / "results", held), tmp_path / "reports", **DRAWN)
    assert "1 seed (0)" in page(tmp_path / "reports")


def test_only_references(tmp_path):
    held = [r for r in records(**SMALL) if r.point.kind == "reference"]
    build(write(tmp_path / "results", held), tmp_path / "reports", **DRAWN)
    assert "no method has been run" in page(tmp_path / "reports")


def test_nothing_but_failures_is_said_honestly(tmp_path):
    reason = "RuntimeError: <b>boom</b> | in /home/me/x.py"
    held = [record(make_cell(), make_point("jeidnn", "budget=0.5", s), status="failed", reason=reason) for s in (0, 1)]
    held = [r.model_copy(update={"timings": {}}) for r in held]
    build(write(tmp_path / "results", held), tmp_path / "reports", **DRAWN)
    text = page(tmp_path / "reports")
    assert "No operating point has a result yet" in text
    assert r"&lt;b&gt;boom&lt;/b&gt; \| in x.py" in text


def test_no_records_at_all(tmp_path):
    (tmp_path / "results").mkdir()
    with pytest.raises(UserError, match="contains no records"):
        build(tmp_path / "results", tmp_path / "reports", **QUICK)


def test_names_are_escaped(tmp_path):
    held = records(methods=["a|b<script>[x=1]"], seeds=[0], budgets=[0.5], samples=40, backbone="$x$_{1}")
    out = tmp_path / "reports"
    build(write(tmp_path / "results", held), out, **TEXT)
    text = "".join(p.read_text() for p in [*out.rglob("*.md"), *out.rglob("*.html")])
    assert "<script>" not in text and r"a\|b&lt;script&gt;\[x=1\]" in text
    assert r"a\textbar{}b\textless{}script" in (out / "cifar100lt/x_1/tables/leaderboard.tex").read_text()


README = f"# Mine\r\n\r\nBefore.\r\n{BEGIN}\r\nold\r\n{END}\r\nAfter.\r\n"


def test_the_readme_gets_its_leaderboard_and_nothing_else_changes(tmp_path):
    out, results = tmp_path / "docs" / "reports", write(tmp_path / "results", records(**SMALL))
    readme = tmp_path / "README.md"
    readme.write_bytes(README.encode())
    build(results, out, **TEXT, readme=readme)
    text = readme.read_bytes().decode()
    assert text.startswith(f"# Mine\r\n\r\nBefore.\r\n{BEGIN}\n") and text.endswith(f"{END}\r\nAfter.\r\n")
    assert "\nold" not in text and f"(docs/reports/{CELL}/leaderboard.md)" in text and "| global_thresh |" in text
    assert "<sub>quality check not met</sub>" in text  # kept, and marked
    assert drift(results, out, **TEXT, readme=readme) == []
    readme.write_bytes(README.encode())
    assert drift(results, out, **TEXT, readme=readme) == [(readme, "differs")]
    build(results, out, **TEXT, readme=readme, only="cifar100lt")
    assert readme.read_bytes() == README.encode()  # it is about all settings


def test_a_readme_shows_only_the_first_methods_and_cells_that_count(tmp_path):
    held = [*records(**SMALL, methods=[f"m{i}" for i in range(7)]), *records(**SMALL, limit=9, bank_digest="c" * 16)]
    readme = tmp_path / "README.md"
    readme.write_text(f"{BEGIN}{END}")
    build(write(tmp_path / "results", held), tmp_path / "reports", **TEXT, readme=readme)
    text = readme.read_text()
    row = next(line for line in text.splitlines() if "lite0" in line)
    assert text.count("\n| ") == 3 and row.count("&nbsp;<sub>\\[") == 5 and row.count(" | ") == 2
    assert "limit 9" not in text


@pytest.mark.parametrize(
    ("p", "leading", "text"),
    [(0.01, True, "● m ▲ +1.00"), (0.2, False, "m +1.00"), (None, True, "● m +1.00")],
)
def test_a_readme_marks_the_leading_group_and_what_is_better_than_one_threshold(p, leading, text):
    own = Estimate(0.01, 0.005, 0.015, 0.002, 0.002, 0.002)
    against = Comparison("m", "global_thresh", own, p, p, p)
    method = SimpleNamespace(label="m", leading=leading, curve=SimpleNamespace(own=own), against_plain=against)
    assert readme._method(method) == f"{text}&nbsp;<sub>\\[+0.50,&nbsp;+1.50\\]</sub>"


def test_a_readme_without_a_place_for_it(tmp_path):
    results = write(tmp_path / "results", records(**SMALL))
    (tmp_path / "README.md").write_text(f"{END} {BEGIN}")
    with pytest.raises(UserError, match="has no leaderboard markers"):
        build(results, tmp_path / "reports", **TEXT, readme=tmp_path / "README.md")
    with pytest.raises(UserError, match="cannot be read"):
        build(results, tmp_path / "reports", **TEXT, readme=tmp_path / "NONE.md")


@pytest.mark.slow
def test_searches_stand_beside_the_leaderboard_of_their_bank_alone(tmp_path):
    from bench.tune.history import FOLDER
    from bench.tune.history import write as write_search
    from tests.helpers.searches import made
    from tests.helpers.searches import row as trial

    results, out = write(tmp_path / "results", records(**SMALL, methods=["jeidnn"])), tmp_path / "reports"
    known = {**QUICK, "formats": ("md", "csv", "svg")}
    trials = [trial(n, 0.6 + 0.02 * n, 0.5 + 0.02 * n, rate=0.01 * (n + 1), depth=n + 3) for n in range(6)]
    for of in ({"bank_digest": "b" * 16, "method": "jeidnn"}, {"bank_digest": "f" * 16, "method": "eenet"}):
        search = made(trials)
        search = search.model_copy(update={"subject": search.subject.model_copy(update=of)})
        path = results / FOLDER / f"{of['method']}.yaml"
        path.parent.mkdir(exist_ok=True)
        write_search(path, search)
    build(results, out, **known)
    assert "tuned values" in page(out) and "trial 5 beats the defaults" in page(out) and "eenet" not in page(out)
    assert "depth=8 is at the upper end of its range" in page(out)
    drawn = {p.name for p in (out / CELL / "figures").glob("search*")}
    assert drawn == {f"search--jeidnn.{e}" for e in ("svg", "csv")}
    table = (out / CELL / "tables" / "searches.csv").read_text().splitlines()
    assert len(table) == 2 and table[1].startswith("jeidnn,6 of 6,")
    assert drift(results, out, **known) == []
    (results / FOLDER / "jeidnn.yaml").unlink()
    build(results, out, **known)  # what was drawn of it goes too
    assert not list(out.rglob("search*")) and "Parameter searches" not in page(out)
