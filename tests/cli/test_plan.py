from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from bench.bank.cell import cell_of
from bench.bank.partial import Partial
from bench.bank.speed import images_per_second
from bench.bank.status import bank_status
from bench.bank.store import partial_folder
from bench.cli.planned import BankPlan, as_json
from bench.config import RunConfig, resolve_dispatch
from bench.errors import UserError
from bench.session import Session
from tests.helpers.commands import JOB, POINTS

KEYS = {"executor", "jobs", "device", "needs", "output", "trials", "points", "bank_bytes", "build_seconds"}
KEYS |= {"trial_seconds", "wall_seconds", "banks"}


def planned(bench, *words) -> dict:
    done = bench("plan", *JOB[1:], "--json", *words)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def session(tmp_path, environment, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE", environment["BENCH_CACHE"])
    small = {"dataset": ("digits",), "backbone": ("cifar_resnet20",), "weights": "random", "exits": "2,5"}
    return Session(RunConfig(**small, methods=("msdnet_thresh",), bank_dir=tmp_path / "banks", limit=60, threads=1))


def test_a_dry_run_prints_the_plan_and_runs_nothing(finished, bench, tmp_path):
    for words in (["run", "-n", *JOB[1:]], ["plan", *JOB[1:]]):
        done = bench(*words)
        assert done.returncode == 0 and "Nothing was run or downloaded" in done.stdout
        assert "6 to do of 6 (0 done, 0 failed, 6 missing)" in done.stdout and "unknown" in done.stdout
    assert not (tmp_path / "runs").exists() and not (tmp_path / "runs" / "report").exists()


def test_the_plan_as_json_counts_what_is_there(finished, bench):
    plan = planned(bench, "-o", finished[0] / "runs", "--seeds", "0,1,2")
    assert set(plan) == KEYS
    assert plan["trials"] == {"total": 9, "done": 6, "failed": 0, "missing": 3, "changed": 0, "todo": 3}
    assert plan["points"]["done"] == POINTS and plan["points"]["missing"] == POINTS // 2
    assert (plan["executor"], plan["jobs"], plan["build_seconds"]) == ("serial", 1, 0.0)
    assert plan["needs"] == {"threads_per_trial": 1, "gpus_per_trial": 0.0, "threads": 1, "gpus": 0.0}
    (bank,) = plan["banks"]
    assert bank["state"] == "built" and bank["images_to_compute"] == 0 and bank["bytes"] == plan["bank_bytes"] > 0
    assert {m["source"] for m in bank["methods"]} == {"earlier records of this bank"}
    assert (
        plan["trial_seconds"] == pytest.approx(sum(m["seconds"] for m in bank["methods"]), abs=0.01)
        and plan["trial_seconds"] > 0
    )


def test_a_plan_counts_the_points_of_the_budgets_of_each_bank(finished, bench):
    plan = planned(bench, "--budgets", "auto")
    assert plan["points"]["total"] == 2 * ((2 + 2) * 12 + 3 + 1)
    assert "with all 12 budgets; it takes 1 CPU thread on cpu." in bench("plan", *JOB[1:], "--budgets", "auto").stdout


def test_expected_times_are_shared_by_the_jobs(finished, bench):
    where = ("-o", finished[0] / "runs", "--seeds", "2,3")
    alone, together = planned(bench, *where), planned(bench, *where, "-j", "2")
    assert together["executor"] == "ray" and together["needs"]["threads"] == 2
    assert together["trial_seconds"] == alone["trial_seconds"] == alone["wall_seconds"]
    assert together["wall_seconds"] == pytest.approx(alone["wall_seconds"] / 2, abs=0.01)
    cluster = planned(bench, *where, "--ray-address", "10.255.255.1:6379")
    assert cluster["jobs"] is None and cluster["wall_seconds"] is None and cluster["trial_seconds"] > 0


def test_more_threads_than_cores_are_remarked_and_allowed(finished, bench):
    assert "do not make a run faster" in " ".join(bench("plan", *JOB[1:], "-j", "9000").stdout.split())
    assert "do not make a run faster" not in bench("plan", *JOB[1:]).stdout


def test_failed_trials_are_told_apart(finished, bench, tmp_path):
    shutil.copytree(finished[0] / "runs", tmp_path / "runs")
    path = next((tmp_path / "runs").rglob("jeidnn/*.json"))
    path.write_text(json.dumps({**json.loads(path.read_text()), "status": "failed"}))
    assert planned(bench)["trials"] == {"total": 6, "done": 5, "failed": 1, "missing": 0, "changed": 0, "todo": 0}
    assert planned(bench, "--rerun", "failed")["trials"]["todo"] == 1


def test_records_of_other_code_of_the_same_version_are_counted(finished, bench, tmp_path):
    shutil.copytree(finished[0] / "runs", tmp_path / "runs")
    path = next((tmp_path / "runs").rglob("jeidnn/*.json"))
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "point": {**record["point"], "code": "0-0"}}))
    plan = planned(bench)
    assert plan["trials"] == {"total": 6, "done": 6, "failed": 0, "missing": 0, "changed": 1, "todo": 0}
    assert plan["points"]["changed"] == 1
    again = planned(bench, "--rerun", "changed")
    assert again["trials"]["todo"] == again["points"]["todo"] == 1
    assert "Made by other code of the same version: 1 operating point" in bench("plan", *JOB[1:]).stdout


def test_a_bank_is_foreseen_as_it_will_be(session):
    (source,) = session.sources()
    plan, root = source.plan, session.config.bank_dir
    before = bank_status(plan, root)
    assert (before.state, before.to_compute) == ("to build", before.images)
    assert images_per_second(plan, "cpu") > 0 and not root.exists()
    partial = Partial(partial_folder(before.path), plan)
    partial.mark("train", np.arange(7))
    partial.checkpoint()
    partial.close()
    half = bank_status(plan, root)
    assert (half.state, half.to_compute) == ("partial", half.images - 7)
    bank = source.ensure("cpu")
    after = bank_status(plan, root)
    assert (after.state, after.to_compute, after.bytes) == ("built", 0, bank.manifest.bytes)
    assert after.cell == before.cell == half.cell == cell_of(bank)
    assert before.bytes == sum(bank.manifest.files[name]["bytes"] for name in plan.arrays) < after.bytes
    next(after.path.glob("train.exit0.npy")).write_bytes(b"")
    broken = bank_status(plan, root)
    assert broken.state == "broken" and "train.exit0.npy" in broken.problem


def test_an_unknown_build_time_stays_unknown(session):
    (source,) = session.sources()
    shown = as_json(session, [BankPlan(source.request, source.status(), None, [])])
    assert shown["build_seconds"] is None and shown["banks"][0]["build_seconds"] is None


@pytest.mark.parametrize(
    ("settings", "gpus", "chosen"),
    [
        ({}, 0, ("serial", 0.0, 1)),
        ({}, 1, ("serial", 1.0, 1)),
        ({}, 4, ("ray", 1.0, 4)),
        ({"executor": "serial"}, 4, ("serial", 1.0, 1)),
        ({"device": "cuda:1"}, 4, ("serial", 1.0, 1)),
        ({"jobs": 1}, 0, ("serial", 0.0, 1)),
        ({"jobs": 3}, 0, ("ray", 0.0, 3)),
        ({"jobs": 3}, 1, ("ray", 1 / 3, 3)),
        ({"jobs": 3}, 2, ("ray", 0.5, 3)),
        ({"gpus_per_trial": 0.25}, 1, ("ray", 0.25, 4)),
        ({"jobs": 8, "gpus_per_trial": 0.5}, 2, ("ray", 0.5, 4)),
        ({"ray_address": "auto"}, 0, ("ray", 0.0, None)),
        ({"ray_address": "auto", "jobs": 6}, 1, ("ray", 1.0, 6)),
        ({"executor": "ray"}, 0, ("ray", 0.0, 8)),
    ],
)
def test_the_executor_follows_what_there_is(monkeypatch, settings, gpus, chosen):
    monkeypatch.setattr("bench.config._cuda_devices", lambda: gpus)
    monkeypatch.setattr("bench.config.cpu_count", lambda: 16)
    config = RunConfig(**settings)
    device = config.device if config.device != "auto" else "cuda" if gpus else "cpu"
    found = resolve_dispatch(config, device)
    assert (found.executor, found.jobs) == (chosen[0], chosen[2])
    assert found.gpus_per_trial == pytest.approx(chosen[1])


def test_a_share_of_a_gpu_needs_one(monkeypatch):
    monkeypatch.setattr("bench.config._cuda_devices", lambda: 0)
    with pytest.raises(UserError, match="CUDA"):
        resolve_dispatch(RunConfig(gpus_per_trial=0.5), "cpu")
