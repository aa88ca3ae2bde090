"""The page on JEI-DNN says what its data say."""

from __future__ import annotations

import importlib
import re
import sys
from functools import cache
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tests.helpers.paths import ROOT

PAGE = ROOT / "docs" / "jeidnn.md"
DATA = ROOT / "docs" / "jeidnn"


def script() -> ModuleType:
    return load("jeidnn_gap")


def records() -> ModuleType:
    return load("jeidnn_records")


@cache
def load(name: str) -> ModuleType:
    sys.path.insert(0, str(ROOT / "studies"))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(ROOT / "studies"))


def page() -> str:
    return PAGE.read_text(encoding="utf-8")


@pytest.mark.slow
def test_tables_equal_the_data() -> None:
    found = script().tables(script().read(DATA))
    on_page = dict(re.findall(r"<!-- table (.+?) -->\n(.*?)\n<!-- end -->", page(), flags=re.S))
    assert on_page == found | {"records": records().table(ROOT / "results")}


@pytest.mark.slow
def test_summary_and_effects_follow_from_the_points() -> None:
    frames = script().read(DATA)
    table = script().scores(frames["points"])
    for name, fresh in (("summary", script().summary(table)), ("effects", script().effects(table))):
        stored = frames[name]
        numbers = stored.select_dtypes("number").columns
        np.testing.assert_allclose(stored[numbers], fresh[numbers], atol=2e-3)
        pd.testing.assert_series_equal(stored["variant"], fresh["variant"])


def test_one_cell_by_hand() -> None:
    frames = script().read(DATA)
    points = frames["points"].dropna(subset=["accuracy"])
    bank, cost = points["bank"].iloc[0], 0.5
    points = points[points["bank"] == bank].drop_duplicates(["variant", "seed", "test_cost"]).sort_values("test_cost")
    gaps = []
    for _, rows in points.groupby("seed"):
        curves = [rows[rows["variant"] == v] for v in ("jeidnn[reading=clipped]", "jeidnn")]
        clipped, ours = (np.interp(cost, c["test_cost"], c["accuracy"]) for c in curves)
        gaps.append(100 * (clipped - ours))
    half = stats.t.ppf(0.975, len(gaps) - 1) * np.std(gaps, ddof=1) / len(gaps) ** 0.5
    effects = frames["effects"][frames["effects"]["bank"] == bank].set_index(["group", "variant"])
    row = effects.loc[("ours, one change", "jeidnn[reading=clipped]")]
    assert row["0.5"] == pytest.approx(np.mean(gaps), abs=0.02)
    assert row["0.5_ci95"] == pytest.approx(half, abs=0.02)


def test_at_least_two_banks_and_five_seeds() -> None:
    points = script().read(DATA)["points"]
    assert points["bank"].nunique() >= 2
    assert points.groupby(["bank", "variant"])["seed"].nunique().min() >= 5


def test_figures_exist_and_are_what_the_page_shows() -> None:
    shown = re.findall(r"!\[[^\]]*\]\(jeidnn/([^)]+)\)", page())
    banks = script().read(DATA)["points"]["bank"].unique()
    assert sorted(shown) == sorted(["effects.png", *[f"curve--{b}.png" for b in banks]])
    for name in shown:
        assert (DATA / name).read_bytes().startswith(b"\x89PNG")
        assert "<svg" in (DATA / name).with_suffix(".svg").read_text(encoding="utf-8")[:2000]


def test_every_name_on_the_page_can_be_run() -> None:
    from bench.trials.plan import load_methods

    named = sorted(set(re.findall(r"`(jeidnn(?:\[[^`…]*\])?)`", page())))
    assert len(named) >= 3
    load_methods(named)


def test_a_curve_is_constant_above_and_unknown_below_its_points() -> None:
    points = pd.DataFrame({"test_cost": [0.5, 0.4], "accuracy": [0.9, 0.7]})
    np.testing.assert_allclose(script().at_costs(points, [0.3, 0.45, 0.8]), [np.nan, 0.8, 0.9])


def test_text_outside_markers_survives_filling() -> None:
    text = "a\n<!-- table x -->\nold\n<!-- end -->\nb"
    assert script().fill(text, {"x": "new"}) == "a\n<!-- table x -->\nnew\n<!-- end -->\nb"
