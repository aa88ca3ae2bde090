"""The published store: what is read is what was written, to the last bit and byte."""

from __future__ import annotations

import json
import math
import pickle
import random
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from bench.errors import UserError
from bench.trials.outcomes import pack, unpack
from bench.trials.published import NAMES, PublishedStore
from bench.trials.record import Record
from bench.trials.stored import samples_of
from bench.trials.stores import by_setting, digest_all, open_store, read_all, versions
from tests.helpers import records as make


def publish(folder: Path, held: list[Record]) -> Path:
    PublishedStore(folder).write(by_setting(held))
    return folder


def text(record: Record) -> str:
    """Everything but outcomes as text, in which NaN equals NaN and 1 is not 1.0."""
    fields = {name: getattr(record, name) for name in Record.model_fields if name not in ("cell", "point", "outcomes")}
    fields |= {"cell": record.cell.model_dump(mode="json"), "point": record.point.model_dump(mode="json")}
    return json.dumps(fields, sort_keys=True)


def check_equal(found: list[Record], given: list[Record]) -> None:
    known = {record.id: record for record in given}
    assert len(found) == len(known) == len(given)
    for record in found:
        assert text(record) == text(known[record.id])
        samples, old = samples_of(record), known[record.id].outcomes
        assert (samples is None) == (old is None)
        if samples is not None:
            for mine, theirs in zip(samples, unpack(known[record.id]), strict=True):
                assert mine.dtype == theirs.dtype and np.array_equal(mine, theirs)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def grid() -> list[Record]:
    held = make.records(longtail=True)
    failed = make.changed(held[:1], lambda r: True, status="infeasible", reason="too small")
    return [*failed, *held[1:]]


def test_a_grid_comes_back_as_it_was(tmp_path, grid):
    found = read_all([publish(tmp_path, grid)])
    check_equal(found, grid)
    assert isinstance(found[0], Record) and found == sorted(grid, key=lambda r: r.id)
    assert pickle.loads(pickle.dumps(found[0])) == found[0]
    assert found[0].model_dump_json() == next(r for r in grid if r.id == found[0].id).model_dump_json()
    assert found[0].model_copy(update={"note": "x"}).metrics == found[0].metrics


def test_bytes_depend_on_the_records_alone(tmp_path, grid):
    first = publish(tmp_path / "a", grid)
    shuffled = random.Random(0).sample(grid, len(grid))
    again = publish(tmp_path / "b", shuffled)
    once_more = publish(tmp_path / "c", open_store(first).records())
    assert contents(first) == contents(again) == contents(once_more)
    assert sorted(contents(first)) == [f"cifar100lt/efficientnet_lite0/{name}" for name in sorted(NAMES)]


def test_constants_copies_and_bounds_are_not_stored(tmp_path, grid):
    def with_more(record: Record) -> Record:
        if record.outcomes is None:
            return record
        from bench.metrics.bands import clopper_pearson

        coverage = round(400 * record.metrics["coverage_lac@0.05"]) / 400
        low, high = clopper_pearson(round(400 * coverage), 400)
        more = {"coverage_x@0.05": coverage, "coverage_low_x@0.05": low, "coverage_high_x@0.05": high, "one": 1.0}
        return record.model_copy(update={"metrics": record.metrics | more | {"copy": record.metrics["nll"]}})

    held = [with_more(record) for record in grid]
    folder = publish(tmp_path, held)
    (path,) = folder.rglob(NAMES[0])
    names = {name.removeprefix("metrics.") for name in pq.read_schema(path).names}
    assert "coverage_x@0.05" in names and "nll" in names
    assert not names & {"coverage_low_x@0.05", "coverage_high_x@0.05", "one", "copy"}
    check_equal(read_all([folder]), held)


EXTREMES = [0.0, -0.0, 5e-324, 1e308, math.inf, -math.inf, math.nan, 1 / 3, 0.1 + 0.2]


@pytest.mark.parametrize("seed", range(4))
def test_extreme_values_come_back(tmp_path, seed):
    rng = random.Random(seed)

    def floats(prefix: str) -> dict[str, float]:
        return {f"{prefix}{k}": rng.choice(EXTREMES) for k in range(6) if rng.random() < 0.7}

    def row(keys: list[str]) -> dict:
        values = [None, "text", 7, 2**70, True, [1], {"a": None}, *EXTREMES]
        return {key: rng.choice(values if seed % 2 else [*EXTREMES, None]) for key in keys}

    def extreme(record: Record) -> Record:
        keys = [key for key in ("exit", "name", "x", "json", "é@0.05") if rng.random() < 0.7]
        rows = [row(keys if rng.random() < 0.9 else keys[:1]) for _ in range(rng.randrange(5))]
        size = rng.choice([0, 1, 5, 30])
        exits = np.array([rng.randrange(rng.choice([1, 3, 300])) for _ in range(size)], int)
        outcomes = pack(np.array([rng.random() < 0.5 for _ in range(size)], bool), exits)
        update = {
            "metrics": floats("a"), "val": floats("b"), "timings": floats("c"), "per_exit": rows,
            "reliability": [(k, 2, rng.choice(EXTREMES), 0.5) for k in range(rng.randrange(4))],
            "outcomes": rng.choice([None, outcomes]), "note": rng.choice(["", "λ ≤ 1"]),
            "provenance": rng.choice([{}, {"a": {"b": None}}]), "reason": rng.choice([None, "", "why"]),
            "cell": make.cell(exit_names=tuple(f"stage {k}" for k in range(300))),
        }  # fmt: skip
        return record.model_copy(update=update)

    held = [extreme(record) for record in make.records(seeds=(0, 1), samples=40)]
    folder = publish(tmp_path / "a", held)
    found = open_store(folder).records()
    check_equal(found, held)
    assert contents(folder) == contents(publish(tmp_path / "b", found))


def test_settings_that_share_dataset_and_backbone_have_folders_of_their_own(tmp_path):
    wide, small = make.cell(), make.cell(image_size=32, bank_digest="c" * 16)
    other = make.cell(bank_digest="e" * 16)
    held = {where: make.records(("jeidnn",), (0,), (0.5,), where=where) for where in (wide, small, other)}
    store = PublishedStore(tmp_path)
    store.write({wide: held[wide]})
    before = contents(tmp_path)
    store.write({small: held[small]})
    store.write({other: held[other]})
    folders = {cell: folder.name for cell, folder in store.folders().items()}
    assert folders[wide] == "efficientnet_lite0" and folders[small] == "efficientnet_lite0--32px"
    assert len(set(folders.values())) == 3 and contents(tmp_path).items() >= before.items()
    check_equal(store.records(), [record for records in held.values() for record in records])
    check_equal(store.records([small]), held[small])


def test_digests_name_the_settings_that_changed(tmp_path, grid):
    other = make.records(dataset="mnist5k", bank_digest="c" * 16)
    for folder in (make.write(tmp_path / "runs", [*grid, *other]), publish(tmp_path / "published", [*grid, *other])):
        before = digest_all([folder])
        changed = make.changed(grid, make.at(seed=1), note="new")
        if folder.name == "runs":
            make.write(folder, changed)
        else:
            publish(folder, changed)
        after = digest_all([folder])
        assert {cell for cell in before if before[cell] != after[cell]} == {grid[0].cell}


def test_the_newest_record_of_an_id_counts_over_several_stores(tmp_path, grid):
    published = publish(tmp_path / "published", grid)
    newer = make.changed(grid, make.at(seed=1), created="2026-02-01T00:00:00+00:00", note="newer")
    runs = make.write(tmp_path / "runs", [record for record in newer if record.note])
    found = read_all([runs, published])
    check_equal(found, newer)


def test_versions_of_a_point_come_newest_first():
    (old,) = make.records(("jeidnn",), (0,), (0.5,), references=False)
    point = old.point.model_copy(update={"version": 2})
    new = make.record(old.cell, point, created="2026-03-01T00:00:00+00:00")
    assert versions([old, new]) == versions([new, old]) == [[new, old]]


def test_folders_without_records_are_refused(tmp_path, grid):
    with pytest.raises(UserError, match="does not exist"):
        open_store(tmp_path / "nowhere")
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(UserError, match="contains no records"):
        open_store(tmp_path)
    publish(tmp_path, grid)
    make.write(tmp_path, grid)
    with pytest.raises(UserError, match="both"):
        open_store(tmp_path)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("damage", ["cut", "gone", "other"])
def test_damaged_files_are_refused(tmp_path, grid, name, damage):
    path = next(publish(tmp_path, grid).rglob(name))
    other = next(publish(tmp_path / "other", make.records(("made_up",), (7,))).rglob(name))
    {
        "cut": lambda: path.write_bytes(path.read_bytes()[:-100]),
        "gone": path.unlink,
        "other": lambda: path.write_bytes(other.read_bytes()),
    }[damage]()
    if name == NAMES[0] and damage == "gone":
        with pytest.raises(UserError, match="contains no records"):
            open_store(tmp_path / "cifar100lt")
        return
    with pytest.raises(UserError, match="version control"):
        [samples_of(record) for record in open_store(tmp_path / "cifar100lt").records()]
