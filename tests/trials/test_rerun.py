"""Which operating points a run does again."""

from __future__ import annotations

import pytest

from bench.trials.rerun import State, wanted
from bench.trials.store import Store
from tests.helpers.records import record as record_of

STORED = [("ok", False), ("infeasible", True), ("failed", False), ("timeout", True), (None, False)]


@pytest.mark.parametrize(
    ("rerun", "redone"),
    [("missing", [4]), ("failed", [2, 3, 4]), ("changed", [1, 3, 4]), ("all", [0, 1, 2, 3, 4])],
)
def test_what_a_run_does_is_decided_by_what_is_stored(tmp_path, cell, trial_of, rerun, redone):
    store, points = Store(tmp_path), trial_of("msdnet_thresh", budgets=(0.1, 0.3, 0.5, 0.7, 0.9)).points
    for point, (status, changed) in zip(points, STORED, strict=True):
        made = point.model_copy(update={"code": "0-0"}) if changed else point
        if status:
            store.write(record_of(cell, made, status=status))
    assert wanted(store, cell, points, rerun) == [points[i] for i in redone]
    assert [State.of(*stored).owed(rerun) for stored in STORED] == [i in redone for i in range(5)]
