"""Pack the records of a working store for the board: complete settings only, checked, with a manifest."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.bank.cell import Cell
from bench.bank.store import list_banks
from bench.errors import UserError
from bench.protocol import VERSIONS
from bench.system.files import write_atomic
from bench.trials.accepted import codes_of, made_by_other_code
from bench.trials.folders import names_of, place_of
from bench.trials.publish import UNFINISHED, working_records
from bench.trials.published import PublishedStore
from bench.trials.record import SCHEMA_VERSION, Record
from bench.trials.references import MIXED
from bench.trials.stored import samples_of
from bench.trials.stores import versions

MANIFEST = "submission.json"
FORMAT = 1
NEEDED = ("packages", "python", "cpu", "device", "threads")  # of provenance
ROUNDING = 1e-6
SHOWN = 3  # examples that a problem names


@dataclass(frozen=True)
class Checked:
    """One setting: its newest records, the problems that prevent its submission, and notes for readers."""

    cell: Cell
    records: list[Record]
    problems: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Submission:
    """What was checked, and the paths of the files that were written; none if no setting passed."""

    settings: list[Checked]
    paths: list[Path]


def submit(
    store: str | Path,
    target: str | Path,
    only: Sequence[str] = (),
    board: str | Path | None = None,
    bank_dir: Path | None = None,
) -> Submission:
    """Check the settings of a working store, and write those without problems into a new folder with a manifest.

    The folder is a published store, so that `bench report` reads it. board: the published store that the rows are for.
    Raises UserError if there is nothing to submit, or the folder has other contents.
    """
    goal = Path(target)
    chosen = working_records(store, goal, only)
    if goal.exists() and (not goal.is_dir() or (any(goal.iterdir()) and not (goal / MANIFEST).is_file())):
        raise UserError(f"'{goal}' exists and is not a submission. Choose another folder with --to.")
    published = list(PublishedStore(Path(board)).folders()) if board is not None else []
    banks = {bank.digest: bank.problem for bank in list_banks(bank_dir)}
    checked = [check(cell, records, published, banks) for cell, records in chosen.items()]
    good: dict[Cell, Sequence[Record]] = {one.cell: one.records for one in checked if not one.problems}
    if not good:
        return Submission(checked, [])
    written = PublishedStore(goal)
    paths = written.write(good)
    stale = [path for path in written.paths() if path not in paths]  # of an earlier submission
    for path in stale:
        path.unlink(missing_ok=True)
    text = json.dumps(manifest([one for one in checked if not one.problems], paths, goal), indent=1, sort_keys=True)
    write_atomic(goal / MANIFEST, lambda file: file.write(f"{text}\n".encode()))
    return Submission(checked, [*paths, goal / MANIFEST])


def check(cell: Cell, records: Iterable[Record], board: Iterable[Cell], banks: dict[str, str | None]) -> Checked:
    """Check one setting. board: the settings that are published; banks: the problem of each bank here, by its digest.

    The newest record of each point and seed counts.
    """
    held = [same[0] for same in versions(records)]
    if cell.limit is not None:
        problem = f"it is a smoke run on {cell.limit} {cell.modality}s per split: run it without --limit"
        return Checked(cell, held, (problem,))
    problems = [*_protocol(cell), *_bank(cell, board, banks), *_grid(cell, held), *_code(held), *_provenance(held)]
    problems += _contradictions(held)
    notes = [] if cell.dataset_variant is None else [f"the data are not the official ones ({cell.dataset_variant})"]
    if cell.bank_digest not in banks:
        notes.append(f"its bank {cell.bank_digest[:12]} is not on this machine and was not verified")
    if not any(place_of(cell) == place_of(other) for other in board):
        notes.append("the board does not have this setting yet")
    return Checked(cell, held, tuple(problems), tuple(notes))


def _protocol(cell: Cell) -> list[str]:
    if cell.protocol_version in VERSIONS:
        return []
    return [
        f"its protocol is '{cell.protocol_version}', and the board takes {', '.join(VERSIONS)}: run the network itself "
        "with --dataset and --backbone"
    ]


def _bank(cell: Cell, board: Iterable[Cell], banks: dict[str, str | None]) -> list[str]:
    problem = banks.get(cell.bank_digest)
    found = [f"its bank is damaged: {problem}"] if problem else []
    same = [other for other in board if _asked(other) == _asked(cell)]
    if same and all(other.bank_digest != cell.bank_digest for other in same):
        digests = ", ".join(other.bank_digest[:12] for other in same)
        found.append(
            f"its bank is {cell.bank_digest[:12]}, and the board's setting of this dataset, network, size and exits "
            f"has {digests}: use the same data, weights and precision"
        )
    return found


def _asked(cell: Cell) -> tuple[Any, ...]:
    """Return the request for a setting: equal requests give the same bank from the same data and weights."""
    return place_of(cell), cell.size, cell.exit_names, cell.protocol_version, cell.limit


def _grid(cell: Cell, held: Sequence[Record]) -> list[str]:
    """Return which points failed or are missing: every method and reference needs all budgets and seeds."""
    failed = [r for r in held if r.status in UNFINISHED]
    have = {(r.point.label, r.point.point, r.point.seed) for r in held}
    labels = sorted({r.point.label for r in held if r.point.kind == "method"})
    budgets = sorted({r.point.budget for r in held if r.point.budget is not None})
    points = [f"budget={budget:g}" for budget in budgets]
    rows = dict.fromkeys([*labels, *MIXED], points)
    rows |= {"static": [f"exit={k}" for k in range(len(cell.exit_names))], "oracle": ["oracle"]}
    seeds = sorted({r.point.seed for r in held})
    found = [] if labels else ["it has no method"]
    for label, names in rows.items():
        missing = [f"{name} of seed {seed}" for seed in seeds for name in names if (label, name, seed) not in have]
        if missing:
            found.append(
                f"{label} lacks {len(missing)} of {len(names) * len(seeds)} points ({_some(missing)}): run it with "
                "the budgets and seeds of the other methods"
            )
    if failed:
        names = [f"{r.point.label}, {r.point.point}, seed {r.point.seed}" for r in failed]
        found.append(f"{len(failed)} points failed or timed out ({_some(names)}): `bench run --rerun failed`")
    return found


def _code(held: Sequence[Record]) -> list[str]:
    unversioned = {r.point.label for r in held if r.point.version is None}
    unversioned |= {text for r in held for text, version in r.point.heads.items() if not isinstance(version, int)}
    other = {r.point.label for r in held if made_by_other_code(r.point)}
    found = [f"{_some(sorted(unversioned))} state no version: add `version = 1`, run again"] if unversioned else []
    if other:
        found.append(
            f"{_some(sorted(other))} were computed by other code of the same version: `bench run --rerun changed`"
        )
    return found


def _provenance(held: Sequence[Record]) -> list[str]:
    lacking = Counter(name for r in held for name in NEEDED if not r.provenance.get(name))
    found = [f"{count} records do not state {name}: run them again" for name, count in lacking.items()]
    dirty = sum(bool(r.provenance.get("git_dirty")) for r in held)
    if dirty:
        found.append(f"{dirty} records were computed with uncommitted changes of exitbench: commit them, run again")
    return found


def _contradictions(held: Sequence[Record]) -> list[str]:
    """Return which records have an accuracy that differs from that of their stored outcomes."""
    wrong = [record.id for record in held if record.status == "ok" and not _agrees(record)]
    return [f"{len(wrong)} records do not agree with their outcomes ({_some(wrong)}): run them again"] if wrong else []


def _agrees(record: Record) -> bool:
    outcomes = samples_of(record)
    if outcomes is None:
        return record.point.kind == "reference"  # of which some are closed forms
    return bool(abs(outcomes.correct.mean() - record.metrics.get("accuracy", -1.0)) <= ROUNDING)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return "; ".join(names[:SHOWN]) + more


def manifest(settings: Sequence[Checked], paths: Sequence[Path], root: Path) -> dict[str, Any]:
    """Describe a submission: its settings, what computed them, and the SHA-256 of every file."""
    names = names_of(one.cell for one in settings)
    return {
        "format": FORMAT,
        "schema_version": SCHEMA_VERSION,
        "settings": [{"name": names[one.cell], **_described(one)} for one in settings],
        "files": {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in paths},
    }


def _described(one: Checked) -> dict[str, Any]:
    held = one.records
    environments: dict[str, Any] = {}
    for record in held:
        told = {name: record.provenance.get(name) for name in (*NEEDED, "git_sha")}
        environments[json.dumps(told, sort_keys=True)] = told
    return {
        "cell": one.cell.model_dump(mode="json"),
        "points": len(held),
        "statuses": dict(Counter(r.status for r in held)),
        "methods": sorted({r.point.label for r in held if r.point.kind == "method"}),
        "seeds": sorted({r.point.seed for r in held}),
        "budgets": sorted({r.point.budget for r in held if r.point.budget is not None}),
        "code": sorted({str(code) for r in held for code in codes_of(r.point)}),
        "environments": [environments[key] for key in sorted(environments)],
        "notes": list(one.notes),
    }
