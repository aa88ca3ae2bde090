"""The plan of a bank, before anything is computed: its digest, its arrays, its folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import xxhash

from bench.bank.manifest import SCHEMA, SPLITS, digest_of, folder_name
from bench.datasets.known import same_classes
from bench.errors import UserError
from bench.inputs import Modality, Preparation
from bench.system.notices import tell_once

if TYPE_CHECKING:
    from bench.backbones.staged import StagedBackbone
    from bench.datasets.dataset import Dataset
    from bench.inputs import TextPreparation
    from bench.protocol import Splits

DTYPES = ("float16", "float32")
NATIVE = "native.safetensors"  # the network's own heads of the intermediate exits, in banks of networks that have them
PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True)
class Plan:
    """A bank to be built: a dataset's splits, a backbone and how features are stored.

    float16 takes half the disk, and its rounding of 2^-11 is far below the noise of a trained head; float32 is for
    exact features. `views` is the number of augmented views of training images in addition to the clean one.
    `precision` is what the backbone computes in ('bfloat16': under autocast), and `channels_last` is the memory layout
    of images. Both are for speed on a GPU, and both change features.
    """

    dataset: Dataset
    backbone: StagedBackbone
    splits: Splits
    dtype: str = "float16"
    views: int = 0
    precision: str = "float32"
    channels_last: bool = False

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise UserError(f"'{self.dtype}' is not a storage type of a bank. Valid: {', '.join(DTYPES)}.")
        if self.precision not in PRECISIONS:
            raise UserError(f"'{self.precision}' is not a precision of a bank. Valid: {', '.join(PRECISIONS)}.")
        if self.views < 0:
            raise UserError(f"A bank cannot have {self.views} augmented views. Give 0 or more.")
        if self.modality == "text" and (self.views or self.channels_last):
            option = "--views" if self.views else "--channels-last"
            raise UserError(f"{option} is for images, and '{self.dataset.name}' has texts. Leave it out.")
        if empty := [name for name in SPLITS if name not in self.rows and (name != "pool" or not self.drawn)]:
            raise UserError(
                f"'{self.dataset.name}' has no {self.modality}s in {', '.join(empty)}. "
                "Give more data or a higher limit."
            )

    @property
    def drawn(self) -> bool:
        """Whether every seed draws its pool from the train split."""
        return len(self.splits.pool_counts) > 0

    @property
    def modality(self) -> Modality:
        """The modality of the samples."""
        return self.dataset.modality

    @cached_property
    def rows(self) -> Mapping[str, np.ndarray]:
        """Dataset rows [N] of each split, in the split's canonical order."""
        held = {name: np.asarray(getattr(self.splits, name), dtype=np.int64) for name in SPLITS}
        return {name: rows for name, rows in held.items() if len(rows)}

    @cached_property
    def labels(self) -> Mapping[str, np.ndarray]:
        """Labels [N] of each split."""
        labels = np.asarray(self.dataset.labels, dtype=np.int64)
        return {name: labels[rows] for name, rows in self.rows.items()}

    @cached_property
    def keys(self) -> Mapping[str, np.ndarray]:
        """Keys of the samples of each split."""
        keys = np.asarray(self.dataset.keys)
        return {name: keys[rows] for name, rows in self.rows.items()}

    @cached_property
    def preparation(self) -> Preparation:
        """How inputs are prepared for the backbone."""
        return self.backbone.preparation()

    @cached_property
    def size(self) -> int:
        """The input size for counting MACs: the image side in pixels, or the mean tokens of a training text, rounded.

        Tokens are counted without padding, with special tokens, and up to the backbone's limit.
        """
        if self.modality == "image":
            return self.preparation.size
        return max(1, round(float(np.mean(self.lengths("train", np.arange(len(self.rows["train"])))))))

    def lengths(self, split: str, positions: np.ndarray) -> np.ndarray:
        """Return the token counts [B] of the texts at these positions of a split."""
        texts = self.dataset.read(self.rows[split][positions])
        return cast("TextPreparation", self.preparation).lengths(texts)

    @cached_property
    def digest(self) -> str:
        """Hash of everything that decides the contents: neither batch size nor device, paths or storage order."""
        return digest_of({
            **({"compute": self.compute} if self.compute else {}),
            "schema": SCHEMA,
            "dataset": self.dataset.digest,
            "splits": {name: [_hash(self.keys[name]), _hash(self.labels[name])] for name in self.rows},
            **({"draws": [self.splits.pool_counts, self.splits.train_counts]} if self.drawn else {}),
            "num_classes": int(self.dataset.num_classes),
            "protocol": self.splits.protocol,
            "limit": self.splits.limit,
            "weights": self.backbone.weights_digest,
            "exits": list(self.backbone.exit_names),
            "dims": [*self.dims],
            "own_head": self.own_head,
            "transform": self.preparation.describe(self.views),
            "dtype": self.dtype,
            "views": self.views,
        })  # fmt: skip

    @cached_property
    def macs(self) -> tuple[int, ...]:
        """MACs [K] up to each exit; the last includes the frozen head that the bank uses."""
        from bench.costs import backbone_macs

        *before, last = (int(m) for m in backbone_macs(self.backbone, self.size))
        if not self.own_head:
            own = getattr(self.backbone.head, "out_features", 0)
            last += self.dims[-1] * (self.dataset.num_classes - own)
        return (*before, last)

    @property
    def compute(self) -> dict[str, str]:
        """How the backbone computes; empty for float32 on contiguous images."""
        precision = {} if self.precision == "float32" else {"precision": self.precision}
        return precision | ({"memory_format": "channels_last"} if self.channels_last else {})

    @property
    def identity(self) -> dict[str, Any]:
        """The future description of the bank in a record, like `Manifest.identity` for a built one."""
        return {
            "dataset": self.dataset.name,
            "dataset_variant": self.dataset.variant,
            "dataset_digest": self.dataset.digest,
            "backbone": self.backbone.name,
            "modality": self.modality,
            "image_size": self.size,
            "exit_names": tuple(self.backbone.exit_names),
            "digest": self.digest,
            "protocol": self.splits.protocol,
            "limit": self.splits.limit,
        }

    @property
    def images(self) -> int:
        """The number of samples that a build sends through the backbone."""
        return sum(map(len, self.rows.values()))

    @property
    def folder(self) -> str:
        """The name of the bank's folder."""
        return folder_name(self.dataset.name, self.backbone.name, self.digest)

    @cached_property
    def own_head(self) -> bool:
        """Whether the backbone's own head predicts this dataset's classes; else the bank's head is a linear probe."""
        if self.backbone.tuned is not None and self.backbone.head_for is not None:
            return tuple(map(str, self.dataset.class_names)) == self.backbone.tuned.class_names
        head_for = self.backbone.head_for
        if head_for is None or head_for != self.dataset.source:
            return False
        if getattr(self.backbone.head, "out_features", None) != self.dataset.num_classes:
            return False
        if same_classes(self.dataset, head_for):
            return True
        tell_once(
            f"The head of {self.backbone.name} predicts the classes of {head_for} in their official order. The classes "
            f"of {self.dataset.name} have other names or another order, so a linear probe replaces the head."
        )
        return False

    @property
    def native(self) -> bool:
        """Whether the backbone's own heads of the intermediate exits predict this dataset's classes."""
        return self.own_head and len(self.backbone.native) > 0

    @property
    def dims(self) -> tuple[int, ...]:
        """Widths of the K feature arrays, the final features last."""
        return (*(int(d) for d in self.backbone.feature_dims), int(self.backbone.final_dim))

    @property
    def arrays(self) -> dict[str, tuple[int, int]]:
        """File name and shape of every feature array."""
        shapes = {}
        for split in self.rows:
            for view in range(1 + self.views if split == "train" else 1):
                for exit_, width in enumerate(self.dims):
                    shapes[array_file(split, view, exit_, len(self.dims))] = (len(self.rows[split]), width)
        return shapes

    @property
    def bytes(self) -> int:
        """Size of all feature arrays on disk."""
        return sum(128 + n * width * np.dtype(self.dtype).itemsize for n, width in self.arrays.values())


def array_file(split: str, view: int, exit_: int, num_exits: int) -> str:
    """Return the file name of one split's features at one exit; for the last exit, the final features."""
    part = "final" if exit_ == num_exits - 1 else f"exit{exit_}"
    return f"{split}.view{view}.{part}.npy" if view else f"{split}.{part}.npy"


def default_root() -> Path:
    """Return the folder that banks are stored in unless another is given."""
    from bench.system.cache import cache_dir

    return cache_dir("banks")


def _hash(values: np.ndarray) -> str:
    if values.dtype == object:
        return digest_of([str(v) for v in values])
    parts: list[Any] = [values.dtype.str, list(values.shape)]
    return digest_of([*parts, xxhash.xxh3_128_hexdigest(np.ascontiguousarray(values).tobytes())])
