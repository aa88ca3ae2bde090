"""A suite: the settings that `bench run --suite NAME` runs, read from suites.yaml, and its digest."""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter

from bench.errors import UserError, nearest
from bench.system.yaml_files import read_yaml

DEFINITION = Path(__file__).with_name("suites.yaml")
RESULTS = Path("results")  # the published store, which also contains networks
DESCRIPTION = "network.json"  # in the folder of every network


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Network(_Model):
    """A network that is published beside the records of its setting."""

    name: str
    dataset: str
    made_by: str  # options of `bench finetune`

    @property
    def folder(self) -> Path:
        """Return its folder, relative to the working directory."""
        return RESULTS / self.dataset / self.name / "network"

    @property
    def command(self) -> str:
        """Return the command that makes it."""
        return f"bench finetune --dataset {self.dataset} {self.made_by} -o {self.folder}"

    @property
    def missing(self) -> bool:
        """Whether its folder contains no network."""
        return not (self.folder / DESCRIPTION).is_file()


class Setting(_Model):
    """One setting of a suite."""

    dataset: str
    backbone: str
    image_size: int | None = None  # None: that of the network, or texts
    heads: str | None = None  # what methods use instead of plain heads
    network: Network | None = None

    @property
    def name(self) -> str:
        """Return `dataset/backbone`, the folder of its records."""
        return f"{self.dataset}/{self.backbone.partition('[')[0]}"


class Suite(_Model):
    """Settings, and the options of `bench run` that all of them share."""

    edition: str
    options: dict[str, Any]  # of `bench run`
    settings: tuple[Setting, ...]

    @cached_property
    def digest(self) -> str:
        """Return the digest of everything that determines what the suite runs: 64 hexadecimal digits."""
        content = json.dumps(self.model_dump(), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()

    def pick(self, wanted: str | None) -> tuple[Setting, ...]:
        """Return the settings with these comma-separated names, `dataset` or `dataset/backbone`; all for None.

        Raises UserError for an unknown name.
        """
        if wanted is None:
            return self.settings
        names = [name.strip() for name in wanted.split(",") if name.strip()]
        valid = {name for one in self.settings for name in (one.dataset, one.name)}
        if unknown := next((name for name in names if name not in valid), None):
            raise UserError(f"The suite {self.edition} has no setting '{unknown}'.{nearest(unknown, valid)}")
        if not names:
            raise UserError(f"--settings is empty. Valid: {', '.join(one.name for one in self.settings)}.")
        return tuple(one for one in self.settings if one.dataset in names or one.name in names)


class _Chosen(_Model):
    edition: str
    seeds: str
    settings: tuple[str, ...] | Literal["all"]


class _Definition(_Model):
    options: dict[str, Any]
    networks: dict[str, dict[Literal["dataset", "made_by"], str]]
    settings: tuple[Setting, ...]
    suites: dict[str, _Chosen]


def suites() -> dict[str, Suite]:
    """Return all suites by name."""
    held = TypeAdapter(_Definition).validate_python(read_yaml(DEFINITION, "definition of suites", typed=True))
    networks = {name: Network(name=name, **told) for name, told in held.networks.items()}
    settings = {s.name: s.model_copy(update={"network": networks.get(s.backbone)}) for s in held.settings}
    found = {}
    for name, chosen in held.suites.items():
        mine = settings if chosen.settings == "all" else chosen.settings
        options = held.options | {"seeds": chosen.seeds}
        found[name] = Suite(edition=chosen.edition, options=options, settings=tuple(settings[key] for key in mine))
    return found


def load(name: str) -> Suite:
    """Return a suite by its name or edition; raise UserError if there is none."""
    found = suites()
    known = found | {suite.edition: suite for suite in found.values()}
    if name not in known:
        raise UserError(f"There is no suite '{name}'.{nearest(name, found)} See `bench list suites`.")
    return known[name]
