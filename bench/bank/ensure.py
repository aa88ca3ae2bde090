"""Find the bank of a plan, or build it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.bank.bank import Bank, open_for
from bench.bank.build import build
from bench.bank.plan import Plan, default_root


def place(plan: Plan, root: Path | None = None) -> Path:
    """Return the folder that the bank of a plan is stored in, built or not."""
    return (default_root() if root is None else Path(root)) / plan.folder


def find(plan: Plan, root: Path | None = None) -> Bank | None:
    """Open the finished bank of a plan, or return None; raise BankError if it is corrupt."""
    path = place(plan, root)
    return open_for(plan, path) if path.exists() else None


def ensure(plan: Plan, root: Path | None = None, **options: Any) -> Bank:
    """Find the bank of a plan or build it; the options are those of `bench.bank.build.build`."""
    return find(plan, root) or build(plan, root, **options)
