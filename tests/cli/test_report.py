"""`bench report` as a user has it."""

from __future__ import annotations

import json
import re

import pytest

from tests.helpers.records import records, write

SMALL = {"samples": 40, "seeds": [0, 1], "budgets": [0.5]}


@pytest.fixture
def stored(tmp_path):
    return write(tmp_path / "results", records(**SMALL))


def test_write_check_drift(bench, tmp_path, stored):
    (tmp_path / "README.md").write_text("<!-- leaderboard -->\n<!-- /leaderboard -->\n")
    quick = ["--format", "md,latex"]
    done = bench("report", *quick)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "Report: reports/README.md"
    assert done.stdout.startswith("cifar100lt/efficientnet_lite0: ")
    assert "| global_thresh |" in (tmp_path / "README.md").read_text()
    same = bench("report", "--check", *quick)
    assert (same.returncode, same.stdout) == (0, "'reports' agrees with the records.\n")
    write(stored, records(**{**SMALL, "seeds": [2]}))
    (tmp_path / "reports" / "files.json").write_text('["old.md"]')
    (tmp_path / "reports" / "old.md").write_text("old")
    drifted = bench("report", "--check", *quick)
    assert drifted.returncode == 3
    for line in ("differs: reports/README.md", "stale: reports/old.md"):
        assert line in drifted.stdout
    assert "README.md" in drifted.stdout.splitlines()[0] and "Run `bench report`" in drifted.stdout
    assert (tmp_path / "reports" / "old.md").is_file()


def test_a_readme_is_left_alone_without_markers_and_unless_beside_the_reports(bench, tmp_path, stored):
    (tmp_path / "README.md").write_text("# Mine\n")
    assert bench("report", "--format", "md").returncode == 0
    assert (tmp_path / "README.md").read_text() == "# Mine\n"
    named = bench("report", "--format", "md", "--readme", "README.md")
    assert named.returncode == 2 and "has no leaderboard markers" in named.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--format", "pdf"], "There is no format 'pdf'"),
        (["--only", "cifar100lt/resnet"], "No record belongs to 'cifar100lt/resnet'"),
        (["--readme", "/no/such"], "/no/such"),
        (["no/such"], "no/such"),
        (["--style", "papr"], "Did you mean 'paper'"),
        (["--style", "paper", "--format", "md"], "leave --format and --check out"),
    ],
)
def test_mistakes_are_sentences(bench, stored, words, says):
    done = bench("report", *words)
    assert done.returncode == 2 and says in done.stderr and "Traceback" not in done.stderr


def test_a_store_of_ones_own_has_its_report_within(bench, tmp_path, stored):
    runs = write(tmp_path / "runs", records(**SMALL, methods=["mine"]))
    before = sorted(path for path in tmp_path.rglob("*") if runs not in path.parents)
    quick = ["--format", "md"]
    assert bench("report", "runs", *quick).stdout.splitlines()[-1] == "Report: runs/report/README.md"
    again = bench("report", "-o", "runs", *quick)
    assert again.returncode == 0 and again.stdout == "Report: runs/report/README.md\n"
    told = bench("report", "--results", "runs", *quick, "--json")
    assert json.loads(told.stdout)["report"] == "runs/report/README.md" and "unchanged" not in told.stdout
    beside = bench("report", "--against", "results", *quick)
    assert beside.returncode == 0 and sorted(p for p in tmp_path.rglob("*") if runs not in p.parents) == before
    page = (runs / "report" / "cifar100lt" / "efficientnet_lite0" / "leaderboard.md").read_text()
    assert "| mine |" in page and "published" in next(line for line in page.splitlines() if "| jeidnn |" in line)


def test_figures_for_a_paper_are_as_wide_as_a_column(bench, tmp_path, stored):
    done = bench("report", "--style", "paper", "--json")
    assert done.returncode == 0, done.stderr
    files = json.loads(done.stdout)["files"]
    folder = "reports/paper/cifar100lt/efficientnet_lite0"
    assert files == [f"{folder}/{name}.pdf" for name in ("gain", "accuracy", "ece", "set_size", "comparison")]
    for file in files:
        content = (tmp_path / file).read_bytes()
        (width,) = set(re.findall(rb"/MediaBox \[ 0 0 ([\d.]+) ", content))
        assert content.startswith(b"%PDF") and float(width) == pytest.approx(3.35 * 72)
