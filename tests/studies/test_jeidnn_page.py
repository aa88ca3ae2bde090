"""The page on JEI-DNN says what the published records and its table say."""

from __future__ import annotations

import importlib
import re
import sys

import pandas as pd
import pytest

from tests.helpers.paths import ROOT

sys.path.insert(0, str(ROOT / "studies"))
study = importlib.import_module("jeidnn")
sys.path.remove(str(ROOT / "studies"))


@pytest.fixture(scope="module")
def page() -> str:
    return study.PAGE.read_text(encoding="utf-8")


def test_the_table_of_targets_is_that_of_the_reports(page):
    assert study.write(page, {"targets": study.table()}) == page


def test_the_targets_of_remaining_exits_are_better_in_every_setting():
    for setting, (_, heads) in study.SETTINGS.items():
        board = pd.read_csv(ROOT / "reports" / setting / "tables" / "leaderboard.csv").set_index("method")["own"]
        suffix = f"[{heads}]" if heads else ""
        assert board[f"jeidnn{suffix}"] > board[f"jeidnn[scheme=subsequent{heads and f',{heads}'}]"]


def test_the_table_of_differences_is_that_of_its_csv(page):
    table = pd.read_csv(ROOT / "docs" / "jeidnn" / "effects.csv")
    known = {f"{abs(value):.2f}" for name in table.select_dtypes("number") for value in table[name].dropna()}
    rows = page[page.index("| difference, points |") : page.index("- **How heads and gates are fitted**")]
    shown = re.findall(r"\d+\.\d\d(?=[ *|])", rows)
    assert len(shown) > 200 and set(shown) <= known


def test_every_name_on_the_page_can_be_run(page):
    from bench.trials.plan import load_methods

    named = sorted(set(re.findall(r"`(jeidnn(?:\[[^`…]*\])?)`", page)))
    assert len(named) >= 5
    load_methods(named)
