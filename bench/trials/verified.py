"""Which records of a store were computed again with the same scores: `verified.json` beside them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.system.files import read_regular, write_atomic
from bench.trials.record import Record

FILE = "verified.json"
MOST_BYTES = 1 << 28
Entry = dict[str, Any]  # 'scores', a digest of what was compared, and how the comparison went


def verified(folder: Path, records: Iterable[Record]) -> set[str]:
    """Return the ids of the records that a re-run has verified, as they are now: an edit removes the flag."""
    held = read(folder)
    return {record.id for record in records if held.get(record.id, {}).get("scores") == scores_digest(record)}


def read(folder: Path) -> dict[str, Entry]:
    """Return the entries of a store's folder by record id, empty without a file; raise UserError if it is damaged."""
    path = folder / FILE
    try:
        found = json.loads(read_regular(path, MOST_BYTES))
        if not isinstance(found, dict) or not all(isinstance(entry, dict) for entry in found.values()):
            raise ValueError("it is not a table of records")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"'{path}' cannot be read ({error}). Delete it and verify the records again.") from None
    return found


def note(folder: Path, entries: Mapping[str, Entry | None]) -> None:
    """Store what re-runs found, by record id; None removes a flag."""
    found = {**read(folder), **entries}
    kept = {name: entry for name, entry in sorted(found.items()) if entry is not None}
    text = json.dumps(kept, indent=1, sort_keys=True) + "\n"
    write_atomic(folder / FILE, lambda file: file.write(text.encode()))


def scores_digest(record: Record) -> str:
    """Hash what a re-run compares: id, status and scores."""
    text = json.dumps([record.id, record.status, record.metrics], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
