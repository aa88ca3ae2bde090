"""Run a configuration: find its banks, plan the missing trials of each, run them and store their records."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

from bench.bank.cell import Cell
from bench.bank.source import Progress, Request, SharedData, Source, StoredBank
from bench.config import RunConfig, geometric_budgets, resolve_device, resolve_dispatch
from bench.errors import BankError, UserError
from bench.executors.memory import check_supported
from bench.plugins.files import load_files
from bench.system.files import check_writable, uninterrupted
from bench.system.recall import Recording, recording
from bench.trials.credits import credited
from bench.trials.known import known_methods, known_trials, remember_methods, remember_trials
from bench.trials.plan import Configured, Trial, every_trial, load_methods, owed
from bench.trials.provenance import provenance
from bench.trials.store import Store

if TYPE_CHECKING:
    from bench.bank.bank import Bank
    from bench.bank.status import BankStatus
    from bench.execution.agreement import Agreement
    from bench.execution.network import Network
    from bench.method import Method
    from bench.trials.record import Point, Record
    from bench.trials.run import Result


@dataclass(frozen=True)
class Prepared:
    """A setting that is ready to run, and what is left to do on it."""

    cell: Cell
    work: list[tuple[Bank, Trial]]
    done: int  # operating points
    notes: list[str]  # a sentence per method under `tuned`
    config: RunConfig  # with the budgets of this setting


class Session:
    """One configured run: `sources`, `prepare` each of them, `run` their work, `close`.

    The constructor validates the configuration before any work starts. Cached facts about banks and methods
    (`bench.system.recall`) are used if they suffice; then neither torch nor a backbone is imported.
    """

    def __init__(self, config: RunConfig) -> None:
        self.config = config
        self.device = resolve_device(config.device)
        self.dispatch = resolve_dispatch(config, self.device)
        self.store = Store(config.output)
        self._recording = Recording()
        self.outsiders: dict[str, dict[str, str]] = {}  # digest of a bank → third-party code that it was made with
        self._running: Generator[tuple[Trial, list[Result]]] | None = None
        check_supported(config.memory)
        load_files(config.plugin)
        if not known_methods(config):
            self.methods  # noqa: B018 - now, so that a wrong name is an error before data is opened

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def check_folders(self) -> None:
        """Raise UserError now rather than after hours of work if records or the report cannot be written."""
        check_writable(self.store.root, "working store", "--output")
        if self.config.report:
            check_writable(self.config.reports, "report's folder", "--reports")

    def sources(self) -> Iterator[Source | StoredBank]:
        """Return the source of every bank of the run: those it names, or each dataset through each backbone."""
        for path in self.config.bank:
            yield StoredBank(path)
        if self.config.bank:
            return
        for dataset in self.config.dataset:
            data = SharedData(dataset, self.config.data_dir)
            for backbone in self.config.backbone:
                yield Source(Request.of(self.config, dataset, backbone), data)

    def prepare(self, source: Source | StoredBank, progress: Progress | None = None) -> Prepared:
        """Return the work that is left on a source's bank, building the bank if it is missing.

        Raises UserError, before a bank is built, if a search that `tuned` needs is missing or unfinished, or is of
        another bank, or used a seed of this run.
        """
        status = source.status()
        if status.cell is None or status.state == "broken":
            raise BankError(status.problem)
        cell = status.cell
        config = self.config_on(source, status)
        left, done = owed(self.trials(config, cell), self.store, self.config.rerun)
        if not left and status.state == "built":
            return Prepared(cell, [], done, self._notes(cell), config)
        bank = self._ensure(source, progress)
        loaded = self._loaded_trials(config, cell)  # cached trials can be counted but not run
        left, _ = owed(loaded, self.store, self.config.rerun)
        return Prepared(cell, [(bank, trial) for trial in left], done, self._notes(cell), config)

    def _ensure(self, source: Source | StoredBank, progress: Progress | None) -> Bank:
        bank = source.ensure(self.device, progress)
        if source.outsiders:
            self.outsiders[bank.digest] = source.outsiders
        return bank

    def run(
        self, work: Sequence[tuple[Bank, Trial]], started: Callable[[Trial], None] = lambda trial: None
    ) -> Generator[tuple[Trial, list[Record], list[Path]]]:
        """Run trials and store their records as they arrive; yield each trial once its records are on disk.

        Close the session to end a run early. Raises UserError if records can no longer be written; those written
        before are complete.
        """
        if not work:
            return  # without importing an executor
        with closing(self._executed(work, started)) as self._running:
            for trial, results in self._running:
                yield trial, [record for record, _ in results], self._stored(results)

    def verify(self, source: Source | StoredBank, cell: Cell, images: int) -> Iterator[tuple[Point, Agreement]]:
        """Execute stored policies of the first seed on `images` test samples; yield the agreement with each record."""
        from bench.execution.verify import verify

        network, methods = self.network(source), self.configured(cell)
        budgets = self.config_on(source, source.status()).budgets
        yield from verify(network, cell, methods, budgets, self.store, images)

    def network(self, source: Source | StoredBank, progress: Progress | None = None) -> Network:
        """Return the network that executes policies of the first seed on a source's samples, with a trial's threads.

        Raises UserError for a bank that is named by its folder, which contains neither data nor network.
        """
        if isinstance(source, StoredBank):
            raise UserError(
                f"The bank '{source.path}' contains features only, and execution needs the data and the network. Name "
                "them with --dataset and --backbone."
            )
        import torch

        from bench.execution.network import Network

        bank = self._ensure(source, progress)
        torch.set_num_threads(self.config.threads)
        return Network(source.plan, bank, self.config.seeds[0], torch.device(self.device))

    def close(self) -> None:
        """Stop a run in progress and shut down its executor."""
        if self._running is not None:
            self._running.close()

    @cached_property
    def methods(self) -> list[Method]:
        """The methods of the run, loaded and configured."""
        with recording(self._recording):
            found = load_methods(self.config.methods)
        remember_methods(self.config, self._recording)
        return found

    def config_on(self, source: Source | StoredBank, status: BankStatus) -> RunConfig:
        """Return the configuration for a bank: with the bank's own budgets under `--budgets auto`."""
        if self.config.budgets:
            return self.config
        macs = source.plan.macs if status.macs is None and isinstance(source, Source) else status.macs
        assert macs is not None  # a bank that is named by its folder is built
        return self.config.model_copy(update={"budgets": geometric_budgets(macs)})

    def trials(self, config: RunConfig, cell: Cell) -> list[Trial]:
        """Return all trials of the run on a setting, done or not; cached ones can be counted but not run.

        config: that of `config_on`.
        """
        return known_trials(config, cell) or self._loaded_trials(config, cell)

    def _loaded_trials(self, config: RunConfig, cell: Cell) -> list[Trial]:
        methods = self.configured(cell)
        with recording(self._recording):
            found = every_trial(config, cell, methods)
        remember_trials(config, cell, found, self._recording)
        return found

    def configured(self, cell: Cell) -> list[Configured]:
        """Return the methods as they run on a setting: under `tuned` with the values that `bench tune` kept there."""
        if not self.config.tuned:
            return [Configured(method) for method in self.methods]
        from bench.tune import tuned

        found: dict[str, Configured] = {}
        for configured in tuned.apply(self.methods, cell, self.config.output / tuned.FOLDER, self.config.seeds):
            found.setdefault(configured.label, configured)  # tuned values may be those of another method of the run
        return list(found.values())

    def _notes(self, cell: Cell) -> list[str]:
        """Return a sentence per method: does it run with tuned values or with defaults?"""
        if not self.config.tuned:
            return []
        how = {"tuned": "the values that its search kept", "defaults": "its defaults, which its search kept"}
        nothing = "its configured values, because it has no search space"
        return [f"{m.label} runs with {how.get(m.tuned or '', nothing)}." for m in self.configured(cell)]

    def _executed(
        self, work: Sequence[tuple[Bank, Trial]], started: Callable[[Trial], None]
    ) -> Generator[tuple[Trial, list[Result]]]:
        from bench.executors.worker import Settings

        config, dispatch = self.config, self.dispatch
        settings = Settings(
            dispatch.device,
            config.threads,
            provenance(self.device, config.threads),
            retries=config.retries,
            timeout=config.timeout,
            memory=config.memory,
        )
        if dispatch.executor == "serial":
            from bench.executors import serial

            apart = bool(self.outsiders)  # their code ran in this process
            yield from serial.run(work, settings, started, plugins=config.plugin, apart=apart)
            return
        from bench.executors import ray

        cluster = ray.Cluster(config.ray_address, dispatch.jobs, dispatch.gpus_per_trial)
        yield from ray.run(work, settings, started, cluster=cluster, plugins=config.plugin)

    def _stored(self, results: list[Result]) -> list[Path]:
        try:
            with uninterrupted():
                return [self.store.write(credited(record, self.outsiders), kept) for record, kept in results]
        except OSError as error:
            problem = f"A record could not be written to the working store '{self.store.root}' ({error.strerror})."
            remedy = "All records written before are complete: make room, and run the same command again."
            raise UserError(f"{problem} {remedy}") from None
