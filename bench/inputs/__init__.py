"""Inputs: the images or texts that a dataset yields and a backbone reads. One sample is an *input*."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    Input = np.ndarray | str | tuple[str, str]  # uint8 RGB [H, W, 3], a text, or the two texts of a pair

Modality = Literal["image", "text"]
UNITS = {"image": "px", "text": "tokens"}  # of the size that costs are counted at


class Preparation(Protocol):
    """How inputs are prepared for a backbone."""

    @property
    def size(self) -> int:
        """Side in pixels, or the maximum number of tokens."""

    def describe(self, views: int = 0) -> dict[str, Any]:
        """Return everything that determines values, for the digest and the manifest."""

    def batch(self, inputs: Sequence[Any], keys: np.ndarray, view: int = 0) -> Tensor:
        """Return the input of `backbone.start`, on the CPU, for inputs [B] and their keys [B]; view 0 is the clean one.

        Images become float32 [B, 3, size, size], texts int64 [B, T, 2]: token id (-1 is padding, on the right) and
        segment.
        """


class TextPreparation(Preparation, Protocol):
    """How texts are prepared for a backbone."""

    def lengths(self, texts: Sequence[Any]) -> np.ndarray:
        """Count the tokens of texts: int64 [N], special tokens included, up to the backbone's limit."""


def size_text(size: int, modality: str) -> str:
    """Return a size as tables show it: `96 px`, or `14 tokens`."""
    return f"{size} {UNITS[modality]}"
