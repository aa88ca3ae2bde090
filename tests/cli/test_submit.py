"""`bench submit` as a user has it."""

from __future__ import annotations

from tests.helpers.records import at, records, write

SMALL = {"samples": 40, "seeds": [0], "budgets": [0.5]}


def test_submit_says_what_is_missing_and_writes_nothing(bench, tmp_path):
    held = [r for r in records(**SMALL) if not at("jeidnn")(r)]
    write(tmp_path / "runs", [*held, *records(**SMALL, limit=20, bank_digest="c" * 16)])
    done = bench("submit")
    assert done.returncode == 1
    assert "without --limit" in done.stdout and "state no version" in done.stdout
    assert "Note: the board does not have this setting yet." in done.stdout
    assert "Nothing was submitted." in done.stdout and not (tmp_path / "submission").exists()


def test_submit_packs_what_passes(bench, tmp_path, monkeypatch):
    monkeypatch.setattr("bench.trials.submission._code", lambda held: [])
    monkeypatch.setattr("bench.trials.submission._provenance", lambda held: [])
    write(tmp_path / "runs", records(**SMALL))
    done = bench("submit", "cifar100lt/efficientnet_lite0", "--to", "mine")
    assert done.returncode == 0, done.stdout
    assert "mine/submission.json" in done.stdout and "is not on this machine and was not verified" in done.stdout
    unknown = bench("submit", "cifar7")
    assert unknown.returncode == 2 and "no setting 'cifar7'" in unknown.stderr
