"""Add scores to stored records from the outcomes beside them, without training or inference."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.errors import UserError, nearest
from bench.metrics.calibration import reliability_of
from bench.metrics.families import FAMILIES, Family
from bench.metrics.samples import Measured
from bench.metrics.score import score
from bench.metrics.stored import from_arrays
from bench.system.npz import read_npz
from bench.trials.kept import SharedOutcomes, expand
from bench.trials.outcomes import pack
from bench.trials.provenance import made_with
from bench.trials.recomputed import recomputed
from bench.trials.record import SCHEMA_VERSION, Record
from bench.trials.store import Store, read, write_record
from bench.trials.stores import open_store

NO_FILE = "outcomes (.npz) beside them"
EXPECTED = ("oracle", "hull", "random")  # references in closed form: no policy was run, no samples are stored


@dataclass(frozen=True)
class Rescored:
    """The result of rescoring one record."""

    record: Record
    added: tuple[str, ...] = ()  # names of scores that are new, or differ when recomputed
    lacking: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # names not computed → what the outcomes lack
    problem: str = ""  # why the outcomes could not be used at all


def rescore(
    record: Record, arrays: Mapping[str, np.ndarray], *, again: bool = False, folder: Path | None = None
) -> Rescored:
    """Add the scores that a record lacks (with `again`, all that can be computed) and its packed outcomes.

    folder: of the setting, with the outcomes that the arrays share with others; the probabilities of all classes then
    come from the heads stored there and the bank. Scores that are stored and cannot be computed are kept. Raises
    UserError if the arrays are damaged or belong to another record.
    """
    todo = [family for family in FAMILIES if again or _absent(family, record)]
    shared = None
    if "answers" in arrays and folder is not None:
        try:
            shared = SharedOutcomes.read(folder, bytes(arrays["answers"]).hex())
            arrays = expand(arrays, shared.columns())
        except (ValueError, KeyError, IndexError) as error:
            raise UserError(f"{' '.join(str(error).split())}") from None
    point = _point(record, arrays)
    why: tuple[str, ...] = ()
    if shared is not None and any(family.lacks(point) for family in todo):
        try:
            point = recomputed(record, point, shared)
        except (UserError, ValueError) as error:
            why = (str(error),)
    made = score(point, todo)
    fresh = made.metrics if again else {k: v for k, v in made.metrics.items() if k not in record.metrics}
    rows = [_row(row, made.columns, again) for row in record.per_exit]
    outcomes = pack(point.test.correct, point.test.exit_index)
    curve = reliability_of(point.test.bins("width"))
    added = [name for name, value in fresh.items() if record.metrics.get(name) != value]
    added += [f"per_exit.{key}" for key in made.columns if _differs(key, record.per_exit, rows)]
    added += ["outcomes"] if record.outcomes != outcomes else []
    added += ["reliability"] if record.reliability != curve else []
    lacking = {
        name: why or tuple(made.not_made[family.title])
        for family in todo
        if family.title in made.not_made
        for name in _absent(family, record)
    }
    if not added:
        return Rescored(record, lacking=lacking)
    changes = {
        "schema_version": SCHEMA_VERSION,
        "metrics": record.metrics | fresh,
        "per_exit": rows,
        "outcomes": outcomes,
        "reliability": curve,
        "provenance": record.provenance | {"rescored": made_with()},
    }
    return Rescored(record.model_copy(update=changes), tuple(added), lacking)


def _absent(family: Family, record: Record) -> list[str]:
    """Return the scores of a family that a record lacks."""
    found = [name for name in family.names() if name not in record.metrics]
    return found + [f"per_exit.{key}" for key in family.columns if any(key not in row for row in record.per_exit)]


def _row(row: dict[str, Any], columns: Mapping[str, list[float | None]], again: bool) -> dict[str, Any]:
    new = {key: values[row["exit"]] for key, values in columns.items() if again or key not in row}
    return row | new


def _differs(key: str, before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> bool:
    return any(key not in a or a[key] != b[key] for a, b in zip(before, after, strict=True))


def _point(record: Record, arrays: Mapping[str, np.ndarray]) -> Measured:
    try:
        point = from_arrays(arrays, record.full_macs, len(record.cell.exit_names))
        shares = np.bincount(point.test.exit_index, minlength=point.num_exits) / len(point.test.correct)
    except (KeyError, ValueError, IndexError, TypeError) as error:
        raise UserError(f"they are not outcomes of this version or an earlier one ({error})") from None
    stored = (record.metrics.get("accuracy", math.nan), record.metrics.get("collapsed", math.nan))
    held = (float(point.test.correct.mean()), float(shares.max()))
    if len(shares) != point.num_exits or not np.allclose(stored, held, rtol=0, atol=1e-9):
        raise UserError(f"they belong to another run: accuracy and largest exit share are {held}, not {stored}")
    if point.exit_macs is None and all("macs" in row for row in record.per_exit):
        macs = {row["exit"]: row["macs"] for row in record.per_exit}
        if len(macs) == point.num_exits:
            costs = np.array([macs[k] for k in range(point.num_exits)], np.int64)
            return dataclasses.replace(point, exit_macs=costs)
    return point


def rescore_file(path: Path, *, again: bool = False, write: bool = True) -> Rescored:
    """Rescore the record at a path from the .npz beside it, and write it back atomically if anything was added."""
    record, beside = read(path), path.with_suffix(".npz")
    if record.status != "ok" or record.point.method in EXPECTED:
        return Rescored(record)
    if not beside.exists():
        names = [name for family in FAMILIES for name in _absent(family, record)]
        names += ["outcomes"] if record.outcomes is None else []
        names += ["reliability"] if not record.reliability else []
        said = "it has no outcomes (.npz) beside it to recompute them from" if again and not names else ""
        return Rescored(record, lacking=dict.fromkeys(names, (NO_FILE,)), problem=said)
    try:
        arrays = read_npz(beside)
    except ValueError as error:
        return Rescored(record, problem=f"the outcomes beside it are damaged ({error})")
    try:
        done = rescore(record, arrays, again=again, folder=path.parent.parent)
    except UserError as error:
        return Rescored(record, problem=f"the outcomes beside it cannot be used: {error}")
    if done.added and write:
        write_record(path, done.record)
    return done


def wanted_paths(store: Store, only: str | None = None) -> list[Path]:
    """Return the paths of the records of a working store, or those of one dataset or dataset/backbone.

    Raises UserError if there are none.
    """
    if not isinstance(open_store(store.root), Store):
        raise UserError(f"'{store.root}' is a published store; scores are added to a working store. Name one with -o.")
    paths = store.paths()
    folders = {path: path.relative_to(store.root).parts for path in paths}
    if only is not None:
        parts = tuple(only.strip("/").split("/"))
        paths = [path for path in paths if folders[path][: len(parts)] == parts]
    if not paths:
        valid = sorted({"/".join(f[:n]) for f in folders.values() for n in (1, 2)})
        place = f"'{only}' in " if only is not None else ""
        raise UserError(f"There is no record of {place}'{store.root}'.{nearest(only or '', valid) if valid else ''}")
    return paths


def rescore_all(paths: list[Path], *, again: bool = False, write: bool = True) -> Iterator[Rescored]:
    """Rescore records one after the other; an interruption between two loses nothing.

    Points that share outcomes follow each other, so that their heads run once.
    """
    return (rescore_file(path, again=again, write=write) for path in sorted(paths, key=_answers))


def _answers(path: Path) -> bytes:
    try:
        return bytes(read_npz(path.with_suffix(".npz")).get("answers", b""))
    except ValueError:
        return b""
