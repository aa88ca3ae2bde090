"""Tensor functions for early exiting, and the forward pass through the exits that all other modules use.

Axes, the same letters everywhere: P operating points, N samples, K exits (the last is the backbone's own head), G = K-1
gates, C classes. Operating points come first: [P, N, K, C].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

PART = 1 << 25  # elements of a tensor [N, …] that are processed at once


class ForwardPass:
    """Run the exits of one batch in order: `head` gives exit k's logits, `combine` turns those so far into its answer.

    Heads, simulated and executed inference, and the checks all use this class, so they see the same numbers.
    """

    def __init__(
        self, head: Callable[[int, Tensor, Sequence[Tensor]], Tensor], combine: Callable[[int, Tensor], Tensor] | None
    ) -> None:
        """Store the functions that compute and mix logits; without `combine` an exit answers with its own logits."""
        self._head, self._combine = head, combine
        self._logits: list[Tensor] = []
        self._answers: list[Tensor] = []

    def step(self, features: Tensor) -> Tensor:
        """Return the answer [B, C] of the next exit from its features [B, D_k]."""
        k = len(self._logits)
        self._logits.append(self._head(k, features, tuple(self._logits)))
        own = self._logits[-1]
        self._answers.append(own if self._combine is None else self._combine(k, torch.stack(self._logits, 1)))
        return self._answers[-1]

    @property
    def answers(self) -> Tensor:
        """The answers of all exits so far: logits [B, k+1, C]."""
        return torch.stack(self._answers, 1)

    def keep(self, rows: Tensor) -> None:
        """Keep only these rows of the batch."""
        self._logits = [x[rows] for x in self._logits]
        self._answers = [x[rows] for x in self._answers]


def by_rows(function: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
    """Return the result of a function of independent samples on tensors [N, …], computed in parts of bounded size."""
    rows = max(1, PART // max(1, tensors[0][:1].numel()))
    if len(tensors[0]) <= rows:
        return function(*tensors)
    return torch.cat([function(*parts) for parts in zip(*(t.split(rows) for t in tensors), strict=True)])


def entropy(log_p: Tensor) -> Tensor:
    """Return the entropy in nats [...] of log-probabilities [..., C]; a class of probability 0 adds nothing."""
    return -(log_p.exp() * log_p.clamp_min(torch.finfo(log_p.dtype).min)).sum(-1)


def uncertainty_features(logits: Tensor) -> Tensor:
    """Return four features [..., 4] of each prediction, the inputs of JEI-DNN's gates.

    From logits [..., C] and p = softmax(logits): p_max; entropy of p (nats); margin between the two largest
    probabilities; entropy (nats) of p²/Σp². With a single class: 1, 0, 1, 0.
    """
    top = logits.amax(-1, keepdim=True)
    z = (logits - top).clamp_min(-1e3)
    e = z.exp()
    total = e.sum(-1)
    squares = e.square()
    total_squares = squares.sum(-1)
    largest = z == 0
    second = z.masked_fill(largest, -torch.inf).amax(-1).exp().masked_fill(largest.sum(-1) > 1, 1.0)
    spread = total.log() - (e * z).sum(-1) / total
    spread_squares = total_squares.log() - 2 * (squares * z).sum(-1) / total_squares
    return torch.stack([1 / total, spread, (1 - second) / total, spread_squares], -1)


def exit_distribution(g: Tensor) -> tuple[Tensor, Tensor]:
    """Return JEI-DNN's clipped exit probabilities for gate values g [..., G] in [0, 1].

    Returns (marginal, conditional), both [..., G]. With S_l the sum of the *raw* g of earlier gates: marginal P_l =
    max(0, min(g_l, 1 - S_l)); conditional a_l = P_l / Π_{i<l} (1 - a_i), clipped to [0, 1], and 1 if no sample can have
    reached exit l (0/0). The marginals may sum to less than 1; the remainder belongs to the last exit.
    """
    if not g.shape[-1]:
        return g, g
    before = g.cumsum(-1) - g
    marginal = torch.minimum(g, 1 - before).clamp_min(0)
    survivors = torch.ones_like(g[..., 0])
    conditional = []
    for p in marginal.unbind(-1):
        a = torch.where(survivors > 0, p / survivors.clamp_min(torch.finfo(g.dtype).tiny), torch.ones_like(p)).clamp(
            0, 1
        )
        conditional.append(a)
        survivors = survivors * (1 - a)
    return marginal, torch.stack(conditional, -1)


def cumulative_distribution(g: Tensor) -> tuple[Tensor, Tensor]:
    """Return the distribution of the best exit l* if gate values g [..., G] are P(l* is *at or before* each exit).

    Returns (marginal, cumulative), both [..., G]: F_l = max_{i<=l} g_i and P_l = F_l - F_{l-1}; the remainder belongs
    to the last exit. Gates fitted to the cumulative targets 1[l >= l*] estimate this. The first exit with F_l >= 0.5 is
    the median of l*, and the first gate with g_l >= 0.5.
    """
    if not g.shape[-1]:
        return g, g
    cumulative = g.cummax(-1).values
    return cumulative.diff(dim=-1, prepend=torch.zeros_like(g[..., :1])), cumulative


def first_exit(conditional: Tensor) -> Tensor:
    """Return int64 [...]: the first index along the last axis [..., G] with value >= 0.5, else G."""
    return first_true(conditional >= 0.5)


def first_true(stop: Tensor) -> Tensor:
    """Return int64 [...]: the first index along the last axis of bool [..., G] that is true, else G."""
    never = stop.new_ones((*stop.shape[:-1], 1))
    return torch.cat([stop, never], -1).to(torch.int8).argmax(-1)


def mean_cost(exit_index: Tensor, costs: Tensor) -> Tensor:
    """Return the mean cost [...] of leaving at exit_index [..., N] when exit k costs costs[k]; float64."""
    return costs.to(torch.float64)[exit_index].mean(-1)


def at_exits(values: Tensor, exit_index: Tensor) -> Tensor:
    """Return the values [..., N] at the exits taken, from values [N, K] at every exit and exit_index [..., N]."""
    return values.expand(*exit_index.shape, -1).gather(-1, exit_index[..., None]).squeeze(-1)


def right_later(correct: Tensor) -> Tensor:
    """Return whether any exit after k is right, bool [N, K-1], from bool correct [N, K]."""
    return correct.flip(1).cummax(1).values.flip(1)[:, 1:]
