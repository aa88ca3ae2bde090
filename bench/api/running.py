"""A whole run: banks, trials, records. The command `bench run` and the function `bench.run` use it."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from bench.config import build
from bench.session import Session
from bench.system.text import counted

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from bench.bank.source import Progress, Source, StoredBank
    from bench.session import Prepared
    from bench.trials.plan import Trial
    from bench.trials.record import Record

Trouble = tuple[str, str]  # the operating point, and why it has no result


class Trials(Protocol):
    """Receives the starts and ends of trials."""

    def start(self, trial: Trial) -> None:
        """Note that a trial starts."""

    def finish(self, trial: Trial, *, failed: bool) -> None:
        """Note that the records of a trial are stored."""


class _Silent:
    def start(self, trial: Trial) -> None: ...

    def finish(self, trial: Trial, *, failed: bool) -> None: ...


class Watcher:
    """Receives the progress of a run; this base class ignores it."""

    @contextmanager
    def building(self, title: str) -> Iterator[Progress | None]:
        """Wrap the opening of a bank; yield a callback that receives the number of images while it is built."""
        yield None

    @contextmanager
    def running(self, session: Session, trials: Sequence[Trial], done: int) -> Iterator[Trials]:
        """Wrap the trials; `done` operating points were stored before."""
        yield _Silent()

    def say(self, line: str) -> None:
        """Receive a line for the user."""


@dataclass
class Finished:
    """The outcome of a run."""

    settings: list[Prepared] = field(default_factory=list)
    sources: list[Source | StoredBank] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)  # of the operating points computed now
    troubles: list[Trouble] = field(default_factory=list)

    def records(self, session: Session) -> list[Record]:
        """Return the stored records of the operating points that the run asked for, whenever they were computed."""
        from bench.trials.record import record_id

        wanted = {
            (one.cell, record_id(one.cell, point))
            for one in self.settings
            for trial in session.trials(one.config, one.cell)
            for point in trial.points
        }
        stored = session.store.records({one.cell for one in self.settings})
        return [record for record in stored if (record.cell, record.id) in wanted]


def execute(session: Session, watcher: Watcher | None = None) -> Finished:
    """Build missing banks, run missing trials, store their records, and return the outcome."""
    from bench.trials.folders import names_of

    watcher, made = watcher or Watcher(), Finished()
    for source in session.sources():
        with watcher.building(source.request.title) as advance:
            one = session.prepare(source, advance)
        if any(one.cell == other.cell for other in made.settings):
            watcher.say(f"{source.request.title} is the same setting as an earlier one of this run; it runs only once.")
            continue
        made.settings.append(one)
        made.sources.append(source)
        for line in one.notes:
            watcher.say(line)
    names = names_of(one.cell for one in made.settings)
    work = [job for one in made.settings for job in one.work]
    with watcher.running(session, [t for _, t in work], sum(one.done for one in made.settings)) as trials:
        for trial, records, _ in session.run(work, trials.start):
            made.statuses.update(r.status for r in records)
            bad = [r for r in records if r.status in ("failed", "timeout")]
            made.troubles += [(f"{names[trial.cell]} · {trial.part}, {r.point.point}", r.reason or "") for r in bad]
            trials.finish(trial, failed=bool(bad))
    return made


def run(
    methods: str | Sequence[str] | None = None,
    dataset: str | Sequence[str] | None = None,
    backbone: str | Sequence[str] | None = None,
    *,
    seeds: str | int | Iterable[int] | None = None,
    budgets: str | Sequence[float] | None = None,
    output: str | Path | None = None,
    **settings: Any,
) -> pd.DataFrame:
    """Compare methods as the command `bench run` does, and return one row per operating point of this run.

    The settings are the options of `bench run`, with underscores: `data_dir=…`, `limit=500`, `jobs=2`; the defaults
    are the same. Records are stored in `output`, `runs` by default, and points stored there are not repeated; no
    report is written. Raises UserError for invalid settings.
    """
    from bench.trials.table import frame_of

    named: dict[str, Any] = {"methods": methods, "dataset": dataset, "backbone": backbone, "budgets": budgets}
    named |= {"seeds": tuple(seeds) if isinstance(seeds, Iterable) and not isinstance(seeds, str) else seeds}
    named |= {"output": output}
    given = {name: value for name, value in {**named, **settings}.items() if value is not None}
    with Session(build({**given, "report": False}, "bench.run")) as session:
        session.check_folders()
        made = execute(session)
        if made.troubles:
            first, reason = made.troubles[0]
            warnings.warn(
                f"{counted(len(made.troubles), 'operating point')} did not finish, for example {first}: {reason}",
                stacklevel=2,
            )
        return frame_of(made.records(session), outcomes=True)
