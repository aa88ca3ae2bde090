"""The published training of JEI-DNN, for many λ at once: SGD that alternates between gates and heads.

Axes as in exits.py; H is the number of head sets, 1 if heads do not depend on λ and P if they do. Heads of an exit are
one matrix [D, H·C], so a step is one matrix product per exit for all operating points together.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from bench.methods.jeidnn.gates import Gates, Reading, coins
from bench.methods.jeidnn.targets import Counting, Objective, Scheme, exit_risk, gate_targets, positive_weight
from torch import Tensor

from bench.exits import first_true, uncertainty_features
from bench.heads.plain import LinearHeads, fold, standardiser
from bench.method import ExitData, Task

BLOCK = 2**22  # logits held at once while a gate phase reads the heads


@dataclass(frozen=True)
class BilevelSchedule:
    """When gates and heads are trained, and at which rates; the defaults are the published ones."""

    epochs: int = 15
    warmup: Literal["fixed", "dynamic"] = "fixed"
    warmup_epochs: int = 4
    batch_size: int = 64
    switch: int = 200
    restart: bool = False
    lr: float = 0.01
    lr_min: float = 2e-4
    momentum: float = 0.9
    weight_decay: float = 5e-4


class Bilevel:
    """Gates of all λ, and the heads that they share or own, in training on one task.

    With `weighted`, the loss of a head is weighted by the probability of leaving there (detached), or with `single` by
    whether the sample leaves there at all; otherwise all heads are weighted equally and do not depend on λ. `draw` is
    the seed of the coins if samples leave at random; the rest is what gates learn (`bench.methods.jeidnn.targets`).
    """

    def __init__(
        self,
        task: Task,
        lam: Tensor,
        costs: Tensor,
        schedule: BilevelSchedule,
        *,
        weighted: bool,
        counting: Counting,
        reading: Reading,
        single: bool = False,
        objective: Objective = "ce",
        scheme: Scheme = "subsequent",
        draw: int | None = None,
    ) -> None:
        self.task, self.lam, self.costs, self.schedule = task, lam.to(task.device), costs.to(task.device), schedule
        self.weighted, self.counting, self.reading = weighted, counting, reading
        self.single, self.objective, self.scheme, self.draw = single, objective, scheme, draw
        self.sets = 1
        self.generator = torch.Generator(device=task.device).manual_seed(task.seed)
        self.scale = [standardiser(x) for x in task.train.features]
        self.train, self.val = (self._standardised(data) for data in (task.train, task.val))
        self.heads = [self._uniform((x.shape[1], task.num_classes), x.shape[1] ** -0.5) for x in self.train]
        self.biases = [self._uniform((task.num_classes,), x.shape[1] ** -0.5) for x in self.train]
        self.frozen = [False] * len(self.train)
        shape = (len(lam), len(self.train))
        self.weight = self._uniform((1, shape[1], 4), 0.5).repeat(shape[0], 1, 1)
        self.bias = self._uniform((1, shape[1]), 0.5).repeat(shape[0], 1)
        self.pos_weight = torch.ones(shape, device=task.device)
        self.momenta = [torch.zeros_like(w) for w in self.heads]
        self.bias_momenta = [torch.zeros_like(b) for b in self.biases]
        self.gate_momentum = [torch.zeros_like(self.weight), torch.zeros_like(self.bias)]

    def _standardised(self, data: ExitData) -> list[Tensor]:
        return [(x - mean) / std for x, (mean, std) in zip(data.features, self.scale, strict=True)]

    def _uniform(self, shape: tuple[int, ...], bound: float) -> Tensor:
        return (2 * torch.rand(shape, generator=self.generator, device=self.generator.device) - 1) * bound

    def run(self) -> tuple[list[LinearHeads], Gates]:
        """Warm up the heads, alternate for the remaining epochs, and return heads (H of them) and gates."""
        s = self.schedule
        first = self._warm_up()
        if self.weighted:
            self._multiply(len(self.lam))
        batch = 0
        for epoch in range(s.epochs - first):
            lr = s.lr_min + (s.lr - s.lr_min) * (1 + math.cos(math.pi * epoch / s.epochs)) / 2
            batch = self._joint_epoch(0 if s.restart else batch, lr)
            self.pos_weight = self._count_positives()
        return self.result()

    def result(self) -> tuple[list[LinearHeads], Gates]:
        """Return the heads (H sets, standardisation folded in) and the gates as they are now."""
        classes = self.task.num_classes
        sets = []
        for h in range(self.sets):
            columns = slice(h * classes, (h + 1) * classes)
            layers = [
                fold(w[:, columns], b[columns], *s) for w, b, s in zip(self.heads, self.biases, self.scale, strict=True)
            ]
            sets.append(LinearHeads(layers))
        return sets, Gates(self.weight.clone(), self.bias.clone(), self.reading)

    def _multiply(self, sets: int) -> None:
        self.sets = sets
        self.heads = [w.repeat(1, sets) for w in self.heads]
        self.biases = [b.repeat(sets) for b in self.biases]
        self.momenta = [m.repeat(1, sets) for m in self.momenta]
        self.bias_momenta = [m.repeat(sets) for m in self.bias_momenta]

    def _batches(self) -> Iterator[Tensor]:
        order = torch.randperm(len(self.task.train), generator=self.generator, device=self.task.device)
        return iter(order.split(self.schedule.batch_size))

    def _warm_up(self) -> int:
        """Train heads on Σ (K-l)·CE_l; return the epoch at which joint training starts."""
        s, exits = self.schedule, self.task.num_exits
        best: list[tuple[float, Tensor, Tensor]] = [(-1.0, w, b) for w, b in zip(self.heads, self.biases, strict=True)]
        waited = [0] * len(self.heads)
        epochs = min(s.warmup_epochs, s.epochs)
        for epoch in range(epochs):
            for rows in self._batches():
                self._head_step(rows, [self._scalar(exits - k) for k in range(exits - 1)], s.lr)
            if s.warmup == "dynamic":
                self._keep_best(best, waited)
                if all(self.frozen):
                    epochs = epoch + 1
                    break
        if s.warmup == "dynamic":
            for k, (_, w, b) in enumerate(best):
                self.heads[k], self.biases[k] = w.clone(), b.clone()
            self.frozen = [False] * len(self.heads)
        return epochs

    def _keep_best(self, best: list[tuple[float, Tensor, Tensor]], waited: list[int]) -> None:
        """Snapshot each head at its best val accuracy; freeze it after two epochs without a better one."""
        for k, x in enumerate(self.val):
            if self.frozen[k]:
                continue
            prediction = torch.addmm(self.biases[k], x, self.heads[k]).argmax(-1)
            accuracy = float((prediction == self.task.val.labels).double().mean())
            if accuracy > best[k][0]:
                best[k], waited[k] = (accuracy, self.heads[k].clone(), self.biases[k].clone()), 0
            else:
                waited[k] += 1
            self.frozen[k] = waited[k] >= 2

    def _joint_epoch(self, batch: int, lr: float) -> int:
        """Go through the train split once, `switch` batches of gates, then of heads, …; return the batch counter."""
        waiting: list[Tensor] = []
        for rows in self._batches():
            if (batch // self.schedule.switch) % 2 == 0:
                waiting.append(rows)
            else:
                waiting = self._gate_phase(waiting, lr)
                self._head_step(rows, None, lr)
            batch += 1
        self._gate_phase(waiting, lr)
        return batch

    def _gate_phase(self, batches: list[Tensor], lr: float) -> list[Tensor]:
        """Take one gate step per batch; the heads are fixed, so they are evaluated for many batches at once."""
        many = max(1, self._rows_at_once() // self.schedule.batch_size)
        for i in range(0, len(batches), many):
            block = batches[i : i + many]
            features, losses = self._read(self.task.train, self.train, torch.cat(block))
            targets = self._targets(losses)
            sizes = [len(rows) for rows in block]
            for f, t in zip(features.split(sizes, -3), targets.split(sizes, -2), strict=True):
                self._gate_step(f, t, lr)
        return []

    def _rows_at_once(self) -> int:
        return max(1, BLOCK // (self.sets * self.task.num_classes))

    def _read(self, data: ExitData, inputs: list[Tensor], rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return gate features [H, N, G, 4] and risks [H, N, K] of samples under the current heads."""
        labels = data.labels[rows]
        features, losses = [], []
        for logits in self._logits(inputs, rows):
            features.append(uncertainty_features(logits))
            losses.append(exit_risk(logits, labels, self.objective))
        final = exit_risk(data.batch(data.num_exits - 1, rows)[:, None], labels, self.objective).expand(-1, self.sets)
        stacked = torch.stack(features, 2) if features else final.new_zeros(len(rows), self.sets, 0, 4)
        return stacked.transpose(0, 1), torch.stack([*losses, final], -1).transpose(0, 1)

    def _targets(self, losses: Tensor) -> Tensor:
        return gate_targets(losses, self.costs.float(), self.lam[:, None, None].float(), self.scheme)

    def _logits(self, inputs: list[Tensor], rows: Tensor) -> Iterator[Tensor]:
        for x, w, b in zip(inputs, self.heads, self.biases, strict=True):
            yield torch.addmm(b, x[rows], w).view(len(rows), self.sets, -1)

    def _gate_step(self, features: Tensor, targets: Tensor, lr: float) -> None:
        """Step on the mean of w·BCE(z, t) over samples and gates in the loss, w = pos_weight where t = 1."""
        s = self.schedule
        # [G, N, 4] × [G, 4, P] where features are shared, else a product per point
        shared = features.shape[0] == 1
        f = features[0].transpose(0, 1) if shared else features.transpose(1, 2)
        w = self.weight.permute(1, 2, 0) if shared else self.weight.unsqueeze(-1)
        z = (f @ w).permute(2, 1, 0) if shared else (f @ w).squeeze(-1).transpose(1, 2)
        residual = torch.sigmoid(z + self.bias[:, None]) - targets
        entries: Tensor | int = targets[0].numel()
        if self.scheme == "ignore_subsequent":
            taught = ~targets.isnan()
            residual, entries = residual.where(taught, 0.0), taught.sum((1, 2), keepdim=True).clamp_min(1)
        residual = residual * torch.where(targets > 0, self.pos_weight[:, None], 1.0) / entries
        if shared:
            gradient = (f.mT @ residual.permute(2, 1, 0)).permute(2, 0, 1)
        else:
            gradient = (f.mT @ residual.transpose(1, 2).unsqueeze(-1)).squeeze(-1)
        for value, momentum, grad in zip(
            (self.weight, self.bias), self.gate_momentum, (gradient, residual.sum(1)), strict=True
        ):
            momentum.mul_(s.momentum).add_(grad).add_(value, alpha=s.weight_decay)
            value.sub_(momentum, alpha=lr)

    def _head_step(self, rows: Tensor, weights: list[Tensor] | None, lr: float) -> None:
        """Step on Σ_l weight_l·mean CE_l; without weights, on the method's own head loss."""
        labels = self.task.train.labels[rows]
        logits = list(self._logits(self.train, rows))
        if weights is None:
            weights = self._exit_weights(logits)
        s = self.schedule
        for k, (w, b, m, mb) in enumerate(zip(self.heads, self.biases, self.momenta, self.bias_momenta, strict=True)):
            if self.frozen[k]:
                continue
            residual = logits[k].softmax(-1)
            residual.scatter_add_(
                -1, labels[:, None, None].expand(-1, self.sets, 1), residual.new_full((len(rows), self.sets, 1), -1.0)
            )
            residual = (residual * (weights[k].unsqueeze(-1) / len(rows))).flatten(1)
            torch.addmm(m, self.train[k][rows].T, residual, beta=s.momentum, out=m)
            m.add_(w, alpha=s.weight_decay)
            w.sub_(m, alpha=lr)
            mb.mul_(s.momentum).add_(residual.sum(0)).add_(b, alpha=s.weight_decay)
            b.sub_(mb, alpha=lr)

    def _exit_weights(self, logits: list[Tensor]) -> list[Tensor]:
        """Return the weight of each exit's loss: per sample and λ [N, P], or 1/G if it does not depend on λ."""
        if not self.weighted:
            return [self._scalar(1 / len(logits))] * len(logits)
        features = torch.stack([uncertainty_features(x) for x in logits], 2).transpose(0, 1)
        gates = Gates(self.weight, self.bias, self.reading)
        if not self.single:
            return [p.T for p in gates.marginal(features).unbind(-1)]
        drawn = coins(logits[0].unsqueeze(1), self.draw)
        taken = first_true(gates.leave(features, None if drawn is None else drawn.T))
        return [(taken == k).to(features.dtype).T for k in range(len(logits))]

    def _count_positives(self) -> Tensor:
        """Return the weight of each gate's positives, counted on val under the current heads."""
        parts = []
        for rows in torch.arange(len(self.task.val), device=self.task.device).split(self._rows_at_once()):
            _, losses = self._read(self.task.val, self.val, rows)
            parts.append(self._targets(losses))
        return positive_weight(torch.cat(parts, 1), self.counting, self.scheme)

    def _scalar(self, value: float) -> Tensor:
        return torch.full((), float(value), device=self.task.device)
