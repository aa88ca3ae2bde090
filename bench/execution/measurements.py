"""The measured latencies of a setting: one JSON in the working store, with a part for every machine."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from bench.bank.cell import Cell
from bench.errors import UserError
from bench.system.files import read_regular, slug, write_atomic
from bench.trials.provenance import provenance

PLAIN = "plain backbone"
MOST_BYTES = 1 << 28


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Machine(_Model):
    """What latencies depend on; those of different machines are never compared or merged."""

    cpu: str
    device: str = Field(description="'cpu', or the model of the GPU")
    threads: int
    torch: str
    system: str

    @classmethod
    def here(cls, device: str, threads: int) -> Machine:
        """Return this machine."""
        facts = provenance(device, threads)
        return cls(
            cpu=facts["cpu"],
            device=facts["device"],
            threads=threads,
            torch=str(facts["packages"]["torch"]),
            system=facts["system"],
        )

    @property
    def key(self) -> str:
        """A short name for files that belong to the machine."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:8]

    @property
    def title(self) -> str:
        """The name of the machine in displays."""
        where = "" if self.device == "cpu" else f"{self.device}, "
        return f"{where}{self.cpu}, {self.threads} thread{'s' * (self.threads > 1)}, torch {self.torch}"


class Spread(_Model):
    """Median and quartiles over repeats."""

    median: float
    q1: float
    q3: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Summarise the repeats."""
        q1, median, q3 = np.quantile(values, (0.25, 0.5, 0.75)).tolist()
        return cls(median=median, q1=q1, q3=q3)


class Row(_Model):
    """One policy, or the plain backbone, at one batch size."""

    method: str = Field(description=f"label of the method, or '{PLAIN}'")
    budget: str | None = Field(description="'0.5': a fraction of the backbone's MACs; '5ms'; None: plain backbone")
    seed: int
    batch_size: int
    images: int = Field(description="test images in each repeat")
    repeats: int
    milliseconds: Spread = Field(description="measured, per batch")
    speed_up: float = Field(description="measured: the plain backbone's median in the same run over this one")
    cost_counted: float = Field(description="mean MACs on all of test over the plain backbone's, simulated")
    cost_executed: float = Field(description="mean MACs of the images that ran over the plain backbone's")
    accuracy: float = Field(description="on all of test, simulated")
    created: str = Field(description="UTC, ISO 8601")

    @property
    def key(self) -> tuple[str, str | None, int, int]:
        """The key of a row: a later measurement with the same key on the same machine replaces it."""
        return self.method, self.budget, self.seed, self.batch_size


class Part(_Model):
    """What one machine measured."""

    machine: Machine
    rows: tuple[Row, ...]


class Measurements(_Model):
    """All measured latencies of a setting."""

    schema_version: int = 1
    cell: Cell
    machines: tuple[Part, ...] = ()

    def of(self, machine: Machine) -> tuple[Row, ...]:
        """Return the rows of a machine."""
        return next((part.rows for part in self.machines if part.machine == machine), ())

    def added(self, machine: Machine, rows: Sequence[Row]) -> Measurements:
        """Return the measurements with these rows of a machine, which replace its earlier rows with the same keys."""
        new = {row.key for row in rows}
        kept = [row for row in self.of(machine) if row.key not in new]
        others = [part for part in self.machines if part.machine != machine]
        parts = (*others, Part(machine=machine, rows=(*kept, *rows)))
        return self.model_copy(update={"machines": tuple(sorted(parts, key=lambda part: part.machine.title))})


def path_of(store: Path, cell: Cell) -> Path:
    """Return the path of a setting's measurements in a working store."""
    return store / slug(cell.dataset) / slug(cell.backbone) / f"latency-{cell.bank_digest[:12]}.json"


def load(path: Path, cell: Cell) -> Measurements:
    """Return a setting's measurements, empty if there is no file; raise UserError if it is damaged."""
    try:
        found = Measurements.model_validate_json(read_regular(path, MOST_BYTES))
    except FileNotFoundError:
        return Measurements(cell=cell)
    except (OSError, ValueError) as error:
        problem = " ".join(str(error).split())[:200]
        raise UserError(f"'{path}' is not a readable file of latencies ({problem}). Delete it.") from None
    if found.cell != cell or found.schema_version != 1:
        raise UserError(f"'{path}' contains latencies of another setting or version. Move it elsewhere.")
    return found


def add(path: Path, cell: Cell, machine: Machine, rows: Sequence[Row]) -> Measurements:
    """Add rows of a machine to the stored measurements; return all of them."""
    found = load(path, cell).added(machine, rows)
    text = found.model_dump_json(indent=1) + "\n"
    write_atomic(path, lambda file: file.write(text.encode()))
    return found


def publish(store: Path, target: Path, cell: Cell) -> Path | None:
    """Add a setting's measurements from a working store to a published store; return the path, or None without any.

    Raises UserError if a file of either store is damaged.
    """
    parts = load(path_of(store, cell), cell).machines
    for part in parts:
        add(path_of(target, cell), cell, part.machine, part.rows)
    return path_of(target, cell) if parts else None
