"""Fit and play the variants of JEI-DNN that docs/jeidnn.md compares, keeping every fit in a cache."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from bench import heads, protocol
from bench.bank.bank import Bank
from bench.inference import Outcomes, simulate
from bench.method import ExitData, Infeasible, Method, Policy, Task
from bench.trials.plan import load_methods
from bench.trials.references import StaticPolicy

BUDGETS = tuple(round(0.1 * i, 1) for i in range(2, 11))
WINDOW = np.linspace(0.3, 0.9, 61)
SLACK = 0.01  # a first point this little above a cost still speaks for it
OURS, RELEASED, PAPER = "jeidnn", "jeidnn[preset=released]", "jeidnn[preset=paper]"
UNIFORM = "jeidnn[preset=paper,im_loss=uniform]"
CONTEXT = ("msdnet_thresh", "entropy_thresh")


def _changes(base: str, *options: str) -> list[tuple[str, str, str]]:
    inside = base.removeprefix("jeidnn").strip("[]")
    return [(o, base, f"jeidnn[{','.join(filter(None, (inside, o)))}]") for o in options]


# group: (what changes, the row it is paired with, the spec)
GROUPS: dict[str, list[tuple[str, str, str]]] = {
    "ours, one change": _changes(
        OURS,
        "reading=clipped",
        "pos_weight=cumulative",
        "pos_weight=released",
        "gate_data=train",
        "cost=layers",
        "solver=sgd",
    ),
    "released, one change": _changes(
        RELEASED,
        "reading=cumulative",
        "pos_weight=cumulative",
        "pos_weight=none",
        "phases=continue",
        "warmup=fixed,warmup_epochs=4",
        "cost=layers",
        "epochs=60",
        "phases=continue,epochs=60",
    ),
    "paper, one change": _changes(PAPER, "im_loss=uniform"),
    "released to ours, step by step": [
        ("reading=cumulative", RELEASED, "jeidnn[preset=released,reading=cumulative]"),
        (
            "+ pos_weight=none",
            "jeidnn[preset=released,reading=cumulative]",
            "jeidnn[preset=released,reading=cumulative,pos_weight=none]",
        ),
        (
            "+ phases=continue, warmup=fixed (4)",
            "jeidnn[preset=released,reading=cumulative,pos_weight=none]",
            "jeidnn[solver=sgd]",
        ),
        ("+ plain heads, gates by Newton on train", "jeidnn[solver=sgd]", "jeidnn[gate_data=train]"),
        ("+ gates on val (= ours)", "jeidnn[gate_data=train]", OURS),
    ],
}
DEFAULTS = {
    "reading": ("cumulative", "clipped"),
    "pos_weight": ("none", "cumulative", "released"),
    "gate_data": ("val", "train"),
    "cost": ("macs", "layers"),
}
HEADS = {"plain recipe (ours)": (OURS, 1.0), "SGD, uniform (released)": (RELEASED, 1.0)} | {
    f"SGD, Σ P·CE (paper), budget {b:g}": (PAPER, b) for b in (0.3, 0.6, 1.0)
}


def variants() -> list[str]:
    """Return every spec that is measured, cheap ones first."""
    found = dict.fromkeys(
        [OURS, *CONTEXT, RELEASED, PAPER]
        + [spec for changes in GROUPS.values() for _, base, spec in changes for spec in (base, spec)]
    )
    return sorted(found, key=lambda s: "preset=paper" in s and "uniform" not in s)


def at_costs(points: pd.DataFrame, costs: Any) -> np.ndarray:
    """Read accuracies [len(costs)] off one curve's own points: linear in between, constant above the dearest.

    NaN below the cheapest point, up to SLACK.
    """
    seen = points.dropna(subset=["accuracy"]).groupby("test_cost")["accuracy"].mean().sort_index()
    costs = np.asarray(costs, dtype=float)
    if seen.empty:
        return np.full(costs.shape, np.nan)
    values = np.interp(costs, seen.index.to_numpy(), seen.to_numpy())
    return np.where(costs < seen.index[0] - SLACK, np.nan, values)


def window(points: pd.DataFrame) -> float:
    """Return the mean accuracy over costs 0.3 to 0.9."""
    values = at_costs(points, WINDOW)
    return float(np.trapezoid(values, WINDOW) / (WINDOW[-1] - WINDOW[0]))


def fraction(outcomes: Outcomes, task: Task) -> float:
    """Return the mean realised cost as a fraction of the plain backbone's MACs."""
    return float(outcomes.macs.double().mean()) / task.macs[-1]


def accuracy(outcomes: Outcomes) -> float:
    """Return the share of samples that left with the right class."""
    return float((outcomes.logits.argmax(-1) == outcomes.labels).double().mean())


def play(policy: Policy, task: Task, data: ExitData) -> dict[str, Any]:
    """Return what one policy costs and gets right on a split, and the accuracy of each of its exits."""
    out = simulate(policy, data, task.macs)
    assert out.exit_logits is not None
    exits = (out.exit_logits.argmax(-1) == data.labels[:, None]).double().mean(0)
    return {
        "test_cost": fraction(out, task),
        "accuracy": accuracy(out),
        "last_exit": float((out.exit_index == task.num_exits - 1).double().mean()),
        "exits": exits.tolist(),
    }


def load(spec: str) -> Method:
    """Load a method by its spec."""
    (method,) = load_methods([spec])
    return method


def fit_and_play(spec: str, task: Task, test: ExitData) -> list[dict[str, Any]]:
    """Fit one spec and play each policy on test; val only says what the policy costs there."""
    rows = []
    for budget, policy in zip(BUDGETS, load(spec).fit(task, BUDGETS), strict=True):
        if isinstance(policy, Infeasible):
            rows.append({"budget": budget, "status": "infeasible", "note": str(policy)})
            continue
        val = fraction(simulate(policy, task.val, task.macs), task)
        status = "unreachable" if policy.note.startswith("unreachable") else "ok"
        rows.append({"budget": budget, "status": status, "val_cost": val, **play(policy, task, test)})
    return rows


def static_exits(task: Task, test: ExitData) -> list[dict[str, Any]]:
    """Score every exit of the plain heads as if everybody left there."""
    fitted = heads.fit("plain", task)
    rows = []
    for k in range(task.num_exits):
        out = simulate(StaticPolicy(fitted, task.num_exits, k), test, task.macs)
        rows.append({"exit": k, "cost": fraction(out, task), "accuracy": accuracy(out)})
    return rows


def part(data: ExitData, rows: np.ndarray) -> ExitData:
    """Return some rows of a split."""
    index = torch.from_numpy(rows)
    return ExitData(tuple(x[index] for x in data.features), data.final_logits[index], data.labels[index])


def nested(task: Task) -> list[dict[str, Any]]:
    """Fit every combination of `ours` with one half of val as its val, score it on the other half; both ways round."""
    parts = protocol.halves(task.val.labels.numpy(), task.seed)
    rows = []
    for way, (inner, outer) in enumerate((parts, parts[::-1])):
        inner_task, scored = replace(task, val=part(task.val, inner), shared_cache={}), part(task.val, outer)
        for values in itertools.product(*DEFAULTS.values()):
            spec = "jeidnn[" + ",".join(f"{k}={v}" for k, v in zip(DEFAULTS, values, strict=True)) + "]"
            points = pd.DataFrame(fit_and_play(spec, inner_task, scored))
            rows.append({"variant": spec, "way": way, "window": window(points), "reach": points["val_cost"].max()})
    return rows


def code_digest() -> str:
    """Hash all code that can move a number here, so that a cache never outlives it."""
    root = Path(__file__).resolve().parents[1]
    rooms = "bilevel budgets curve exits gates logistic mixing play presets protocol references rules surrogate"
    rooms += " heads/__init__ heads/layers heads/plain heads/recipe heads/training"
    names = [f"bench/{r}.py" for r in rooms.split()]
    names += [f"methods/{m}.py" for m in ("jeidnn", *CONTEXT)]
    return hashlib.sha256(b"".join((root / n).read_bytes() for n in names)).hexdigest()[:12]


def cached(folder: Path, key: list[Any], compute: Callable[[], Any]) -> Any:
    """Return a JSON result from the cache, or compute and keep it."""
    file = folder / f"{hashlib.sha256(json.dumps(key).encode()).hexdigest()[:24]}.json"
    if not file.exists():
        text = json.dumps(compute())
        file.with_suffix(".tmp").write_text(text)
        file.with_suffix(".tmp").rename(file)
    return json.loads(file.read_text())


def measure(unit: tuple[Path, int, str], cache: Path, digest: str) -> tuple[Path, int, dict[str, Any]]:
    """Measure one bank and seed: kind `test` is all variants and static exits, `nested` the choice of defaults."""
    folder, seed, kind = unit
    torch.set_num_threads(1)
    bank = Bank.open(folder)
    task, (_, test) = bank.task(seed, "cpu"), bank.held_out(seed, "cpu")
    keep = partial(cached, cache)
    key = [digest, bank.digest, seed]
    if kind == "nested":
        return folder, seed, {"nested": keep([*key, "nested", list(DEFAULTS.items())], lambda: nested(task))}
    found = {"static": keep([*key, "static"], lambda: static_exits(task, test))}
    for spec in variants():
        found[spec] = keep([*key, spec, list(BUDGETS)], lambda spec=spec: fit_and_play(spec, task, test))
        print(folder.name, seed, spec, flush=True)
    return folder, seed, found


def collect(banks: list[Path], seeds: list[int], cache: Path, jobs: int, kinds: list[str]) -> dict[str, pd.DataFrame]:
    """Measure all banks and seeds and return frames `points`, `static`, `heads`, `defaults`."""
    units = [(b, s, kind) for kind in kinds for b in banks for s in seeds]
    frames: dict[str, list[dict[str, Any]]] = {"points": [], "static": [], "exits": [], "defaults": []}
    with ProcessPoolExecutor(jobs) as pool:
        for folder, seed, found in pool.map(partial(measure, cache=cache, digest=code_digest()), units):
            at = {"bank": folder.name.rsplit("--", 1)[0], "seed": seed}
            frames["defaults"] += [at | r for r in found.pop("nested", [])]
            frames["static"] += [at | r for r in found.pop("static", [])]
            for spec, rows in found.items():
                for row in rows:
                    shown = {k: v for k, v in row.items() if k not in ("exits", "note")}
                    frames["points"].append(at | {"variant": spec} | shown)
                    for name, (wanted, budget) in HEADS.items():
                        if (wanted, budget) == (spec, row["budget"]) and "exits" in row:
                            frames["exits"] += [
                                at | {"heads": name, "exit": k, "accuracy": a} for k, a in enumerate(row["exits"])
                            ]
    return {name: pd.DataFrame(rows) for name, rows in frames.items() if rows}
