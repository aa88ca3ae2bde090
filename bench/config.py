"""RunConfig: the settings of a run. The keys of its YAML file are the names of the command-line options."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator

from bench.errors import UserError, nearest
from bench.plugins.spec import plain_number, split_list, split_paths
from bench.system.cpus import cpu_count
from bench.system.paths import user_path
from bench.system.text import counted
from bench.system.yaml_files import read_yaml as read

DEFAULT_METHODS = ("jeidnn", "msdnet_thresh", "entropy_thresh")
REPORT = "report"  # folder in the working store
MOST_SEEDS = 10_000
DEFAULT_BUDGETS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
AUTO = "auto"  # value of --budgets: use `geometric_budgets` on every bank
GEOMETRIC, ABOVE = 12, 1.1  # number of these budgets, and the smallest as a multiple of the cost of the first exit
LEAST = 0.01  # minimum cost of that exit, as a fraction of the backbone's


def geometric_budgets(macs: Sequence[int]) -> tuple[float, ...]:
    """Return the budgets of a bank, ascending: geometric, from just above the cost of its first exit to 1.

    macs [K]: of the backbone up to each exit. The first budget leaves room for the head and the gate of the first exit.
    An exit that costs almost nothing (text embeddings) is skipped, because a geometric grid cannot start there.
    Budgets are rounded to three digits; there are fewer if the first exit costs nearly as much as the backbone.
    """
    low = ABOVE * next(m for m in macs if m >= LEAST * macs[-1]) / macs[-1]
    if low >= 1:
        return (1.0,)
    found = (low ** (1 - i / (GEOMETRIC - 1)) for i in range(GEOMETRIC))
    return tuple(dict.fromkeys(float(f"{b:.3g}") for b in found))


_OF_BANKS = {
    *("dataset", "backbone", "exits", "image_size", "weights", "views", "dtype", "precision", "channels_last"),
    *("data_dir", "limit", "bank_dir"),
}  # settings that define a bank


class RunConfig(BaseModel):
    """All settings of `bench run`, with their defaults."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=lambda name: name.replace("_", "-"), populate_by_name=True
    )

    plugin: tuple[Path, ...] = ()
    methods: tuple[str, ...] = DEFAULT_METHODS
    bank: tuple[Path, ...] = ()
    dataset: tuple[str, ...] = ("mnist5k",)
    backbone: tuple[str, ...] = ("efficientnet_lite0",)
    budgets: tuple[float, ...] = DEFAULT_BUDGETS  # empty: those of each bank ('auto')
    seeds: tuple[int, ...] = (0, 1, 2)
    exits: str | None = None
    image_size: int | None = Field(default=None, ge=8, le=2048)
    weights: str | None = None
    views: int = Field(default=0, ge=0, le=64)
    dtype: Literal["float16", "float32"] = "float16"
    precision: Literal["float32", "bfloat16"] = "float32"
    channels_last: bool = False
    data_dir: Path | None = None
    bank_dir: Path | None = None
    output: Path = Path("runs")
    reports: Path = Field(default=None, validate_default=True)  # None: in the store
    device: str = "auto"
    threads: int = Field(default=2, ge=1, le=256)
    executor: Literal["auto", "serial", "ray"] = "auto"
    jobs: int | None = Field(default=None, ge=1, le=100_000)
    ray_address: str | None = None
    gpus_per_trial: float | None = Field(default=None, ge=0, le=1)
    timeout: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    retries: int = Field(default=1, ge=0, le=100)
    memory: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    limit: int | None = Field(default=None, ge=2)
    rerun: Literal["missing", "failed", "changed", "all"] = "missing"
    tuned: bool = False
    report: bool = True
    verify_executed: int | None = Field(default=None, ge=1)

    @field_validator("*", mode="before")
    @classmethod
    def _as_written(cls, value: Any, info: ValidationInfo) -> Any:
        text = info.field_name in ("exits", "weights", "device", "ray_address")
        return value if text else plain_number(value)

    @field_validator("plugin", "bank", mode="before")
    @classmethod
    def _files(cls, value: Any) -> Any:
        items = [value] if isinstance(value, str | Path) else value
        if not isinstance(items, list | tuple):
            return value
        paths = [part for item in items for part in (split_paths(item) if isinstance(item, str) else [item])]
        return tuple(_path(part).absolute() for part in paths)

    @field_validator("data_dir", "bank_dir", "output", mode="before")
    @classmethod
    def _folder(cls, value: Any) -> Any:
        return _path(value)

    @field_validator("weights")
    @classmethod
    def _weights(cls, value: str | None) -> str | None:
        return value if value in (None, "random") else str(_path(value))

    @field_validator("reports", mode="before")
    @classmethod
    def _report(cls, value: Any, info: ValidationInfo) -> Any:
        return info.data.get("output", Path()) / REPORT if value is None else _path(value)

    @field_validator("methods", "dataset", "backbone", mode="before")
    @classmethod
    def _names(cls, value: Any) -> Any:
        return tuple(split_list(value)) if isinstance(value, str) else value

    @field_validator("budgets", "seeds", mode="before")
    @classmethod
    def _numbers(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, int | float):
            return (value,)
        if info.field_name == "budgets" and value == AUTO:
            return ()
        items = split_list(value) if isinstance(value, str) else value
        if info.field_name == "budgets" or not isinstance(items, list | tuple):
            return tuple(items) if isinstance(value, str) else value
        return tuple(seed for item in items for seed in _seeds(item))

    @field_validator("exits", mode="before")
    @classmethod
    def _placement(cls, value: Any) -> Any:
        return ",".join(map(str, value)) if isinstance(value, list | tuple) else value

    @field_validator("methods", "dataset", "backbone", "budgets", "seeds")
    @classmethod
    def _some_distinct(cls, value: tuple, info: ValidationInfo) -> tuple:
        if not value and info.field_name != "budgets":
            raise ValueError("give at least one")
        if len(set(value)) < len(value):
            raise ValueError("the same value is given twice")
        return value

    @field_validator("budgets")
    @classmethod
    def _fractions(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        bad = [b for b in value if not 0 < b <= 1.5]
        if bad:
            raise ValueError(
                f"a budget is a fraction of the plain backbone's MACs, above 0 and at most 1.5, not {bad[0]:g}"
            )
        named = [float(f"{b:g}") for b in value]  # tables and records name a budget by these digits
        if bad := [b for b, name in zip(value, named, strict=True) if abs(b - name) > 1e-12]:
            raise ValueError(f"a budget has at most six digits; give {bad[0]:g} instead of {bad[0]!r}")
        return tuple(sorted(named))

    @field_validator("ray_address")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"auto|(ray://)?[^\s/]+:\d{1,5}", value):
            raise ValueError("give auto, HOST:PORT or ray://HOST:PORT")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        """Reject options that exclude each other: existing banks with options of new ones, and options of executors."""
        if self.bank and (extra := sorted(self.model_fields_set & _OF_BANKS)):
            name = extra[0].replace("_", "-")
            raise ValueError(f"'bank' names existing banks, so '{name}' has no effect; leave one of them out")
        if self.bank and self.verify_executed:
            raise ValueError("'verify-executed' needs data and a network, but 'bank' has none; leave one of them out")
        if self.executor == "serial":
            if self.ray_address is not None:
                raise ValueError("'ray-address' needs the ray executor, not executor 'serial'; leave one of them out")
            if (self.jobs or 1) > 1:
                raise ValueError(f"executor 'serial' runs one trial at a time, not {self.jobs}; give 'ray', or jobs 1")
            if self.gpus_per_trial is not None:
                raise ValueError("'gpus-per-trial' is for the ray executor, not for executor 'serial'; leave one out")
        if self.gpus_per_trial and self.device == "cpu":
            raise ValueError("'gpus-per-trial' and device 'cpu' exclude each other; leave one of them out")
        by_ray = self.executor == "ray" or self.ray_address is not None or (self.jobs or 1) > 1
        if by_ray and self.device.startswith("cuda:"):
            raise ValueError(
                f"Ray assigns the GPUs, so '{self.device}' cannot be chosen with it; give device 'cuda', and limit "
                "the GPUs with the CUDA_VISIBLE_DEVICES variable"
            )
        return self


def _path(value: Any) -> Any:
    """Return a path or text as a path, `~` and `$VAR` expanded; anything else as it is."""
    try:
        return user_path(value) if isinstance(value, str | Path) else value
    except UserError as error:
        raise ValueError(str(error).rstrip(".")) from None


def _seeds(item: Any) -> Iterable[Any]:
    """Return the seeds that an item names: 0, 1, 2, 3 for `0-3`, otherwise the item itself."""
    found = re.fullmatch(r"\s*(\d+)\s*-\s*(\d+)\s*", item) if isinstance(item, str) else None
    if not found:
        return [plain_number(item)]
    first, last = int(found[1]), int(found[2])
    if not first <= last < first + MOST_SEEDS:
        raise ValueError(f"a range of seeds must ascend, as in 0-3, and contain at most {MOST_SEEDS:,} seeds")
    return range(first, last + 1)


def build(values: dict[str, Any], source: str) -> RunConfig:
    """Validate values into a RunConfig; every error becomes one sentence with `source` and the valid names."""
    keys = {name.replace("_", "-") for name in RunConfig.model_fields}
    given = [str(key).replace("_", "-") for key in values]
    for key in given:
        if key not in keys:
            raise UserError(f"{source} has no setting '{key}'.{nearest(key, keys)}")
        if given.count(key) > 1:
            raise UserError(f"{source} has '{key}' twice. Keep one.")
    try:
        return RunConfig(**{str(k).replace("-", "_"): v for k, v in values.items()})
    except ValidationError as error:
        first = error.errors()[0]
        message = first["msg"].removeprefix("Value error, ")
        if not first["loc"]:  # each setting is valid, but not their combination
            raise UserError(f"{source}: {message}.") from None
        where = str(first["loc"][0]).replace("_", "-")
        raise UserError(f"{source}: '{where}' is {first['input']!r}, which is not valid: {message}.") from None


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file of settings; raise UserError if it cannot be read or is not a mapping."""
    values = read(path, "config file")
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise UserError(f"The config file '{path}' must contain `name: value` lines, one per setting.")
    return values


def resolve_device(name: str) -> str:
    """Return 'cpu', 'cuda' or 'cuda:N' for 'auto' or one of these; raise UserError if there is no such device."""
    if name == "cpu" or (name == "auto" and not _has_accelerator()):
        return "cpu"
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UserError(f"'{name}' is not a device. Valid: auto, cpu, cuda, cuda:0, ….") from None
    if device.type not in ("cpu", "cuda"):
        raise UserError(f"Device '{name}' is not supported. Valid: auto, cpu, cuda, cuda:0, ….")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        have = counted(torch.cuda.device_count(), "CUDA device")
        raise UserError(f"There is no device '{name}': this machine has {have}. Try --device cpu.")
    return name


def _has_accelerator() -> bool:
    """Return whether this machine may have a CUDA device, without importing torch, which takes a second."""
    drivers = ("nvidia*", "dxg", "kfd", "nvmap", "nvhost*")  # NVIDIA, WSL, ROCm, Jetson
    return sys.platform != "linux" or any(any(Path("/dev").glob(name)) for name in drivers)


@dataclass(frozen=True)
class Dispatch:
    """The executor that runs the trials, and the resources of one trial."""

    executor: Literal["serial", "ray"]
    device: str  # as named in the process that runs a trial
    gpus_per_trial: float
    jobs: int | None  # maximum number of concurrent trials; None: as many as a cluster has room for

    @property
    def title(self) -> str:
        """Return the executor and its number of concurrent trials as text."""
        if self.executor == "serial":
            return "serial, one at a time"
        return "ray, as many as the cluster has room for" if self.jobs is None else f"ray, {self.jobs} at once"


def resolve_dispatch(config: RunConfig, device: str) -> Dispatch:
    """Choose the executor for a resolved device: ray for an address, several jobs or several GPUs, else serial.

    Raises UserError if GPUs per trial are given and this machine has none.
    """
    count = _cuda_devices() if device.startswith("cuda") else 0
    if config.gpus_per_trial and not count:
        raise UserError("'gpus-per-trial' needs CUDA devices, but the machine that starts the run has none.")
    asked = config.ray_address or (config.jobs or 1) > 1 or config.gpus_per_trial or (count > 1 and device == "cuda")
    if config.executor == "serial" or (config.executor == "auto" and not asked):
        return Dispatch("serial", device, float(count > 0), 1)
    local = config.ray_address is None
    gpus = config.gpus_per_trial
    if gpus is None:
        sharing = math.ceil((config.jobs or 1) / count) if local and count else 1
        gpus = 1.0 / sharing if count else 0.0
    room = max(cpu_count() // config.threads, 1) if config.jobs is None else config.jobs
    if gpus and count:
        room = min(room, int(count * int(1 / gpus + 1e-9)))
    return Dispatch("ray", device, gpus, room if local else config.jobs)


def _cuda_devices() -> int:
    import torch

    return torch.cuda.device_count()
