"""Build a feature bank: one pass of all samples through the frozen backbone. Builds resume and publish atomically."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from safetensors.torch import save_file
from torch import Tensor

from bench.bank import probe
from bench.bank.bank import Bank, open_for
from bench.bank.compute import features, ready
from bench.bank.manifest import FILE, FileEntry, Manifest, file_digest, read_manifest
from bench.bank.partial import Partial, sync, write_text
from bench.bank.plan import NATIVE, Plan, array_file, default_root
from bench.bank.store import lock_file, partial_folder
from bench.bank.stream import Chunk, Job, chunks, views_of
from bench.errors import UserError
from bench.system.files import mark_output
from bench.system.memory import reuse_freed_memory

Progress = Callable[[int, int], None]
_LIBRARIES = ("torch", "torchvision", "timm", "numpy", "pillow")


def build(
    plan: Plan,
    root: Path | None = None,
    *,
    batch_size: int = 64,
    device: str | torch.device = "cpu",
    progress: Progress | None = None,
    checkpoint_seconds: float = 5.0,
) -> Bank:
    """Compute the features of a plan and return the bank; a finished bank is only opened.

    Features are stored in the splits' canonical order. An interrupted build continues at its last checkpoint. If two
    processes build the same bank, the second waits and opens the result. `progress(done, total)` counts samples.
    Raises UserError for a full disk and for features that are not finite or exceed float16; BankError if a finished
    bank is corrupt.
    """
    root = default_root() if root is None else Path(root)
    final = root / plan.folder
    if batch_size < 1:
        raise UserError(f"A batch cannot have {batch_size} samples. Give 1 or more.")
    try:
        lock = lock_file(final)
        lock.parent.mkdir(parents=True, exist_ok=True)
        mark_output(root)
        with FileLock(lock):
            if not final.exists():
                _build(plan, final, batch_size, torch.device(device), progress, checkpoint_seconds)
    except OSError as error:
        reason = error.strerror or error
        remedy = "Finished samples are kept: free some space and run the same command again, or give another folder."
        raise UserError(f"The bank cannot be written to {root} ({reason}). {remedy}") from error
    return open_for(plan, final)


def _build(
    plan: Plan, final: Path, batch_size: int, device: torch.device, progress: Progress | None, pause: float
) -> None:
    partial = Partial(partial_folder(final), plan, pause)
    try:
        if not (partial.path / FILE).exists():
            _compute(plan, partial, batch_size, device, progress)
            _describe(plan, partial.path)
    finally:
        partial.close()
    _publish(partial, final)


def _compute(plan: Plan, partial: Partial, batch_size: int, device: torch.device, progress: Progress | None) -> None:
    """Run all pending samples through the backbone; an interruption keeps finished ones."""
    reuse_freed_memory()
    total, done = sum(map(len, plan.rows.values())), partial.done
    report = progress or (lambda done, total: None)
    report(done, total)
    jobs = _jobs(plan, partial, batch_size)
    try:
        with ready(plan, device):
            launched = (_forward(plan, chunk, device) for chunk in chunks(plan, jobs, device))
            for chunk, outputs in _one_behind(launched):
                for view, output in enumerate(outputs):
                    partial.write(chunk.job.split, view, chunk.job.positions, output.arrays(plan, chunk))
                partial.mark(chunk.job.split, chunk.job.positions)
                done += len(chunk.job.positions)
                report(done, total)
    finally:
        partial.checkpoint()


def _jobs(plan: Plan, partial: Partial, batch_size: int) -> Iterator[Job]:
    """Yield batches of pending samples; texts are batched by length to avoid padding."""
    for split in plan.rows:
        positions = partial.pending(split)
        if plan.modality == "text" and len(positions):
            positions = positions[np.argsort(plan.lengths(split, positions), kind="stable")]
        for start in range(0, len(positions), batch_size):
            yield Job(split, positions[start : start + batch_size])


def _one_behind(launched: Iterator[Any]) -> Iterator[Any]:
    """Yield each item after the next was launched, so that an accelerator computes while results are written."""
    previous = None
    for item in launched:
        if previous is not None:
            yield previous
        previous = item
    if previous is not None:
        yield previous


class _Output:
    """Features of one forward pass, copied to the host: one copy and one check for all exits."""

    def __init__(self, features: list[Tensor], dtype: torch.dtype) -> None:
        computed = torch.cat(features, 1)
        stored = computed.to(dtype)
        finite = torch.stack([computed.isfinite().all(0), stored.isfinite().all(0)])
        self._stored = stored.to("cpu", non_blocking=True)
        self._finite = finite.to("cpu", non_blocking=True)
        self._ready = torch.cuda.Event() if stored.is_cuda else None
        if self._ready:
            self._ready.record()

    def arrays(self, plan: Plan, chunk: Chunk) -> list[np.ndarray]:
        """Wait for the K blocks [B, D_k], check them and return them."""
        if self._ready:
            self._ready.synchronize()
        if not self._finite.all():
            self._refuse(plan, chunk)
        return [block.numpy() for block in self._stored.split(plan.dims, 1)]

    def _refuse(self, plan: Plan, chunk: Chunk) -> None:
        for name, finite in zip(plan.backbone.exit_names, self._finite.split(plan.dims, 1), strict=True):
            computed, stored = finite.all(1).tolist()
            where = f"features of '{plan.backbone.name}' at exit '{name}' on '{plan.dataset.name}' ({chunk.job.split})"
            if not computed:
                raise UserError(
                    f"The {where} are not finite: its weights or its input are damaged. Nothing was stored."
                )
            if not stored:
                raise UserError(f"The {where} exceed float16's range. Build the bank with dtype float32.")


@torch.inference_mode()
def _forward(plan: Plan, chunk: Chunk, device: torch.device) -> tuple[Chunk, list[_Output]]:
    outputs = []
    for view in views_of(plan, chunk.job.split):
        found = features(plan, chunk.view(plan, view, device))
        shapes = [tuple(f.shape) for f in found]
        if shapes != [(len(chunk.keys), width) for width in plan.dims]:
            raise UserError(
                f"'{plan.backbone.name}' returned features {shapes}, but declares the widths {list(plan.dims)}."
            )
        outputs.append(_Output(found, getattr(torch, plan.dtype)))
    return chunk, outputs


def _describe(plan: Plan, folder: Path) -> None:
    """Write labels, rows, the frozen head's candidates and, last, the manifest."""
    for split, labels in plan.labels.items():
        np.save(folder / f"{split}.labels.npy", labels)
    stored: dict[str, Any] = {f"{s}_rows": r for s, r in plan.rows.items()} | {
        f"{s}_keys": k for s, k in plan.keys.items()
    }
    np.savez(folder / "rows.npz", **stored)
    weights = biases = torch.empty(0)
    if plan.own_head:
        grid = (0.0,)
        weights, biases = (part[None] for part in _parts(plan.backbone.head))
    elif plan.drawn:
        grid = probe.GRID  # each seed fits its own on its train split: `Bank.final_head`
    else:
        final = np.load(folder / array_file("train", 0, len(plan.dims) - 1, len(plan.dims)), mmap_mode="r")
        grid = probe.GRID
        device = next(plan.backbone.parameters()).device
        weights, biases = probe.fit(final, plan.labels["train"], plan.dataset.num_classes, grid, device=device)
    tensors = {"weight": weights, "bias": biases, "l2": torch.tensor(grid, dtype=torch.float64)}
    save_file({name: t.cpu().contiguous().clone() for name, t in tensors.items()}, folder / "head.safetensors")
    files = [*plan.arrays, *(f"{s}.labels.npy" for s in plan.rows), "rows.npz", "head.safetensors"]
    if plan.native:
        files.append(NATIVE)
        save_file(_native(plan), folder / NATIVE)
    for name in files:
        sync(folder / name)
    contents: dict[str, FileEntry] = {
        n: {"bytes": (folder / n).stat().st_size, "xxh3_128": file_digest(folder / n)} for n in files
    }
    write_text(folder / FILE, _manifest(plan, grid, contents).dumps())


def _native(plan: Plan) -> dict[str, Tensor]:
    """Return weights and biases of the backbone's own heads, named by exit."""
    held: dict[str, Tensor] = {}
    for k, (weight, bias) in enumerate(map(_parts, plan.backbone.native)):
        held |= {f"weight{k}": weight, f"bias{k}": bias}
    return {name: value.cpu().contiguous().clone() for name, value in held.items()}


def _parts(layer: Any) -> tuple[Tensor, Tensor]:
    """Return weight [C, D] and bias [C] of a linear layer."""
    bias = torch.zeros(layer.out_features) if layer.bias is None else layer.bias.detach()
    return layer.weight.detach(), bias


def _manifest(plan: Plan, grid: tuple[float, ...], files: Mapping[str, FileEntry]) -> Manifest:
    dataset, backbone = plan.dataset, plan.backbone
    return Manifest(
        **plan.identity,
        source=dataset.source,
        class_names=tuple(map(str, dataset.class_names)),
        num_classes=int(dataset.num_classes),
        seen=plan.splits.protocol.endswith("-seen"),
        sizes={name: len(rows) for name, rows in plan.rows.items()},
        train_class_counts=plan.splits.train_counts
        or tuple(np.bincount(plan.labels["train"], minlength=dataset.num_classes).tolist()),
        pool_class_counts=plan.splits.pool_counts,
        weights_digest=backbone.weights_digest,
        feature_dims=plan.dims[:-1],
        final_dim=plan.dims[-1],
        macs=plan.macs,
        head="backbone" if plan.own_head else "probe",
        l2=grid,
        transform=plan.preparation.describe(plan.views),
        dtype=plan.dtype,
        views=plan.views,
        compute=plan.compute,
        libraries={"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}},
        files=files,
    )


def _publish(partial: Partial, final: Path) -> None:
    """Move the finished bank to its final name atomically."""
    read_manifest(partial.path)
    partial.strip()
    sync(partial.path)
    partial.path.rename(final)
    sync(final.parent)
