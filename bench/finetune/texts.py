"""The texts that a network is trained on, as tokens."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from bench.inputs.tokens import PADDING

if TYPE_CHECKING:
    from bench.backbones.staged import StagedBackbone
    from bench.datasets.dataset import Dataset
    from bench.finetune.config import FineTuning

READ_AT_ONCE = 4096


class Texts:
    """Tokens of N texts, short texts first; a batch is padded to its longest text."""

    by_size: ClassVar[bool] = True

    def __init__(self, tokens: Tensor, labels: Tensor) -> None:
        """Take tokens [N, T, 2] from a backbone's preparation, padded on the right, and labels [N]."""
        self.lengths = (tokens[..., 0] != PADDING).sum(1)
        order = self.lengths.argsort(stable=True)
        self.tokens, self.labels, self.lengths = tokens[order], labels[order], self.lengths[order]

    @classmethod
    def read(cls, dataset: Dataset, rows: np.ndarray, backbone: StagedBackbone, config: FineTuning) -> Self:
        """Read and tokenise the texts of these rows."""
        tokens = backbone.preparation()
        bounds = [*range(0, len(rows), READ_AT_ONCE), len(rows)]
        parts = [tokens.batch(dataset.read(rows[a:b]), rows[a:b]).int() for a, b in pairwise(bounds)]
        held = torch.zeros(len(rows), max(part.shape[1] for part in parts), 2, dtype=torch.int32)
        held[..., 0] = PADDING
        for start, part in zip(bounds, parts, strict=False):
            held[start : start + len(part), : part.shape[1]] = part
        return cls(held, torch.from_numpy(np.asarray(dataset.labels, dtype=np.int64)[rows]))

    def batch(self, rows: Tensor | slice) -> Tensor:
        """Return int64 [B, T, 2], padded to the longest of these texts."""
        return self.tokens[rows, : int(self.lengths[rows].max())].long()

    def changed(self, rows: Tensor, seeds: list[int]) -> Tensor:
        """Return the unmodified inputs: texts are not augmented; only the network's dropout varies."""
        return self.batch(rows)

    def ready(self, batch: Tensor) -> Tensor:
        """Return the batch, which is a backbone's input already."""
        return batch
