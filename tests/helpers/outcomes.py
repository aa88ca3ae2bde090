"""Made-up outcomes for the scores."""

from __future__ import annotations

import numpy as np
import torch

from bench.inference import Outcomes
from bench.metrics.samples import Measured, measure
from bench.metrics.score import score


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


def point(cal: Outcomes, test: Outcomes, full_macs: int = 1, **given) -> Measured:
    """One operating point, exit k costing 100 (k + 1) unless `exit_macs` says otherwise; three groups of classes."""
    assert test.exit_logits is not None
    exits, classes = test.exit_logits.shape[1:]
    counts = np.geomspace(500, 5, classes).astype(int)
    defaults = {"exit_macs": [100 * (k + 1) for k in range(exits)], "train_counts": counts}
    return measure(cal, test, full_macs=full_macs, **defaults | given)


def scored(cal: Outcomes, test: Outcomes, full_macs: int = 1, **given) -> dict[str, float]:
    """All its scores."""
    return score(point(cal, test, full_macs, **given)).metrics


def made_of(exit_probabilities, exit_index, labels) -> Outcomes:
    """Outcomes with these probabilities [N, K, C]."""
    p = torch.tensor(np.asarray(exit_probabilities), dtype=torch.float64)
    index, y = torch.tensor(exit_index), torch.tensor(labels)
    stack = p.clamp_min(1e-30).log()
    return Outcomes(index, stack[torch.arange(len(y)), index], y, (index + 1) * 100, stack)
