"""Write the file of a setting's logits, on which others can test rules; see `bench.bank.logits`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from bench import heads
from bench.bank.bank import Bank, with_digest
from bench.bank.cell import Cell
from bench.bank.logits import About, Logits, SplitLogits
from bench.errors import UserError
from bench.inference import exit_answers
from bench.plugins import registry
from bench.system.files import write_atomic
from bench.trials.record import Record

if TYPE_CHECKING:
    from bench.method import ExitData
    from bench.recipe import Heads

FILE = "logits.npz"  # in the folder of a published setting
CLOSE = 0.005  # largest difference of an exit's accuracy to its record: other processors, half precision


def logits_of(bank: Bank, seed: int) -> Logits:
    """Return the logits of every exit of a bank on the pool and on test.

    The heads are the network's own if the bank has them, otherwise plain ones trained for the seed, as for the static
    exits of a run. Raises UserError for logits that half precision cannot hold.
    """
    task, manifest = bank.task(seed), bank.manifest
    recipe = "plain" if task.native is None else "native"
    fitted = heads.fit(recipe, task)
    chosen = recipe == "plain" or len(manifest.l2) > 1 or bool(manifest.pool_class_counts)  # by the seed's samples
    added = [fitted.macs(k) for k in range(bank.num_exits)]
    roles = bank.roles(seed)
    held = np.sort(np.concatenate([roles.val, roles.cal]))
    pool = bank.exit_data(roles.held, held, head=bank.final_head(seed))
    about = About(
        dataset=manifest.dataset,
        backbone=manifest.backbone,
        image_size=manifest.image_size,
        protocol=manifest.protocol,
        bank_digest=manifest.digest,
        exit_names=manifest.exit_names,
        class_names=manifest.class_names,
        macs=tuple(int(m + h) for m, h in zip(task.macs, accumulate(added), strict=True)),
        full_macs=task.macs[-1],
        heads=recipe,
        heads_version=registry.load("heads", recipe).version,
        seed=seed if chosen else None,
    )
    return Logits(
        about,
        _answers(bank, fitted, pool, bank.keys(roles.held)[held]),
        _answers(bank, fitted, bank.held_out(seed)[1], bank.keys("test")),
    )


def _answers(bank: Bank, fitted: Heads, data: ExitData, keys: np.ndarray) -> SplitLogits:
    half = exit_answers(fitted, data).numpy().astype(np.float16)
    if not np.isfinite(half).all():
        raise UserError(f"{bank.path.name} has logits that half precision cannot hold; it is not packed.")
    return SplitLogits(half, data.labels.numpy(), keys)


def write_pack(cell: Cell, records: Sequence[Record], folder: Path, bank_dir: Path | None = None) -> Path:
    """Write the logits of a setting into a folder, for the first seed of its records; return the path of the file.

    Raises UserError if the bank is not on this machine, or its exits are not as accurate as the records say.
    """
    bank = with_digest(cell.bank_digest, bank_dir)
    if bank is None:
        raise UserError(
            f"The bank {cell.bank_digest[:12]} of {cell.title} is not on this machine. Build it with `bench bank "
            "build`, or name its folder with --bank-dir."
        )
    static = [r for r in records if r.point.method == "static" and r.status == "ok" and r.point.exit is not None]
    if not static:
        raise UserError(f"{cell.title} has no records of static exits, which its logits are compared with. Run it.")
    seed = min(record.point.seed for record in static)
    torch.set_num_threads(int(static[0].provenance.get("threads") or 1))  # as many threads round sums alike
    logits = logits_of(bank, seed)
    right = logits.test.logits.argmax(-1) == logits.test.labels[:, None]
    for record in static:
        if record.point.seed == seed and record.point.exit is not None:
            found, stored = float(right[:, record.point.exit].mean()), record.metrics["accuracy"]
            if abs(found - stored) > CLOSE:
                raise UserError(
                    f"Exit {record.point.exit} of {cell.title} has accuracy {found:.4f} on this machine and "
                    f"{stored:.4f} in its record. Run the setting again, then publish it."
                )
    path, content = folder / FILE, logits.dumps()
    if not path.exists() or path.read_bytes() != content:
        write_atomic(path, lambda file: file.write(content))
    return path
