"""Exit rules on several kinds of heads: the page shows what its file of gains holds."""

from __future__ import annotations

import importlib
import sys

import pandas as pd
import pytest

from tests.helpers.paths import ROOT

sys.path.insert(0, str(ROOT / "studies"))
heads = importlib.import_module("heads")
sys.path.remove(str(ROOT / "studies"))


@pytest.fixture(scope="module")
def found() -> pd.DataFrame:
    return pd.read_csv(heads.DATA)


def test_the_page_has_the_tables_and_the_figure_of_the_file(found, tmp_path):
    page = heads.PAGE.read_text(encoding="utf-8")
    assert heads.write(page, heads.tables(found)) == page
    heads.draw(found, tmp_path / "heads.png")
    assert (tmp_path / "heads.png").read_bytes() == heads.FIGURE.read_bytes()


def test_every_rule_has_every_kind_of_heads_in_both_settings(found):
    counts = found.groupby(["setting", "rule"])["heads"].agg(set)
    assert set(found["setting"]) == set(heads.SETTINGS) and all(kinds == set(heads.HEADS) for kinds in counts)


def test_variance_is_split_into_rules_heads_and_pairs():
    own = {("a", "plain"): 1.0, ("a", "boosted"): 2.0, ("b", "plain"): 3.0, ("b", "boosted"): 6.0}
    rows = [(setting, *key, value) for setting in heads.SETTINGS for key, value in own.items()]
    text = heads.shares(pd.DataFrame(rows, columns=["setting", "rule", "heads", "own"]))
    # the mean is 3; rules: 2·(1.5² + 1.5²) = 9, heads: 2·(1² + 1²) = 4, together: 14 - 9 - 4 = 1
    assert text.splitlines()[2].endswith("| 64 % | 29 % | 7 % | 1.00 |")


def test_gains_are_collected_from_a_store_in_points(monkeypatch):
    numbers = dict.fromkeys([*heads.KEPT, "plain_p_holm"], 0.01)
    rows = [{"setting": next(iter(heads.SETTINGS)), "rank": "1", "method": label, **numbers}
            for label in ("eefp", "eefp[heads=plain[width=128]]")]  # fmt: skip
    rows.append({**rows[0], "rank": None, "method": "static hull"})
    monkeypatch.setattr(heads.bench, "leaderboard", lambda store: pd.DataFrame(rows))
    found = heads.collect(ROOT)
    assert found[["rule", "heads", "own"]].to_numpy().tolist() == [
        ["eefp", "plain", 1.0],
        ["eefp", "plain[width=128]", 1.0],
    ]
