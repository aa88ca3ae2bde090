"""What a run would do and cost, shown as tables or as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from bench.cli.terminal import say_json
from bench.system.text import counted, file_size

if TYPE_CHECKING:
    from rich.console import Console

    from bench.bank.source import Request, Source, StoredBank
    from bench.bank.status import BankStatus
    from bench.session import Session
    from bench.trials.estimate import Counts, Group, History

MEASURED = "measured on a few batches, without the fit of a linear probe"


@dataclass(frozen=True)
class BankPlan:
    """One bank of a run, and its trials; `groups` is empty if the bank must be downloaded first."""

    request: Request
    bank_status: BankStatus
    build_seconds: float | None
    groups: list[Group]
    differs: str = ""  # what distinguishes it from other banks of the plan with the same title

    @property
    def title(self) -> str:
        """The name of the bank in tables."""
        title = self.bank_status.cell.title if self.bank_status.cell else self.request.title
        return f"{title}, {self.differs}" if self.differs else title


def show(session: Session, console: Console, *, json_output: bool = False) -> None:
    """Print the plan of a session; nothing is downloaded."""
    history = history_of(session, console)
    tell(session, plans_of(session, history, console), console, json_output=json_output)


def history_of(session: Session, console: Console) -> History:
    """Read the records that times are estimated from."""
    from bench.trials.estimate import History

    with console.status("Reading records …"):
        return History(session.store.records())


def plans_of(session: Session, history: History, console: Console) -> list[BankPlan]:
    """Return the plan of each bank of a session; nothing is downloaded."""
    from bench.system.network import no_downloads

    with no_downloads():
        return [plan_of(session, source, history, console) for source in session.sources()]


def tell(session: Session, banks: list[BankPlan], console: Console, *, json_output: bool = False) -> None:
    """Print a plan as tables, or as JSON."""
    banks = _distinct(banks)
    if json_output:
        say_json(as_json(session, banks))
    else:
        _print(session, console, banks)


def plan_of(session: Session, source: Source | StoredBank, history: History, console: Console) -> BankPlan:
    """Return the plan of one bank: its state, its build time (measured on a few batches) and estimates of trials."""
    from bench.bank import source as sources
    from bench.trials.estimate import groups, hardware
    from bench.trials.provenance import provenance

    with console.status(f"Looking for the bank of {source.request.title} …"):
        status = source.status()
    if status.cell is None:
        return BankPlan(source.request, status, None, [])
    seconds: float | None = None if status.state == "broken" else 0.0
    if status.to_compute and isinstance(source, sources.Source):
        from bench.bank.speed import images_per_second

        with console.status(f"Measuring {source.request.title} …"):
            seconds = status.to_compute / images_per_second(source.plan, session.device)
    here = hardware(provenance(session.device, session.config.threads))
    found = groups(session.trials(session.config_on(source, status), status.cell), history, here, session.config.rerun)
    return BankPlan(source.request, status, seconds, found)


def _distinct(banks: list[BankPlan]) -> list[BankPlan]:
    """Return the banks with distinct titles."""
    from bench.trials.folders import suffix

    found = []
    for bank in banks:
        cell = bank.bank_status.cell
        twins = {b.bank_status.cell for b in banks if b.bank_status.cell and b.title == bank.title}
        found.append(replace(bank, differs=suffix(cell, twins)) if cell and len(twins) > 1 else bank)
    return found


def crowded(session: Session) -> str:
    """Return a remark if the jobs need more threads than this machine has cores, otherwise ''."""
    from bench.system.cpus import cpu_count

    jobs, threads, cores = session.dispatch.jobs, session.config.threads, cpu_count()
    if session.config.ray_address is not None or jobs is None or jobs * threads <= max(cores, threads):
        return ""
    share = f"{counted(jobs, 'trial')} of {counted(threads, 'thread')} share {counted(cores, 'core')}"
    return f"{share}: more jobs than cores do not make a run faster."


def as_json(session: Session, banks: list[BankPlan]) -> dict[str, Any]:
    """Return the plan as JSON values; docs/commands.md describes the keys."""
    from bench.trials.estimate import wall_seconds

    dispatch, groups = session.dispatch, [g for b in banks for g in b.groups]
    jobs, threads = dispatch.jobs, session.config.threads
    builds = [b.build_seconds for b in banks]
    serial = wall_seconds(groups, 1)
    return {
        "executor": dispatch.executor,
        "jobs": jobs,
        "device": dispatch.device,
        "needs": {
            "threads_per_trial": threads,
            "gpus_per_trial": dispatch.gpus_per_trial,
            "threads": None if jobs is None else jobs * threads,
            "gpus": None if jobs is None else dispatch.gpus_per_trial * jobs,
        },
        "output": str(session.config.output),
        "trials": _total([g.trials for g in groups]),
        "points": _total([g.points for g in groups]),
        "bank_bytes": sum(b.bank_status.bytes or 0 for b in banks),
        "build_seconds": None if None in builds else _round(sum(s for s in builds if s is not None)),
        "trial_seconds": _round(serial),
        "wall_seconds": _round(wall_seconds(groups, jobs)),
        "banks": [_bank_json(b) for b in banks],
    }


def _bank_json(bank: BankPlan) -> dict[str, Any]:
    status, named = bank.bank_status, bank.bank_status.cell or bank.request
    sizes = {"built": "the bank", "to download": "unknown"}
    times = {"built": "the bank is built", "broken": "unknown", "to download": "unknown"}
    return {
        "dataset": named.dataset,
        "backbone": named.backbone,
        "image_size": named.image_size,
        "limit": named.limit,
        "digest": status.cell and status.cell.bank_digest,
        "state": status.state,
        "problem": status.problem,
        "to_download": status.to_download,
        "images": status.images,
        "images_to_compute": status.to_compute,
        "bytes": status.bytes,
        "bytes_source": sizes.get(status.state, "samples × features × bytes per number"),
        "build_seconds": _round(bank.build_seconds),
        "build_source": times.get(status.state, MEASURED),
        "methods": [
            {
                "method": g.method,
                "trials": asdict(g.trials),
                "points": asdict(g.points),
                "seconds_per_trial": _round(g.each.seconds),
                "seconds": _round(g.seconds),
                "source": g.each.source,
            }
            for g in bank.groups
        ],
    }


def _total(counts: list[Counts]) -> dict[str, int]:
    from bench.trials.estimate import Counts

    return asdict(sum(counts, Counts()))


def _round(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def _print(session: Session, console: Console, banks: list[BankPlan]) -> None:
    from bench.cli.terminal import table

    shown = table("bank", "samples", "bank is", "size", "build", title="Plan: banks")
    for b in banks:
        look = b.bank_status
        left = counted(look.to_compute or 0, "sample")
        state = f"partly built, {left} left" if look.state == "partial" else look.state
        images = "unknown" if look.images is None else f"{look.images:,}"
        shown.add_row(b.title, images, state, _size(look.bytes), duration(b.build_seconds))
    console.print(shown)
    for b in banks:
        if b.bank_status.problem:
            console.print(b.bank_status.problem, soft_wrap=True)
    console.print(_trials(banks))
    for line in remarks(session, banks):
        console.print(line, soft_wrap=True)


def _trials(banks: list[BankPlan]) -> Any:
    from bench.cli.terminal import table

    several = len(banks) > 1
    changed = any(g.trials.changed for b in banks for g in b.groups)
    columns = ["method", "done", "failed", "missing", *(["changed"] if changed else [])]
    columns += ["to do", "each", "all", "estimated from"]
    shown = table(*(["bank"] if several else []), *columns, title="Plan: trials")
    for b in banks:
        for g in b.groups:
            first = [b.title] if several else []
            t = g.trials
            counts = [str(n) for n in (t.done, t.failed, t.missing, *([t.changed] if changed else []), t.todo)]
            row = [*first, g.method, *counts, duration(g.each.seconds), duration(g.seconds), g.each.source]
            shown.add_row(*row)
    return shown


def remarks(session: Session, banks: list[BankPlan]) -> list[str]:
    """Return sentences on what is done, what the run needs, how long it may take, and the source of the estimates."""
    from bench.config import GEOMETRIC

    total = as_json(session, banks)
    trials, points, needs = total["trials"], total["points"], total["needs"]
    gpus = needs["gpus_per_trial"]
    device = f" and {gpus:g} GPU{'s' * (gpus > 1)}" if gpus else ""
    number = len(session.config.budgets) or GEOMETRIC
    budgets = {1: "its budget", 2: "both budgets"}.get(number, f"all {number} budgets")
    lines = [
        f"Trials: {trials['todo']} to do of {trials['total']} ({trials['done']} done, {trials['failed']} failed, "
        f"{trials['missing']} missing); operating points done: {points['done']} of {points['total']}.",
        *_changed(points["changed"]),
        f"A trial is one method and seed with {budgets}; it takes "
        f"{counted(needs['threads_per_trial'], 'CPU thread')}{device} on {total['device']}. "
        f"Executor: {session.dispatch.title}.",
    ]
    if remark := crowded(session):
        lines.append(remark)
    if any(b.bank_status.to_compute for b in banks):
        lines.append(f"Banks to build: about {duration(total['build_seconds'])} ({MEASURED}).")
    for b in banks:
        if b.bank_status.state == "to download":
            lines.append(f"{b.title}: its trials can be counted only after the download.")
    if trials["todo"]:
        lines.append(_time(total))
    return [*lines, f"Nothing was run or downloaded. Results would go to {total['output']}."]


def _changed(points: int) -> list[str]:
    """Return a remark on stored points made by other code of the same version, unless their number is 0."""
    if not points:
        return []
    again = f"`--rerun changed` runs {'it' if points == 1 else 'them'} again."
    return [f"Made by other code of the same version: {counted(points, 'operating point')}; {again}"]


def _time(total: dict[str, Any]) -> str:
    alone, wall = total["trial_seconds"], total["wall_seconds"]
    if alone is None:
        return "Expected time of the trials: unknown, because some have no earlier record of a similar trial."
    if wall is None:
        return f"Expected time of the trials: about {duration(alone)} divided by as many as the cluster runs at once."
    each = "" if total["jobs"] == 1 else f" ({duration(alone)} one after the other)"
    return f"Expected time of the trials: about {duration(wall)}{each}, estimated from earlier records."


def duration(seconds: float | None) -> str:
    """Return a duration as tables show it."""
    from bench.cli.progress import clock_time

    return "unknown" if seconds is None else "–" if seconds == 0 else clock_time(seconds)


def _size(count: int | None) -> str:
    return "unknown" if count is None else file_size(count)
