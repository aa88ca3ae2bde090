from __future__ import annotations

import json
import re
import signal
import time

import pytest

from bench import load_records
from tests.helpers.commands import JOB, POINTS, SMALL, begun, numbers, results, results_safely

pytestmark = pytest.mark.slow


def test_the_job_ends_with_records_a_report_and_their_paths(finished):
    folder, printed = finished
    frame = load_records(folder / "runs")
    assert len(frame) == POINTS
    lines = printed.splitlines()
    assert max(len(line) for line in lines if str(folder) not in line) <= 100  # where the output is not a terminal
    (title,) = [line for line in lines if line.startswith("digits · cifar_resnet20")]
    assert " px" in title
    row = re.compile(r"[\d–\s●]*(jeidnn|msdnet_thresh|static hull|plain backbone|oracle)  ")
    names = [found[1] for line in lines if (found := row.match(line))]
    assert names[-3:] == ["static hull", "plain backbone", "oracle"] and set(names[:-3]) == {"jeidnn", "msdnet_thresh"}
    assert set(frame["status"]) == {"ok", "infeasible"}
    assert str(folder / "runs" / "report" / "README.md") in printed
    page = folder / "runs" / "report" / "digits" / "cifar_resnet20"
    assert {p.suffix for p in page.rglob("*.*")} == {".md", ".csv", ".parquet", ".tex", ".svg", ".png", ".bz2"}
    text = (page / "leaderboard.md").read_text()
    for name in ("jeidnn", "msdnet_thresh", "static hull", "plain backbone", "oracle"):
        assert name in text
    assert (folder / "runs" / "report" / "site" / "index.html").is_file()


def test_records_carry_provenance_and_no_names(finished):
    folder, _ = finished
    for record in results(folder / "runs").values():
        assert record["schema_version"] == 3 and record["cell"]["protocol_version"] == "v2"
        assert record["provenance"]["packages"]["torch"]
        assert str(folder) not in json.dumps(record)


def test_a_second_run_repeats_nothing(finished, bench):
    folder, _ = finished
    before = {p: p.stat().st_mtime_ns for p in results_safely(folder / "runs")}
    done = bench(*JOB, "-o", folder / "runs", "--json")
    assert done.returncode == 0 and "nothing new" in done.stderr
    told = json.loads(done.stdout)
    assert told["points"] == {} and told["failed"] == [] and told["records"] == str(folder / "runs")
    (setting,) = told["settings"]
    found = [row["own"] for row in setting["rows"][:2]]
    assert found == sorted(found, reverse=True) and setting["rows"][2]["method"] == "static hull"
    assert {p: p.stat().st_mtime_ns for p in results_safely(folder / "runs")} == before


def test_a_limited_run_is_marked_and_touches_nothing_outside_its_store(bench, tmp_path):
    decoys = {}
    for name in ("report", "reports", "results", "runs/report", "runs/tuned"):
        for file in ("README.md", "files.json", "old.md", "digits/cifar_resnet20/leaderboard.md"):
            path = tmp_path / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text('["README.md", "old.md"]' if file == "files.json" else f"mine: {name}/{file}")
            decoys[path] = path.stat().st_mtime_ns, path.read_bytes()
    done = bench(*JOB, "--limit", "40", "--seeds", "0", "-o", "elsewhere")
    assert done.returncode == 0, done.stderr
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in decoys} == decoys
    found = {path for path in tmp_path.rglob("*") if path.is_file() and "elsewhere" not in path.parts}
    assert found == set(decoys)
    assert set(load_records(tmp_path / "elsewhere")["limit"]) == {40}
    page = tmp_path / "elsewhere" / "report" / "digits" / "cifar_resnet20" / "leaderboard.md"
    assert "limit 40" in page.read_text()


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_with_the_same_numbers(finished, start, bench, tmp_path):
    results = tmp_path / "runs"
    process = start(*JOB, "--no-report")
    begun(process, results, 7)
    process.kill()
    process.wait()
    survived = {p: p.read_bytes() for p in results_safely(results)}
    assert survived
    done = bench(*JOB, "--no-report")
    assert done.returncode == 0, done.stderr
    assert all(p.read_bytes() == content for p, content in survived.items())
    assert numbers(results) == numbers(finished[0] / "runs")


@pytest.mark.slow
def test_two_runs_at_once_into_one_folder_leave_every_record_whole(finished, start, tmp_path):
    runs = [start(*JOB, "--no-report") for _ in range(2)]
    assert [r.wait(timeout=300) for r in runs] == [0, 0]
    assert numbers(tmp_path / "runs") == numbers(finished[0] / "runs")


@pytest.mark.slow
def test_ctrl_c_keeps_finished_trials_and_ends_with_130(small_bank, start, tmp_path):
    process = start(*JOB, "--methods", "msdnet_thresh,jeidnn[preset=paper,epochs=200]")
    begun(process, tmp_path / "runs", 7)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and "kept" in errors and "Traceback" not in errors
    assert len(load_records(tmp_path / "runs")) >= 7


def test_yaml_and_command_line_mean_the_same(finished, bench, tmp_path):
    (tmp_path / "run.yaml").write_text(
        "dataset: digits\nbackbone: cifar_resnet20\nweights: random\nexits: [2, 5]\nthreads: 1\n"
        "methods: [jeidnn, msdnet_thresh]\nseeds: [0, 1]\nbudgets: [0.2, 0.6, 1]\n"
    )
    done = bench("run", "-c", "run.yaml", "-o", finished[0] / "runs")
    assert done.returncode == 0 and "nothing new" in done.stdout


def test_banks_are_listed_verified_and_pruned(finished, bench, tmp_path):
    assert "digits" in bench("bank", "list").stdout
    assert bench("bank", "verify").returncode == 0
    own = tmp_path / "banks"
    built = bench("bank", "build", *SMALL[:-2], "--limit", "30", "--bank-dir", own)
    assert built.returncode == 0, built.stderr
    (target,) = own.rglob("train.exit0.npy")
    data = bytearray(target.read_bytes())
    data[-1] ^= 1
    target.write_bytes(data)
    damaged = bench("bank", "verify", "--bank-dir", own)
    assert damaged.returncode == 1 and "train.exit0.npy" in damaged.stdout
    refused = bench(*JOB, "--limit", "30", "--bank-dir", own)
    assert refused.returncode == 2 and "train.exit0.npy" in refused.stderr
    assert "removed" in bench("bank", "prune", "--bank-dir", own).stdout
    assert not list(own.rglob("*.npy"))


def test_a_log_hears_of_the_trials_in_a_few_lines(finished):
    lines = [line for line in finished[1].splitlines() if "trials" in line]
    assert lines[0] == "6 trials to do: serial, one at a time."
    assert len(lines) <= 12 and lines[-1].startswith("6 of 6 trials done, 0 failed, 0 running")
