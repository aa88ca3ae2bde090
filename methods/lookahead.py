"""Lookahead: boosted trees that predict at each exit which later exits will be right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.ensemble import HistGradientBoostingClassifier as Boosting
from threadpoolctl import threadpool_limits
from torch import Tensor

from bench import heads
from bench.method import Fidelity, Infeasible, Method, Policy, Task
from bench.plugins.params import tunable
from bench.rules import Score, one_threshold, rule_fractions
from bench.rules.states import DIGITS, every_state, state_macs, states

ROWS = 512  # samples that are evaluated at once


@dataclass(frozen=True)
class LookaheadConfig:
    """The heads, and the number, depth, step size and smallest leaf of the trees of each pair of exits."""

    heads: str = "plain"
    trees: int = tunable(60, 10, 200, log=True)
    depth: int = tunable(3, 1, 5)
    rate: float = tunable(0.05, 0.01, 0.3, log=True)
    least: int = tunable(20, 5, 100, log=True)  # samples in a leaf

    def __post_init__(self) -> None:
        for name in ("trees", "depth", "least"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} is too few; give 1 or more")
        if self.rate <= 0:
            raise ValueError(f"rate={self.rate:g} is not a valid step size; give a number above 0")


class Lookahead(Method):
    """Boosted trees predict later exits' accuracy; leave if none is worth its cost: a reference for what logits allow.

    At exit k, `trees` trees per exit j >= k (scikit-learn's histogram gradient boosting, fitted on val) turn the states
    of the exits so far (`bench.rules.states`) into r_kj, the probability that exit j is right. A sample leaves at the
    first k with max_{j>k} (r_kj - r_kk) / (c_j - c_k) <= λ: no later exit promises more accuracy than λ per unit of
    cost c (heads, states and trees counted). For a budget, λ is the smallest whose val cost fits it. A tree counts a
    multiply-accumulate per level and one for its sum. Trees and λ use the same val samples: with fewer than a thousand,
    trees overfit, and simpler rules do better.
    """

    name: ClassVar[str] = "lookahead"
    fidelity: ClassVar[Fidelity] = Fidelity(
        title="Lookahead: boosted trees that predict which later exits will be right",
        authors="the authors of exitbench",
        venue="this benchmark",
        year=2026,
        link="",
        family="learned",
        basis="our own",
        detail="a reference of what logits allow; no paper has this rule",
    )
    Config: ClassVar[type] = LookaheadConfig

    def fit(self, task: Task, budgets: Sequence[float]) -> Sequence[Policy | Infeasible]:
        """Grow the trees of all pairs of exits on val, then find λ for every budget."""
        c, fitted, exits = self.config, heads.fit(self.config.heads, task), task.num_exits
        logits = fitted.logits(task.val)
        right = (logits.argmax(-1) == task.val.labels[:, None]).cpu().numpy()
        score = TreeScore(exits, c.trees, c.depth).to(logits.device)
        score.costs.copy_(rule_fractions(task, fitted, lambda k: score.macs(k, task.num_classes)))
        inputs = states(logits).round(decimals=DIGITS)
        with threadpool_limits(1):  # scikit-learn's threads race for the process's warning filters
            for k in range(exits - 1):
                x = inputs[:, : k + 1].flatten(1).cpu().numpy()
                for j in range(k, exits):
                    score.grow(k, j, x, right[:, j], c.rate, c.least, task.seed)
        return one_threshold(task, budgets, fitted, score)


class TreeScore(Score):
    """Minus the most accuracy per cost that any later exit promises, by complete binary trees as arrays (heaps)."""

    feature: Tensor
    threshold: Tensor
    value: Tensor
    base: Tensor
    costs: Tensor

    def __init__(self, exits: int, trees: int, depth: int) -> None:
        super().__init__()
        self.trees, self.depth = trees, depth
        shape = max(exits - 1, 0), exits, trees  # gate, exit that is predicted; then nodes in breadth-first order
        inner = 2**depth - 1
        self.register_buffer("feature", torch.zeros(*shape, inner, dtype=torch.int64))
        self.register_buffer("threshold", torch.full((*shape, inner), torch.inf, dtype=torch.float64))
        self.register_buffer("value", torch.zeros(*shape, inner + 1, dtype=torch.float64))
        self.register_buffer("base", torch.zeros(shape[:2], dtype=torch.float64))
        self.register_buffer("costs", torch.zeros(exits, dtype=torch.float64))

    def grow(self, k: int, j: int, x: Any, right: Any, rate: float, least: int, seed: int) -> None:
        """Fit the trees of gate k that predict exit j from x [N, F] and whether j is right, bool [N]."""
        if right.all() or not right.any():
            rated = (right.sum() + 0.5) / (len(right) + 1)
            self.base[k, j] = float(np.log(rated / (1 - rated)))
            return
        options = {"max_depth": self.depth, "max_leaf_nodes": None, "early_stopping": False, "random_state": seed}
        model = Boosting(max_iter=self.trees, min_samples_leaf=least, learning_rate=rate, **options).fit(x, right)
        self.base[k, j] = float(model._baseline_prediction.item())
        for t, (tree,) in enumerate(model._predictors):
            self._write(tree.nodes, (k, j, t), node=0, place=0, level=0)

    def _write(self, nodes: Any, at: tuple[int, int, int], node: int, place: int, level: int) -> None:
        """Write a tree below a node of scikit-learn's; a leaf that ends early fills all places below it."""
        n = nodes[node]
        if level == self.depth:
            self.value[*at, place - self.value.shape[-1] + 1] = float(n["value"])
            return
        leaf = bool(n["is_leaf"])
        if not leaf:
            self.feature[*at, place], self.threshold[*at, place] = int(n["feature_idx"]), float(n["num_threshold"])
        for side, child in enumerate(("left", "right")):
            self._write(nodes, at, node if leaf else int(n[child]), 2 * place + 1 + side, level + 1)

    def right(self, k: int, x: Tensor) -> Tensor:
        """Return the probabilities [N, K-k] that exits k … K-1 are right, from the features x [N, F] of gate k."""
        feature, threshold, said = (v[k, k:].flatten(0, 1) for v in (self.feature, self.threshold, self.value))
        rows, said = x.T.contiguous(), said[..., None]
        for level in reversed(range(self.depth)):  # from the leaves up: each node takes the value of one of its sides
            nodes = slice(2**level - 1, 2 ** (level + 1) - 1)
            said = torch.where(rows[feature[:, nodes]] > threshold[:, nodes, None], said[:, 1::2], said[:, ::2])
        return (said[:, 0].unflatten(0, (-1, self.trees)).sum(1).T + self.base[k, k:]).sigmoid()

    def forward(self, k: int, logits: Tensor) -> Tensor:
        return self._at(k, every_state(logits).round(decimals=DIGITS))

    def all(self, logits: Tensor) -> Tensor:
        inputs = states(logits).round(decimals=DIGITS)
        gates = [self._at(k, inputs[:, : k + 1]) for k in range(inputs.shape[1])]
        return torch.stack(gates, 1) if gates else inputs.new_empty(len(inputs), 0)

    def _at(self, k: int, inputs: Tensor) -> Tensor:
        """Return the scores [N] of gate k from the states [N, k+1, F] of exits 0 … k."""
        r = torch.cat([self.right(k, part) for part in inputs.flatten(1).split(ROWS)])
        return -((r[:, 1:] - r[:, :1]) / (self.costs[k + 1 :] - self.costs[k])).amax(-1).round(decimals=DIGITS)

    def macs(self, k: int, classes: int) -> int:
        """Count the state of exit k, and a multiply-accumulate per level of each tree and one for its sum."""
        return state_macs(classes) + len(self.costs[k:]) * self.trees * (self.depth + 1)
