"""`bench publish` as a user has it."""

from __future__ import annotations

from bench.execution.measurements import Machine, add, path_of
from bench.tune import history
from tests.helpers.records import cell, records, write
from tests.helpers.searches import made, row

MACHINE = Machine(cpu="a CPU", device="cpu", threads=1, torch="2", system="Linux")
SMALL = {"samples": 40, "seeds": [0, 1], "budgets": [0.5]}


def test_publish_says_what_it_wrote(bench, tmp_path):
    write(tmp_path / "runs", records(**SMALL))
    write(tmp_path / "runs", records(**SMALL, limit=20, bank_digest="c" * 16))
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "mine.txt").write_text("mine")
    times = path_of(tmp_path / "runs", cell())
    add(times, cell(), MACHINE, [])
    for method, digest, finished in (
        ("a", cell().bank_digest, True),
        ("b", cell().bank_digest, False),
        ("c", "d", True),
    ):
        search = made([row(0, 0.6), row(1, 0.7)], method=method, finished=finished)
        search = search.model_copy(update={"subject": search.subject.model_copy(update={"bank_digest": digest})})
        history.write(tmp_path / "runs" / "tuned" / f"{method}.yaml", search)
    done = bench("publish")
    assert done.returncode == 0, done.stderr
    assert "smoke run on 20 images per split" in done.stdout
    assert "results/cifar100lt/efficientnet_lite0/outcomes.parquet" in done.stdout and "new" in done.stdout
    assert (tmp_path / "results" / "mine.txt").read_text() == "mine"
    assert path_of(tmp_path / "results", cell()).read_bytes() == times.read_bytes()
    assert [search.subject.method for search in history.searches(tmp_path / "results" / "tuned")] == ["a"]
    again = bench("publish", "cifar100lt", "--to", "results")
    assert again.returncode == 0 and "unchanged" in again.stdout and "new" not in again.stdout


def test_publish_refuses_in_a_sentence(bench, tmp_path):
    nothing = bench("publish", "-o", "nowhere")
    assert nothing.returncode == 2 and "does not exist" in nothing.stderr
    write(tmp_path / "runs", records(**SMALL))
    unknown = bench("publish", "cifar100")
    assert unknown.returncode == 2 and "no setting 'cifar100'" in unknown.stderr
