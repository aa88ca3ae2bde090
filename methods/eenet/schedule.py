"""EENet's learned exit schedule, all budgets and restarts trained at once.

Axes: B budgets, R restarts, N samples (n in a batch), K exits, C classes, H hidden units, D = C + 2 inputs of a score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from bench.methods.eenet.losses import chain, describe, plan_loss, score_loss
from torch import Tensor

from bench.exits import at_exits
from bench.heads.adamw import AdamW
from bench.rules.rates import FLOOR, rate_exits, tilt

CHUNK = 1024  # samples whose plans are computed at once outside of training


@dataclass(frozen=True)
class Schedule:
    """The best restart of each budget: weights of its scores, its planned rates, accuracy and cost on val."""

    own: Tensor  # [B, K, D]
    earlier: Tensor  # [B, K, K]
    rates: Tensor  # [B, K], tilted to cost the budget
    accuracy: Tensor  # [B]
    planned: Tensor  # [B]: cost before the tilt


class Trainer:
    """Train scores and plans of all budgets and restarts, [B, R], on the answers of all exits on val.

    `c` is the `EENetConfig`. Restart r starts from the same numbers whatever the budgets are, and budgets share no
    weights, so that the result for one budget does not depend on the others.
    """

    def __init__(self, logits: Tensor, labels: Tensor, costs: Tensor, budgets: Sequence[float], c: Any, seed: int):
        self.c, self.costs = c, costs.float()
        self.generator = torch.Generator().manual_seed(seed)
        self.correct = (logits.argmax(-1) == labels[:, None]).float()  # [N, K]
        self.x = describe(logits).transpose(0, 1).contiguous()  # [K, N, D]
        classes = logits.shape[-1]
        shown = self.x[..., :classes].topk(min(c.top, classes), -1).values
        self.y = torch.cat([shown, self.x[..., classes:]], -1)
        self.budgets = torch.tensor(list(budgets), dtype=torch.float64, device=logits.device)
        k, _, d = self.x.shape
        b, r, s = len(budgets), c.restarts, self.y.shape[-1]
        h = self.hidden = max(1, round(c.ratio * (s + k)))
        self.own = self._draw(b, k, r, d, scale=0.05)
        self.own.data[..., -2:] += 0.5
        self.earlier = self._draw(b, r, k, k, scale=0.05)
        self.first = self._draw(b, k, s, r * h, scale=s**-0.5)
        self.echo = self._draw(b, r, k, k * h, scale=k**-0.5)
        self.shift = self._draw(b, r, 1, k, h, scale=0.0)
        self.last = self._draw(b, r, 1, k, h, scale=h**-0.5)
        even = tilt(torch.ones(b, k, device=logits.device), costs, self.budgets).clamp_min(1e-4).log().float()
        self.level = even[:, None, None].expand(b, r, 1, k).clone().requires_grad_()
        before = torch.ones(k, k, device=logits.device).triu(1)  # [j, k]: exit k's plan sees the scores of exits j < k
        self.reach = before.repeat_interleave(h, 1)

    def _draw(self, b: int, *shape: int, scale: float) -> Tensor:
        start = scale * torch.randn(1, *shape, generator=self.generator)
        return start.expand(b, *shape).to(self.x.device, copy=True).contiguous().requires_grad_()

    def scores(self, rows: Tensor | slice) -> Tensor:
        """Return the unclipped scores [B, R, n, K]."""
        return chain(torch.matmul(self.own, self.x[:, rows].mT).unbind(1), self.earlier)

    def plans(self, rows: Tensor | slice, q: Tensor) -> Tensor:
        """Return the logits [B, R, n, K] of the exit distributions of samples with clipped scores q [B, R, n, K]."""
        b, r, n, k = q.shape
        seen = torch.matmul(self.y[:, rows], self.first).view(b, k, n, r, self.hidden).permute(0, 3, 2, 1, 4)
        hidden = torch.sigmoid(seen + torch.matmul(q, self.echo * self.reach).view(b, r, n, k, -1) + self.shift)
        return (hidden * self.last).sum(-1) + self.level

    def run(self) -> Schedule:
        """Alternate between scores and plans; keep every restart's best round and return each budget's best restart."""
        c, plans = self.c, [self.first, self.echo, self.shift, self.last, self.level]
        scoring = AdamW([(c.lr, [self.own, self.earlier])], c.weight_decay, fused=False)
        planning = AdamW([(c.lr, plans)], c.weight_decay, fused=False)
        best: Schedule | None = None
        plan = self._full_plans()
        for _ in range(c.rounds):
            weights = plan / plan.mean(-2, keepdim=True).clamp_min(FLOOR)
            for rows in self._batches():
                part = weights[:, :, rows] / len(rows)
                scoring.step(score_loss(self.scores(rows), self.correct[rows], part).sum())
            q = self._full_scores().clamp(0, 1)
            target = q.clamp_min(1e-6) ** c.beta
            target = target / target.sum(-1, keepdim=True)
            for rows in self._batches():
                logits, limit = self.plans(rows, q[:, :, rows]), self.budgets.float()[:, None]
                loss = plan_loss(logits, target[:, :, rows], self.costs, limit, c.alpha_ce, c.alpha_cost)
                planning.step(loss.sum())
            plan = self._full_plans()
            best = self._better(best, plan.double().mean(-2))
        assert best is not None
        return best

    def _batches(self) -> list[Tensor]:
        n, size = len(self.correct), min(self.c.batch_size, len(self.correct))
        rows: list[Tensor] = []
        while len(rows) < self.c.steps:
            order = torch.randperm(n, generator=self.generator).to(self.x.device)
            rows += [part for part in order.split(size) if len(part) == size]
        return rows[: self.c.steps]

    @torch.no_grad()
    def _full_scores(self) -> Tensor:
        return self.scores(slice(None))

    @torch.no_grad()
    def _full_plans(self) -> Tensor:
        q = self._full_scores().clamp(0, 1)
        parts = [slice(i, i + CHUNK) for i in range(0, q.shape[-2], CHUNK)]
        return torch.cat([self.plans(rows, q[:, :, rows]) for rows in parts], -2).softmax(-1)

    @torch.no_grad()
    def _better(self, best: Schedule | None, rates: Tensor) -> Schedule:
        """Return, per budget, the better of the kept schedule and the best current restart; copies, not aliases.

        rates [B, R, K] are those planned now. Better means: planned to cost within 10 % of the budget, then more
        accurate on val once tilted to cost exactly the budget.
        """
        planned = (rates * self.costs.double()).sum(-1)
        rates = tilt(rates, self.costs, self.budgets[:, None])
        exits = rate_exits(self._full_scores(), rates)
        right = at_exits(self.correct, exits).mean(-1)
        near = (planned - self.budgets[:, None]).abs() <= 0.1 * self.budgets[:, None]
        top = (right + near).argmax(-1)  # right is in [0, 1]; ties go to the first
        rows = torch.arange(len(top), device=top.device)
        own = self.own[rows, :, top].clone()
        now = Schedule(own, self.earlier[rows, top].clone(), rates[rows, top], right[rows, top], planned[rows, top])
        if best is None:
            return now
        close = (best.planned - self.budgets).abs() <= 0.1 * self.budgets
        wins = right[rows, top] + near[rows, top] > best.accuracy + close
        pairs = zip(vars(now).values(), vars(best).values(), strict=True)
        return Schedule(*(torch.where(wins.reshape(-1, *[1] * (a.ndim - 1)), a, b) for a, b in pairs))
