"""Records are computed again and compared; only that sets the flag."""

from __future__ import annotations

import math

import pytest

import bench as exitbench
from bench.api.verify import compare, verify
from bench.errors import UserError
from bench.trials.record import record_id
from bench.trials.store import Store, write_record
from bench.trials.verified import read, verified
from tests.helpers.commands import SMALL_CONFIG
from tests.helpers.records import cell, point, record


@pytest.fixture(scope="module")
def ran(small_bank, tmp_path_factory):
    folder = tmp_path_factory.mktemp("verify") / "runs"
    exitbench.run(["global_thresh", "margin_thresh"], seeds=[0], budgets=[0.2, 0.6, 1.0], output=folder, **SMALL_CONFIG)
    return folder


@pytest.fixture
def store(ran, tmp_path):
    """A copy of the records, which a test may change."""
    for one in Store(ran).records():
        mine = Store(tmp_path / "runs")
        write_record(mine.path(one.cell, one.point), one)
    return Store(tmp_path / "runs")


def test_a_sample_is_verified_with_no_difference_on_the_same_machine(bench, store):
    held = store.records()
    done = bench("verify", store.root, "--sample", 100, "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert (
        f"{len(held)} of {len(held)} operating points agree" in done.stdout and "largest difference is 0" in done.stdout
    )
    assert verified(store.root, held) == {r.id for r in held}
    assert {r.status for r in held} == {"ok", "infeasible"}


def test_published_records_are_verified_like_those_of_a_run(bench, ran, tmp_path):
    assert bench("publish", "-o", ran, "--to", tmp_path / "results").returncode == 0
    done = bench("verify", tmp_path / "results", "--sample", 100, "--device", "cpu")
    assert done.returncode == 0 and "largest difference is 0" in done.stdout, done.stdout
    assert len(read(tmp_path / "results")) == len(Store(ran).records())


def test_scores_that_differ_are_not_verified_and_lose_the_flag(bench, store):
    (one,) = (r for r in store.records() if (r.point.label, r.point.budget) == ("global_thresh", 1.0))
    path = store.path(one.cell, one.point)
    assert bench("verify", path).returncode == 0
    assert verified(path.parent, [one]) == {one.id}
    wrong = one.model_copy(update={"metrics": one.metrics | {"ece_mass15": one.metrics["ece_mass15"] + 0.01}})
    write_record(path, wrong)
    assert verified(path.parent, [wrong]) == set()
    done = bench("verify", path)
    assert done.returncode == 1 and "NOT verified, largest difference 0.01 (ece_mass15)" in done.stdout
    assert read(path.parent) == {}
    assert bench("verify", path, "--tolerance", "0.02").returncode == 0


def test_a_draw_is_repeatable(store):
    ids = [{one.record.id for one in verify([store.root], 2, draw=draw, device="cpu")} for draw in (1, 1)]
    assert ids[0] == ids[1] and len(ids[0]) == 2


def test_what_cannot_be_computed_again_is_a_sentence(store, tmp_path):
    (one,) = (r for r in store.records() if (r.point.label, r.point.budget) == ("global_thresh", 1.0))
    with pytest.raises(UserError, match="bench bank build"):
        next(verify([store.root], bank_dir=tmp_path / "none"))
    older = one.point.model_copy(update={"version": 99})
    write_record(tmp_path / "old.json", one.model_copy(update={"point": older, "id": record_id(one.cell, older)}))
    with pytest.raises(UserError, match="another version"):
        next(verify([tmp_path / "old.json"]))
    with pytest.raises(UserError, match="does not exist"):
        next(verify([tmp_path / "nowhere"]))


def test_differences_are_relative_to_large_scores_and_statuses_must_agree():
    where, at = cell(), point("jeidnn", "budget=0.5", 0)
    stored = record(where, at, metrics={"accuracy": 0.5, "macs": 1000.0, "gap": math.nan, "old": 1.0})
    again = record(where, at, metrics={"accuracy": 0.501, "macs": 1003.0, "gap": math.nan})
    found = compare(stored, again, 0.0025)
    assert found.score == "macs" and found.difference == pytest.approx(0.003) and not found.verified
    assert compare(stored, again, 0.004).verified
    failed = record(where, at, status="failed", reason="x")
    assert compare(stored, failed, 1.0).difference == math.inf and not compare(stored, failed, 1.0).verified
    lacking = record(where, at, metrics={"macs": 1000.0})
    assert not compare(stored, lacking, 1.0).verified
    empty = record(where, at, metrics={"accuracy": 0.5, "gap": 0.1})
    assert not compare(stored, empty, 1.0).verified
