"""The page of findings says what the published records say."""

from __future__ import annotations

import functools
import importlib
import re
import sys

import numpy as np
import pandas as pd
import pytest

import bench
from tests.helpers.paths import ROOT

sys.path.insert(0, str(ROOT / "studies"))
findings = importlib.import_module("findings")
figures = importlib.import_module("findings_figures")
heads = importlib.import_module("heads")
sys.path.remove(str(ROOT / "studies"))


@pytest.fixture(scope="module", autouse=True)
def _records_once():
    """Read the records of a setting once for all tables and figures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench, "load_records", functools.cache(bench.load_records))
        yield


@pytest.fixture(scope="module")
def page() -> str:
    return findings.PAGE.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def tables() -> dict[str, str]:
    return findings.tables()


def test_the_tables_are_those_of_the_records(page, tables):
    assert findings.write(page, tables) == page


def test_every_number_of_the_text_is_in_the_tables_or_the_leaderboard(page, tables):
    boards = [
        ROOT / "reports" / name / "tables" / "leaderboard.csv"
        for name in (*findings.SETTINGS, findings.JOINT, findings.JOINT_IMAGES)
    ]
    board = pd.concat([pd.read_csv(path) for path in boards])
    known = set(re.findall(r"\d+\.\d+", "".join([*tables.values(), *heads.tables(pd.read_csv(heads.DATA)).values()])))
    columns = ["own", "plain_difference", "plain_difference_low", "plain_difference_high"]
    known |= {f"{abs(100 * value):.2f}" for value in board[columns].to_numpy().ravel()}
    known |= {f"{b:g}" for b in findings.BUDGETS}
    known |= {f"{value:.3f}" for value in board["plain_p_holm"]}
    prose = re.sub(r"<!-- table .*?<!-- end -->", "", page, flags=re.S)
    assert set(re.findall(r"\d+\.\d+", prose)) <= known


def test_no_method_is_significantly_better_than_one_threshold(page):
    board = pd.read_csv(ROOT / "reports" / findings.SETTING / "tables" / "leaderboard.csv")
    compared = board[board["plain_difference"].notna() & ~board["flags"].str.contains("reference")]
    assert f"of {len(compared)} compared" in page
    assert not ((compared["plain_difference"] > 0) & (compared["plain_p_holm"] < 0.05)).any()


def test_what_the_text_says_of_groups_and_differences(page):
    boards = {
        name: pd.read_csv(ROOT / "reports" / name / "tables" / "leaderboard.csv").set_index("method")
        for name in findings.SETTINGS
    }
    texts = boards["clinc150/minilm_l6"]
    assert f"has {(texts['method_highlight'] == 'leading').sum()} of {texts['rank'].notna().sum()} methods" in page
    tuned = boards[findings.CLAIMS]
    assert tuned.loc["eefp", "plain_difference"] > 0 and tuned.loc["eefp", "plain_p_holm"] > 0.05
    better = tuned[(tuned["plain_difference"] > 0) & (tuned["plain_p_holm"] < 0.05)]
    assert better.index.tolist() == ["per_class_thresh"]
    best = boards["cifar100/efficientnet_lite0_tuned_cifar100"]
    assert (
        best["rank"].iloc[0] == "1" and best.index[0] == "ztw" and f"the {best['rank'].notna().sum() - 1} other" in page
    )
    assert (best.loc[["eefp", "margin_thresh"], "plain_p_holm"] < 0.05).all()
    for name in ("cifar100/efficientnet_lite0_tuned_cifar100", "caltech101/efficientnet_lite0"):
        assert (
            boards[name].loc["jeidnn", "plain_p_holm"]
            > 0.05
            > boards[name].loc["jeidnn[scheme=subsequent]", "plain_p_holm"]
        )
    assert (boards["caltech101/efficientnet_lite0"].loc[["eefp", "margin_thresh"], "plain_p_holm"] > 0.05).all()
    ours = tuned.loc["jeidnn"]
    assert ours["plain_difference_low"] < 0 < ours["plain_difference"]
    for board in boards.values():
        assert board.loc["jeidnn", "own"] > board.loc["jeidnn[scheme=subsequent]", "own"]


def test_every_numbered_claim_has_a_panel_and_the_page_shows_it(page):
    sections = re.split(r"^## ", re.sub(r"<!-- table .*?<!-- end -->", "", page, flags=re.S), flags=re.M)[1:]
    others = ("jeidnn", "heads", "tuned")  # figures of sections whose claims have no numbers
    claims = {name: re.findall(r"^(\d+)\. ", text, flags=re.M) for text in sections
              for name in re.findall(r"\(findings/(\w+)\.png\)", text) if name not in others}  # fmt: skip
    assert {name: [title for title in panels if title.isdigit()] for name, panels in figures.FIGURES.items()} == {
        **claims,
        "jeidnn": [],
        "tuned": [],
    }
    numbered = [text.partition("\n")[0] for text in sections if re.search(r"^\d+\. ", text, flags=re.M)]
    assert len(numbered) == len(claims) and "(findings/jeidnn.png)" in page


def test_a_figure_of_claims_is_drawn(tmp_path):
    path = figures.draw("joint", tmp_path)
    assert path.read_bytes() == (figures.FOLDER / "joint.png").read_bytes()


def test_a_gain_is_measured_from_the_upper_hull():
    rows = [("static", "static", None, k, c, a) for k, (c, a) in enumerate([(0.2, 0.5), (0.6, 0.4), (1.0, 0.9)])]
    rows += [("mine", "method", 0.6, None, 0.6, 0.8)]
    frame = pd.DataFrame(rows, columns=["method", "kind", "budget", "exit", "macs_fraction", "accuracy"])
    (row,) = findings.gains(frame.assign(status="ok")).itertuples()
    np.testing.assert_allclose(row.gain, 0.1)  # the hull is at 0.7, not at the second exit's 0.4
