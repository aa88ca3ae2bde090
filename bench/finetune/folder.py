"""The folder of a trained network: weights, `network.json`, tokenizer files, training plot, checkpoint."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from bench.backbones.network import DESCRIPTION, FORMAT, MODEL, WEIGHTS
from bench.errors import UserError
from bench.plugins.spec import Spec
from bench.system.files import read_regular, write_atomic

if TYPE_CHECKING:
    from bench.backbones.staged import StagedBackbone, Tuned
    from bench.datasets.dataset import Dataset
    from bench.finetune.config import FineTuning

CHECKPOINT, PLOT = "checkpoint.pt", "training.png"
EXACT = ("running_mean", "running_var", "num_batches_tracked")  # statistics, which may exceed half precision


def description(
    base: Spec,
    backbone: StagedBackbone,
    dataset: Dataset,
    protocol: str,
    config: FineTuning,
    limit: int | None,
    train: int,
    val: int,
) -> dict[str, Any]:
    """Return what determines a run, as stored in `network.json`; networks for texts have no `preprocessing`."""
    prepared: dict[str, Any] = {}
    if backbone.modality == "image":
        prepared = {"mean": list(backbone.mean), "std": list(backbone.std), "interpolation": backbone.interpolation}
    other_name = backbone.name if backbone.tuned or backbone.name != str(base) else None
    return {
        "format": FORMAT,
        "backbone": str(base),
        "started_from": backbone.weights_digest,
        "image_size": backbone.image_size,
        "exits": list(backbone.positions),
        **({"preprocessing": prepared} if prepared else {}),
        "dataset": dataset.name,
        "dataset_digest": dataset.digest,
        "protocol": protocol,
        "limit": limit,
        f"{dataset.modality}s": {"train": train, "val": val},
        "recipe": config.as_json(),
        **({"started_as": other_name} if other_name else {}),
    }


def finished(folder: Path, start: dict[str, Any]) -> bool:
    """Return whether a folder contains this network. Raises UserError if it contains another one, or other files."""
    if (folder / DESCRIPTION).exists():
        try:
            found = json.loads(read_regular(folder / DESCRIPTION, 1 << 24))
        except (OSError, ValueError) as error:
            raise UserError(
                f"'{folder / DESCRIPTION}' cannot be read ({error}). Give another folder with -o."
            ) from None
        if isinstance(found, dict) and all(found.get(key) == value for key, value in start.items()):
            return True
        raise UserError(f"'{folder}' contains a network of another run. Give another folder with -o.")
    ours = {CHECKPOINT, WEIGHTS, PLOT, MODEL}
    strangers = (
        sorted(p.name for p in folder.iterdir() if p.name not in ours and p.name[0] != ".") if folder.is_dir() else []
    )
    if strangers:
        raise UserError(f"'{folder}' contains other files ('{strangers[0]}'). Give a new folder with -o.")
    return False


def save_checkpoint(folder: Path, start: dict[str, Any], held: dict[str, Any]) -> None:
    """Write the state of an unfinished run."""
    _written(folder / CHECKPOINT, lambda file: torch.save({"start": json.dumps(start), **held}, file))


def checkpoint(folder: Path, start: dict[str, Any]) -> dict[str, Any] | None:
    """Return the last checkpoint of this run; None if there is none. Raises UserError for one of another run."""
    path = folder / CHECKPOINT
    if not path.is_file():
        return None
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
        before = json.loads(held.pop("start"))
    except Exception as error:  # a damaged file may raise anything
        raise UserError(f"'{path}' cannot be read ({type(error).__name__}). Remove it to start again.") from error
    if before != json.loads(json.dumps(start)):
        changed = sorted(key for key in start if before.get(key) != json.loads(json.dumps(start[key])))
        raise UserError(
            f"'{folder}' contains an unfinished run with other settings ({', '.join(changed)}). Repeat its command to "
            "resume it, remove the folder, or give another one with -o."
        )
    return held


def rounded(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return weights as stored: rounded to half precision if its range allows, in single precision."""
    return {name: value.half().float() if _halved(name, value) else value for name, value in state.items()}


def write(
    folder: Path,
    start: dict[str, Any],
    best: dict[str, Tensor],
    history: list[dict[str, Any]],
    tuned: Tuned,
    source: str,
    accuracy: list[float],
    files: Iterable[Path] = (),
) -> None:
    """Write the network, copies of files, its plot, and last its description; remove the checkpoint."""
    from safetensors.torch import save

    from bench import __version__
    from bench.finetune.plot import draw

    held = {name: (value.half() if _halved(name, value) else value).contiguous() for name, value in best.items()}
    content = save(held)
    told = {
        **start,
        "name": name_of(start),
        "source": source,
        "class_names": list(tuned.class_names),
        "seen_before": sorted(tuned.before),
        "accuracy": accuracy,
        "history": history,
        "sha256": hashlib.sha256(content).hexdigest(),
        "exitbench": __version__,
        "torch": torch.__version__,
    }
    _written(folder / WEIGHTS, lambda file: file.write(content))
    for path in files:
        _written(folder / MODEL / path.name, partial(_copy, path))
    _written(folder / PLOT, lambda file: file.write(draw(told)))
    text = json.dumps(told, indent=1, ensure_ascii=False) + "\n"
    _written(folder / DESCRIPTION, lambda file: file.write(text.encode()))
    (folder / CHECKPOINT).unlink(missing_ok=True)


def name_of(start: dict[str, Any]) -> str:
    """Return the network's name in tables."""
    kind = {"none": "tuned", "joint": "joint", "frozen": "exits"}[start["recipe"]["exits"]]
    base = start.get("started_as", start["backbone"]).removesuffix(f"_{start['dataset']}")
    return f"{base}_{kind}_{start['dataset']}"


def _halved(name: str, value: Tensor) -> bool:
    fits = value.is_floating_point() and bool(value.abs().max() < torch.finfo(torch.float16).max)
    return fits and not name.endswith(EXACT)


def _copy(path: Path, file: Any) -> None:
    file.write(path.read_bytes())


def _written(path: Path, write: Callable[[Any], object]) -> None:
    try:
        write_atomic(path, write)
    except OSError as error:
        reason = error.strerror or error
        raise UserError(
            f"'{path}' cannot be written ({reason}). Free some space, then run the same command again: it resumes from "
            "its last checkpoint."
        ) from error
