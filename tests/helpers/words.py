"""A tiny backbone of texts: whitespace words, hashed into an embedding, two layers, exits before and after each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
import xxhash
from torch import Tensor, nn

from bench.backbones.staged import Origin, Preprocessing, StagedBackbone

WORDS, WIDTH, LIMIT = 509, 12, 16
SOURCES = ("free money now", "cheap pills offer", "win a prize"), ("meeting at noon", "see the report", "thanks a lot")


class Words:
    """How the backbone wants its texts: one token per word, a mark before, and one between the texts of a pair."""

    size = LIMIT

    def describe(self, views: int = 0) -> dict[str, object]:
        return {"tokens": "whitespace words", "most": self.size, "vocabulary": WORDS}

    def tokens(self, text: str | tuple[str, str]) -> list[tuple[int, int]]:
        parts = (text,) if isinstance(text, str) else text
        found = [(0, 0)]
        for segment, part in enumerate(parts):
            found += [
                (1 + xxhash.xxh32_intdigest(word.lower().encode()) % (WORDS - 2), segment) for word in part.split()
            ]
            found += [(WORDS - 1, segment)]
        return found[: self.size]

    def lengths(self, texts: Sequence[str | tuple[str, str]]) -> np.ndarray:
        return np.array([len(self.tokens(text)) for text in texts], dtype=np.int64)

    def batch(self, inputs: Sequence[str | tuple[str, str]], keys: object = None, view: int = 0) -> Tensor:
        held = [self.tokens(text) for text in inputs]
        batch = torch.zeros(len(held), max(map(len, held)), 2, dtype=torch.int64)
        batch[..., 0] = -1
        for row, tokens in enumerate(held):
            batch[row, : len(tokens)] = torch.tensor(tokens)
        return batch


class _Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.segment = nn.Embedding(WORDS, WIDTH), nn.Embedding(2, WIDTH)
        self.layers = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(2))


class WordNetwork(StagedBackbone):
    """The state is the tokens' vectors and, in its last column, whether a token is there."""

    modality: ClassVar = "text"
    trunk: _Network

    def preparation(self) -> Words:  # type: ignore[override]
        return Words()

    def example(self, size: int, device: str | torch.device = "cpu") -> Tensor:
        return torch.zeros(1, size, 2, dtype=torch.int64, device=device)

    def start(self, images: Tensor) -> Tensor:
        ids, segments = images.unbind(-1)
        there = (ids >= 0)[..., None].float()
        vectors = self.trunk.embedding(ids.clamp(min=0)) + self.trunk.segment(segments)
        return torch.cat([vectors * there, there], -1)

    def stage(self, k: int, state: Tensor) -> Tensor:
        for layer in self._stages[k]:
            vectors, there = state.split([WIDTH, 1], -1)
            mean = vectors.sum(1, keepdim=True) / there.sum(1, keepdim=True)
            state = torch.cat([(vectors + layer(vectors + mean).tanh()) * there, there], -1)
        return state

    def pool(self, state: Tensor) -> Tensor:
        return state[..., :WIDTH].sum(1) / state[..., WIDTH:].sum(1)

    def final(self, state: Tensor) -> Tensor:
        return self.pool(state)


def tiny(*, num_classes: int | None = None) -> WordNetwork:
    """Build the network with the same weights every time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        trunk, head = _Network(), nn.Linear(WIDTH, num_classes or 2)
    return WordNetwork(
        name="words",
        trunk=trunk,
        blocks=trunk.layers,
        head=head,
        positions=(-1, 0),
        image_size=LIMIT,
        preprocessing=Preprocessing((0.0,) * 3, (1.0,) * 3, "bilinear"),
        origin=Origin(),
    )


def mails(count: int = 240, seed: int = 0) -> list[tuple[str, str]]:
    """Labelled mails: each is one of six sentences, some words of no meaning, and its number."""
    rng = np.random.default_rng(seed)
    found = []
    for i in range(count):
        kind = int(rng.integers(2))
        noise = " ".join(f"w{rng.integers(40)}" for _ in range(rng.integers(1, 6)))
        found.append((f"{SOURCES[kind][rng.integers(3)]}, {noise} no. {i}", ("spam", "ham")[kind]))
    return found


def write_csv(path, rows, header=("text", "label"), *, encoding="utf-8", separator=","):
    """Write rows as a spreadsheet does, and return the path."""
    import csv

    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file, delimiter=separator)
        writer.writerows([header, *rows])
    return path
