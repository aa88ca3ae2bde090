from __future__ import annotations

import json
import multiprocessing
import signal

import numpy as np
import pytest

from bench import load_records
from bench.errors import UserError
from bench.system.files import check_writable, slug, uninterrupted
from bench.trials.kept import Kept
from bench.trials.record import record_id
from bench.trials.store import Store, read
from tests.helpers.records import record as record_of


def test_a_record_comes_back_as_it_went(tmp_path, cell, trial_of):
    store, point = Store(tmp_path), trial_of("msdnet_thresh").points[0]
    rows = [{"exit": k, "share": 0.5, "accuracy_exited": None} for k in range(len(cell.exit_names))]
    record = record_of(cell, point, metrics={"accuracy": 0.5}, per_exit=rows)
    path = store.write(record, Kept({"exit_index": np.arange(5)}))
    assert read(path) == record
    assert path == tmp_path / "made-up" / "noise" / "msdnet_thresh" / f"{record.id}.json"
    assert np.load(path.with_suffix(".npz"))["exit_index"].tolist() == [0, 1, 2, 3, 4]
    assert not list(tmp_path.rglob("*.tmp"))


def test_the_id_follows_everything_that_determines_the_number(cell, trial_of):
    a, b = trial_of("msdnet_thresh").points[:2]
    ids = {
        record_id(cell, a),
        record_id(cell, b),
        record_id(cell, trial_of("msdnet_thresh", seed=1).points[0]),
        record_id(cell, trial_of("msdnet_thresh[ratios=published]").points[0]),
        record_id(cell, trial_of("entropy_thresh").points[0]),
        record_id(cell.model_copy(update={"bank_digest": "other"}), a),
        record_id(cell.model_copy(update={"protocol_version": "v2"}), a),
    }
    assert len(ids) == 7
    assert record_id(cell, a) == record_id(cell, trial_of("msdnet_thresh").points[0])


def test_a_damaged_record_is_named(tmp_path, cell, trial_of):
    path = Store(tmp_path).write(record_of(cell, trial_of("msdnet_thresh").points[0]))
    path.write_text(path.read_text()[:100])
    with pytest.raises(UserError, match=path.name):
        load_records(tmp_path)


def test_a_record_of_another_schema_is_named(tmp_path, cell, trial_of):
    path = Store(tmp_path).write(record_of(cell, trial_of("msdnet_thresh").points[0]))
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": 99}))
    with pytest.raises(UserError, match="schema 99"):
        load_records(tmp_path)


def test_a_record_of_the_schema_before_versions_is_refused_in_a_sentence(tmp_path, cell, trial_of):
    store, point = Store(tmp_path), trial_of("msdnet_thresh").points[0]
    path = store.write(record_of(cell, point))
    data = json.loads(path.read_text())
    old = {key: value for key, value in data["point"].items() if key not in ("version", "heads", "code", "exit")}
    path.write_text(json.dumps(data | {"schema_version": 2, "point": old | {"source_digest": "d" * 16}}, indent=1))
    for look in (store.records, lambda: store.status(cell, point), store.digests):
        with pytest.raises(UserError, match=r"schema 2; this version reads schema 3.*run again"):
            look()


def test_load_records_gives_one_row_per_point_in_a_stable_order(tmp_path, cell, trial_of):
    store = Store(tmp_path)
    for name in ("msdnet_thresh", "entropy_thresh"):
        for point in reversed(trial_of(name).points):
            store.write(record_of(cell, point, metrics={"accuracy": 0.5}, val={"accuracy": 0.4}))
    frame = load_records(tmp_path)
    assert len(frame) == 6 and frame["id"].is_unique
    assert frame["method"].tolist() == ["entropy_thresh"] * 3 + ["msdnet_thresh"] * 3
    assert frame["budget"].tolist() == [0.1, 0.5, 0.8] * 2
    assert (frame["val_accuracy"] == 0.4).all()


def test_an_unwritable_results_folder_is_found_before_work_starts(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="--output"):
        check_writable(tmp_path / "file" / "results", "results folder", "--output")


@pytest.mark.parametrize("name", ["../evil", "a/b", "<script>alert(1)</script>", "..", ""])
def test_names_become_harmless_folders(name):
    assert "/" not in slug(name) and slug(name) not in ("", ".", "..")


def _write_many(root, record):
    store = Store(root)
    for _ in range(40):
        store.write(record, Kept({"exit_index": np.arange(200)}))


def test_two_writers_of_one_record_leave_a_whole_one(tmp_path, cell, trial_of):
    record = record_of(cell, trial_of("msdnet_thresh").points[0], reason="x" * 5000)
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_write_many, args=(tmp_path, record)) for _ in range(2)]
    for worker in workers:
        worker.start()
    while any(w.is_alive() for w in workers):
        for path in tmp_path.rglob("[!.]*.json"):
            assert read(path) == record
    assert [w.exitcode for w in workers] == [0, 0]
    assert len(list(tmp_path.rglob("*.tmp"))) == 0


def test_ctrl_c_waits_for_the_records_of_a_trial():
    done = []
    with pytest.raises(KeyboardInterrupt), uninterrupted():
        signal.raise_signal(signal.SIGINT)
        done.append("written")
    assert done == ["written"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_status_is_read_from_the_head_of_a_file(tmp_path, cell, trial_of, monkeypatch):
    store, points = Store(tmp_path), trial_of("msdnet_thresh").points
    for point, status in zip(points, ("ok", "failed", "infeasible"), strict=True):
        store.write(record_of(cell, point, status=status))
    monkeypatch.setattr("bench.trials.store.parse", lambda *_: pytest.fail("a whole record was parsed"))
    assert [store.status(cell, point) for point in points] == ["ok", "failed", "infeasible"]
    assert store.status(cell, trial_of("entropy_thresh").points[0]) is None


def test_other_files_in_a_store_are_no_records(tmp_path, cell, trial_of):
    store = Store(tmp_path)
    path = store.write(record_of(cell, trial_of("msdnet_thresh").points[0]))
    for name in ("report/files.json", "tuned/a--b--c.yaml", "made-up/noise/msdnet_thresh/notes.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}")
    assert store.paths() == [path] and len(store.records()) == 1
