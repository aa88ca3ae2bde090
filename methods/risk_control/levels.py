"""Risk control of early exits: losses against the full model, and the risk level that each threshold guarantees.

Axes: [..., P, N]: P thresholds from the safest (no sample leaves early) to the boldest, N calibration samples. Sources:
Jazbec et al., Fast yet Safe (NeurIPS 2024); Angelopoulos et al., Conformal Risk Control (ICLR 2024) and Learn Then Test
(2021); Waudby-Smith and Ramdas, Estimating Means of Bounded Random Variables by Betting (JRSS-B 2024).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from scipy.stats import beta
from torch import Tensor
from torch.nn.functional import one_hot

BOUND_OF_LOSS = {"prediction_gap": 1.0, "consistency": 1.0, "brier_gap": 2.0, "brier_gap_top": 2.0}
BISECTIONS = 30  # of a level in [0, 1]: a bracket of 1e-9


def exit_losses(kind: str, logits: Tensor, labels: Tensor) -> Tensor:
    """Return the loss of leaving at each exit against the last exit, float64 [N, K], from answers [N, K, C].

    prediction_gap: 1[wrong at k] - 1[wrong at K]; consistency: 1[another class than at K]; brier_gap: the difference of
    ‖p - e_y‖²; brier_gap_top: the same with the last exit's class for y. Consistency and brier_gap_top do not use
    labels. Losses are at most BOUND_OF_LOSS, and 0 at the last exit.
    """
    classes = logits.argmax(-1)
    if kind == "consistency":
        return (classes != classes[:, -1:]).double()
    if kind == "prediction_gap":
        wrong = (classes != labels[:, None]).double()
        return wrong - wrong[:, -1:]
    target = labels if kind == "brier_gap" else classes[:, -1]
    distance = logits.double().softmax(-1) - one_hot(target, logits.shape[-1])[:, None]
    brier = distance.square().sum(-1)
    return brier - brier[:, -1:]


def naive_levels(losses: Tensor, bound: float, delta: float) -> Tensor:
    """Return the mean loss [..., P]; this is not a guarantee, not even on average."""
    return losses.mean(-1)


def crc_levels(losses: Tensor, bound: float, delta: float) -> Tensor:
    """Return (Σ L̃ + B) / (N + 1) [..., P], what conformal risk control guarantees on average over calibration sets.

    The guarantee needs losses that never fall along the thresholds, but gaps do fall. L̃ is each sample's running
    maximum from the safe end, at least its 0 there: never below the loss, and monotone.
    """
    worst = losses.clamp_min(0).cummax(-2).values
    return (worst.sum(-1) + bound) / (losses.shape[-1] + 1)


def ltt_levels(losses: Tensor, bound: float, delta: float) -> Tensor:
    """Return the smallest ε [..., P] at which "risk > ε" is rejected at level delta, by Learn Then Test's p-value.

    Gains count as 0, losses as shares of the bound. All 0 or 1: the exact binomial p-value. Else Hoeffding–Bentkus,
    min(exp(-N·kl(R̂, ε)), e·P(Bin(N, ε) <= ⌈N·R̂⌉)). Both fall in ε, so the p-value is solved for it. Two faults of the
    released code are repaired: its ⌈N·R̂⌉ is one too many where N·R̂ is a whole number that rounds up, and its Hoeffding
    term is NaN at R̂ = 0.
    """
    n = losses.shape[-1]
    total = (losses / bound).clamp_min(0).sum(-1)
    zero_one = bool(((losses <= 0) | (losses == bound)).all())
    if zero_one:
        return bound * _binomial_upper(total, n, delta)
    bentkus = _binomial_upper(total, n, delta / math.e)
    return bound * torch.minimum(bentkus, _hoeffding_upper(total / max(n, 1), n, delta))


def wsr_levels(losses: Tensor, bound: float, delta: float) -> Tensor:
    """Return the betting upper bound [..., P] of each mean loss at confidence 1 - delta (Waudby-Smith and Ramdas).

    With x = loss / B, running mean μ and variance s² that start at 1/2 and 1/4, and ν_i = min(1, √(2 log(1/δ) / (N
    s²_{i-1}))): the R at which max_t Σ_{i<=t} log(1 - ν_i (x_i - R)) = log(1/δ). Gains may stay negative: the wealth is
    a non-negative martingale for any x <= 1. Samples must come in random order. The released code starts from 1/2 and
    1/4 in units of the loss, also where B = 2 (Brier); here these are shares of B, and the levels differ a little.
    """
    n = losses.shape[-1]
    x = losses / bound
    steps = torch.arange(2, n + 2, dtype=x.dtype, device=x.device)
    mean = (0.5 + x.cumsum(-1)) / steps
    variance = (0.25 + (x - mean).square().cumsum(-1)) / steps
    before = torch.cat([torch.full_like(x[..., :1], 0.25), variance[..., :-1]], -1)
    bet = (2 * math.log(1 / delta) / (max(n, 1) * before)).sqrt().clamp_max(1.0)

    def rejected(level: Tensor) -> Tensor:
        wealth = (1 - bet * (x - level[..., None])).log().cumsum(-1)
        return (wealth > math.log(1 / delta)).any(-1)

    return bound * _smallest(rejected, x.new_zeros(x.shape[:-1]))


LEVELS: dict[str, Callable[[Tensor, float, float], Tensor]] = {
    "naive": naive_levels,
    "crc": crc_levels,
    "ltt": ltt_levels,
    "ucb_wsr": wsr_levels,
}


def promised(kind: str, losses: Tensor, bound: float, delta: float = 0.1) -> Tensor:
    """Return the smallest ε [..., P] at which a threshold may be used, from losses [..., P, N] of thresholds 0 … P-1.

    The first threshold is the full model, whose risk is 0 without any test. `naive` uses any threshold whose mean loss
    is at most ε. The others go from the safe end and stop before the first threshold that fails (fixed-sequence
    testing), so the ε of a threshold is the largest level up to it. Without samples, only the bound of the loss is
    guaranteed.
    """
    levels = LEVELS[kind](losses, bound, delta) if losses.shape[-1] else losses.new_full(losses.shape[:-1], bound)
    levels = torch.cat([torch.zeros_like(levels[..., :1]), levels[..., 1:]], -1)
    return levels if kind == "naive" else levels.cummax(-1).values


def boldest(levels: Tensor, epsilon: float) -> Tensor:
    """Return the index [...] of the boldest threshold that may be used at ε: the last with level [..., P] at most ε."""
    allowed = levels <= epsilon
    allowed[..., 0] = True
    return allowed.shape[-1] - 1 - allowed.flip(-1).to(torch.int8).argmax(-1)


def _binomial_upper(total: Tensor, n: int, delta: float) -> Tensor:
    """Solve P(Bin(n, ε) <= ⌈total⌉) = delta for ε (Clopper and Pearson); 1 if all n samples are losses."""
    count = np.ceil(total.double().cpu().numpy() - 1e-9)
    upper = beta.ppf(1 - delta, count + 1, np.maximum(n - count, 1e-300))
    return torch.as_tensor(np.where(count >= n, 1.0, upper), dtype=total.dtype, device=total.device)


def _hoeffding_upper(mean: Tensor, n: int, delta: float) -> Tensor:
    """Solve exp(-n·kl(mean, ε)) = delta for ε >= mean."""

    def rejected(level: Tensor) -> Tensor:
        kl = torch.xlogy(mean, mean / level) + torch.xlogy(1 - mean, (1 - mean) / (1 - level))
        return (n * kl >= math.log(1 / delta)) & (level > mean)

    return _smallest(rejected, mean.clamp(0, 1))


def _smallest(rejected: Callable[[Tensor], Tensor], low: Tensor) -> Tensor:
    """Bisect between `low` and 1 for the smallest rejected level; return the upper end, so that errors are safe."""
    high = torch.ones_like(low)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        inside = rejected(middle)
        low, high = torch.where(inside, low, middle), torch.where(inside, middle, high)
    return high
