"""`bench show`: the leaderboard in the terminal, with the numbers of the report."""

from __future__ import annotations

import bz2
import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import PurePosixPath
from types import SimpleNamespace

import pytest

from bench.cli import leaderboard, terminal
from bench.report.build import build
from bench.report.cells import Address
from bench.report.request import request_of
from bench.report.statistics import read
from bench.report.stored import named
from tests.helpers.figures import report
from tests.helpers.paths import ROOT
from tests.helpers.records import records, write

LONG = "jeidnn[preset=paper,lambda_points=40,heads=boosted]"
METHODS = ["entropy_thresh", "msdnet_thresh", LONG]
GRID = {"samples": 40, "seeds": range(6), "budgets": [0.3, 0.5], "methods": METHODS, "lift": 0.3}
FIRST, OTHER = "cifar100lt/efficientnet_lite0", "cifar100lt/resnet18"
OWN = re.compile(r"[+−]?\d+\.\d\d \[[+−]?\d+\.\d\d, [+−]?\d+\.\d\d\]")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Two settings, one of them of few seeds, with their report."""
    few = records(**{**GRID, "seeds": [0]}, backbone="resnet18", bank_digest="c" * 16)
    folder = write(tmp_path_factory.mktemp("show") / "runs", [*records(**GRID), *few])
    build(request_of(folder, folder / "report", formats=("csv",)))
    return folder


def table(folder, name="leaderboard"):
    with (folder / "tables" / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def same(value: object, text: str) -> bool:
    """Whether a value of the JSON is what the CSV of the report has."""
    return text == "" if value is None else (text == value if isinstance(value, str) else float(text) == float(value))


def test_every_number_is_that_of_the_report_and_nothing_is_computed_again(bench, store):
    done = bench("show", FIRST, "--results", store, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    known = table(store / "report" / FIRST)
    rows = {row["method"]: row for row in found["rows"]}
    assert [row["method"] for row in found["rows"] if row["method"] != "plain backbone"] == [r["method"] for r in known]
    assert len(known) == 5
    for wanted in known:
        assert {
            key: rows[wanted["method"]][key] for key in wanted if not same(rows[wanted["method"]][key], wanted[key])
        } == {}
    for wanted in table(store / "report" / FIRST, "budgets"):
        assert same(rows[wanted["method"]]["accuracy@0.5"], wanted["accuracy@0.5"])
    last = next(row for row in table(store / "report" / FIRST, "points") if row["point"] == "exit=5")
    plain = rows["plain backbone"]
    assert same(plain["accuracy@1"], last["accuracy"]) and plain["cost@0"] == 1.0 and plain["own"] is None
    leading = {row["method"] for row in found["rows"] if row.get("method_highlight") in ("leading", "best")}
    assert {one["method"] for one in found["leading"]} == leading != set()


@pytest.mark.parametrize("width", [40, 80, 200])
def test_numbers_are_whole_and_names_wrap_on_any_terminal(bench, store, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    done = bench("show", "cifar100lt/eff", "--results", store)
    assert done.returncode == 0 and max(map(len, done.stdout.splitlines())) <= max(width, 45)
    assert "…" not in done.stdout
    known = table(store / "report" / FIRST)
    shown = [found[0] for line in done.stdout.splitlines() if (found := OWN.findall(line))]
    values = [float(text.split(" ")[0].replace("−", "-")) for text in shown]
    assert values == pytest.approx([100 * float(row["own"]) for row in known], abs=0.00501)
    assert (LONG if width == 200 else "jeidnn[") in done.stdout and "backbone  " in done.stdout
    assert ("Left out at" in done.stdout) == (width < 200) and ("NAUC" in done.stdout)
    assert "● " in done.stdout and "leading group" in done.stdout


def test_all_settings_with_their_leading_groups(bench, store):
    done = bench("show", "--results", store)
    assert done.returncode == 0
    first, other = done.stdout.split(f"{OTHER}\n")
    assert "6 seeds" in first and "leading (" in first and "quality checks" in first
    assert "1 seed, 3 of 4 quality checks passed, the others not judged" in " ".join(other.split())
    assert "no ranks; first by own gain: " in other
    found = json.loads(bench("show", "--results", store, "--json").stdout)
    assert [one["setting"] for one in found] == [FIRST, OTHER]
    assert [bool(one["leading"]) for one in found] == [True, False]
    assert {check["outcome"] for check in found[0]["quality"]} <= {"passed", "failed", "not judged"}
    assert "Fewer than 6 seeds: no ranks." in " ".join(bench("show", "resnet", "--results", store).stdout.split())


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["cifar"], f"'cifar' matches 2 settings: {FIRST}, {OTHER}"),
        (["cifar100lt/resnet81"], f"Did you mean '{OTHER}'"),
        (["--results", "no/such"], "'no/such' does not exist"),
        ([FIRST, "--budget", "0.2"], "has no budget within 0.2. Its budgets: 0.3, 0.5."),
        (["--budget", "0.5"], "--budget needs a setting"),
    ],
)
def test_mistakes_are_sentences(bench, store, words, says):
    done = bench("show", "--results", store, *words)
    assert done.returncode == 2 and says in " ".join(done.stderr.split()) and not done.stdout


@pytest.mark.parametrize(
    ("words", "found"), [("data", "data/net"), ("data/", "data/net"), ("netlong", "datalong/netlong")]
)
def test_a_whole_name_is_preferred_to_the_beginning_of_another(words, found):
    assert named(words, ["data/net", "datalong/netlong"]) == found


def test_statistics_are_computed_once(bench, tmp_path):
    held = records(**{**GRID, "seeds": [0]})
    write(tmp_path / "runs", held[:-1])
    words = ["show", "cifar", "--results", "runs"]
    assert "made from" in bench(*words).stderr
    assert bench(*words).stderr == "" and {p.name for p in tmp_path.iterdir()} == {"runs"}
    write(tmp_path / "runs", held)
    assert "made from" in bench(*words).stderr


def test_a_clone_shows_the_statistics_of_its_report(bench, store, tmp_path, monkeypatch):
    shutil.copytree(store, tmp_path / "runs", ignore=shutil.ignore_patterns(".state"))
    words = ["show", FIRST, "--results", tmp_path / "runs", "--json"]
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    known = bench("show", FIRST, "--results", store, "--json").stdout
    assert (bench(*words).stderr, bench(*words).stdout) == ("", known)
    path = tmp_path / "runs" / "report" / FIRST / "statistics.json.bz2"
    key, text = bz2.decompress(path.read_bytes()).split(b"\n", 1)
    where = Address(PurePosixPath(FIRST), "")
    for damaged in (key + b"\n[]", b""):
        path.write_bytes(bz2.compress(damaged))
        assert read([store / "none", tmp_path / "runs" / "report"], where, key.decode()) is None
    path.write_bytes(bz2.compress(b"0" * 64 + b"\n" + text))
    assert "made from" in bench(*words).stderr


def test_one_budget_has_the_numbers_of_the_report(bench, store, monkeypatch):
    told = json.loads(bench("show", FIRST, "--results", store, "--budget", "0.6", "--json").stdout)
    assert told["budget"] == 0.5 and told["setting"] == FIRST and "leading" not in told
    rows = {row["method"]: row for row in told["rows"]}
    assert list(rows)[3:] == ["static hull", "plain backbone", "oracle"]
    gains = [row["gain"] for row in list(rows.values())[:3]]
    assert gains == sorted(gains, reverse=True) and any(row["method_highlight"] == "leading" for row in rows.values())
    for wanted in table(store / "report" / FIRST, "budgets"):
        found = rows[wanted["method"]]
        for key in ("accuracy@0.5", "accuracy@0.5_low", "accuracy@0.5_high", "gain@0.5"):
            assert same(found[key.replace("@0.5", "")], wanted[key]), key
    for wanted in table(store / "report" / FIRST, "costs"):
        assert same(rows[wanted["method"]]["cost"], wanted["cost@0.5"])
    for wanted in table(store / "report" / FIRST, "uncertainty"):
        if wanted["budget"] == "0.5" and wanted["method"] != "plain backbone":
            keys = ("ece_mass15", "set_size_lac@0.05")
            assert [same(rows[wanted["method"]][key], wanted[key]) for key in keys] == [True, True]
    monkeypatch.setenv("COLUMNS", "80")
    text = bench("show", FIRST, "--results", store, "--budget", "0.6").stdout
    assert "The largest budget within 0.6 that was measured is 0.5." in text and " ECE" in text
    assert "was measured" not in bench("show", FIRST, "--results", store, "--budget", "0.3").stdout
    few = bench("show", OTHER, "--results", store, "--budget", "1").stdout
    assert "Fewer than 6 seeds: no ranks." in " ".join(few.split())


@pytest.mark.slow
def test_the_published_leaderboard_is_the_committed_one(bench):
    setting = "banking77/minilm_l6_joint_banking77"
    rows = json.loads(bench("show", setting, "--results", ROOT / "results", "--json").stdout)["rows"]
    known = table(ROOT / "reports" / setting)
    held = [row for row in rows if row["method"] != "plain backbone"]
    wrong = [(a["method"], k) for a, b in zip(held, known, strict=True) for k in b if not same(a[k], b[k])]
    assert wrong == []


def test_neither_torch_nor_matplotlib_is_imported(environment, store):
    code = (
        "import sys; from bench.cli import app; app(['show', 'cifar100lt/eff', '--results', sys.argv[1]], "
        "standalone_mode=False); print(sorted({'torch', 'matplotlib', 'sklearn', 'plotly'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(store)], capture_output=True, text=True, env=environment)
    assert done.stdout.splitlines()[-1] == "[]", done.stdout + done.stderr


def test_a_minus_never_becomes_a_question_mark(monkeypatch):
    monkeypatch.setattr(terminal.sys, "stdout", SimpleNamespace(encoding="latin-1"))
    assert terminal.signs("−1.07 [−1.72, ∞] ▼") == "-1.07 [-1.72, inf] v"
    monkeypatch.setattr(terminal.sys, "stdout", SimpleNamespace(encoding="utf-8"))
    assert terminal.signs("−1.07") == "−1.07"


def test_why_accuracy_falls_is_said_where_the_last_exit_is_not_the_best():
    def exits(*accuracies: float) -> SimpleNamespace:
        points = [SimpleNamespace(accuracy=SimpleNamespace(value=a), cost=SimpleNamespace(value=(k + 1) / 3))
                  for k, a in enumerate(accuracies)]  # fmt: skip
        return SimpleNamespace(exits=points)

    said = leaderboard.overthinking(exits(0.7, 0.912, 0.8))
    assert "the last exit (80.0 %)" in said and "cost 0.67 (91.2 %)" in said and "overthinking" in said
    assert leaderboard.overthinking(exits(0.7, 0.8, 0.7998)) == leaderboard.overthinking(exits()) == ""


def test_methods_can_be_limited(capsys):
    cell = report(records(**GRID)).cells[0]
    leaderboard.show(cell, {"msdnet_thresh"})
    printed = capsys.readouterr().out
    assert printed.startswith(cell.name) and " px" in cell.name and "\n1 method, 6 seeds" in printed
    assert "msdnet_thresh" in printed and "entropy_thresh  " not in printed and "static hull" in printed
    told = leaderboard.as_json(cell, {"msdnet_thresh"})["rows"]
    assert [row["method"] for row in told] == ["msdnet_thresh", "static hull", "plain backbone", "oracle"]
    everything = leaderboard.as_json(cell)["rows"]
    assert [row for row in everything if row["method"] == "msdnet_thresh"] == told[:1]
