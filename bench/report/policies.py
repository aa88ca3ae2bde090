"""Exported policies that are published beside the records of their settings: `<dataset>/<backbone>/policies/*.zip`."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from bench.bank.cell import Cell
from bench.errors import UserError
from bench.system.files import read_regular

FOLDER, FILE, BACKBONE = "policies", "policy.json", "backbone.safetensors"
MOST_BYTES = 1 << 26  # of policy.json


class Score(BaseModel):
    """Accuracy of a policy, and its cost as a share of the plain backbone's MACs."""

    accuracy: float
    macs_fraction: float


class Network(BaseModel):
    """Where the weights of a policy's network came from; None: the pretrained ones."""

    weights: str | None


class Facts(BaseModel):
    """What a report shows of policy.json."""

    method: str
    budget: float
    seed: int
    setting: Cell
    test: Score
    backbone: Network
    files: dict[str, object] = Field(exclude=True)


@dataclass(frozen=True)
class Policy:
    """An exported policy: its .zip, its size in bytes, a digest of it, and its facts."""

    path: Path
    bytes: int
    digest: str
    facts: Facts

    @property
    def whole(self) -> bool:
        """Whether the weights of its network are in the .zip."""
        return BACKBONE in self.facts.files


def policies(roots: Iterable[Path]) -> dict[Cell, tuple[Policy, ...]]:
    """Return the policies of every setting, by budget; raise UserError for a file that is not an exported policy.

    If several stores have a file of one name, that of the last store counts.
    """
    found: dict[tuple[Cell, str], Policy] = {}
    for root in roots:
        for path in sorted(Path(root).glob(f"*/*/{FOLDER}/*.zip")):
            policy = _read(path)
            found[policy.facts.setting, path.name] = policy
    held: dict[Cell, list[Policy]] = {}
    for (cell, _), policy in sorted(found.items(), key=lambda item: (item[1].facts.budget, item[0][1])):
        held.setdefault(cell, []).append(policy)
    return {cell: tuple(several) for cell, several in held.items()}


def _read(path: Path) -> Policy:
    try:
        content = read_regular(path)
        with zipfile.ZipFile(io.BytesIO(content)) as archive, archive.open(FILE) as member:
            facts = Facts.model_validate(json.loads(member.read(MOST_BYTES)))
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, KeyError, ValueError) as error:
        if isinstance(error, ValidationError):
            error = ValueError(f"{error.error_count()} values of {FILE} are not valid")
        raise UserError(
            f"'{path}' is not an exported policy ({error}). Write it again with `bench export … -o {path}`, or "
            "delete it."
        ) from None
    return Policy(path, len(content), hashlib.sha256(content).hexdigest(), facts)
