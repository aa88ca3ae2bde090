"""The banks that a run asks for. Data and weights are opened only if the cached status of a bank is not enough."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from bench.bank.fitting import check_fits, modality_of
from bench.bank.outsiders import guarded, outsiders
from bench.bank.status import BankStatus, bank_status, built
from bench.bank.store import delete, mark_used, stamps, unchanged
from bench.errors import UserError
from bench.system.cpus import cpu_count
from bench.system.network import ToDownload
from bench.system.recall import Recording, recall, recording, remember

if TYPE_CHECKING:
    from bench.bank.bank import Bank
    from bench.bank.manifest import Manifest
    from bench.bank.plan import Plan
    from bench.config import RunConfig
    from bench.datasets.dataset import Dataset

KIND = "bank"
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Request:
    """A user's request: a dataset through a backbone, with options. None means the default."""

    dataset: str
    backbone: str
    image_size: int | None = None
    exits: str | None = None
    weights: str | None = None
    dtype: str = "float16"
    views: int = 0
    precision: str = "float32"
    channels_last: bool = False
    limit: int | None = None
    data_dir: Path | None = None
    bank_dir: Path | None = None

    @classmethod
    def of(cls, config: RunConfig, dataset: str, backbone: str) -> Request:
        """Return a run's request for one dataset and backbone."""
        names = [field.name for field in fields(cls) if field.name not in ("dataset", "backbone")]
        return cls(dataset, backbone, **{name: getattr(config, name) for name in names})

    @property
    def title(self) -> str:
        """The bank's name in displays before its data is opened."""
        return f"{self.dataset} → {self.backbone}"


class SharedData:
    """A dataset shared by several banks: opened once, when first needed."""

    def __init__(self, name: str, data_dir: Path | None) -> None:
        self.name, self.data_dir = name, data_dir
        self._recording = Recording()

    @cached_property
    def _opened(self) -> Dataset:
        from bench import datasets

        with recording(self._recording):
            return datasets.load(self.name, data_dir=self.data_dir)

    def open(self, by: Recording | None = None) -> Dataset:
        """Return the dataset, and add the paths that opening it depended on to a recording."""
        found = self._opened
        if by is not None:
            by.include(self._recording)
        return found


class StoredBank:
    """A bank given by its folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        manifest = self._manifest()
        self.request = Request(manifest.dataset, manifest.backbone)

    def _manifest(self) -> Manifest:
        from bench.bank.manifest import read_manifest

        if not self.path.is_dir():
            raise UserError(f"There is no bank '{self.path}'. `bench bank list` lists those on this machine.")
        return read_manifest(self.path)

    @property
    def outsiders(self) -> dict[str, str]:
        """Empty: opening a bank runs no third-party code."""
        return {}

    def status(self) -> BankStatus:
        """Return the status of the bank. Raises BankError if it is not finished."""
        return built(self._manifest(), self.path)

    def ensure(self, device: str, progress: Progress | None = None) -> Bank:
        """Open and verify the bank; raise BankError if it is corrupt."""
        from bench.bank.bank import Bank

        return Bank.open(self.path)


class Source:
    """The dataset and backbone that one bank is made from."""

    def __init__(self, request: Request, data: SharedData | None = None) -> None:
        self.request = request
        self._data = data or SharedData(request.dataset, request.data_dir)
        self._recording = Recording()

    @cached_property
    def outsiders(self) -> dict[str, str]:
        """What identifies the code of the dataset and backbone, for those that are third-party."""
        return outsiders(self.request.dataset, self.request.backbone)

    @cached_property
    def plan(self) -> Plan:
        """Open the dataset, load the backbone, and split the dataset by the protocol, its `seen` rule included."""
        from bench import backbones, protocol
        from bench.bank.plan import Plan

        wanted = self.request
        with recording(self._recording), guarded(self.outsiders):
            dataset = self._data.open(self._recording)
            check_fits(dataset, wanted.backbone, modality_of(wanted.backbone))
            spec, size = backbones.for_images(wanted.backbone, dataset.native_size, wanted.image_size)
            backbone = backbones.load(
                spec,
                num_classes=dataset.num_classes,
                image_size=size,
                weights=wanted.weights,
                exits=wanted.exits,
                data_dir=wanted.data_dir,
            )
            check_fits(dataset, backbone.name, backbone.modality)
            seen = protocol.has_seen(dataset, backbone.seen, backbone.tuned)
            tuned = protocol.tuned_on(dataset, backbone.tuned)
            splits = protocol.split(dataset, seen=seen, tuned=tuned, limit=wanted.limit)
        return Plan(dataset, backbone, splits, wanted.dtype, wanted.views, wanted.precision, wanted.channels_last)

    def status(self) -> BankStatus:
        """Look for the bank without building it. Raises UserError if the data or the backbone is not valid."""
        if (known := self._recalled()) is not None:
            return known
        try:
            found = bank_status(self.plan, self.request.bank_dir)
        except ToDownload as error:
            return BankStatus("to download", None, None, None, None, None, str(error), error.bytes)
        if found.state == "built":
            self._remember(found)
        return found

    def ensure(self, device: str, progress: Progress | None = None) -> Bank:
        """Return the bank, building it with all cores if it is missing; raise BankError if it is corrupt."""
        import torch

        from bench.bank.bank import Bank
        from bench.bank.ensure import ensure

        if (known := self._recalled()) is not None and known.path is not None:
            return Bank.open(known.path)
        torch.set_num_threads(cpu_count())
        there = bank_status(self.plan, self.request.bank_dir).state == "built" if self.outsiders else False
        bank = None
        try:
            with guarded(self.outsiders):
                bank = ensure(self.plan, self.request.bank_dir, device=device, progress=progress)
        except UserError:
            if bank is not None and not there:  # the code that made it changed shared state
                delete(bank.path)
            raise
        self._remember(built(bank.manifest, bank.path))
        return bank

    @property
    def _key(self) -> dict[str, str | None]:
        return {name: None if value is None else str(value) for name, value in asdict(self.request).items()}

    def _recalled(self) -> BankStatus | None:
        """Return the status of a built bank that is unchanged since it was last verified; otherwise None."""
        known = recall(KIND, self._key)
        if known is None:
            return None
        path = Path(known["path"])
        manifest = unchanged(path, known["digest"], known["stamps"])
        if manifest is None:
            return None
        mark_used(path)
        return built(manifest, path)

    def _remember(self, status: BankStatus) -> None:
        assert status.path is not None and status.cell is not None
        path, digest = status.path.absolute(), status.cell.bank_digest
        value = {"path": str(path), "digest": digest, "stamps": stamps(path, digest)}
        remember(KIND, self._key, value, self._recording)
