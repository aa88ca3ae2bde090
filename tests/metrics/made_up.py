"""Made-up outcomes for the scores."""

from __future__ import annotations

import torch

from bench.play import Outcomes


def outcomes(n: int, classes: int = 7, exits: int = 4, seed: int = 0, sharpness: float = 2.0) -> Outcomes:
    """Draw outcomes of n samples whose later exits are better."""
    g = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (n,), generator=g)
    exit_logits = torch.randn(n, exits, classes, generator=g)
    exit_logits[torch.arange(n), :, labels] += torch.linspace(0.5, sharpness, exits)
    index = torch.randint(exits, (n,), generator=g)
    return Outcomes(index, exit_logits[torch.arange(n), index], labels, (index + 1) * 100, exit_logits)


def permuted(o: Outcomes, seed: int = 5) -> Outcomes:
    """The same outcomes with their rows in another order."""
    order = torch.randperm(len(o.labels), generator=torch.Generator().manual_seed(seed))
    assert o.exit_logits is not None
    return Outcomes(o.exit_index[order], o.logits[order], o.labels[order], o.macs[order], o.exit_logits[order])
