from __future__ import annotations

import pytest

from bench.errors import UserError
from bench.execution.measurements import PLAIN, Machine, Row, Spread, add, load, path_of
from tests.helpers.records import cell


def machine(**facts) -> Machine:
    base = {"cpu": "a CPU", "device": "cpu", "threads": 2, "torch": "2.0", "system": "Linux x86_64"}
    return Machine(**base | facts)


def row(milliseconds=(1.0, 2.0, 4.0), **facts) -> Row:
    base = {"method": PLAIN, "budget": None, "seed": 0, "batch_size": 8, "images": 64, "repeats": 30}
    costs = {"speed_up": 1.0, "cost_counted": 1.0, "cost_executed": 1.0, "accuracy": 0.5, "created": "now"}
    return Row(milliseconds=Spread.of(milliseconds), **base | costs | facts)


def test_a_spread_is_median_and_quartiles():
    assert Spread.of([4.0, 0.0, 3.0, 1.0, 2.0]) == Spread(median=2.0, q1=1.0, q3=3.0)


def test_machines_are_kept_apart_and_rows_replaced(tmp_path):
    setting = cell()
    path = path_of(tmp_path, setting)
    add(path, setting, machine(), [row(), row(method="m", budget="0.5")])
    add(path, setting, machine(threads=1), [row((7.0,))])
    found = add(path, setting, machine(), [row((9.0,)), row(batch_size=1)])
    assert load(path, setting) == found and len(found.machines) == 2
    assert [r.milliseconds.median for r in found.of(machine(threads=1))] == [7.0]
    mine = {r.key: r.milliseconds.median for r in found.of(machine())}
    assert mine == {("m", "0.5", 0, 8): 2.0, (PLAIN, None, 0, 8): 9.0, (PLAIN, None, 0, 1): 2.0}
    assert found.of(machine(torch="2.1")) == ()


def test_other_settings_have_other_files_and_a_damaged_one_is_named(tmp_path):
    setting, other = cell(), cell(bank_digest="f" * 16)
    path = path_of(tmp_path, setting)
    assert path != path_of(tmp_path, other) and load(path, setting).machines == ()
    content = add(path, setting, machine(), [row()])
    with pytest.raises(UserError, match="another setting"):
        load(path, other)
    path.write_text(content.model_dump_json()[:-9])
    with pytest.raises(UserError, match=r"latency-\w+\.json.*Delete it"):
        load(path, setting)
