"""`bench latency` and `bench run --verify-executed` as a user has them."""

from __future__ import annotations

import json

import pytest
import torch

from bench.execution.measurements import PLAIN
from bench.execution.network import Network
from tests.helpers.commands import SMALL, results

SIZES = ["--batch-sizes", "1,4", "--images", "4", "-o", "runs"]
POLICIES = ["--methods", "msdnet_thresh", "--budgets", "0.1,0.6,9999ms"]


@pytest.mark.slow
def test_latencies_are_measured_stored_per_machine_and_printed(small_bank, bench, tmp_path):
    done = bench("latency", *SMALL, *POLICIES, *SIZES)
    assert done.returncode == 0, done.stderr
    for text in ("Batch size 1", "Batch size 4", PLAIN, "counted", "executed", "speed-up", "infeasible: ", "9999ms"):
        assert text in done.stdout
    (path,) = (tmp_path / "runs").rglob("latency-*.json")
    assert str(path) in done.stdout.replace("\n", "")
    assert [p.suffix for p in path.parent.glob(f"{path.stem}-*")] == [".png"]
    stored = json.loads(path.read_text())
    assert stored["cell"]["bank_digest"] == small_bank.digest
    ((machine, rows),) = ((part["machine"], part["rows"]) for part in stored["machines"])
    assert machine["threads"] == 1 and machine["cpu"] and machine["torch"] and machine["device"] == "cpu"
    assert {(r["method"], r["budget"], r["batch_size"]) for r in rows} == {
        (name, budget, size)
        for name, budget in ((PLAIN, None), ("msdnet_thresh", "0.6"), ("msdnet_thresh", "9999ms"))
        for size in (1, 4)
    }
    for r in rows:
        spread = r["milliseconds"]
        assert 0 < spread["q1"] <= spread["median"] <= spread["q3"]
        assert r["repeats"] == 30 and r["images"] == 4 and r["seed"] == 0 and 0 < r["accuracy"] <= 1
        assert r["speed_up"] > 0 and (r["method"] != PLAIN or r["speed_up"] == r["cost_executed"] == 1)
    assert all(0.3 < r["cost_executed"] <= 1.01 for r in rows)

    elsewhere = json.dumps(stored).replace(json.dumps(machine["torch"]), '"0.1"')
    path.write_text(elsewhere)
    more = bench(
        "latency", *SMALL, "--methods", "msdnet_thresh", "--budgets", "0.6", "--batch-sizes", "1", *SIZES[2:], "--json"
    )
    assert more.returncode == 0, more.stderr
    (shown,) = json.loads(more.stdout)["settings"]
    assert shown["machine"] == machine and len(shown["rows"]) == 2 and shown["exit_milliseconds"] == []
    parts = {part["machine"]["torch"]: part["rows"] for part in json.loads(path.read_text())["machines"]}
    assert parts == {"0.1": rows, machine["torch"]: shown["rows"]}


@pytest.mark.slow
def test_executed_policies_are_compared_with_their_records(small_bank, bench, tmp_path):
    words = ["run", *SMALL, "--methods", "msdnet_thresh", "--seeds", "0,1", "--budgets", "0.1,0.6", "--no-report"]
    assert bench(*words).returncode == 0
    before = results(tmp_path / "runs")
    done = bench(*words, "--verify-executed", "40")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Executed ") == 1 and "budget=0.6, on 40 images" in done.stdout
    found, verified = results(tmp_path / "runs"), []
    for name, record in found.items():
        added = {k: record["metrics"].pop(k) for k in list(record["metrics"]) if k.startswith("executed_")}
        assert record == before[name]
        verified += [(record["point"]["seed"], added)] if added else []
    ((seed, added),) = verified
    assert seed == 0 and added["executed_images"] == 40 and added["executed_unexplained"] == 0
    assert added["executed_exits_equal"] >= 0.9 and added["executed_logit_difference"] < 1
    again = bench(*words, "--verify-executed", "40")
    assert again.returncode == 0 and "Executed " not in again.stdout
    assert bench("publish").returncode == 0
    assert bench("report", "results", "--format", "md,csv").returncode == 0


@pytest.mark.slow
def test_execution_that_differs_is_an_error(small_bank, bench, monkeypatch):
    words = ["run", *SMALL, "--methods", "msdnet_thresh", "--seeds", "0", "--budgets", "0.6", "--no-report"]
    execute = Network.execute

    def stuck(self, policy, images):
        exits, logits = execute(self, policy, images)
        return torch.full_like(exits, 2), logits

    monkeypatch.setattr(Network, "execute", stuck)
    done = bench(*words, "--verify-executed", "40")
    assert done.returncode == 1, done.stderr
    assert "DIFFER FOR ANOTHER REASON" in done.stdout and "disagrees with the simulation: 1." in done.stdout


@pytest.mark.slow
def test_a_method_that_fails_is_named(small_bank, bench, tmp_path):
    (tmp_path / "mine.py").write_text(
        "from bench.methods.msdnet_thresh import MSDNetThreshold\n\n\nclass Mine(MSDNetThreshold):\n"
        '    """Mine."""\n\n    name = "mine"\n\n'
        '    def fit(self, task, budgets):\n        raise RuntimeError("oh no")\n'
    )
    done = bench("latency", *SMALL, "--plugin", "mine.py", "--methods", "mine", *SIZES)
    assert done.returncode == 2 and "mine could not be fitted (RuntimeError: oh no (mine.py:10" in done.stderr
    assert not list(tmp_path.rglob("latency-*"))
