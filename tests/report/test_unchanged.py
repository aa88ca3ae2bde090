"""What a report makes again, and what it takes from its folder."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys

import pytest

from bench.report import files, inputs
from bench.report.build import build
from bench.report.check import drift
from bench.report.figures import file as rendering
from bench.report.request import PAGE, in_git, request_of
from bench.stats.resample import BootstrapConfig
from tests.helpers.records import at, records, write

SMALL = {"samples": 40, "seeds": [0, 1], "budgets": [0.3, 0.5]}
ONE, OTHER = "cifar100lt/efficientnet_lite0", "cifar100lt/resnet18"
KNOWN = {"formats": ("md", "csv", "latex"), "bootstrap": BootstrapConfig(100, 20)}


@pytest.fixture
def store(tmp_path):
    return write(tmp_path / "runs", [*records(**SMALL), *records(**SMALL, backbone="resnet18", bank_digest="c" * 16)])


@pytest.fixture
def out(tmp_path):
    return tmp_path / "runs" / "report"


@pytest.fixture
def made(monkeypatch):
    """The folders of the settings that were made since it was cleared."""
    found: list[str] = []
    original = files.cell_files

    def counted(report, formats):
        found.append(report.folder)
        return original(report, formats)

    monkeypatch.setattr(files, "cell_files", counted)
    return found


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def changed(store, folder):
    """Write a record of a setting again, with another score."""
    record = next(r for r in records(**SMALL) if at("jeidnn", 0.5, 0)(r))
    held = record.model_copy(update={"metrics": record.metrics | {"ece_mass15": 0.5}})
    path = next(store.glob(f"{folder}/*/{record.id}.json"))
    path.write_text(held.model_dump_json())


def test_nothing_is_made_again(store, out, made):
    paths = build(request_of(store, out, **KNOWN))
    assert sorted(made) == [ONE, OTHER]
    before = contents(out)
    made.clear()
    assert build(request_of(store, out, **KNOWN)) == paths and made == [] and contents(out) == before
    assert drift(request_of(store, out, **KNOWN)) == []


def test_a_report_anywhere_in_its_store_does_not_change_the_store(store, made):
    for name in ("report", "pages"):
        build(request_of(store, store / name, **KNOWN))
        made.clear()
        lines: list[str] = []
        build(request_of(store, store / name, **KNOWN), tell=lines.append)
        assert made == lines == []


def test_finding_that_nothing_changed_imports_nothing_heavy(store, out):
    build(request_of(store, out, formats=("md",)))
    code = """if True:
        import sys
        from bench.report.build import build
        from bench.report.request import request_of
        build(request_of(sys.argv[1], sys.argv[2], formats=("md",)), tell=sys.exit)
        sys.exit(" ".join({"numpy", "pandas", "matplotlib", "scipy", "pydantic", "torch"} & sys.modules.keys()) or 0)
    """
    found = subprocess.run(
        [sys.executable, "-c", code, str(store), str(out)], capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stderr) == (0, "")


def test_only_the_setting_that_changed_is_made_again(store, out, made):
    build(request_of(store, out, **KNOWN))
    before, lines = contents(out), []
    made.clear()
    changed(store, ONE)
    assert {path.parts[-1] for path, _ in drift(request_of(store, out, **KNOWN))} >= {"uncertainty.csv", "points.csv"}
    made.clear()
    build(request_of(store, out, **KNOWN), tell=lines.append)
    assert made == [ONE] and lines[:2] == [f"{ONE}: making …", f"{OTHER}: unchanged"]
    assert lines[2].startswith(f"{ONE}: made from 34 records in ") and len(lines) == 3
    after = contents(out)
    assert all(after[name] == before[name] for name in before if name.startswith(OTHER))
    shutil.rmtree(out)
    build(request_of(store, out, **KNOWN))  # what was kept changes no byte
    assert {k: v for k, v in contents(out).items() if ".state" not in k} == {
        k: v for k, v in after.items() if ".state" not in k
    }


def test_files_with_new_times_alone_are_read_and_nothing_is_made(store, out, made):
    build(request_of(store, out, **KNOWN))
    made.clear()
    for path in store.glob("*/*/*/*.json"):
        os.utime(path, (1, 1))
    build(request_of(store, out, **KNOWN))
    assert made == []


@pytest.mark.slow
def test_force_makes_everything_again(store, out, made):
    build(request_of(store, out, **KNOWN))
    before = contents(out)
    made.clear()
    build(request_of(store, out, **KNOWN), force=True)
    assert sorted(made) == [ONE, OTHER] and contents(out) == before


def test_files_that_were_edited_or_deleted_are_made_again(store, out, made):
    build(request_of(store, out, **KNOWN))
    before = contents(out)
    made.clear()
    (out / ONE / "tables" / "points.csv").write_text("edited")
    (out / "README.md").unlink()
    build(request_of(store, out, **KNOWN))
    assert made == [ONE] and contents(out) == before


@pytest.mark.parametrize("damage", ["", "{}", '{"key": 1}\n{}\n', "\xff"])
def test_a_damaged_state_is_as_good_as_none(store, out, made, damage):
    build(request_of(store, out, **KNOWN))
    before = contents(out)
    made.clear()
    (out / ".state" / "index.json").write_text(damage)
    (out / ".state" / f"{ONE}.json").write_text(damage)
    build(request_of(store, out, **KNOWN))
    assert made == [ONE] and contents(out) == before


def test_other_code_of_reports_makes_everything_again(store, out, made, monkeypatch, tmp_path):
    build(request_of(store, out, **KNOWN))
    made.clear()
    code = tmp_path / "bench"
    shutil.copytree(os.path.dirname(inputs.bench.__file__), code, ignore=shutil.ignore_patterns("__pycache__"))  # noqa: PTH120
    monkeypatch.setattr(inputs.bench, "__file__", str(code / "__init__.py"))
    build(request_of(store, out, **KNOWN))
    assert made == []  # the same code elsewhere
    with (code / "executors" / "ray.py").open("a") as file:
        file.write("# has no part in reports\n")
    build(request_of(store, out, **KNOWN))
    assert made == []
    with (code / "stats" / "summary.py").open("a") as file:
        file.write("# may decide a number\n")
    build(request_of(store, out, **KNOWN))
    assert sorted(made) == [ONE, OTHER]


def test_a_setting_is_made_again_if_its_code_is_no_longer_accepted(store, out, made, monkeypatch):
    from bench.report import summary

    build(request_of(store, out, **KNOWN))
    made.clear()
    monkeypatch.setattr(summary, "made_by_other_code", lambda point: point.method == "jeidnn")
    monkeypatch.setattr("bench.report.build.unchanged", lambda request, state: None)
    build(request_of(store, out, **KNOWN))
    assert sorted(made) == [ONE, OTHER]


def test_other_draws_make_everything_again(store, out, made):
    build(request_of(store, out, **KNOWN))
    made.clear()
    build(request_of(store, out, **KNOWN | {"bootstrap": BootstrapConfig(100, 30)}))
    assert sorted(made) == [ONE, OTHER]


def test_a_setting_that_is_gone_leaves_nothing_behind(store, out):
    build(request_of(store, out, **KNOWN))
    (out / OTHER / "mine.txt").write_text("mine")
    shutil.rmtree(store / OTHER)
    build(request_of(store, out, **KNOWN))
    assert [p.name for p in (out / OTHER).iterdir()] == ["mine.txt"] and not (out / ".state" / f"{OTHER}.json").exists()


@pytest.mark.slow
def test_a_clone_has_only_what_is_in_git_and_agrees(store, tmp_path, made, monkeypatch):
    monkeypatch.setattr(rendering, "render", lambda figure, form: form.encode())
    first, clone = tmp_path / "reports", tmp_path / "clone"
    build(request_of(store, first, **KNOWN | {"formats": (*PAGE, "latex")}))
    for name in filter(lambda n: in_git(n) or n == "files.json", contents(first)):
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(first / name, clone / name)
    made.clear()
    before = contents(clone)
    assert not any(".state" in name or name.endswith(".tex") for name in before)
    assert drift(request_of(store, clone, **KNOWN | {"formats": PAGE})) == []
    assert sorted(made) == [ONE, OTHER] and contents(clone) == before
    (clone / ONE / "leaderboard.md").write_text("edited")
    assert drift(request_of(store, clone, **KNOWN | {"formats": PAGE})) == [(clone / ONE / "leaderboard.md", "differs")]


def test_records_of_several_stores_meet_in_one_table(store, tmp_path):
    mine = write(tmp_path / "mine", records(**SMALL, methods=["mine"], references=False))
    out = tmp_path / "both"
    build(request_of([mine, store], out, **KNOWN))
    text = (out / ONE / "leaderboard.md").read_text()
    assert "| mine |" in text and "| jeidnn |" in text and "published" not in text
    assert not (mine / "report").exists() and not (store / "report").exists()


def test_records_of_a_published_store_are_flagged_and_ones_own_count(store, tmp_path):
    own = records(**SMALL, methods=["mine", "jeidnn"], references=False)
    mine = write(tmp_path / "mine", own)
    out = mine / "report"
    build(request_of(mine, out, against=[store], **KNOWN))
    lines = (out / ONE / "leaderboard.md").read_text().splitlines()
    flagged = {
        name: "published" in next(li for li in lines if f"| {name} |" in li)
        for name in ("mine", "jeidnn", "msdnet_thresh")
    }
    assert flagged == {"mine": False, "jeidnn": False, "msdnet_thresh": True}


def test_nothing_is_written_outside_the_folder(store, out, tmp_path):
    def state():
        return {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file() and out not in p.parents}

    for name in ("reports/README.md", f"reports/{ONE}/leaderboard.md", "README.md", "results/mine.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("<!-- leaderboard --><!-- /leaderboard -->")
    before = state()
    build(request_of(store, out, **KNOWN))
    shutil.rmtree(store / OTHER)
    build(request_of(store, out, **KNOWN))
    assert state() == {path: time for path, time in before.items() if path.exists()} and len(state()) < len(before)


def test_a_report_needs_no_network(store, out, monkeypatch):
    def refused(*args, **known):
        raise AssertionError("a report reached for the network")

    monkeypatch.setattr(socket, "socket", refused)
    monkeypatch.setattr(socket, "create_connection", refused)
    assert build(request_of(store, out, **KNOWN))
