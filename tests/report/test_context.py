from __future__ import annotations

import random

from bench.report.condense import provenance, summarised
from bench.report.context import cell_reports
from bench.report.summary import from_json, report_of, to_json
from bench.stats.resample import BootstrapConfig
from tests.helpers.records import records

QUICK = BootstrapConfig(100, 20)
ONE = {"methods": ["jeidnn"], "seeds": [0, 1], "budgets": [0.5], "samples": 40}


def test_order_of_records_changes_nothing():
    held = [*records(**ONE), *records(**ONE, backbone="resnet18")]
    mixed = held.copy()
    random.Random(1).shuffle(mixed)
    a, b = cell_reports(held, QUICK), cell_reports(mixed, QUICK)
    # repr: NaN is not equal to itself
    assert repr([c.statistics for c in a]) == repr([c.statistics for c in b])
    assert [r.id for c in a for r in c.records] == [r.id for c in b for r in c.records]


def test_every_setting_has_its_own_records_and_a_name_of_its_own():
    found = cell_reports([*records(**ONE), *records(**ONE, bank_digest="c" * 16), *records(**ONE, limit=50)], QUICK)
    assert len({c.name for c in found}) == 3
    for cell in found:
        assert {r.cell for r in cell.records} == {cell.cell} and len(cell.records) == 20
    assert cell_reports([], QUICK) == []


def test_what_is_kept_of_a_setting_says_the_same_when_it_is_read_again():
    held = records(samples=40, seeds=[0, 1], budgets=[0.3, 0.5])
    made = [summarised(report) for report in cell_reports(held, QUICK)]
    again = [from_json(to_json(summary)) for summary in made]
    assert [to_json(summary) for summary in again] == [to_json(summary) for summary in made]
    assert repr(report_of(again, QUICK).across) == repr(report_of(made, QUICK).across)
    # repr: NaN is not equal to itself
    assert repr(again[0].statistics.methods) == repr(made[0].statistics.methods)


def test_provenance_is_counted():
    facts = provenance(records(**ONE))
    assert facts["cpu"] == {"Made-up CPU": 20} and facts["packages.torch"] == {"2": 20} and "packages" not in facts
