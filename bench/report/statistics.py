"""The statistics of a setting as a file of its report, so that a clone need not compute them again.

`<folder of the setting>/statistics.json.bz2`: a line with the key, and a line with the summary of the setting without
what only pages need. The CSV tables are not enough: they lack flags, quality checks and the names of what is compared.
"""

from __future__ import annotations

import bz2
import json
from collections.abc import Iterable
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

from bench.report.cells import Address
from bench.report.context import cell_report
from bench.report.formats.data import rounded
from bench.report.request import STATISTICS
from bench.report.state import digest
from bench.report.summary import CellSummary, from_json, to_json
from bench.stats.resample import BootstrapConfig
from bench.system.files import read_regular
from bench.trials.code import code_digest

MOST_BYTES = 1 << 26
ROOMS = ("report.context", "report.aggregate", "stats")  # code that statistics depend on


def key_of(records: str, address: Address, bootstrap: BootstrapConfig | None) -> str:
    """Return a digest of everything that the statistics of a setting depend on. records: the digest of its records."""
    config = asdict(bootstrap or BootstrapConfig())
    return digest(json.dumps([_code(), records, str(address.folder), address.name, config]).encode())


@cache
def _code() -> str:
    return code_digest(cell_report, ROOMS)


def write(summary: CellSummary, key: str) -> bytes:
    """Return the content of the file; numbers have the digits of the CSV tables, which all machines agree on."""
    kept = replace(
        summary, lines=(), looks={}, params={}, provenance={}, codes={}, facts=(), finder={}, downloads=()
    )  # fmt: skip
    text = json.dumps(_rounded(json.loads(to_json(kept))), separators=(",", ":"))
    return bz2.compress(f"{key}\n{text}\n".encode())


def read(reports: Iterable[Path], address: Address, key: str) -> CellSummary | None:
    """Return the summary from the first report that has it with this key, otherwise None; damaged files are skipped."""
    for out in reports:
        try:
            found, text = bz2.decompress(read_regular(out / address.folder / STATISTICS, MOST_BYTES)).split(b"\n", 1)
            if found.decode() == key:
                return from_json(text)
        except (OSError, ValueError):
            continue
    return None


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    return rounded(value) if isinstance(value, float) else value
