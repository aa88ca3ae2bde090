"""The files of tuned/ in a working store: per bank and method a YAML with what was kept, the reason and the history."""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Iterable
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench.bank.cell import Cell
from bench.errors import UserError
from bench.system.files import slug, write_atomic
from bench.system.yaml_files import NotYaml, read_yaml

SCHEMA_VERSION = 2
FOLDER = "tuned"
LIMIT = 1 << 26  # maximum bytes of a file

OBJECTIVE = "mean accuracy over costs on unseen images of val, both ways round (bench.tune.objective, v2)"

Kept = Literal["tuned", "defaults"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Row(_Model):
    """One trial of a search."""

    number: int
    params: dict[str, Any]
    status: Literal["ok", "pruned", "failed"]
    scores: tuple[float, ...] = Field(description="one per seed, in their order; fewer if pruned")
    same_as: int | None = Field(default=None, description="the earlier trial of the same parameters, not fitted again")
    reason: str | None = Field(default=None, description="why it failed or was pruned")
    seconds: float = 0.0

    @property
    def mean(self) -> float:
        """The mean over the seeds that were run."""
        return sum(self.scores) / len(self.scores)

    @property
    def running(self) -> list[float]:
        """The means over the first 1, 2, … seeds."""
        return [total / (t + 1) for t, total in enumerate(accumulate(self.scores))]


class Decision(_Model):
    """The winner compared with the defaults on samples and seeds that the search did not use (`compare`)."""

    trial: int = Field(description="the winner's number")
    defaults: tuple[float, ...] = Field(default=(), description="one score per deciding seed")
    best: tuple[float, ...] = Field(default=(), description="the winner's scores, one per deciding seed")
    interval: tuple[float, float] | None = Field(default=None, description="95 %, of the mean difference")
    images: int = Field(default=0, description="number of held-back images, over all deciding seeds")
    reason: str | None = Field(default=None, description="why it failed")
    seconds: float = 0.0

    @property
    def difference(self) -> float:
        """Best minus defaults, the mean over seeds."""
        return (sum(self.best) - sum(self.defaults)) / len(self.best)


class Protocol(_Model):
    """How a search was run. Searches of one bank with equal protocols had the same budget."""

    seeds: tuple[int, ...] = Field(description="on which every trial is scored")
    deciding: tuple[int, ...] = Field(description="seeds on which the winner and the defaults are compared")
    budgets: tuple[float, ...]
    window: tuple[float, float] = Field(description="costs between which curves are compared")
    search_seed: int
    threads: int
    device: str = Field(description="cpu or cuda")
    round_size: int
    objective: str = OBJECTIVE
    sampler: str
    pruning: str


class Subject(_Model):
    """What was searched: a configured method on a bank."""

    method: str = Field(description="name[param=value,…] as it was asked for")
    identity: str = Field(description="versions of the method and its head recipes, or the code of those without one")
    dataset: str
    dataset_variant: str | None
    backbone: str
    image_size: int
    bank_digest: str
    protocol_version: str
    limit: int | None
    space: dict[str, Any] = Field(description="parameter → {low, high, log}, or its list of values")
    when: dict[str, Any] = Field(
        default_factory=dict, description="parameter → {other: values} for which it has an effect"
    )


class Tuned(_Model):
    """One search, finished or not."""

    schema_version: int = SCHEMA_VERSION
    subject: Subject
    protocol: Protocol
    trials: int = Field(description="how many were asked for")
    kept: Kept | None = Field(description="None while the search is unfinished")
    reason: str = ""
    parameters: dict[str, Any] = Field(
        default_factory=dict, description="kept values of the searched parameters that have an effect"
    )
    decision: Decision | None = Field(default=None, description="None if no trial scored above the defaults")
    versions: dict[str, str | None]
    history: tuple[Row, ...] = ()


def path_of(folder: Path, cell: Cell, method: str) -> Path:
    """Return the path of the search of a method (its label) on a bank, whether it exists or not.

    Every bank and label has its own file. An older file without a digest in its name is used if it matches both.
    """
    name = _stem(cell, method)
    own = hashlib.sha256(f"{cell.bank_digest}|{method}".encode()).hexdigest()[:8]
    path, earlier = Path(folder) / f"{name}--{own}.yaml", Path(folder) / f"{name}.yaml"
    if not path.exists() and earlier.exists():
        subject = read(earlier).subject
        return earlier if (subject.bank_digest, subject.method) == (cell.bank_digest, method) else path
    return path


def of_other_banks(folder: Path, cell: Cell, method: str) -> list[Path]:
    """Return the searches of a method on banks of the same dataset and backbone."""
    name = glob.escape(_stem(cell, method))
    found = [*Path(folder).glob(f"{name}.yaml"), *Path(folder).glob(f"{name}--????????.yaml")]
    return sorted(path for path in found if read(path).subject.method == method)


def _stem(cell: Cell, method: str) -> str:
    return f"{slug(cell.dataset)}--{slug(cell.backbone)}--{slug(method)}"[:200]


def write(path: Path, tuned: Tuned) -> None:
    """Write a search, atomically."""
    import yaml

    text = yaml.safe_dump(
        tuned.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=120, default_flow_style=None
    )
    write_atomic(path, lambda file: file.write(text.encode()))


def read(path: Path) -> Tuned:
    """Read a search; raise UserError naming the file if it is damaged or of another schema."""
    try:
        if path.exists() and not path.is_file():
            raise NotYaml(f"'{path}' is not a regular file.")
        data = read_yaml(path, "search", limit=LIMIT, typed=True)
        version = data.get("schema_version") if isinstance(data, dict) else None
        if version != SCHEMA_VERSION:
            raise UserError(f"'{path}' is a search of schema {version}; this version reads schema {SCHEMA_VERSION}.")
        return Tuned.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        problem = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    except NotYaml as error:
        problem = str(error).rstrip(".")
    raise UserError(
        f"'{path}' is not a readable search ({problem}). Move it away and run `bench tune` again."
    ) from None


def searches(folder: Path) -> list[Tuned]:
    """Read all searches of a folder, in order of their names."""
    return [read(path) for path in sorted(Path(folder).glob("*.yaml")) if not path.name.startswith(".")]


def moved_aside(path: Path) -> Path:
    """Return an unused path for a search whose settings differ from those requested."""
    places: Iterable[Path] = (path.parent / "earlier" / f"{path.stem}--{i}.yaml" for i in range(1, 1_000_000))
    return next(place for place in places if not place.exists())
