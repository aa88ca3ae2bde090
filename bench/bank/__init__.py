"""The feature bank: features of every sample from one pass through the frozen backbone, as memory-mapped arrays.

`build` makes a bank, `bank` opens one, `store` finds, lists, verifies and prunes them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.bank.bank import Bank


def open(path: Path | str) -> Bank:
    """Open and verify the bank in a folder; raise BankError naming the file that is wrong."""
    from bench.bank.bank import Bank

    return Bank.open(path)
