"""The page on JEI-DNN says what the records of its variants say."""

from __future__ import annotations

import importlib
import re
import sys

import pytest

from tests.helpers.paths import ROOT

sys.path.insert(0, str(ROOT / "studies"))
study = importlib.import_module("jeidnn")
sys.path.remove(str(ROOT / "studies"))


@pytest.fixture(scope="module")
def page() -> str:
    return study.PAGE.read_text(encoding="utf-8")


def test_the_table_is_that_of_the_records(page):
    assert study.write(page) == page


def test_every_number_of_the_results_is_in_the_table(page):
    results = page[page.index("## Results") : page.index("## What we could not verify")]
    prose = re.sub(r"<!-- table .*?<!-- end -->", "", results, flags=re.S)
    found = re.findall(r"\d+\.\d+", prose)
    assert found and set(found) <= set(re.findall(r"\d+\.\d+", study.variants()))


@pytest.mark.parametrize("setting", study.SETTINGS)
def test_all_variants_have_the_seeds_that_a_comparison_needs(setting):
    found = study.statistics(setting)
    assert len(found.seeds) >= 6 and {m.label for m in found.methods if m.complete} == set(study.VARIANTS)


def test_every_name_on_the_page_can_be_run(page):
    from bench.trials.plan import load_methods

    named = sorted(set(re.findall(r"`(jeidnn(?:\[[^`…]*\])?)`", page)))
    assert set(study.VARIANTS) <= set(named)
    load_methods(named)
