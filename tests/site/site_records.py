"""Small made-up records with outcomes: two cells, a method with gaps, and one with a name that means harm."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.bank.cell import Cell
from bench.report.context import Report, make
from bench.stats.resample import Effort
from bench.trials.outcomes import pack
from bench.trials.record import Point, Record, record_id

EVIL = "<script>alert(1)</script>"
ESCAPES = "</script><img src=x onerror=alert(2)>\u2028 & ${x} {{ y }}"
METHODS = ("jeidnn", "msdnet_thresh", "jeidnn[preset=paper]", "entropy_thresh", "pcee", "=gaps", EVIL)
BUDGETS = (0.3, 0.5, 0.7, 0.9)
COSTS = (0.15, 0.35, 0.6, 1.0)  # of the exits
ACCURACIES = (0.4, 0.55, 0.66, 0.7)
SAMPLES = 160
EFFORT = Effort(draws=200, sample_draws=50)


def make_report(methods: Sequence[str] = METHODS, seeds: Sequence[int] = (0, 1, 2)) -> Report:
    """A report of two cells: all methods on one, two of them on the other."""
    return make(list(records(methods, seeds)), EFFORT)


def records(methods: Sequence[str] = METHODS, seeds: Sequence[int] = (0, 1, 2)) -> Iterator[Record]:
    yield from cell_records(cell("resnet18"), methods, seeds)
    yield from cell_records(cell(f"evil {ESCAPES}", limit=100), methods[:2], seeds)


def cell(backbone: str, **known: Any) -> Cell:
    facts: dict[str, Any] = {"dataset_variant": None, "dataset_digest": "d" * 64, "image_size": 64}
    facts |= {"exit_names": ("one", "two", ESCAPES, "head"), "bank_digest": "b" * 16, "protocol_version": "v1"}
    return Cell(dataset="cifar100", backbone=backbone, **facts | known)


def cell_records(where: Cell, methods: Sequence[str], seeds: Sequence[int]) -> Iterator[Record]:
    difficulty = np.random.default_rng(1).random(SAMPLES)
    for seed in seeds:
        rng = np.random.default_rng(seed)
        noise = rng.normal(0, 0.03, (4, SAMPLES))
        right = difficulty + noise < np.array(ACCURACIES)[:, None]
        for k in range(4):
            yield played(where, point("static", f"exit={k}", None, seed, "reference"), right[k], np.full(SAMPLES, k))
        best = np.where(right.any(0), right.argmax(0), 0)
        yield played(where, point("oracle", "oracle", None, seed, "reference"), right.any(0), best)
        for number, label in enumerate(methods):
            for budget in BUDGETS:
                if label == "=gaps" and budget == 0.5:
                    continue
                found = point(label, f"budget={budget:g}", budget, seed, "method")
                if label == EVIL and budget == 0.3:
                    yield failed(where, found)
                    continue
                high = next((k for k, c in enumerate(COSTS) if c > budget), 3)
                share = (budget - COSTS[high - 1]) / (COSTS[high] - COSTS[high - 1])
                late = np.argsort(difficulty + rng.normal(0, 0.1 + 0.05 * number, SAMPLES)) >= SAMPLES * (1 - share)
                exits = np.where(late, high, high - 1)
                yield played(where, found, right[exits, np.arange(SAMPLES)], exits)


def point(label: str, name: str, budget: float | None, seed: int, kind: Any) -> Point:
    params = {"heads": "plain", "preset": label, "rate": 0.1, "evil": ESCAPES} if kind == "method" else {}
    return Point(
        kind=kind, method=label.partition("[")[0], label=label, params=params, version=None, heads={}, code="s" * 16,
        exit=int(name[5:]) if name.startswith("exit=") else None,
        point=name, budget=budget, seed=seed,
    )  # fmt: skip


def played(where: Cell, of: Point, right: Any, exits: Any) -> Record:
    macs = float(np.array(COSTS)[exits].mean())
    accuracy = float(right.mean())
    metrics = {"accuracy": accuracy, "accuracy_random": accuracy - 0.02, "macs": macs * 1e9, "macs_fraction": macs}
    metrics |= {
        "ece_mass15": 0.05 + 0.01 * of.seed,
        "nll": 1.0 - accuracy / 2,
        "brier": 0.5,
        "set_size_lac@0.05": 3.0 + of.seed,
    }
    metrics |= {"coverage_lac@0.05": 0.94 + 0.01 * of.seed}
    exit_table = [{"exit": k, "macs": c * 1e9, "share": float((exits == k).mean())} for k, c in enumerate(COSTS)]
    return record(where, of, metrics=metrics, val={"accuracy": accuracy, "macs": macs * 1e9, "macs_fraction": macs},
                  per_exit=exit_table,
                  outcomes=pack(right, exits), timings={"fit_seconds": 1.5 + of.seed})  # fmt: skip


def failed(where: Cell, of: Point) -> Record:
    return record(where, of, status="failed", reason=f"it said {ESCAPES}")


def record(where: Cell, of: Point, **known: Any) -> Record:
    facts: dict[str, Any] = {"status": "ok", "full_macs": 10**9, "created": "2026-01-01T00:00:00+00:00"}
    facts["provenance"] = {"cpu": EVIL, "packages": {"torch": "2.13.0"}, "threads": 1}
    return Record(id=record_id(where, of), cell=where, point=of, **facts | known)


@dataclass(frozen=True)
class Picture:
    """What a figure of the report has."""

    name: str
    title: str
    caption: str
    files: dict[str, bytes]


def picture() -> Picture:
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 200.4 100"><rect width="200" height="100"/></svg>'
    return Picture("accuracy", f"Accuracy {EVIL}", ESCAPES, {"accuracy.svg": svg, "accuracy.csv": b"a,b\n1,2\n"})


def shuffled(found: list[Record]) -> list[Record]:
    return sorted(found, key=lambda r: hashlib.sha256(r.id.encode()).hexdigest())
