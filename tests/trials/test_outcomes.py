from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import load_records
from bench.errors import UserError
from bench.trials.outcomes import pack, unpack
from bench.trials.store import Store, read
from tests.helpers.records import record as record_of


@settings(max_examples=60, deadline=None)
@given(n=st.integers(0, 70), exits=st.integers(1, 400), seed=st.integers(0, 99))
def test_what_is_packed_comes_back(n, exits, seed):
    rng = np.random.default_rng(seed)
    correct, index = rng.random(n) < 0.5, rng.integers(exits, size=n)
    packed = pack(correct, index)
    again = unpack({"id": "a", "outcomes": json.loads(packed.model_dump_json())})
    assert (again.correct == correct).all() and again.correct.dtype == bool and len(again.correct) == n
    assert (again.exit_index == index).all() and again.exit_index.dtype == np.int16 and len(again.exit_index) == n
    assert pack(correct, index) == packed


def test_ten_thousand_samples_take_few_kilobytes():
    rng = np.random.default_rng(0)
    text = pack(rng.random(10_000) < 0.5, rng.integers(12, size=10_000)).model_dump_json()
    assert len(text) < 9000


def test_records_keep_them_and_old_ones_stay_readable(tmp_path, cell, trial_of):
    store, point = Store(tmp_path), trial_of("msdnet_thresh").points[0]
    path = store.write(record_of(cell, point, outcomes=pack([True, False, True], [0, 2, 1])))
    held = json.loads(path.read_text())
    assert held["schema_version"] == 3
    for source in (read(path), held):
        assert unpack(source).exit_index.tolist() == [0, 2, 1] and unpack(source).correct.tolist() == [
            True,
            False,
            True,
        ]
    del held["outcomes"]
    path.write_text(json.dumps(held))
    assert read(path).outcomes is None
    with pytest.raises(UserError, match=r"has no per-sample outcomes.*bench score"):
        unpack(read(path))


def test_the_frame_leaves_them_out_unless_asked(tmp_path, cell, trial_of):
    Store(tmp_path).write(record_of(cell, trial_of("msdnet_thresh").points[0], outcomes=pack([True], [1])))
    assert "outcomes" not in load_records(tmp_path)
    held = load_records(tmp_path, outcomes=True)["outcomes"][0]
    assert unpack({"outcomes": held}).exit_index.tolist() == [1]


@pytest.mark.parametrize("change", [{"samples": 9}, {"correct": "!"}, {"exit_index": "AAAA"}, {"samples": 2}])
def test_damage_is_said(change):
    held = pack([True, False, True], [0, 2, 1]).model_dump() | change
    with pytest.raises(UserError, match="damaged"):
        unpack({"id": "abc", "outcomes": held})


def test_impossible_outcomes_are_refused():
    with pytest.raises(ValueError, match="one length"):
        pack([True], [0, 1])
    with pytest.raises(ValueError, match="exits must be in"):
        pack([True], [-1])
