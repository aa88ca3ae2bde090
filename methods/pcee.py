"""Accuracy-calibrated confidence with one threshold (Mofakhami et al., PCEE, arXiv 2412.19325)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from sklearn.isotonic import isotonic_regression
from torch import Tensor

from bench import heads
from bench.exits import by_rows
from bench.method import Fidelity, Infeasible, Method, Policy, Task
from bench.plugins.params import tunable
from bench.rules import Score, max_probability, one_threshold

TIE = 1e-9  # of accuracy, added by rank within a plateau: less than any difference between plateaus of 20,000 samples


@dataclass(frozen=True)
class PCEEConfig:
    """The heads, and how accuracy is estimated from confidence."""

    heads: str = "plain"
    smoothing: Literal["isotonic", "bins"] = tunable("isotonic")
    bins: int = tunable(20, 5, 50)

    def __post_init__(self) -> None:
        if self.bins < 1:
            raise ValueError(f"bins={self.bins} must be at least 1")


class CalibratedScore(Score):
    """The accuracy on val at exit k of samples with this confidence."""

    confidence: Tensor
    accuracy: Tensor

    def __init__(self, confidence: Tensor, accuracy: Tensor) -> None:
        """Take sorted val confidences [G, n], and accuracies [G, n+1] between and around them."""
        super().__init__()
        self.register_buffer("confidence", confidence)
        self.register_buffer("accuracy", accuracy)

    def forward(self, k: int, logits: Tensor) -> Tensor:
        rank = torch.searchsorted(self.confidence[k], max_probability(logits[:, k]), right=True)
        return self.accuracy[k][rank]

    def macs(self, k: int, classes: int) -> int:
        return classes


class PCEE(Method):
    """One threshold δ on the accuracy that held-out samples of equal confidence reach at each exit (PCEE).

    A table per exit turns confidence c_k = p_max into val accuracy A_k(c_k); a sample leaves at the first exit with
    A_k(c_k) >= δ. So δ is a target accuracy, and exits need no thresholds of their own. `smoothing=bins` is the
    original's reliability table, here over `bins` equal-mass bins; `isotonic` (default) is the rising step function of
    least squared error, which needs no bin count and never ranks a more confident sample of an exit lower; it takes the
    place of the smoothed variant (PCEE-WS).

    Differences: δ is not chosen by hand but is the largest within the budget on val. Both tables have plateaus, on
    which a budget would be missed by whole bins: within a plateau the more confident sample counts as more accurate, by
    its rank among the exit's val confidences times 1e-9. A confidence below all that occur on val gets the lowest bin's
    accuracy.
    """

    name: ClassVar[str] = "pcee"
    fidelity: ClassVar[Fidelity] = Fidelity(
        title="Performance Control in Early Exiting to Deploy Large Models at the Same Cost of Smaller Ones (PCEE)",
        authors="Mofakhami, Bayat, Mitliagkas, Monteiro, Zantedeschi",
        venue="ES-FoMo-II at ICML",
        year=2024,
        link="https://arxiv.org/abs/2412.19325",
        family="calibrated",
        basis="from the paper",
        detail="smoothing=bins is the paper's table; no code was found; the isotonic default is ours",
    )
    Config: ClassVar[type] = PCEEConfig

    def fit(self, task: Task, budgets: Sequence[float]) -> Sequence[Policy | Infeasible]:
        """Tabulate accuracy over confidence on val, then find δ for every budget."""
        fitted = heads.fit(self.config.heads, task)
        logits = fitted.logits(task.val)[:, :-1]
        correct = (logits.argmax(-1) == task.val.labels[:, None]).double()
        return one_threshold(task, budgets, fitted, self.score(by_rows(max_probability, logits), correct))

    def score(self, confidence: Tensor, correct: Tensor) -> CalibratedScore:
        """Return the score from val confidences [N, G] and correctness, 0 or 1, [N, G]."""
        rows, order = confidence.T.contiguous().sort(-1)
        right = correct.T.gather(1, order)
        smooth = isotonic if self.config.smoothing == "isotonic" else self._bins
        level = torch.stack([smooth(c, r) for c, r in zip(rows, right, strict=True)]) if len(rows) else right
        n = rows.shape[1]
        rank = torch.arange(n + 1, dtype=torch.float64, device=rows.device) / n
        return CalibratedScore(rows, torch.cat([level[:, :1], level], 1) + TIE * rank)

    def _bins(self, confidence: Tensor, correct: Tensor) -> Tensor:
        """Return the mean [n] of `correct` within each sample's equal-mass bin; equal confidences share one."""
        n = len(confidence)
        starts = confidence[torch.arange(1, self.config.bins, device=confidence.device) * n // self.config.bins]
        return _means(torch.searchsorted(starts, confidence, right=True), correct)


def isotonic(confidence: Tensor, correct: Tensor) -> Tensor:
    """Return the rising step fit [n] to `correct` along sorted confidences [n]; equal confidences share one value."""
    group = confidence.unique_consecutive(return_inverse=True)[1]
    weight = torch.bincount(group).double()
    mean = torch.bincount(group, weights=correct) / weight
    fit = isotonic_regression(mean.cpu().numpy(), sample_weight=weight.cpu().numpy())
    return torch.from_numpy(fit).to(confidence.device)[group]


def _means(group: Tensor, values: Tensor) -> Tensor:
    count = torch.bincount(group).clamp_min(1)
    return (torch.bincount(group, weights=values) / count)[group]
