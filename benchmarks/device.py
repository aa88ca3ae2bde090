"""Run everything that uses a GPU and write one JSON file; without a GPU, a small dry run on the CPU.

    python benchmarks/device.py [-o device.json] [--only bank,agreement,jeidnn,resident,ray] [--dry-run]

bank: builds against the bare forward pass, in float32 and bfloat16, contiguous and channels-last.
agreement: every method fitted on the CPU and on the device, and how both policies differ on test.
jeidnn: a fused λ grid against one λ at a time. resident: a bank of 12 exits held on the device, and a fit on it.
ray: trials that share one GPU under Ray, against the same trials in one process.

It needs no data, no weights and no network, and ends within 8 minutes: each section has a time limit. A section
that fails is in the JSON with its reason, and the others still run; the exit code is then 1. On a GPU each section has
its own process. The JSON is written after every section.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import backbones, protocol
from bench.bank.build import build
from bench.bank.compute import features, ready
from bench.bank.plan import Plan
from bench.bank.stream import Job, read
from bench.datasets.images import ImageDataset
from bench.datasets.stores import ArrayStore
from bench.errors import UserError
from bench.executors.deadline import TrialTimeout, deadline
from bench.inference import Outcomes, simulate
from bench.method import Infeasible, Task
from bench.plugins import registry
from benchmarks import bank as bank_speed
from benchmarks import jeidnn as jeidnn_speed

COMPUTE = {
    "float32": {},
    "float32 channels-last": {"channels_last": True},
    "bfloat16": {"precision": "bfloat16"},
    "bfloat16 channels-last": {"precision": "bfloat16", "channels_last": True},
}
BUDGETS = (0.5, 0.7, 1.0)
START_UP = 10  # seconds that a section's process may take to start and to end
APART = 0.05  # allowed difference of accuracy or relative cost on test; devices draw different random numbers
RAY = "--methods msdnet_thresh,entropy_thresh,jeidnn --dataset digits --backbone cifar_resnet20 --weights random"
Figures = dict[str, Any]


class Skipped(Exception):
    """Raised by a section that needs a GPU."""


def main() -> int:
    """Run the sections, write the JSON and return the exit code."""
    options = arguments()
    device = torch.device("cuda" if torch.cuda.is_available() and not options.dry_run else "cpu")
    report: dict[str, Any] = {
        "device": torch.cuda.get_device_name() if device.type == "cuda" else platform.processor() or "CPU",
        "dry_run": device.type != "cuda",
        "torch": torch.__version__,
        "sections": {},
    }
    if report["dry_run"]:
        torch.set_num_threads(1)
    names = options.only.split(",")
    for name in names:
        alone = report["dry_run"] or len(names) == 1
        report["sections"][name] = section(name, device) if alone else apart(name, SECTIONS[name][1] + START_UP)
        options.output.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=1))
    return int(any(found["status"] == "failed" for found in report["sections"].values()))


def apart(name: str, limit: float, *words: str) -> Figures:
    """Run one section in its own process, so that a GPU error or a hanging call does not affect the others."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "section.json"
        command = [sys.executable, __file__, "--only", name, "-o", str(target), *words]
        try:
            ended = subprocess.run(command, stdout=subprocess.PIPE, timeout=limit)
        except subprocess.TimeoutExpired:
            return {"status": "failed", "reason": f"it hung and was stopped after {limit:g} s", "figures": {}}
        if target.exists():
            return json.loads(target.read_text(encoding="utf-8"))["sections"][name]
        return {"status": "failed", "reason": f"its process exited with code {ended.returncode}", "figures": {}}


def section(name: str, device: torch.device) -> Figures:
    """Run one section within its limit; return its status, seconds, figures so far and, unless it is ok, the reason."""
    function, limit = SECTIONS[name]
    figures: Figures = {}
    status, reason, start = "ok", {}, time.perf_counter()
    try:
        with deadline(limit):
            function(device, figures)
    except Skipped as error:
        status, reason = "skipped", {"reason": str(error)}
    except (Exception, SystemExit, TrialTimeout) as error:
        status, reason = "failed", {"reason": f"{type(error).__name__}: {error}"}
    seconds = round(time.perf_counter() - start, 1)
    print(f"{name}: {status} after {seconds} s", file=sys.stderr, flush=True)
    return {"status": status, **reason, "seconds": seconds, "figures": figures}


def bank(device: torch.device, figures: Figures) -> None:
    """Compare a build with the bare forward pass; a ratio of 1 means that a build takes no extra time."""
    real = device.type == "cuda"
    images, size, batch, rounds = (10_000, 224, 256, 3) if real else (40, 16, 16, 1)
    dataset = noise(images, 32 if real else 16, 10)
    name = "efficientnet_lite0" if real else "cifar_resnet20"
    backbone = backbones.load(name, num_classes=10, image_size=size, weights="random")
    reference: list[torch.Tensor] = []
    for name, options in COMPUTE.items():
        plan = Plan(dataset, backbone, protocol.split(dataset), **options)
        measured = bank_speed.compare(plan, batch, device, rounds)
        found = sample(plan, device)
        reference = reference or found
        figures[name] = {
            "build_over_bare": round(median(measured["wall"]), 4),
            "bare_images_per_second": round(median(measured["bare"]), 1),
            "built_images_per_second": round(median(measured["built"]), 1),
            "difference_from_float32": difference(reference, found),
        }
    cpu = sample(Plan(dataset, backbone, protocol.split(dataset)), torch.device("cpu"))
    figures["difference_between_devices"] = difference(cpu, reference)


@torch.inference_mode()
def sample(plan: Plan, device: torch.device) -> list[torch.Tensor]:
    """Return the features of a few test images, as a build computes them."""
    chunk = read(plan, Job("test", np.arange(8)), device)
    with ready(plan, device):
        return [f.float().cpu() for f in features(plan, chunk.view(plan, 0, device))]


def difference(one: list[torch.Tensor], other: list[torch.Tensor]) -> float:
    """Return the largest difference at any exit, relative to that exit's largest feature."""
    return max(float((a - b).abs().max() / a.abs().max()) for a, b in zip(one, other, strict=True))


def agreement(device: torch.device, figures: Figures) -> None:
    """Fit every method on both devices and compare them on test, per method and budget."""
    from bench import datasets

    dataset = datasets.load("digits")
    backbone = backbones.load("cifar_resnet20", num_classes=10, image_size=32, weights="random", exits="2,5")
    limit = 400 if device.type == "cuda" else 40
    apart = []
    with tempfile.TemporaryDirectory() as folder:
        built = build(Plan(dataset, backbone, protocol.split(dataset, limit=limit)), Path(folder))
        sides = [(built.task(0, str(d)), built.held_out(0, str(d))[1]) for d in (torch.device("cpu"), device)]
        for name in sorted(registry.plugins("methods")):
            try:
                played = [play(name, task, test) for task, test in sides]
                figures[name] = [compared(a, b, built.manifest.macs[-1]) for a, b in zip(*played, strict=True)]
            except Exception as error:
                figures[name] = f"{type(error).__name__}: {error}"
            if isinstance(figures[name], str) or any(max(f["accuracy"], f["cost"]) > APART for f in figures[name]):
                apart.append(name)
    if apart:
        raise UserError(f"These methods fail, or differ by more than {APART} between devices: {', '.join(apart)}.")


def play(name: str, task: Task, test: Any) -> list[Outcomes | Infeasible]:
    """Fit a method with its defaults and run its policies on test."""
    torch.manual_seed(0)
    policies = registry.load("methods", name)().fit(task, BUDGETS)
    return [p if isinstance(p, Infeasible) else simulate(p, test, task.macs) for p in policies]


def compared(one: Outcomes | Infeasible, other: Outcomes | Infeasible, full: int) -> dict[str, float]:
    """Return how far the two sides differ in accuracy and relative cost, and the share of samples at other exits."""
    if isinstance(one, Infeasible) or isinstance(other, Infeasible):
        same = isinstance(one, Infeasible) and isinstance(other, Infeasible)
        return dict.fromkeys(("accuracy", "cost", "other_exit"), 0.0 if same else 1.0)
    right = [float((o.logits.argmax(1) == o.labels).double().mean()) for o in (one, other)]
    costs = [float(o.macs.double().mean()) / full for o in (one, other)]
    moved = float((one.exit_index.cpu() != other.exit_index.cpu()).double().mean())
    return {"accuracy": abs(right[0] - right[1]), "cost": abs(costs[0] - costs[1]), "other_exit": moved}


def jeidnn(device: torch.device, figures: Figures) -> None:
    """Time JEI-DNN's fused fit of many λ."""
    sizes = {} if device.type == "cuda" else {"samples": 200, "exits": 3, "width": 16, "classes": 5}
    points, singles = (24, 4) if device.type == "cuda" else (3, 2)
    task = jeidnn_speed.synthetic_task(device, **sizes)
    for preset in ("ours", "released", "paper"):
        found = jeidnn_speed.compare("synthetic", task, preset, points, 2, singles)
        figures[preset] = {**found, "ratio": found["one_by_one_seconds"] / found["fused_seconds"]}


def resident(device: torch.device, figures: Figures) -> None:
    """Load a bank of 12 blocks × 384 features onto the device and fit on it; no part may stay on the host."""
    images, name = (60_000, "deit_small") if device.type == "cuda" else (400, "t2t_vit_7")
    dataset = noise(images, 16 if device.type == "cuda" else 8, 20)
    backbone = backbones.load(name, num_classes=20, image_size=32, weights="random")
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        built = build(Plan(dataset, backbone, protocol.split(dataset)), Path(folder), batch_size=512, device=device)
        figures["build_seconds"] = time.perf_counter() - start
        start = time.perf_counter()
        task = built.task(0, str(device))
        held = [t for split in (task.train, task.val) for t in (*split.features, split.final_logits, split.labels)]
        size = sum(t.numel() * t.element_size() for t in held)
        seconds = time.perf_counter() - start
        figures.update(gigabytes=size / 1e9, load_seconds=seconds, gigabytes_per_second=size / 1e9 / seconds)
        if strays := {str(t.device) for t in held if t.device.type != device.type}:
            raise UserError(f"A part of the bank is on {', '.join(strays)} instead of {device}.")
        for method in ("msdnet_thresh", "pcee"):
            start = time.perf_counter()
            play(method, task, task.val)
            figures[f"{method}_seconds"] = time.perf_counter() - start
    if device.type == "cuda":
        figures["peak_gigabytes"] = torch.cuda.max_memory_allocated() / 1e9


def ray(device: torch.device, figures: Figures) -> None:
    """Run trials on quarters of a GPU, and the same trials in one process; the accuracy of each point must agree."""
    if device.type != "cuda":
        raise Skipped("fractional GPUs need a GPU")
    accuracies = []
    with tempfile.TemporaryDirectory() as folder:
        for way in ("--executor serial", "--executor ray --jobs 4 --gpus-per-trial 0.25"):
            store, start = Path(folder) / way.split()[1], time.perf_counter()
            words = f"run {RAY} --seeds 0-3 --limit 300 --device cuda --no-report {way}".split()
            words += ["--bank-dir", f"{folder}/banks", "-o", str(store)]
            code = "import sys; from bench.cli import main; sys.exit(main())"
            ended = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
            if ended.returncode:
                raise UserError(f"{way}: {(ended.stderr or ended.stdout)[-1000:]}")
            figures[f"{way.split()[1]}_seconds"] = time.perf_counter() - start
            accuracies.append(recorded(store))
    figures["points"] = len(accuracies[0])
    if accuracies[0].keys() != accuracies[1].keys():
        raise UserError(f"Points differ: {len(accuracies[0])} in one process, {len(accuracies[1])} under Ray.")
    figures["largest_difference"] = max(abs(a - accuracies[1][key]) for key, a in accuracies[0].items())
    if figures["largest_difference"] > APART:
        raise UserError("Accuracies differ between one process and Ray.")


def recorded(store: Path) -> dict[str, float]:
    """Return the accuracy of every point that a run stored."""
    found = {}
    for path in store.rglob("*.json"):
        record = json.loads(path.read_text(encoding="utf-8"))
        if record.get("status") == "ok":
            found[record["id"]] = float(record["metrics"]["accuracy"])
    return found


def noise(count: int, side: int, classes: int) -> ImageDataset:
    """Draw images of random pixels whose mean brightness depends on the class."""
    rng = np.random.default_rng(0)
    labels = np.arange(count) % classes
    pixels = (
        rng.integers(0, 200, (count, side, side, 3), dtype=np.uint8)
        + (labels * 55 // classes).astype(np.uint8)[:, None, None, None]
    )
    names = tuple(map(str, range(classes)))
    return ImageDataset("noise", "noise", names, labels, np.full(count, "train"), ArrayStore(lambda: pixels))


SECTIONS: dict[str, tuple[Callable[[torch.device, Figures], None], float]] = {
    "bank": (bank, 110),
    "agreement": (agreement, 120),
    "jeidnn": (jeidnn, 80),
    "resident": (resident, 50),
    "ray": (ray, 70),
}


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=Path("device.json"))
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections, comma-separated")
    parser.add_argument("--dry-run", action="store_true", help="a small run on the CPU, even if there is a GPU")
    options = parser.parse_args()
    if unknown := set(options.only.split(",")) - set(SECTIONS):
        parser.error(f"there is no section {', '.join(sorted(unknown))}; valid: {', '.join(SECTIONS)}")
    return options


if __name__ == "__main__":
    sys.exit(main())
