"""Time JEI-DNN's fused λ grid against one λ at a time, and against a loop that re-runs the backbone every epoch.

    python benchmarks/jeidnn.py [--points 24] [--epochs 2] [--real BANK_FOLDER] [--device cpu]

All ratios come from one run on one machine; the fused and the single side use the same code, epochs and seeds.
"""

from __future__ import annotations

import argparse
import dataclasses
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from bench.bank.bank import Bank
from bench.inference import simulate
from bench.method import ExitData, Task
from bench.plugins import registry


def synthetic_task(
    device: torch.device, samples: int = 10_000, exits: int = 12, width: int = 384, classes: int = 100
) -> Task:
    """Return a synthetic task in which the noise of the features decreases with depth."""
    generator = torch.Generator().manual_seed(0)
    means = torch.randn(exits + 1, classes, width, generator=generator) * 0.3

    def split(n: int) -> ExitData:
        labels = torch.randint(classes, (n,), generator=generator)
        seen = [
            means[k, labels] + (3 - 2 * k / exits) * torch.randn(n, width, generator=generator)
            for k in range(exits + 1)
        ]
        final = seen[-1] @ means[-1].T - means[-1].square().sum(-1) / 2
        return ExitData(tuple(x.to(device) for x in seen[:-1]), final.to(device), labels.to(device))

    macs = tuple(100_000_000 * (k + 1) for k in range(exits + 1))
    return Task(split(samples), split(samples // 4), macs, classes, 0, device)


def clock(function: Callable[[], object], device: torch.device) -> tuple[float, object]:
    """Return the seconds that a call takes, and its result."""
    start = time.perf_counter()
    result = function()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start, result


def compare(title: str, task: Task, preset: str, points: int, epochs: int, singles: int) -> dict[str, float]:
    """Time `points` λ fused against `singles` of them one by one (scaled up to all), print and return the figures."""
    jeidnn = registry.load("methods", "jeidnn")
    lam = torch.logspace(-2, 0.7, points).tolist()
    method = jeidnn(jeidnn.Config(preset=preset, epochs=epochs, warmup_epochs=1))

    def fresh() -> Task:
        return dataclasses.replace(task, shared_cache={})

    method.curve(fresh(), lam[:2])
    fused_seconds, fused = clock(lambda: method.curve(fresh(), lam), task.device)
    chosen = [round(i * (points - 1) / (singles - 1)) for i in range(singles)]
    single_seconds, worst = 0.0, 0.0
    for i in chosen:
        seconds, (alone,) = clock(lambda i=i: method.curve(fresh(), [lam[i]]), task.device)
        single_seconds += seconds
        costs = [
            float(simulate(p, task.val, task.macs).macs.double().mean()) / task.macs[-1] for p in (fused[i], alone)
        ]
        worst = max(worst, abs(costs[0] - costs[1]))
    ratio = single_seconds / singles * points / fused_seconds
    note = "" if singles == points else f", {singles} of them run one by one and scaled up"
    print(
        f"{title:<10} {preset:<9} fused {fused_seconds:7.2f} s   one by one {fused_seconds * ratio:8.2f} s   "
        f"{ratio:6.1f}×   largest difference of cost on val {worst:.4f}{note}"
    )
    return {"fused_seconds": fused_seconds, "one_by_one_seconds": fused_seconds * ratio, "cost_difference": worst}


def gemm_rate(device: torch.device) -> float:
    """Return the GFLOP/s of a plain matrix product of the shape of a fused head step, [64, 384] × [384, 2400]."""
    a, b = torch.randn(64, 384, device=device), torch.randn(384, 2400, device=device)
    for _ in range(20):
        a @ b
    seconds, _ = clock(lambda: [a @ b for _ in range(200)], device)
    return 200 * 2 * 64 * 384 * 2400 / seconds / 1e9


def achieved(task: Task, points: int) -> tuple[float, float]:
    """Return the GFLOP/s of fused head steps with the preset `paper`, and the milliseconds of one step."""
    from bench.methods.jeidnn.bilevel import Bilevel, BilevelSchedule

    costs = torch.linspace(0.1, 1, task.num_exits)
    options = {"weighted": True, "counting": "cumulative", "reading": "clipped"}
    trainer = Bilevel(task, torch.logspace(-2, 0.7, points), costs, BilevelSchedule(), **options)
    trainer._multiply(points)
    batches = [rows for rows, _ in zip(trainer._batches(), range(40), strict=False)]
    trainer._head_step(batches[0], None, 0.01)
    seconds, _ = clock(lambda: [trainer._head_step(rows, None, 0.01) for rows in batches], task.device)
    flops = sum(2 * 2 * 64 * x.shape[1] * task.num_classes * points for x in task.train.features) * len(batches)
    return flops / seconds / 1e9, 1e3 * seconds / len(batches)


def against_published_loop(steps: int, device: torch.device) -> None:
    """Compare a 12-point curve on mnist5k, bank build included, with a loop that re-runs the backbone every epoch."""
    from bench.config import RunConfig
    from bench.session import Session

    with tempfile.TemporaryDirectory() as folder:
        session = Session(RunConfig(device=str(device), bank_dir=Path(folder)))
        source = next(session.sources())
        build_seconds, bank = clock(lambda: source.ensure(str(device)), device)
        task = bank.task(0, str(device))
    jeidnn = registry.load("methods", "jeidnn")
    method = jeidnn(jeidnn.Config(preset="released", epochs=15))
    fit_seconds, _ = clock(lambda: method.curve(task, torch.logspace(-2, 0.7, 12).tolist()), device)
    images = torch.randn(64, 3, source.plan.preparation.size, source.plan.preparation.size, device=device)
    backbone = source.plan.backbone.to(device)
    heads = [torch.nn.Linear(d, task.num_classes, device=device) for d in backbone.feature_dims]
    labels = torch.randint(task.num_classes, (64,), device=device)
    optimiser = torch.optim.SGD([p for h in heads for p in h.parameters()], lr=0.01)

    def step() -> None:
        with torch.no_grad():
            features = backbone.features(images)
        loss = sum(torch.nn.functional.cross_entropy(h(x), labels) for h, x in zip(heads, features[:-1], strict=True))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    step()
    seconds, _ = clock(lambda: [step() for _ in range(steps)], device)
    forwards = len(source.splits.train) + 2 * len(source.splits.pool) // 2 + 2 * len(source.splits.test)
    loop = seconds / steps * forwards / 64 * 15 * 12
    total = build_seconds + fit_seconds
    print(
        f"mnist5k    12 points, 15 epochs: bank {build_seconds:.1f} s + fit {fit_seconds:.1f} s\n"
        f"           {loop / 3600:.1f} h of a loop: backbone once on train, twice on val and test per epoch\n"
        f"           ({steps} steps of it timed and extrapolated): {loop / total:.0f}×"
    )


def main() -> None:
    """Print all comparisons."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=24)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--singles", type=int, default=6, help="number of points that are run one by one")
    parser.add_argument("--real", type=Path, help="folder of a bank; `bench bank list` prints them")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--loop-steps", type=int, default=200, help="timed steps of the published loop; 0 omits it")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    tasks = {"synthetic": synthetic_task(device)}
    if options.real:
        tasks["real"] = Bank.open(options.real).task(0, options.device)
    for title, task in tasks.items():
        dims = [x.shape[1] for x in task.train.features]
        print(
            f"{title}: {len(task.train):,} × {len(dims)} exits × {min(dims)}–{max(dims)} features, "
            f"{task.num_classes} classes"
        )
        for preset in ("ours", "released", "paper"):
            compare(title, task, preset, options.points, options.epochs, options.singles)
    rate, (flops, milliseconds) = gemm_rate(device), achieved(tasks["synthetic"], options.points)
    print(
        f"paper's fused head step: {milliseconds:.1f} ms, {flops:.0f} GFLOP/s of {rate:.0f} "
        f"that a plain matrix product of its shape reaches"
    )
    if options.loop_steps:
        against_published_loop(options.loop_steps, device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"peak memory of this process, all data included: {peak:.2f} GB")


if __name__ == "__main__":
    main()
