"""A run from its configuration: datasets and backbones to banks, banks to a plan, the plan to stored records."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import torch

from bench import backbones, datasets, protocol
from bench.backbones.staged import StagedBackbone
from bench.bank import ensure as banks
from bench.bank.bank import Bank
from bench.bank.cell import Cell, cell_of
from bench.bank.plan import Plan
from bench.config import RunConfig, resolve_device, resolve_dispatch
from bench.datasets.images import ImageDataset
from bench.errors import UserError
from bench.executors.memory import check_supported
from bench.executors.worker import Settings
from bench.method import Method
from bench.plugins.files import load_files
from bench.plugins.params import label
from bench.protocol import Splits
from bench.system.files import check_writable, uninterrupted
from bench.trials.estimate import Group, History, groups, hardware
from bench.trials.plan import Trial, load_methods, plan
from bench.trials.provenance import provenance
from bench.trials.record import Record
from bench.trials.run import Result
from bench.trials.store import Store

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Source:
    """What one bank is made from: a dataset, the backbone frozen for it, and the split."""

    dataset: ImageDataset
    backbone: StagedBackbone
    splits: Splits

    @property
    def title(self) -> str:
        """What a progress display calls it."""
        return f"{self.dataset.name} → {self.backbone.name}, {self.backbone.image_size} px"

    @property
    def images(self) -> int:
        """How many images a build of the bank sends through the backbone."""
        return len(self.splits.train) + len(self.splits.pool) + len(self.splits.test)


class Session:
    """One configured run. Building it validates everything that can be wrong before any work starts."""

    def __init__(self, config: RunConfig) -> None:
        self.config = config
        self.device = resolve_device(config.device)
        load_files(config.plugin)
        self.methods: list[Method] = load_methods(config.methods)
        self.store = Store(config.output)
        self.dispatch = resolve_dispatch(config, self.device)
        check_supported(config.memory)

    def check_folders(self) -> None:
        """Raise UserError now rather than after hours of work when records or report could not be written."""
        check_writable(self.store.root, "results folder", "--output")
        check_writable(self.config.reports, "report's folder", "--reports")

    def sources(self) -> Iterator[Source]:
        """Open every dataset and load every backbone that the run asks for; each dataset goes through each backbone."""
        for name in self.config.dataset:
            dataset = datasets.load(name, data_dir=self.config.data_dir)
            for network in self.config.backbone:
                yield self.source(dataset, network)

    def source(self, dataset: ImageDataset, backbone: str) -> Source:
        """Load a backbone for a dataset and split the dataset by the protocol, its `seen` rule included."""
        size = self.config.image_size or backbones.default_image_size(backbone, dataset.native_size)
        network = backbones.load(
            backbone,
            num_classes=dataset.num_classes,
            image_size=size,
            weights=self.config.weights,
            exits=self.config.exits,
            data_dir=self.config.data_dir,
        )
        seen = dataset.source in network.seen
        return Source(dataset, network, protocol.split(dataset, seen=seen, limit=self.config.limit))

    def find_bank(self, source: Source) -> Bank | None:
        """Return the bank of a source where it is built already."""
        return banks.find(source.dataset, source.backbone, source.splits, **self._bank_options())

    def bank_plan(self, source: Source) -> Plan:
        """Say what the bank of a source contains, whether it is there or not."""
        return Plan(source.dataset, source.backbone, source.splits, self.config.dtype, self.config.views)

    def ensure_bank(self, source: Source, progress: Progress | None = None) -> Bank:
        """Return the bank of a source, building it with all cores where it is missing."""
        torch.set_num_threads(os.cpu_count() or 1)
        return banks.ensure(
            source.dataset,
            source.backbone,
            source.splits,
            device=self.device,
            progress=progress,
            **self._bank_options(),
        )

    def _bank_options(self) -> dict:
        return {"root": self.config.bank_dir, "dtype": self.config.dtype, "views": self.config.views}

    def plan(self, bank: Bank) -> tuple[list[Trial], int]:
        """Return the trials still to do on a bank, and how many operating points are done."""
        return plan(self.config, bank, self.methods_on(cell_of(bank)), self.store)

    def methods_on(self, cell: Cell) -> list[Method]:
        """Return the methods as they run on a bank: under `tuned` with what `bench tune` kept for them there.

        Raises UserError for a search that is missing, unfinished, of another bank, or on a seed of this run.
        """
        return self._tuned(cell.dataset, cell.backbone, cell.bank_digest) if self.config.tuned else self.methods

    def tuned_lines(self, bank: Bank) -> list[str]:
        """Say which methods run on a bank with tuned values, and which with defaults that their search kept."""
        said = {"tuned": "with the values that its search kept", "defaults": "with its defaults, which its search kept"}
        found = self.methods_on(cell_of(bank)) if self.config.tuned else []
        how = [said.get(getattr(method, "tuned", ""), "as it is, with nothing to search") for method in found]
        return [f"{label(method.name, method.config)} runs {words}." for method, words in zip(found, how, strict=True)]

    def check_tuned(self, source: Source) -> None:
        """Raise UserError now rather than after a bank was built, where a search that the run asks for is not there."""
        if self.config.tuned:
            self._tuned(source.dataset.name, source.backbone.name, self.bank_plan(source).digest)

    def _tuned(self, dataset: str, backbone: str, digest: str) -> list[Method]:
        from bench.tune import tuned

        folder = self.config.output / tuned.FOLDER
        found: dict[str, Method] = {}
        for method in tuned.apply(self.methods, dataset, backbone, folder, digest, self.config.seeds):
            found.setdefault(label(method.name, method.config), method)  # tuned values may be those of another one
        return list(found.values())

    def history(self) -> History:
        """Read the stored records for their states and timings."""
        return History(self.store.records())

    def groups(self, cell: Cell, history: History) -> list[Group]:
        """Price the trials on a bank, method by method."""
        here = hardware(provenance(self.device, self.config.threads))
        return groups(self.config, cell, self.methods_on(cell), history, here)

    def run(
        self, trials: Sequence[tuple[Bank, Trial]], started: Callable[[Trial], None] = lambda trial: None
    ) -> Generator[tuple[Trial, list[Record], list[Path]]]:
        """Run trials and store their records as they arrive; yield each trial once its records are on disk.

        Close the iterator to end a run early: what the executor started is then shut down. Raises UserError where
        records can no longer be written; those written before are whole.
        """
        with closing(self._executed(trials, started)) as ended:
            for trial, results in ended:
                yield trial, [record for record, _ in results], self._stored(results)

    def _executed(
        self, trials: Sequence[tuple[Bank, Trial]], started: Callable[[Trial], None]
    ) -> Generator[tuple[Trial, list[Result]]]:
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

            yield from serial.run(trials, settings, started, plugins=config.plugin)
            return
        from bench.executors import ray

        cluster = ray.Cluster(config.ray_address, dispatch.jobs, dispatch.gpus_per_trial)
        yield from ray.run(trials, settings, started, cluster=cluster, plugins=config.plugin)

    def _stored(self, results: list[Result]) -> list[Path]:
        try:
            with uninterrupted():
                return [self.store.write(record, samples) for record, samples in results]
        except OSError as error:
            problem = f"A record could not be written to the results folder '{self.store.root}' ({error.strerror})."
            remedy = (
                "All records written before are kept and whole: make room, and the same command goes on from there."
            )
            raise UserError(f"{problem} {remedy}") from None
