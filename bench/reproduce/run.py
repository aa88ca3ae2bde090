"""Run one cell of the grid: build the bank, fit all λ at once per seed, and evaluate the policies on test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch

from bench.backbones.staged import Origin
from bench.backbones.weights import origin_of
from bench.bank.bank import Bank
from bench.bank.source import Progress, Request, SharedData, Source
from bench.config import RunConfig, resolve_device
from bench.errors import UserError
from bench.inference import simulate
from bench.method import Policy, Task
from bench.plugins import registry
from bench.plugins.params import configure
from bench.plugins.spec import Spec
from bench.reproduce.grid import PaperCell
from bench.stats.bootstrap import Estimate
from bench.stats.student import interval
from bench.trials.run import summary
from bench.trials.splits import load_splits


class CurveMethod(Protocol):
    """A method that fits policies for given trade-offs λ, in one fit and without budgets."""

    def curve(self, task: Task, lams: Sequence[float]) -> Sequence[Policy]:
        """Return one policy per λ."""


@dataclass(frozen=True)
class Ours:
    """Our results at one operating point on test: means over seeds with intervals."""

    lam: float | None  # None: the frozen backbone with its own head
    cost: Estimate  # fraction of the plain backbone's MACs, heads and gates included
    accuracy: Estimate  # fraction


@dataclass(frozen=True)
class Ran:
    """One cell that was run; its points are those of the cell, in the same order."""

    points: tuple[Ours, ...]
    protocol: str
    variant: str | None  # why the data is not the official data
    sizes: dict[str, int]  # images in train, pool (val and cal) and test
    seeds: tuple[int, ...]


def method_spec(cell: PaperCell, preset: str, cost: str) -> Spec:
    """Return the configured method as a user would write it; a published preset uses the cell's published schedule."""
    params = {"preset": preset, "cost": cost}
    if preset != "ours":
        params |= {"epochs": str(cell.epochs), "batch_size": str(cell.batch_size)}
        params |= {"warmup": "fixed", "warmup_epochs": str(cell.warmup_epochs)}
    return Spec("jeidnn", params=params)


def load_method(spec: Spec) -> CurveMethod:
    """Load a configured method; raise UserError for parameters it does not have."""
    cls = registry.load("methods", spec.name)
    return cls(configure(cls.Config, spec))


def run_cell(
    cell: PaperCell, weights: Path, config: RunConfig, method: CurveMethod, progress: Progress | None = None
) -> Ran:
    """Run a cell with the seeds, folders and device of `config`; the bank is built if it is missing.

    Raises UserError if the checkpoint does not fit or has no classifier for the cell's classes.
    """
    own = {"image_size": cell.image_size, "weights": str(weights), "exits": "blocks"}
    device, data = resolve_device(config.device), SharedData(cell.dataset, config.data_dir)
    dataset = data.open()
    backbone = _backbone(cell, weights, dataset.num_classes)
    source = Source(Request.of(config.model_copy(update=own), cell.dataset, backbone), data)
    if not source.plan.own_head:
        raise UserError(
            f"'{weights}' has no classifier for the {dataset.num_classes} classes of {cell.dataset}; the grid needs a "
            f"network that was fine-tuned on it ({' or '.join(cell.checkpoints)})."
        )
    bank = source.ensure(device, progress)
    torch.set_num_threads(config.threads)
    seeds = [_evaluate(bank, seed, device, method, cell.lams) for seed in config.seeds]
    points = tuple(
        Ours(
            lam,
            interval((p["macs_fraction"] for p in point), config.seeds),
            interval((p["accuracy"] for p in point), config.seeds),
        )
        for lam, point in zip((*cell.lams, None), zip(*seeds, strict=True), strict=True)
    )
    m = bank.manifest
    return Ran(points, m.protocol, m.dataset_variant, dict(m.sizes), tuple(config.seeds))


def _evaluate(bank: Bank, seed: int, device: str, method: CurveMethod, lams: Sequence[float]) -> list[dict[str, float]]:
    """Fit one seed; return accuracy and cost on test per λ, then of the frozen backbone alone."""
    splits = load_splits(bank, seed, device)
    task, test = splits.task, splits.test
    policies = list(method.curve(task, lams))
    if len(policies) != len(lams):
        raise ValueError(f"curve returned {len(policies)} policies for {len(lams)} λ")
    results = [summary(simulate(policy, test, task.macs), task.macs[-1]) for policy in policies]
    correct = (test.final_logits.argmax(-1) == test.labels).double().mean()
    return [*results, {"accuracy": float(correct), "macs_fraction": 1.0}]


def _backbone(cell: PaperCell, weights: Path, classes: int) -> str:
    """Name the backbone, and what its weights were trained on if the file's own name does not say it."""
    try:
        origin_of(weights, classes=classes, options={}, family=Origin())
    except UserError:
        return f"{cell.backbone}[seen=imagenet+{cell.source}]"
    return cell.backbone
