"""Make a report in memory; settings whose records did not change are reused from the report's folder."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

from bench.bank.cell import Cell
from bench.errors import UserError, nearest
from bench.execution.measurements import Part
from bench.report import statistics
from bench.report.cells import Address, addresses
from bench.report.inputs import code_digest
from bench.report.latencies import measured
from bench.report.networks import network_folder
from bench.report.parallel import workers
from bench.report.policies import Policy, policies
from bench.report.readme import updated
from bench.report.request import PAGE, STATISTICS, Request, has_format, in_git, is_published
from bench.report.state import LIST, Kept, digest, intact, listed, read_kept, settings_kept, state_path
from bench.report.summary import Report, from_json, report_of, to_json
from bench.stats.resample import BootstrapConfig
from bench.trials.record import Record
from bench.trials.stores import by_setting, open_store, read_all
from bench.tune.history import FOLDER, Tuned, searches

Tell = Callable[[str], None]
LEAST = 4_000_000  # size of the stores in bytes above which a process per setting saves time


@dataclass
class Made:
    """A report: its new files in memory by their paths in the folder, and the files that the folder already has."""

    report: Report
    files: dict[str, bytes] = field(default_factory=dict)
    unchanged: dict[str, str] = field(default_factory=dict)  # path: digest
    kept: dict[str, Kept] = field(default_factory=dict)  # folder of a setting: its state to store
    stale: list[str] = field(default_factory=list)  # files of earlier reports that this one does not have
    readme: bytes | None = None

    def digests(self) -> dict[str, str]:
        """Return the digest of every file."""
        return {**self.unchanged, **{name: digest(content) for name, content in self.files.items()}}


Beside = tuple[tuple[Tuned, ...], tuple[Part, ...], tuple[Policy, ...]]  # of a setting: searches, latencies, policies
Held = tuple[Sequence[Record], frozenset[str]]  # the records of a setting, and the ids of the published ones


@dataclass(frozen=True)
class _Task:
    """A setting to rebuild; if `held` is None, the process that rebuilds it reads the records."""

    cell: Cell
    address: Address
    searched: tuple[Tuned, ...]
    measured: tuple[Part, ...]
    policies: tuple[Policy, ...]
    key: str  # of its statistics
    held: Held | None = None


def make(request: Request, *, jobs: int = 1, force: bool = False, tell: Tell = lambda line: None) -> Made:
    """Return a report in memory. Its bytes depend only on the records, not on their order or on what is reused.

    jobs: the number of processes, used if several settings have many records. force: rebuild all settings.
    Raises UserError for stores without records, for a name in `only` that no setting has, and for a README without
    markers.
    """
    digests, searched = _digests(request), _searches(request)
    places = _wanted(addresses(digests), request.only)
    latencies, exported = {cell: measured(request.roots, cell) for cell in places}, policies(request.roots)
    beside = {cell: (searched.get(cell.bank_digest, ()), latencies[cell], exported.get(cell, ())) for cell in places}
    stored = {cell: f"{digests[cell]} {network_folder(cell)}" for cell in places}
    keys = {cell: _key(request, stored[cell], address, beside[cell]) for cell, address in places.items()}
    known = {cell: statistics.key_of(digests[cell], address, request.bootstrap) for cell, address in places.items()}
    kept = {} if force else {c: k for c, a in places.items() if (k := _reusable(request, a, keys[c]))}
    made = {cell: from_json(kept[cell].summary) for cell in kept}
    if not request.formats:
        others = {c: a for c, a in places.items() if c not in made}
        made |= {c: one for c, a in others.items() if (one := statistics.read(request.also, a, known[c]))}
    for cell in [cell for cell, summary in made.items() if not all(maker.up_to_date for maker in summary.makers)]:
        del made[cell]
        kept.pop(cell, None)
    for cell, address in places.items():
        tell(f"{address.folder}: {'unchanged' if cell in made else 'making …'}")
    files: dict[str, bytes] = {}
    found: dict[str, Kept] = {}
    tasks = [_Task(c, a, *beside[c], known[c]) for c, a in places.items() if c not in made]
    for cell, mine, content in _anew(request, tasks, jobs, tell):
        own = {name: digest(value) for name, value in mine.items()}
        files |= mine
        found[str(places[cell].folder)] = Kept(keys[cell], request.formats, own, content)
        made[cell] = from_json(content)
    report = report_of([made[cell] for cell in places], request.bootstrap)
    result = Made(report, files, _files_of(kept.values(), request.formats), found)
    if request.only is None and request.formats:
        from bench.report.files import overall_files

        result.files |= overall_files(report, request.formats)
        if request.readme is not None:
            result.readme = updated(request.readme, report, request.out).encode()
    _list(request, result)
    return result


def _digests(request: Request) -> dict[Cell, str]:
    """Return a digest of the records of every setting, which also depends on which of the stores are published."""
    parts: dict[Cell, list[tuple[bool, str]]] = {}
    for path in request.roots:
        for cell, found in open_store(path).digests().items():
            parts.setdefault(cell, []).append((path in request.against, found))
    return {cell: digest(json.dumps(held).encode()) for cell, held in parts.items()}


def _searches(request: Request) -> dict[str, tuple[Tuned, ...]]:
    found: dict[str, tuple[Tuned, ...]] = {}
    for search in (s for path in request.roots for s in searches(Path(path) / FOLDER)):
        found[search.subject.bank_digest] = (*found.get(search.subject.bank_digest, ()), search)
    return found


def _wanted(places: Mapping[Cell, Address], only: str | None) -> dict[Cell, Address]:
    known = {c: {str(a.folder), a.folder.parts[0], c.dataset} for c, a in places.items()}
    wanted = {c: places[c] for c, names in known.items() if only is None or only.strip("/") in names}
    if not wanted:
        valid = {name for a in places.values() for name in (a.folder.parts[0], str(a.folder))}
        raise UserError(f"No record belongs to '{only}'.{nearest(str(only), valid)}")
    return wanted


def _key(request: Request, stored: str, address: Address, beside: Beside) -> str:
    """Return a digest of everything that the files of a setting depend on, besides formats."""
    bootstrap, (searched, latencies, exported) = asdict(request.bootstrap or BootstrapConfig()), beside
    others = [found.model_dump_json() for found in (*searched, *latencies)]
    others += [f"{policy.path.name} {policy.digest}" for policy in exported]
    parts = [code_digest(), stored, str(address.folder), address.name, bootstrap, others]
    return digest(json.dumps(parts).encode())


def _reusable(request: Request, address: Address, key: str) -> Kept | None:
    """Return the stored state of a setting if rebuilding it would give the same result, otherwise None."""
    for out in (request.out, *request.also):
        kept = read_kept(out, str(address.folder))
        if kept is not None and kept.key == key and (not request.formats or _whole(request, kept)):
            return kept
    return None


def _whole(request: Request, kept: Kept) -> bool:
    """Return whether all requested files are unchanged on disk and link only to files that are written."""
    if not set(request.formats) <= set(kept.formats):
        return False
    linked = [form for form in PAGE if form in request.formats] == [form for form in PAGE if form in kept.formats]
    return linked and intact(request.out, _files_of([kept], request.formats))


def _files_of(kept: Iterable[Kept], formats: Sequence[str]) -> dict[str, str]:
    return {name: value for one in kept for name, value in one.files.items() if has_format(name, formats)}


def _anew(
    request: Request, tasks: Sequence[_Task], jobs: int, tell: Tell
) -> Iterable[tuple[Cell, dict[str, bytes], bytes]]:
    """Rebuild settings: yield each with its files and its summary."""
    if not tasks:
        return
    if not all(map(is_published, request.roots)):  # published settings are fast to read
        held = _read(request, [task.cell for task in tasks])
        tasks = [replace(task, held=held[task.cell]) for task in tasks]
    start = time.monotonic()
    with workers(jobs if _large(request) else 1, len(tasks)) as each:
        done = each(partial(_make, request), tasks)
        for task, (count, files, content) in zip(tasks, done, strict=True):
            tell(f"{task.address.folder}: made from {count:,} records in {time.monotonic() - start:.1f} s")
            yield task.cell, files, content


def _large(request: Request) -> bool:
    """Return whether the stores are large enough for several processes to save time."""
    paths = (path for root in request.roots for path in open_store(root).paths())
    return sum(path.stat().st_size for path in paths) >= LEAST


def _make(request: Request, task: _Task) -> tuple[int, dict[str, bytes], bytes]:
    from bench.report.condense import summarised
    from bench.report.context import cell_report

    records, published = task.held or _read(request, [task.cell])[task.cell]
    report = cell_report(
        records,
        task.address,
        request.bootstrap,
        searched=task.searched,
        published=published,
        measured=task.measured,
        policies=task.policies,
    )
    if not request.formats:
        return len(records), {}, to_json(summarised(report))
    from bench.report.files import cell_files

    files, summary = cell_files(report, request.formats)
    if "csv" in request.formats:
        files[f"{report.folder}/{STATISTICS}"] = statistics.write(summary, task.key)
    return len(records), files, to_json(summary)


def _read(request: Request, cells: Sequence[Cell]) -> dict[Cell, Held]:
    """Return the records of some settings; of two with the same id the newer one counts, or the user's own in a tie."""
    own = {(r.cell, r.id): r for r in read_all(request.stores, cells)}
    other = {(r.cell, r.id): r for r in read_all(request.against, cells)}
    found = other | {key: r for key, r in own.items() if key not in other or r.created >= other[key].created}
    published = frozenset(record.id for key, record in found.items() if record is not own.get(key))
    return {cell: (records, published) for cell, records in by_setting(found.values()).items()}


def _list(request: Request, made: Made) -> None:
    """Add the list of files in git, and find the files of earlier reports that this one does not have."""
    before, folders = listed(request.out), [cell.folder for cell in made.report.cells]
    now = {*made.files, *made.unchanged}
    ours = {p for p in before if has_format(p, request.formats) and (request.only is None or _within(p, folders))}
    made.stale = sorted(ours - now)
    if request.only is None:
        made.stale += [state_path(folder) for folder in settings_kept(request.out) if folder not in folders]
    held = sorted(path for path in (before - ours) | now if in_git(path))
    made.files[LIST] = (json.dumps(held, indent=0) + "\n").encode()


def _within(path: str, folders: Iterable[str]) -> bool:
    own = ("{}/", "site/settings/{}.", "site/policies/{}/")
    return any(path.startswith(tuple(start.format(folder) for start in own)) for folder in folders)
