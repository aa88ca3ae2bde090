from __future__ import annotations

import random

import pytest

from bench.errors import UserError
from bench.report.context import load, make
from bench.stats.resample import Effort
from tests.helpers.records import records, write

QUICK = Effort(100, 20)
ONE = {"methods": ["jeidnn"], "seeds": [0, 1], "budgets": [0.5], "samples": 40}


def test_order_of_records_changes_nothing(tmp_path):
    held = [*records(**ONE), *records(**ONE, backbone="resnet18")]
    mixed = held.copy()
    random.Random(1).shuffle(mixed)
    a, b = make(held, QUICK), make(mixed, QUICK)
    # repr: NaN is not equal to itself
    assert repr([c.statistics for c in a.cells]) == repr([c.statistics for c in b.cells])
    assert [r.id for c in a.cells for r in c.records] == [r.id for c in b.cells for r in c.records]
    assert repr(load(write(tmp_path, held), QUICK).across) == repr(a.across)


def test_every_cell_has_its_own_records_and_a_name_of_its_own():
    report = make([*records(**ONE), *records(**ONE, bank_digest="c" * 16), *records(**ONE, limit=50)], QUICK)
    assert len({c.name for c in report.cells}) == 3
    for cell in report.cells:
        assert {r.cell.bank_digest for r in cell.records} == {cell.cell.bank_digest}
        assert len(cell.records) == len(cell.cell.records)


def test_only_leaves_one_cell_and_knows_the_others():
    held = [*records(**ONE), *records(**ONE, backbone="resnet18")]
    (found,) = make(held, QUICK, only="cifar100lt/resnet18").cells
    assert found.cell.backbone == "resnet18"
    assert len(make(held, QUICK, only="cifar100lt").cells) == 2
    with pytest.raises(UserError, match="Did you mean 'cifar100lt/resnet18'"):
        make(held, QUICK, only="cifar100lt/resnet17")


def test_provenance_is_counted():
    facts = make(records(**ONE), QUICK).provenance
    assert facts["cpu"] == {"Made-up CPU": 20} and facts["packages.torch"] == {"2": 20} and "packages" not in facts


def test_no_folder_and_no_records(tmp_path):
    assert make([], QUICK).cells == ()
    with pytest.raises(UserError, match="There is no results folder"):
        load(tmp_path / "none")
