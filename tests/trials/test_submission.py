"""What a submission takes, and what it says of settings that it leaves out."""

from __future__ import annotations

import hashlib
import json

import pytest

from bench.errors import UserError
from bench.trials.published import PublishedStore
from bench.trials.record import record_id
from bench.trials.submission import MANIFEST, check, submit
from bench.trials.verified import note, scores_digest, verified
from tests.helpers.records import at, changed, records, write

TOLD = {"packages": {"torch": "2"}, "python": "3.12", "cpu": "Made-up CPU", "device": "cpu", "threads": 1}
GRID = {"samples": 40, "seeds": [0, 1], "budgets": [0.5, 0.9]}


def made(**known):
    """A complete grid of methods that state a version."""
    grid = records(**{**GRID, **known})
    versioned = [r.model_copy(update={"point": r.point.model_copy(update={"version": 1})}) for r in grid]
    return [with_id(r.model_copy(update={"provenance": TOLD})) for r in versioned]


def with_id(record):
    return record.model_copy(update={"id": record_id(record.cell, record.point)})


@pytest.fixture(autouse=True)
def plugins_are_not_installed(monkeypatch):
    """Records are made up, so their code is not that of the installed methods."""
    monkeypatch.setattr("bench.trials.submission.made_by_other_code", lambda point: "odd" in point.code)


def problems(held, board=(), banks=None):
    return check(held[0].cell, held, board, banks or {}).problems


def test_a_complete_setting_is_packed_with_a_manifest_and_reads_as_a_store(tmp_path):
    held = made()
    store = write(tmp_path / "runs", held)
    write(store, made(bank_digest="c" * 16, limit=20))
    found = submit(store, tmp_path / "out")
    said = {one.cell.limit: one.problems for one in found.settings}
    assert said[None] == () and "--limit" in said[20][0]
    told = json.loads((tmp_path / "out" / MANIFEST).read_text())
    (setting,) = told["settings"]
    assert setting["points"] == len(held) and setting["seeds"] == [0, 1] and len(setting["environments"]) == 1
    assert setting["methods"] == ["entropy_thresh", "jeidnn", "msdnet_thresh"]
    for name, digest in told["files"].items():
        assert hashlib.sha256((tmp_path / "out" / name).read_bytes()).hexdigest() == digest
    assert {r.id for r in PublishedStore(tmp_path / "out").records()} == {r.id for r in held}
    before = (tmp_path / "out" / MANIFEST).read_bytes()
    submit(store, tmp_path / "out")
    assert (tmp_path / "out" / MANIFEST).read_bytes() == before


def test_a_setting_that_no_longer_passes_leaves_the_folder(tmp_path):
    store = write(tmp_path / "runs", made())
    submit(store, tmp_path / "out")
    write(store, made(dataset="cifar10"))
    submit(store, tmp_path / "out", ["cifar10"])
    assert {r.cell.dataset for r in PublishedStore(tmp_path / "out").records()} == {"cifar10"}


def test_other_folders_and_empty_submissions_are_not_written(tmp_path):
    store = write(tmp_path / "runs", made(limit=5))
    assert submit(store, tmp_path / "out").paths == [] and not (tmp_path / "out").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(UserError, match="not a submission"):
        submit(store, tmp_path / "mine")
    with pytest.raises(UserError, match="contains the working store"):
        submit(store, tmp_path)


def without(held, which):
    return [r for r in held if not which(r)]


def told(held, **known):
    return [r.model_copy(update={"provenance": {**TOLD, **known}}) for r in held]


def recoded(held, **known):
    return [r.model_copy(update={"point": r.point.model_copy(update=known)}) for r in held]


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda held: without(held, at("jeidnn", 0.5, 1)), "jeidnn lacks 1 of 4 points (budget=0.5 of seed 1)"),
        (lambda held: without(held, lambda r: r.point.point == "exit=3"), "static lacks 2 of 12 points"),
        (lambda held: without(held, lambda r: r.point.method == "oracle"), "oracle lacks 2 of 2 points"),
        (lambda held: without(held, lambda r: r.point.method == "hull"), "hull lacks 4 of 4 points"),
        (lambda held: without(held, at()), "no method"),
        (lambda held: changed(held, at("jeidnn", 0.5), status="failed", reason="x"), "2 points failed or timed out"),
        (lambda held: recoded(held, version=None), "state no version"),
        (lambda held: recoded(held, heads={"mine": "abc"}), "mine state no version"),
        (lambda held: recoded(held, code="odd"), "--rerun changed"),
        (lambda held: told(held, cpu=None), "do not state cpu"),
        (lambda held: told(held, git_dirty=True), "uncommitted changes"),
        (lambda held: changed(held, at("jeidnn", 0.5, 1), metrics={"accuracy": 0.999}), "1 records do not agree"),
        (lambda held: changed(held, at("jeidnn", 0.5, 1), outcomes=None), "1 records do not agree"),
    ],
)
def test_what_is_missing_or_wrong_is_said(damage, says):
    assert problems(made()) == ()
    found = problems(damage(made()))
    assert len(found) == 1 and says in found[0]


def test_only_the_board_s_protocols_and_banks_are_taken():
    assert "protocol is 'external'" in problems(made(protocol_version="external"))[0]
    held = made()
    cell = held[0].cell
    assert problems(held, [cell]) == ()
    other = cell.model_copy(update={"bank_digest": "e" * 16})
    assert problems(held, [other, cell]) == ()
    assert f"bank is {'b' * 12}" in problems(held, [other])[0]
    moved = other.model_copy(update={"exit_names": ("stage 1", "head")})
    assert problems(held, [moved]) == () and not check(cell, held, [moved], {}).notes[0].startswith("the board")
    assert "damaged: head.safetensors is missing" in problems(held, [], {"b" * 16: "head.safetensors is missing."})[0]


def test_the_newest_record_of_a_point_counts():
    held = made()
    old = changed(held, at("jeidnn", 0.5), status="failed", created="2025-01-01T00:00:00+00:00")
    assert problems([*old, *held]) == ()


def test_a_flag_is_for_the_scores_that_were_compared(tmp_path):
    held = made()[:3]
    assert verified(tmp_path, held) == set()
    note(tmp_path, {r.id: {"scores": scores_digest(r)} for r in held})
    assert verified(tmp_path, held) == {r.id for r in held}
    edited = [held[0].model_copy(update={"metrics": {**held[0].metrics, "accuracy": 1.0}}), *held[1:]]
    assert verified(tmp_path, edited) == {r.id for r in held[1:]}
    note(tmp_path, {held[1].id: None})
    assert verified(tmp_path, edited) == {held[2].id}
    (tmp_path / "verified.json").write_text("[1]")
    with pytest.raises(UserError, match="verify the records again"):
        verified(tmp_path, held)
