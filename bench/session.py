"""A run from its configuration: datasets and backbones to banks, banks to a plan, the plan to stored records."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from bench import backbones, datasets, protocol
from bench.backbones.staged import StagedBackbone
from bench.bank import bank as banks
from bench.bank.bank import Bank
from bench.config import RunConfig, resolve_device
from bench.datasets.images import ImageDataset
from bench.executors import serial
from bench.executors.worker import Settings
from bench.method import Method
from bench.plugins import load_files
from bench.protocol import Splits
from bench.trials.plan import Trial, load_methods, plan
from bench.trials.provenance import provenance
from bench.trials.record import Record
from bench.trials.store import Store, uninterrupted

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
        return plan(self.config, bank, self.methods, self.store)

    def run(
        self, trials: list[tuple[Bank, Trial]], started: Callable[[Trial], None] = lambda trial: None
    ) -> Iterator[tuple[Trial, list[Record], list[Path]]]:
        """Run trials and store their records; yield each trial once its records are on disk."""
        facts = provenance(self.device, self.config.threads)
        for trial, results in serial.run(trials, Settings(self.device, self.config.threads, facts), started):
            with uninterrupted():
                paths = [self.store.write(record, samples) for record, samples in results]
            yield trial, [record for record, _ in results], paths
