"""Outcomes that a run keeps for later scores: shared ones once per set of heads, and where samples left per policy."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, from_numpy

from bench.metrics.answers import Answers
from bench.metrics.samples import Measured
from bench.recipe import Heads
from bench.system.files import open_regular, write_atomic
from bench.trials.modules import describe, rebuild

FOLDER = "answers"  # of a setting's shared outcomes, beside the folders of its methods
SPLITS = ("cal", "test")
MOST_BYTES = 1 << 32


@dataclass(frozen=True)
class SharedOutcomes:
    """The answers of every exit of one set of heads on cal and test, and the heads; `content` is a safetensors file.

    Per split: label [N] and exit_prediction [N, K] in the smallest integers, exit_confidence and exit_p_true [N, K]
    float64. The probabilities of all classes are not stored: the heads recompute them from the bank.
    """

    content: bytes

    @classmethod
    def of(cls, heads: Heads, answers: Mapping[str, Answers], train_counts: NDArray[Any]) -> SharedOutcomes | None:
        """Return the outcomes of heads; None if the heads contain what cannot be stored, such as a lambda."""
        tensors: dict[str, Tensor] = {"train_counts": from_numpy(train_counts.astype(np.int64))}
        try:
            description = describe(heads, tensors, "heads")
        except TypeError:
            return None
        for split, held in answers.items():
            small = np.min_scalar_type(held.logits.shape[-1] - 1)
            columns = {
                "label": held.labels.astype(small),
                "exit_prediction": held.prediction.astype(small),
                "exit_confidence": held.confidence,
                "exit_p_true": held.p_true,
            }
            tensors |= {f"{split}_{k}": from_numpy(np.ascontiguousarray(v)) for k, v in columns.items()}
        return cls(save(tensors, {"heads": json.dumps(description)}))

    @cached_property
    def key(self) -> str:
        """The name of its file, a digest of the content."""
        return xxhash.xxh3_128_hexdigest(self.content)

    def write(self, folder: Path) -> None:
        """Store it in a setting's folder unless it is already there."""
        path = folder / FOLDER / f"{self.key}.safetensors"
        if not path.exists():
            write_atomic(path, lambda file: file.write(self.content))

    @classmethod
    def read(cls, folder: Path, key: str) -> SharedOutcomes:
        """Read it from a setting's folder; raise ValueError if it is missing or damaged."""
        path = folder / FOLDER / f"{key}.safetensors"
        try:
            with open_regular(path, MOST_BYTES) as file:
                found = cls(file.read())
        except OSError as error:
            raise ValueError(f"'{path}' cannot be read: {error.strerror or error}") from None
        if found.key != key:
            raise ValueError(f"'{path}' was changed: its checksum is {found.key}")
        return found

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return its arrays, without those of the heads."""
        return {k: v.numpy() for k, v in self._tensors().items() if not k.startswith("heads")}

    def heads(self) -> Heads:
        """Return the fitted heads; raise ValueError if they cannot be rebuilt here."""
        length = int.from_bytes(self.content[:8], "little")
        header = json.loads(self.content[8 : 8 + length])
        made = rebuild(json.loads(header["__metadata__"]["heads"]), self._tensors())
        if not isinstance(made, Heads):
            raise ValueError("it contains no heads")
        return made

    def _tensors(self) -> dict[str, Tensor]:
        try:
            return load(self.content)
        except (SafetensorError, ValueError) as error:
            raise ValueError(f"it is not a safetensors file ({error})") from None


@dataclass(frozen=True)
class Kept:
    """The outcomes of one operating point: arrays for a file of its own, and what it shares with other points."""

    arrays: Mapping[str, NDArray[Any]]
    shared: SharedOutcomes | None = None

    @classmethod
    def compact(cls, point: Measured, shared: SharedOutcomes) -> Kept:
        """Return only where samples left; the rest follows from the shared outcomes."""
        small = np.min_scalar_type(point.num_exits - 1)
        arrays = {f"{split}_exit_index": getattr(point, split).exit_index.astype(small) for split in SPLITS}
        costs = {} if point.exit_macs is None else {"exit_macs": point.exit_macs}
        return cls(arrays | costs | {"answers": np.frombuffer(bytes.fromhex(shared.key), np.uint8)}, shared)


def expand(arrays: Mapping[str, NDArray[Any]], shared: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return the arrays of `metrics.stored.to_arrays`, without logits and order, from compact and shared ones.

    Raises ValueError or IndexError if they do not belong together.
    """
    found = {k: v for k, v in arrays.items() if k != "answers"} | {"train_counts": shared["train_counts"]}
    for split in SPLITS:
        index, label = arrays[f"{split}_exit_index"].astype(np.int64), shared[f"{split}_label"]
        if index.shape != label.shape:
            raise ValueError(f"{len(index)} samples of {split}, but the shared outcomes have {len(label)}")
        rows = np.arange(len(index))
        taken = {k: shared[f"{split}_exit_{k}"][rows, index] for k in ("prediction", "confidence", "p_true")}
        found |= {f"{split}_{k}": v for k, v in taken.items()}
        found |= {f"{split}_label": label, f"{split}_correct": taken["prediction"] == label}
        found |= {f"{split}_exit_{k}": shared[f"{split}_exit_{k}"] for k in ("prediction", "confidence", "p_true")}
    return found
