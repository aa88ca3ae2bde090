"""Publishing a working store: what is merged, what is replaced, what is refused."""

from __future__ import annotations

import pytest

from bench.errors import UserError
from bench.trials.publish import publish
from bench.trials.published import PublishedStore
from bench.trials.record import Record
from tests.helpers import records as make

LATER = "2026-02-01T00:00:00+00:00"


@pytest.fixture
def grid() -> list[Record]:
    return make.records(("jeidnn", "msdnet_thresh"), (0, 1), (0.3, 0.7), samples=40)


def counts(publication) -> dict[str, int]:
    (merged,) = publication.settings.values()
    return {word: count for word, count in merged.counts.items() if count}


def ids(folder) -> set[str]:
    return {record.id for record in PublishedStore(folder).records()}


def test_a_first_publication_has_all_records(tmp_path, grid):
    found = publish(make.write(tmp_path / "runs", grid), tmp_path / "results")
    assert counts(found) == {"new": len(grid)} and ids(tmp_path / "results") == {record.id for record in grid}
    again = publish(tmp_path / "runs", tmp_path / "results")
    assert counts(again) == {"unchanged": len(grid)}


def test_published_points_that_a_working_store_lacks_are_kept(tmp_path, grid):
    publish(make.write(tmp_path / "a", grid), tmp_path / "results")
    more = make.records(("entropy_thresh",), (0, 1), (0.3, 0.7), samples=40, references=False)
    found = publish(make.write(tmp_path / "b", more), tmp_path / "results")
    assert counts(found) == {"new": len(more), "kept": len(grid)}
    assert ids(tmp_path / "results") == {record.id for record in [*grid, *more]}


@pytest.mark.parametrize(
    ("created", "word", "note"),
    [(LATER, "replaced", "mine"), (None, "replaced", "mine"), ("2025-01-01T00:00:00+00:00", "older", "")],
)
def test_the_newest_record_of_a_point_is_published(tmp_path, grid, created, word, note):
    publish(make.write(tmp_path / "a", grid), tmp_path / "results")
    known = {"note": "mine"} | ({"created": created} if created else {})
    mine = make.changed(grid, make.at("jeidnn"), **known)
    found = publish(make.write(tmp_path / "b", mine), tmp_path / "results")
    assert counts(found) == {word: 4, "unchanged": len(grid) - 4}
    notes = {record.note for record in PublishedStore(tmp_path / "results").records() if record.point.label == "jeidnn"}
    assert notes == {note}


def test_a_record_of_another_version_replaces_the_older_one(tmp_path, grid):
    publish(make.write(tmp_path / "a", grid), tmp_path / "results")
    old = next(record for record in grid if make.at("jeidnn", 0.3, 1)(record))
    new = make.record(old.cell, old.point.model_copy(update={"version": 2}), created=LATER)
    found = publish(make.write(tmp_path / "b", [new]), tmp_path / "results")
    assert counts(found) == {"other version": 1, "kept": len(grid) - 1}
    assert ids(tmp_path / "results") == {record.id for record in grid} - {old.id} | {new.id}


def test_points_that_failed_are_not_published_and_replace_nothing(tmp_path, grid):
    publish(make.write(tmp_path / "a", grid), tmp_path / "results")
    broken = make.changed(grid, make.at("jeidnn", 0.3), status="failed", reason="it broke", created=LATER)
    found = publish(make.write(tmp_path / "b", broken), tmp_path / "results")
    assert counts(found) == {"unfinished": 2, "unchanged": len(grid) - 2, "kept": 2}
    assert {record.status for record in PublishedStore(tmp_path / "results").records()} == {"ok"}


def test_smoke_runs_are_not_published(tmp_path, grid):
    smoke = make.records(("jeidnn",), (0,), (0.3,), samples=40, limit=50, bank_digest="c" * 16)
    found = publish(make.write(tmp_path / "runs", [*grid, *smoke]), tmp_path / "results")
    assert [cell.limit for cell in found.smoke] == [50]
    assert list(found.settings) == [grid[0].cell] and ids(tmp_path / "results") == {record.id for record in grid}


def test_one_setting_of_several_is_published(tmp_path, grid):
    other = make.records(("jeidnn",), (0,), (0.3,), samples=40, dataset="mnist5k", bank_digest="c" * 16)
    store = make.write(tmp_path / "runs", [*grid, *other])
    found = publish(store, tmp_path / "results", ["mnist5k/efficientnet_lite0"])
    assert list(found.settings) == [other[0].cell]
    assert [path.parent.parent.name for path in found.paths] == ["mnist5k", "mnist5k"]
    with pytest.raises(UserError, match=r"no setting 'mnist6k'.*mnist5k"):
        publish(store, tmp_path / "results", ["mnist6k"])


def test_stores_do_not_mix(tmp_path, grid):
    store = make.write(tmp_path / "runs", grid)
    for target in (store, tmp_path):
        with pytest.raises(UserError, match="--to"):
            publish(store, target)
    publish(store, tmp_path / "results")
    with pytest.raises(UserError, match="is a published store"):
        publish(tmp_path / "results", tmp_path / "other")
