from __future__ import annotations

import csv
import io

import pandas as pd
import pytest
from bench.report.figures import PLOTS, figure_data
from synthetic import FULL_MACS, records, row

from bench.errors import UserError
from bench.report import build
from bench.report.aggregate import Estimate, aggregate
from bench.report.cells import split_cells
from bench.report.style import COLOURS, looks
from bench.report.table import Column, Table, leaderboard
from bench.report.text import escape, number

CELL = "cifar100lt/efficientnet_lite0"


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_the_files_of_a_report(tmp_path):
    paths = build(records(), tmp_path)
    names = {"leaderboard.md", "leaderboard.csv"} | {
        f"{n}.{e}" for n in ("accuracy", "ece", "set_size") for e in ("svg", "png", "csv")
    }
    assert {str(p.relative_to(tmp_path)) for p in paths} == {"README.md"} | {f"{CELL}/{n}" for n in names}
    assert paths == sorted(paths) and all(p.is_file() for p in paths)
    assert f"({CELL}/leaderboard.md)" in (tmp_path / "README.md").read_text()
    page = (tmp_path / CELL / "leaderboard.md").read_text()
    assert "The grid is complete" in page and "not the official images" in page
    assert all(f"({n}.svg)" in page for n in ("accuracy", "ece", "set_size"))
    assert str(tmp_path) not in page


def test_order_of_rows_changes_no_byte(tmp_path):
    frame = pd.concat([records(), records(limit=200.0)])
    build(frame, tmp_path / "a")
    build(frame.sample(frac=1.0, random_state=3), tmp_path / "b")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_svg_holds_no_date_and_no_random_ids(tmp_path):
    build(records(methods=["jeidnn"], budgets=[0.5]), tmp_path)
    text = (tmp_path / CELL / "accuracy.svg").read_text()
    assert "<dc:date>" not in text and "Matplotlib v" not in text


@pytest.mark.parametrize("with_references", [True, False])
def test_one_method_one_seed_one_budget(tmp_path, with_references):
    frame = records(methods=["jeidnn"], seeds=[0], budgets=[0.5])
    frame = frame if with_references else frame[frame["kind"] == "method"]
    build(frame, tmp_path)
    page = (tmp_path / CELL / "leaderboard.md").read_text()
    assert "1 seed (0)" in page
    line = next(x for x in page.splitlines() if x.startswith("| jeidnn"))
    assert "±" not in line and "**" not in line and "≈" not in line
    assert (tmp_path / CELL / "accuracy.png").is_file()


def test_references_without_any_budget():
    frame = pd.DataFrame([row(kind="reference", method="static", point="exit=0", budget=None, accuracy=0.5)])
    (found,) = aggregate(split_cells(frame)[0])
    assert found.budget is None and found.estimate("accuracy").mean == 0.5


def test_only_references(tmp_path):
    frame = records(seeds=[0])
    build(frame[frame["kind"] == "reference"], tmp_path)
    assert "no method has been run" in (tmp_path / CELL / "leaderboard.md").read_text()


def test_nothing_but_failures_is_said_honestly(tmp_path):
    rows = [row(status="failed", reason="RuntimeError: <b>boom</b> | in /home/me/x.py", seed=s) for s in (0, 1)]
    paths = build(pd.DataFrame(rows), tmp_path)
    assert {p.name for p in paths} == {"README.md", "leaderboard.md", "leaderboard.csv"}
    page = (tmp_path / CELL / "leaderboard.md").read_text()
    assert "No operating point has a result yet" in page
    assert r"&lt;b&gt;boom&lt;/b&gt; \| in x.py" in page
    assert "failed" in next(x for x in page.splitlines() if x.startswith("| jeidnn"))


def test_gaps_are_told_from_infeasible_points(tmp_path):
    frame = records(methods=["jeidnn"], seeds=[0, 1], budgets=[0.3, 0.5])
    frame.loc[(frame["budget"] == 0.3) & (frame["seed"] == 0), "status"] = "infeasible"
    build(frame, tmp_path)
    page = (tmp_path / CELL / "leaderboard.md").read_text()
    assert "complete: 2 operating points × 2 seeds. Of these, 1 cannot meet" in page
    build(frame[~((frame["budget"] == 0.5) & (frame["seed"] == 1))], tmp_path)
    page = (tmp_path / CELL / "leaderboard.md").read_text()
    assert "**The grid is incomplete: 3 of 4 results**" in page and "incomplete 1/2 seeds, infeasible 1/2" in page


def test_no_records_at_all(tmp_path):
    assert build(pd.DataFrame([row()]).iloc[:0], tmp_path) == [tmp_path / "README.md"]
    assert "no records yet" in (tmp_path / "README.md").read_text()


def test_names_are_escaped(tmp_path):
    build(records(methods=["a|b<script>[x=1]"], seeds=[0], budgets=[0.5], backbone="$x$_{1}"), tmp_path)
    text = "".join(p.read_text() for p in tmp_path.rglob("*.md"))
    assert "<script>" not in text and r"a\|b&lt;script&gt;\[x=1\]" in text


def test_only_writes_one_cell(tmp_path):
    frame = pd.concat([records(seeds=[0]), records(seeds=[0], backbone="resnet18")])
    paths = build(frame, tmp_path, only="cifar100lt/resnet18")
    assert {p.parent.name for p in paths} == {"resnet18", tmp_path.name}
    assert "(not built)" in (tmp_path / "README.md").read_text()
    assert len(build(frame, tmp_path, only="cifar100lt")) == 23
    with pytest.raises(UserError, match="Did you mean 'cifar100lt/resnet18'"):
        build(frame, tmp_path, only="cifar100lt/resnet17")


def test_cells_of_one_name_get_folders_of_their_own_and_stale_ones_go(tmp_path):
    build(records(seeds=[0]), tmp_path)
    (tmp_path / CELL / "notes.txt").write_text("mine")
    build(pd.concat([records(seeds=[0]), records(seeds=[0], limit=50.0)]), tmp_path)
    folders = {p.parent.name for p in tmp_path.rglob("leaderboard.md")}
    assert folders == {"efficientnet_lite0--full", "efficientnet_lite0--limit50"}
    assert [p.name for p in (tmp_path / CELL).iterdir()] == ["notes.txt"]
    limited = (tmp_path / "cifar100lt" / "efficientnet_lite0--limit50" / "leaderboard.md").read_text()
    assert "LIMIT 50" in limited


def test_leaderboard_numbers_and_marks():
    (cell,) = split_cells(records(seeds=(0, 1, 2)))
    rows = aggregate(cell)
    table = leaderboard(rows, cell.num_exits)
    lines = list(csv.DictReader(io.StringIO(table.csv())))
    assert len(rows) == 12 + 6 + 2 * 4 + 1
    random, lines = lines[len(rows) :], lines[: len(rows)]
    assert len(random) == 12 and all(line["method"].startswith("random, shares of ") for line in random)
    dealt = next(line for line in random if line["method"].endswith(rows[0].method))
    assert float(dealt["accuracy"]) == pytest.approx(rows[0].estimate("accuracy_random").mean, abs=1e-9)
    assert float(dealt["macs_fraction"]) == pytest.approx(rows[0].estimate("macs_fraction").mean, abs=1e-9)
    first = rows[0].estimate("accuracy")
    assert float(lines[0]["accuracy"]) == pytest.approx(first.mean, abs=1e-9)
    assert float(lines[0]["accuracy_ci95"]) == pytest.approx(first.half, rel=1e-6)
    assert lines[-1]["ece_mass15"] == lines[-1]["gain_random"] == ""
    last, hull = lines[17], lines[18]
    assert (hull["method"], hull["budget"], hull["gain_random"], hull["ece_mass15"]) == ("hull", "0.3", "", "")
    assert last["method"] == "static, exit 5 (plain backbone)"
    assert float(last["gmacs"]) == pytest.approx(FULL_MACS / 1e9)
    text = table.markdown()
    assert f"**{100 * first.mean:.2f} ± {100 * first.half:.2f}**" in text
    assert "≈" in text
    assert len({line.count(" | ") for line in text.splitlines() if line.startswith("|")}) == 1


def test_table_forms():
    table = Table(
        [Column("name", "Name|x"), Column("v", "V %", 1, 100, half=True)],
        [
            {"name": "a,b", "v": Estimate(0.5, 0.01, 3)},
            {"name": "c", "v": Estimate(-0.0001, float("nan"), 1)},
            {"name": "d"},
        ],
        marks={(0, "v"): "best"},
    )
    assert table.markdown().splitlines()[2:] == ["| a,b | **50.0 ± 1.0** |", "| c | 0.0 |", "| d | – |"]
    assert table.markdown().startswith("| Name\\|x | V % |\n| --- | --: |")
    assert table.csv() == 'name,v,v_ci95\n"a,b",0.5,0.01\nc,-0.0001,\nd,,\n'


def test_escape_and_number():
    assert escape("msdnet_thresh _x_ a*b\n<i>") == r"msdnet_thresh \_x\_ a\*b &lt;i&gt;"
    assert number(None, 2) == "–"
    assert number(Estimate(0.12345, 0.001, 3), 2, 100, half=True) == "12.35 ± 0.10"


def test_figure_data_is_what_the_table_says():
    (cell,) = split_cells(records())
    rows = aggregate(cell)
    accuracy, ece, _ = (figure_data(rows, plot) for plot in PLOTS)
    assert len(accuracy) == 23 and len(ece) == 18  # hull and oracle have no calibration
    drawn = [r for r in rows if r.method != "random"]
    assert accuracy["accuracy"].tolist() == [r.estimate("accuracy").mean for r in drawn]
    assert accuracy["complete"].all()


def test_looks_stay_with_their_methods():
    few, many = looks(["jeidnn", "mine"]), looks(["other", "mine", "msdnet_thresh", "jeidnn"])
    assert few["jeidnn"] == many["jeidnn"]
    assert len({m.colour for m in looks([f"m{i}" for i in range(6)]).values()}) == len(COLOURS)
    assert len(set(looks([f"m{i}" for i in range(18)]).values())) == 18
