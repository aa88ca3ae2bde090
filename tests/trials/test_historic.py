"""Records that earlier versions wrote: those of the schema that is read must always load, others are refused by name.

historic/ holds files as they were written. Add one of each kind when the schema changes, and never change one.
"""

import json
from pathlib import Path

import pytest

from bench.errors import UserError
from bench.stats.load import from_records
from bench.trials.record import SCHEMA_VERSION, record_id
from bench.trials.store import Store, parse, read
from bench.trials.table import frame_of

FILES = sorted((Path(__file__).parent / "historic").glob("*.json"))
READ = [path for path in FILES if path.name.startswith(f"schema{SCHEMA_VERSION}")]
REFUSED = [path for path in FILES if path not in READ]


def test_there_are_files_of_every_schema():
    assert {int(path.name[6]) for path in FILES} == set(range(1, SCHEMA_VERSION + 1))


@pytest.mark.parametrize("path", READ, ids=lambda path: path.stem)
def test_a_record_of_this_schema_loads_and_keeps_its_id(path, tmp_path):
    record = read(path)
    assert record.id == record_id(record.cell, record.point)
    assert json.loads(record.model_dump_json()) == json.loads(path.read_text())
    assert len(frame_of([record])) == 1 and from_records([record]).num_exits == len(record.cell.exit_names)
    assert read(Store(tmp_path).write(record)) == record


@pytest.mark.parametrize("path", REFUSED, ids=lambda path: path.stem)
def test_a_record_of_an_earlier_schema_is_refused_by_name(path):
    version = json.loads(path.read_text())["schema_version"]
    with pytest.raises(
        UserError, match=rf"is a record of schema {version}; this version reads schema {SCHEMA_VERSION}"
    ):
        read(path)


@pytest.mark.parametrize("extra", [{}, {"something_new": 1}])
def test_a_record_of_a_later_schema_is_refused_by_name(extra):
    content = json.loads(READ[0].read_text()) | {"schema_version": SCHEMA_VERSION + 1} | extra
    with pytest.raises(UserError, match=rf"is a record of schema {SCHEMA_VERSION + 1}; this version reads"):
        parse(Path("x.json"), json.dumps(content).encode())
