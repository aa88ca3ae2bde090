"""Run four methods with one seed on a synthetic bank of ImageNet's shape; print memory, CPU seconds and training speed.

    python benchmarks/imagenet.py [--share 1.0] [--epochs 1] [--methods msdnet_thresh,…] [--threads 2] [--folder DIR]

The bank has 1,281,167 train, 50,000 pool and 50,000 test rows of 12 exits × 384 float16 numbers and 1,000 classes:
13.8 GB. `--share` takes a share of each split; if the disk has less room, a smaller share is used and a line says so.
With `--folder` the bank is kept there and used again. For comparison, a plain matrix product of a batch and a plain
read of the features are timed in the same process. `--epochs` counts those of the heads (40 by default elsewhere).
"""

from __future__ import annotations

import argparse
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.bank.bank import Bank
from bench.bank.cell import cell_of
from bench.bank.manifest import FILE, SPLITS, Manifest, file_digest
from bench.bank.plan import array_file
from bench.trials.plan import Trial, load_methods, method_points
from bench.trials.run import run_trial
from bench.trials.splits import load_splits

SIZES = {"train": 1_281_167, "pool": 50_000, "test": 50_000}
EXITS, WIDTH, CLASSES, BATCH = 13, 384, 1000, 256
METHODS = "msdnet_thresh,jeidnn,pcee,learned_exit"
BUDGETS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
BLOCK = 16_384  # rows written at once
SPARE = 4 << 30  # bytes of the disk that stay free


def main() -> None:
    """Build the bank, run the methods and print the measurements."""
    options = arguments()
    torch.set_num_threads(options.threads)
    folder = options.folder or Path(tempfile.mkdtemp(prefix="imagenet-"))
    try:
        bank = Bank.open(made(folder, options.share))
        sizes = ", ".join(f"{count:,} {split}" for split, count in bank.manifest.sizes.items())
        print(f"{sizes} rows; {bank.manifest.bytes / 1e9:.1f} GB; {options.threads} threads", flush=True)
        read, product = reading(bank), multiplying()
        print(f"a plain read: {read:.2f} GB/s; a plain product of a batch: {product:.0f} GFLOP/s", flush=True)
        before = memory()
        splits, full = load_splits(bank, 0, "cpu"), {}
        print(f"{before:.2f} GB before, {memory():.2f} GB with the splits open", flush=True)
        for name in options.methods.split(","):
            (method,) = load_methods([f"{name}[heads=plain[epochs={options.epochs}]]"])
            points = method_points(method, BUDGETS, 0)
            began = time.process_time()
            results = run_trial(Trial(cell_of(bank), method.name, method.config, 0, points, BUDGETS), splits, full)
            spent = time.process_time() - began
            record = results[0][0]
            fit = record.timings["fit_seconds"]
            played = [r.timings.get("play_seconds", 0) + r.timings.get("score_seconds", 0) for r, _ in results]
            states = sorted({r.status for r, _ in results})
            print(
                f"{name}: {'/'.join(states)}; {spent:.0f} CPU s, fit {fit:.0f} s, {np.median(played):.1f} s per point "
                f"(first {played[0]:.1f}); peak {memory():.2f} GB; {record.reason or record.metrics.get('accuracy')}",
                flush=True,
            )
            if name == options.methods.split(",")[0]:
                rows = bank.manifest.sizes["train"] * options.epochs
                flops = 4 * rows * (EXITS - 1) * WIDTH * CLASSES  # of the products, forward and for the weights
                size = 2 * rows * (EXITS - 1) * WIDTH
                print(f"  training: {flops / fit / 1e9:.0f} GFLOP/s, {size / fit / 1e9:.3f} GB/s of features")
    finally:
        if options.folder is None:
            shutil.rmtree(folder)


def memory() -> float:
    """Return the peak resident memory of this process in GB, mapped files included."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def reading(bank: Bank) -> float:
    """Return the speed of reading the train split's features in order, in GB/s."""
    began, total = time.perf_counter(), 0
    for k in range(EXITS):
        with (bank.path / array_file("train", 0, k, EXITS)).open("rb", buffering=0) as file:
            while block := file.read(1 << 24):
                total += len(block)
    return total / (time.perf_counter() - began) / 1e9


def multiplying() -> float:
    """Return the speed of the matrix product that takes most of a training step, in GFLOP/s."""
    inputs, weight = torch.randn(EXITS - 1, BATCH, WIDTH), torch.randn(EXITS - 1, WIDTH, CLASSES)
    inputs.bmm(weight)
    began, rounds = time.perf_counter(), 30
    for _ in range(rounds):
        inputs.bmm(weight)
    return 2 * rounds * (EXITS - 1) * BATCH * WIDTH * CLASSES / (time.perf_counter() - began) / 1e9


def made(folder: Path, share: float) -> Path:
    """Return the folder of the bank; write it if it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    row = 2 * EXITS * WIDTH
    room = (shutil.disk_usage(folder).free - SPARE) / (row * sum(SIZES.values()))
    path = folder / f"bank-{share:g}"
    if (path / FILE).exists():
        return path
    if room < share:
        print(f"the disk has room for only {room:.0%} of ImageNet, so --share is reduced to that", flush=True)
        share = max(0.01, room)
    path.mkdir(exist_ok=True)
    sizes = {split: max(CLASSES, int(count * share)) for split, count in SIZES.items()}
    rng = np.random.default_rng(0)
    centres = torch.randn(CLASSES, WIDTH, generator=torch.Generator().manual_seed(0))
    labels = {split: rng.permutation(np.arange(count) % CLASSES) for split, count in sizes.items()}
    for split in SPLITS:
        np.save(path / f"{split}.labels.npy", labels[split])
        for k in range(EXITS):
            shape = (sizes[split], WIDTH)
            out = np.lib.format.open_memmap(path / array_file(split, 0, k, EXITS), "w+", np.float16, shape)
            for rows, block in blocks(k, labels[split], centres):
                out[rows] = block
            out.flush()
            del out
    keys = {f"{split}_keys": np.arange(count).astype("S16") for split, count in sizes.items()}
    np.savez(path / "rows.npz", **{f"{split}_rows": np.arange(count) for split, count in sizes.items()}, **keys)
    head = {"weight": centres[None], "bias": torch.zeros(1, CLASSES), "l2": torch.zeros(1, dtype=torch.float64)}
    save_file(head, path / "head.safetensors")
    describe(path, sizes, labels["train"])
    return path


def blocks(k: int, labels: np.ndarray, centres: torch.Tensor) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield features of exit k: the centre of the class, fainter at early exits, plus noise."""
    generator = torch.Generator().manual_seed(k)
    noise = torch.randn(2 * BLOCK, WIDTH, generator=generator)
    signal = 0.03 + 0.12 * k / (EXITS - 1)
    for start in range(0, len(labels), BLOCK):
        part = torch.from_numpy(labels[start : start + BLOCK])
        shift = int(torch.randint(BLOCK, (), generator=generator))
        yield (
            slice(start, start + len(part)),
            (noise[shift : shift + len(part)] + signal * centres[part]).half().numpy(),
        )


def describe(path: Path, sizes: dict[str, int], labels: np.ndarray) -> None:
    """Write the manifest."""
    body = {"dataset": "noise", "dataset_digest": "0", "dataset_variant": None, "backbone": "noise", "image_size": 224}
    names = (*(f"block {k}" for k in range(EXITS - 1)), "head")
    files = {p.name: {"bytes": p.stat().st_size, "xxh3_128": file_digest(p)} for p in sorted(path.iterdir())}
    manifest = Manifest(
        **body,
        digest=f"{sizes['train']:032x}",
        source="noise",
        class_names=tuple(map(str, range(CLASSES))),
        num_classes=CLASSES,
        protocol="v1",
        seen=False,
        limit=None,
        sizes=sizes,
        train_class_counts=tuple(np.bincount(labels, minlength=CLASSES).tolist()),
        weights_digest="0",
        exit_names=names,
        feature_dims=(WIDTH,) * (EXITS - 1),
        final_dim=WIDTH,
        macs=tuple(350_000_000 * (k + 1) for k in range(EXITS)),
        head="backbone",
        l2=(0.0,),
        transform={},
        dtype="float16",
        views=0,
        libraries={},
        files=files,  # type: ignore[arg-type]
    )
    (path / FILE).write_text(manifest.dumps(), encoding="utf-8")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--methods", default=METHODS)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
