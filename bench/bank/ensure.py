"""The bank of given inputs: found where it was built already, else built."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.bank.bank import Bank, open_for
from bench.bank.build import build
from bench.bank.plan import Plan, default_root

if TYPE_CHECKING:
    from bench.backbones.staged import StagedBackbone
    from bench.datasets.images import ImageDataset
    from bench.protocol import Splits


def find(
    dataset: ImageDataset,
    backbone: StagedBackbone,
    splits: Splits,
    *,
    root: Path | None = None,
    dtype: str = "float16",
    views: int = 0,
) -> Bank | None:
    """Open the finished bank of exactly these inputs, or return None; raise BankError where it is corrupt."""
    plan = Plan(dataset, backbone, splits, dtype, views)
    path = (default_root() if root is None else Path(root)) / plan.folder
    return open_for(plan, path) if path.exists() else None


def ensure(dataset: ImageDataset, backbone: StagedBackbone, splits: Splits, **options: Any) -> Bank:
    """Find the bank or build it; the options are those of `bench.bank.build.build`."""
    where = {name: options[name] for name in ("root", "dtype", "views") if name in options}
    return find(dataset, backbone, splits, **where) or build(dataset, backbone, splits, **options)
