"""Made-up records with outcomes that agree with their scores: whole grids of methods, budgets and seeds."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.bank.cell import Cell
from bench.trials.outcomes import pack
from bench.trials.record import Point, Record, record_id
from bench.trials.store import Store, write_record

FULL_MACS = 385_000_000
COSTS = np.array([0.14, 0.24, 0.4, 0.62, 0.83, 1.0])  # of the exits
ABILITY = np.array([0.35, 0.45, 0.57, 0.66, 0.72, 0.75])  # accuracy of the exits
SKILL = {"jeidnn": 0.9, "msdnet_thresh": 0.7, "entropy_thresh": 0.5}  # how well a rule tells easy samples
GROUPS = ("many", "medium", "few")


def cell(**known: Any) -> Cell:
    base: dict[str, Any] = {
        "dataset": "cifar100lt", "dataset_variant": None, "dataset_digest": "d" * 16, "backbone": "efficientnet_lite0",
        "image_size": 96, "exit_names": tuple(f"stage {k}" for k in range(len(COSTS))), "bank_digest": "b" * 16,
        "protocol_version": "v1", "limit": None,
    }  # fmt: skip
    return Cell(**(base | known))


def point(method: str, name: str, seed: int, kind: str = "method", **known: Any) -> Point:
    budget = float(name.removeprefix("budget=")) if name.startswith("budget=") else None
    params = {"heads": "plain"} if kind == "method" else {}
    base = {"params": params, "version": None, "heads": {}, "code": "s" * 16, "label": method, "budget": budget}
    known.setdefault("exit", int(name[5:]) if name.startswith("exit=") else None)
    return Point(kind=kind, method=method.partition("[")[0], point=name, seed=seed, **(base | known))


def record(where: Cell, at: Point, **known: Any) -> Record:
    base: dict[str, Any] = {
        "id": record_id(where, at), "status": "ok", "cell": where, "point": at, "full_macs": FULL_MACS,
        "timings": {"fit_seconds": 3.0 + at.seed, "play_seconds": 0.5, "score_seconds": 0.25},
        "provenance": {"cpu": "Made-up CPU", "device": "cpu", "threads": 1, "packages": {"torch": "2"}},
        "created": "2026-01-01T00:00:00+00:00",
    }  # fmt: skip
    return Record(**(base | known))


@dataclass(frozen=True)
class Images:
    """A test set at one seed: how hard every sample is, and which exits are right on it."""

    hard: np.ndarray  # [N]
    right: np.ndarray  # [N, K]

    @classmethod
    def draw(cls, samples: int, seed: int, name: str) -> Images:
        common = np.random.default_rng(zlib.crc32(name.encode()))
        hard = common.random(samples)
        own = np.random.default_rng([seed, zlib.crc32(name.encode())])
        ability = ABILITY + own.normal() * 0.004
        return cls(hard, hard[:, None] + own.normal(size=(samples, len(COSTS))) * 0.05 < ability)


def spread(budget: float, samples: int) -> np.ndarray:
    """Exits [N] of samples from the easiest to the hardest that cost the budget on average."""
    ranks = (np.arange(samples) + 0.5) / samples
    exits = np.zeros(samples, int)
    for power in np.geomspace(0.02, 50, 120)[::-1]:
        found = np.minimum((len(COSTS) * ranks**power).astype(int), len(COSTS) - 1)
        if COSTS[found].mean() > budget:
            break
        exits = found
    return exits


def scores(right: np.ndarray, exits: np.ndarray, rng: np.random.Generator, *, longtail: bool) -> dict[str, float]:
    accuracy, fraction = float(right.mean()), float(COSTS[exits].mean())
    ece = 0.03 + 0.05 * (1 - fraction) + abs(rng.normal()) * 0.002
    found = {
        "accuracy": accuracy, "accuracy_random": accuracy - 0.02,
        "macs": fraction * FULL_MACS, "macs_fraction": fraction,
        "nll": 1.9 - 1.5 * accuracy, "brier": 1.0 - 0.9 * accuracy, "ece_mass15": ece, "ece_width15": ece + 0.001,
        "collapsed": float(np.bincount(exits).max() / len(exits)), "mean_exit": float(exits.mean()), "aurc": 0.2,
    }  # fmt: skip
    for alpha in (0.01, 0.05, 0.1):
        noise = rng.normal() * 0.004
        found |= {
            f"coverage_lac@{alpha}": 1 - alpha + noise,
            f"set_size_lac@{alpha}": 1.2 + 70 * (1 - accuracy) ** 3 * (1 - alpha),
            f"coverage_band_low@{alpha}": 1 - alpha - 0.01, f"coverage_band_high@{alpha}": 1 - alpha + 0.01,
            f"coverage_low_lac@{alpha}": 1 - alpha + noise - 0.005,
            f"coverage_high_lac@{alpha}": 1 - alpha + noise + 0.005,
            f"exit_gap_lac@{alpha}": 0.02,
        }  # fmt: skip
    if longtail:
        for g, name in enumerate(GROUPS):
            found |= {f"accuracy_{name}": accuracy - 0.1 * g, f"macs_fraction_{name}": fraction + 0.05 * g}
            found[f"accuracy_tax_{name}"] = 0.01 * g
        found["savings_disparity"] = 0.1
    return found


def per_exit(right: np.ndarray, exits: np.ndarray) -> list[dict[str, Any]]:
    rows = []
    for k in range(len(COSTS)):
        mine = exits == k
        rows.append(
            {
                "exit": k, "name": f"stage {k}", "macs": int(COSTS[k] * FULL_MACS), "share": float(mine.mean()),
                "accuracy_all": float(right[:, k].mean()), "nll_all": 1.0, "ece_mass15_all": 0.05 + 0.01 * k,
                "accuracy_exited": float(right[mine, k].mean()) if mine.any() else None,
                "mean_confidence_exited": 0.7 if mine.any() else None, "coverage_lac@0.05": 0.95,
                "coverage_mondrian_exit@0.05": 0.95,
            }
        )  # fmt: skip
    return rows


def measured(
    where: Cell, at: Point, right: np.ndarray, exits: np.ndarray, *, longtail: bool = False, bare: bool = False
) -> Record:
    """A record of a policy that sends the samples [N] to these exits; right [N, K]."""
    rng = np.random.default_rng(zlib.crc32(f"{at.label} {at.point} {at.seed}".encode()))
    correct = right[np.arange(len(exits)), exits]
    found = scores(correct, exits, rng, longtail=longtail)
    val = {"accuracy": found["accuracy"] + rng.normal() * 0.002, "macs_fraction": found["macs_fraction"]}
    found |= {"cal_accuracy": found["accuracy"] + rng.normal() * 0.002, "cal_macs_fraction": found["macs_fraction"]}
    outcomes = None if bare else pack(correct, exits)
    return record(where, at, metrics=found, val=val, per_exit=per_exit(right, exits), outcomes=outcomes)


def records(
    methods: Sequence[str] = tuple(SKILL), seeds: Sequence[int] = (0, 1, 2),
    budgets: Sequence[float] = (0.3, 0.5, 0.7, 0.9),
    samples: int = 400, *, longtail: bool = False, bare: bool = False, references: bool = True,
    where: Cell | None = None, lift: float = 0.0, **known: Any,
) -> list[Record]:  # fmt: skip
    """Make a complete grid with references in a cell, or in `cell(**known)`. bare: without per-sample outcomes.

    lift: share of the samples that methods get right although static exits may not.
    """
    where, found = where or cell(**known), []
    for seed in seeds:
        images = Images.draw(samples, seed, where.dataset)
        right = images.right | (np.random.default_rng([seed, 1]).random(samples) < lift)[:, None]
        for i, method in enumerate(methods):
            rng = np.random.default_rng([seed, zlib.crc32(method.encode())])
            skill = SKILL.get(method, 0.3 + 0.6 * (i % 15) / 15)
            order = np.argsort(images.hard + rng.normal(size=samples) * (1 - skill) * 0.4, kind="stable")
            for budget in budgets:
                exits = np.empty(samples, int)
                exits[order] = spread(budget, samples)
                at = point(method, f"budget={budget:g}", seed)
                found.append(measured(where, at, right, exits, longtail=longtail, bare=bare))
        if references:
            found += _references(where, images, seed, budgets, longtail=longtail, bare=bare)
    return found


def _references(
    where: Cell, images: Images, seed: int, budgets: Sequence[float], *, longtail: bool, bare: bool
) -> list[Record]:
    samples = len(images.hard)
    found = []
    for k in range(len(COSTS)):
        at = point("static", f"exit={k}", seed, "reference")
        found.append(measured(where, at, images.right, np.full(samples, k), longtail=longtail, bare=bare))
    for budget in budgets:
        for name in ("hull", "random"):
            at = point(name, f"budget={budget:g}", seed, "reference")
            known = {"accuracy": 0.4 + 0.3 * budget, "macs": budget * FULL_MACS, "macs_fraction": budget}
            found.append(record(where, at, metrics=known, timings={}))
    first = np.where(images.right.any(1), images.right.argmax(1), 0)
    shares = [{"exit": k, "name": "", "macs": 1, "share": float((first == k).mean())} for k in range(len(COSTS))]
    known = {"accuracy": float(images.right.any(1).mean()), "macs_fraction": float(COSTS[first].mean())}
    at = point("oracle", "oracle", seed, "reference")
    return [*found, record(where, at, metrics=known, per_exit=shares, timings={})]


def changed(held: Iterable[Record], which: Callable[[Record], bool], **known: Any) -> list[Record]:
    """The same records with other values where `which` says so; without scores if the status is no longer ok."""
    if known.get("status", "ok") != "ok":
        known |= {"metrics": {}, "val": {}, "per_exit": [], "outcomes": None}
    return [r.model_copy(update=known) if which(r) else r for r in held]


def at(method: str | None = None, budget: float | None = None, seed: int | None = None) -> Callable[[Record], bool]:
    """Which records of methods are meant."""
    return lambda r: (
        r.point.kind == "method"
        and method in (None, r.point.label)
        and budget in (None, r.point.budget)
        and seed in (None, r.point.seed)
    )


def write(folder: Path, held: Iterable[Record]) -> Path:
    """Store records and return the folder."""
    store = Store(folder)
    for one in held:
        write_record(store.path(one.cell, one.point), one)
    return folder
