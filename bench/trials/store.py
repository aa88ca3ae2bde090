"""The working store: one JSON per operating point, written atomically and named by its id."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.bank.cell import Cell
from bench.errors import UserError
from bench.system.files import open_regular, read_regular, slug, visible, write_atomic
from bench.trials.record import SCHEMA_VERSION, Point, Record, contradiction, record_id

if TYPE_CHECKING:
    from bench.trials.kept import Kept


MOST_BYTES = 1 << 28  # of a record
NAME = re.compile(r"[0-9a-f]{20}\.json")  # of a record's file
HEAD = re.compile(rb'\s*\{\s*"schema_version":\s*(\d+),\s*"id":\s*"[0-9a-f]+",\s*"status":\s*"(\w+)",')


class Store:
    """A working store. Several runs may write to it at once: files are named by ids and renamed atomically."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def path(self, cell: Cell, point: Point) -> Path:
        """Return the path of the record of an operating point, whether it exists or not."""
        folder = self.root / slug(cell.dataset) / slug(cell.backbone) / slug(point.method)
        return folder / f"{record_id(cell, point)}.json"

    def write(self, record: Record, kept: Kept | None = None) -> Path:
        """Store a record, and its outcomes: what it shares with others once, the rest in an .npz beside it.

        Outcomes are written first, so that a record never lacks them.
        """
        import numpy as np

        path = self.path(record.cell, record.point)
        outcomes = path.with_suffix(".npz")
        if kept is not None:
            if kept.shared is not None:
                kept.shared.write(path.parent.parent)
            arrays: dict[str, Any] = dict(kept.arrays)
            write_atomic(outcomes, lambda file: np.savez_compressed(file, **arrays))
        else:
            outcomes.unlink(missing_ok=True)
        write_record(path, record)
        return path

    def status(self, cell: Cell, point: Point) -> str | None:
        """Return the status of a stored operating point, or None if it has no record."""
        path = self.path(cell, point)
        try:
            with open_regular(path) as file:
                head = HEAD.match(file.read(200))
        except FileNotFoundError:
            return None
        except OSError:
            head = None
        if head is None or int(head[1]) != SCHEMA_VERSION:
            return read(path).status
        return head[2].decode()

    def paths(self) -> list[Path]:
        """Return the paths of all records, in order.

        Other files are ignored, and so are copies: in hidden folders, where editors and file browsers put them, and
        below other folders of the store.
        """
        found = (path for path in self.root.rglob("*.json") if NAME.fullmatch(path.name))
        by_name: dict[str, list[Path]] = {}
        for path in sorted(path for path in found if visible(path, self.root)):
            by_name.setdefault(path.name, []).append(path)
        return sorted(path for same in by_name.values() for path in (_originals(same) if len(same) > 1 else same))

    def records(self, cells: Collection[Cell] | None = None) -> list[Record]:
        """Return all records, or those of some settings, in order of their paths."""
        if cells is None:
            return [read(path) for path in self.paths()]
        return [parse(path, content) for path, content, cell in self._contents() if cell in cells]

    def digests(self) -> dict[Cell, str]:
        """Return a digest of the stored records of every setting, without parsing the records."""
        found: dict[Cell, Any] = {}
        for path, content, cell in self._contents():
            found.setdefault(cell, hashlib.sha256()).update(path.name.encode() + content)
        return {cell: digest.hexdigest() for cell, digest in found.items()}

    def _contents(self) -> Iterator[tuple[Path, bytes, Cell]]:
        known: dict[bytes, Cell] = {}
        for path in self.paths():
            content = _content(path)
            text = _cell_text(content)
            if text not in known:
                known[text] = parse(path, content).cell
            yield path, content, known[text]


def _originals(paths: Sequence[Path]) -> list[Path]:
    """Return, for each setting and name of a record, the file nearest to the store's root."""
    first: dict[bytes, Path] = {}
    for path in sorted(paths, key=lambda path: (len(path.parts), path)):
        first.setdefault(_cell_text(_content(path)), path)
    return list(first.values())


def _cell_text(content: bytes) -> bytes:
    return content[content.find(b'"cell"') : content.find(b'"point"')]


def write_record(path: Path, record: Record) -> None:
    """Write a record's JSON without changing the files beside it."""
    text = record.model_dump_json(indent=1) + "\n"
    write_atomic(path, lambda file: file.write(text.encode()))


def read(path: Path) -> Record:
    """Read one record; raise UserError naming the file if it is damaged or of another schema."""
    return parse(path, _content(path))


def _content(path: Path) -> bytes:
    try:
        return read_regular(path, MOST_BYTES)
    except OSError as error:
        raise UserError(f"'{path}' is not a readable record ({error.strerror}). Delete it and run again.") from None


def parse(path: Path, content: bytes) -> Record:
    """Return the record in the content of a file; raise UserError if it is damaged or of another schema."""
    try:
        record = Record.model_validate_json(content)
        version: Any = record.schema_version
        problem = contradiction(record) or _misnamed(path, record)
        if version == SCHEMA_VERSION and not problem:
            return record
    except ValueError as error:
        version, problem = _version(content), " ".join(str(error).split())
    if version not in (None, SCHEMA_VERSION):
        raise UserError(
            f"'{path}' is a record of schema {version}; this version reads schema {SCHEMA_VERSION}. Choose another "
            "folder with --output, or move this one away: its operating points have to be run again."
        )
    raise UserError(f"'{path}' is not a readable record ({problem}). Delete it and run again.")


def _misnamed(path: Path, record: Record) -> str:
    """Return the problem if a file has the name of another record; any other kind of name is accepted."""
    other = NAME.fullmatch(path.name) and path.stem != record.id
    return f"it is a copy of the record {record.id}" if other else ""


def _version(content: bytes) -> Any:
    try:
        data = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return data.get("schema_version") if isinstance(data, dict) else None
