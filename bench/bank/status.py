"""The status of a bank before it is used: whether it is built, its size, and what a build would still compute."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bench.bank.cell import Cell, cell_of
from bench.bank.store import partial_folder
from bench.errors import BankError
from bench.system.files import open_regular

if TYPE_CHECKING:
    from bench.bank.manifest import Manifest
    from bench.bank.plan import Plan

State = Literal["built", "partial", "to build", "to download", "broken"]


@dataclass(frozen=True)
class BankStatus:
    """The status of a bank that exists or would be built. None: known only after a download."""

    state: State
    cell: Cell | None
    images: int | None
    to_compute: int | None  # images that a build would still send through the backbone
    bytes: int | None  # on disk; before it is built, the size of its feature arrays
    path: Path | None
    problem: str | None = None  # what is wrong with a broken bank, or what must be downloaded
    to_download: int | None = None  # bytes, if known
    macs: tuple[int, ...] | None = None  # [K] up to each exit, once it is built


def built(manifest: Manifest, path: Path) -> BankStatus:
    """Return the status of a finished bank."""
    images = sum(manifest.sizes.values())
    return BankStatus("built", cell_of(manifest), images, 0, manifest.bytes, path, macs=manifest.macs)


def bank_status(plan: Plan, root: Path | None) -> BankStatus:
    """Return the status of the planned bank without building it; a corrupt one is reported in `problem`, not raised."""
    from bench.bank.ensure import find, place

    path, cell = place(plan, root), cell_of(plan)
    try:
        bank = find(plan, root)
    except BankError as error:
        return BankStatus("broken", cell, plan.images, 0, plan.bytes, path, str(error))
    if bank is not None:
        return built(bank.manifest, path)
    partial = partial_folder(path)
    if partial.is_dir():
        return BankStatus("partial", cell, plan.images, plan.images - _done(partial, plan), plan.bytes, path)
    return BankStatus("to build", cell, plan.images, plan.images, plan.bytes, path)


def _done(folder: Path, plan: Plan) -> int:
    """Count the images that an interrupted build has finished; 0 if its checksums cannot be read."""
    import numpy as np

    try:
        found = 0
        for split in plan.rows:
            with open_regular(folder / f"{split}.done.npy") as file:
                found += int(np.count_nonzero(np.load(file, allow_pickle=False)))
        return min(found, plan.images)
    except Exception:  # damaged files raise many kinds
        return 0
