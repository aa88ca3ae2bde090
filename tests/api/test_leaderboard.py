"""`bench.leaderboard` of a store and of rows of records: the same numbers."""

from __future__ import annotations

import pandas as pd
import pytest

import bench
from bench.errors import UserError
from bench.report import stored as settings
from bench.trials.table import frame_of, records_of
from tests.helpers.records import at, changed, records, write

GRID = {"samples": 40, "seeds": [0, 1], "budgets": [0.3, 0.5], "methods": ["entropy_thresh", "msdnet_thresh"]}
OTHER = {"backbone": "resnet18", "bank_digest": "c" * 16}


@pytest.fixture(scope="module")
def held():
    found = changed(records(**GRID), at("msdnet_thresh", 0.3, 1), status="infeasible", reason="too small")
    return changed(found, at("entropy_thresh"), note="a note")


@pytest.fixture(scope="module")
def frame(held):
    return frame_of(held, outcomes=True)


def test_rows_become_the_records_that_they_were_made_from(held, frame):
    key = lambda record: record.id  # noqa: E731
    assert sorted(records_of(frame), key=key) == sorted(held, key=key)
    assert records_of(frame[frame["seed"] == 1]) == [r for r in records_of(frame) if r.point.seed == 1]


def test_a_store_and_its_rows_have_the_same_leaderboard(held, frame, tmp_path):
    stored = bench.leaderboard(write(tmp_path / "runs", held))
    pd.testing.assert_frame_equal(bench.leaderboard(frame), stored)
    assert stored["setting"].unique().tolist() == ["cifar100lt/efficientnet_lite0"]
    assert stored["method"].tolist()[-3:] == ["static hull", "plain backbone", "oracle"]
    known = stored.set_index("method").loc["entropy_thresh"]
    assert known["own_low"] <= known["own"] <= known["own_high"]
    alone = bench.leaderboard(frame[frame["method"] != "msdnet_thresh"])
    assert "msdnet_thresh" not in set(alone["method"])
    assert alone.set_index("method")["own"]["entropy_thresh"] == known["own"]


def test_changed_numbers_are_computed_anew(frame):
    other = frame.assign(macs_fraction=frame["macs_fraction"] * 0.9)
    before, after = (bench.leaderboard(f).set_index("method")["own"] for f in (frame, other))
    assert before["entropy_thresh"] != after["entropy_thresh"]


def test_several_settings_are_told_apart(held, frame):
    both = pd.concat([frame, frame_of(records(**GRID, **OTHER), outcomes=True)])
    assert bench.leaderboard(both)["setting"].nunique() == 2
    assert set(bench.leaderboard(both, "cifar100lt/res")["setting"]) == {"cifar100lt/resnet18"}
    assert settings.report_of(both, "resnet18").cell.backbone == "resnet18"
    with pytest.raises(UserError, match=r"2 settings.*setting=…: cifar100lt/efficientnet_lite0, cifar100lt/resnet18"):
        settings.report_of(both)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (lambda f: f.drop(columns="outcomes"), r"no column 'outcomes'.*outcomes=True"),
        (lambda f: f[["method", "accuracy"]], "no column 'dataset'"),
        (lambda f: f[:0], "no rows"),
    ],
)
def test_rows_that_are_no_records_are_refused(frame, rows, message):
    with pytest.raises(UserError, match=message):
        bench.leaderboard(rows(frame))
