"""Methods that break the contract while they play, on hard tasks, or on their way to a worker, in one way each."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from bench import heads
from bench.method import Policy, Task
from bench.rules import max_probability
from tests.helpers.good_method import Good, GoodPolicy, fails


class ModestPolicy(GoodPolicy):
    def macs(self, k):
        return 0


@fails("costs")
class Modest(Good):
    """Count neither heads nor gates."""

    Policy = ModestPolicy


class MachinePolicy(GoodPolicy):
    def leave(self, k, logits):
        machine = torch.eye(logits.shape[-1], dtype=logits.dtype).repeat(1, 50)
        return super().leave(k, logits) | ((logits[:, k] @ machine).sum(-1) > 1e30)


@fails("costs")
class Machine(Good):
    """Count the heads but not a gate of 50 layers' width."""

    Policy = MachinePolicy


class SeerPolicy(GoodPolicy):
    def __init__(self, *args) -> None:
        super().__init__(*args)
        self.seen: dict[int, Tensor] = {}

    def head(self, k, features, previous):
        self.seen = {} if k == 0 else self.seen
        self.seen[k] = super().head(k, features, previous)
        return self.seen[k]

    def leave(self, k, logits):
        known = super().leave(k, logits)
        return known | (self.seen[k + 1][:, 0] < 0) if k + 1 in self.seen else known


@fails("causality")
class Seer(Good):
    """Look at the next exit's logits where they are lying about."""

    Policy = SeerPolicy


class HolderPolicy(GoodPolicy):
    def hold(self, labels: Tensor) -> Policy:
        self.labels, self.mean = labels, labels.double().mean()
        return self

    def leave(self, k, logits):
        return super().leave(k, logits) & (self.labels.double().mean() == self.mean)


@fails("no_labels")
class Holder(Good):
    """Keep the task's labels in the policy."""

    Policy = HolderPolicy

    def policy(self, task, fitted, threshold):
        return super().policy(task, fitted, threshold).hold(task.val.labels)


@fails("untouched")
class Clipper(Good):
    """Clip val in place."""

    def fit(self, task, budgets):
        task.val.final_logits.clamp_(-2, 2)
        return super().fit(task, budgets)


class HastyPolicy(GoodPolicy):
    def head(self, k, features, previous):
        answer = super().head(k, features, previous).clone()
        features.clamp_(-1, 1)
        return answer


@fails("untouched", "execution")
class Hasty(Good):
    """Change features in place while playing."""

    Policy = HastyPolicy


@fails("untouched")
class Sharer(Good):
    """Sharpen the shared heads in place, once per task."""

    def fit(self, task, budgets):
        fitted = heads.fit("plain", task)
        if task.shared_cache.setdefault("sharpened", 0) == 0:
            for layer in fitted.layers:
                layer.weight.data.mul_(1.5)
                layer.bias.data.mul_(1.5)
            task.shared_cache["sharpened"] = 1
        return super().fit(task, budgets)


class OrderedPolicy(GoodPolicy):
    def leave(self, k, logits):
        odd = torch.arange(len(logits)) % 2 == 1
        return super().leave(k, logits) | (odd if len(logits) == 120 else False)


@fails("row_order")
class Ordered(Good):
    """Decide by the position in the batch, though only in batches of one size."""

    Policy = OrderedPolicy


class MedianPolicy(GoodPolicy):
    def leave(self, k, logits):
        p = max_probability(logits[:, k])
        return (p >= self.threshold) & ((p >= p.quantile(0.3)) if len(p) in (7, 64) else True)


@fails("batch_size")
class Median(Good):
    """Compare with the median of the batch."""

    Policy = MedianPolicy


class StalePolicy(GoodPolicy):
    def leave(self, k, logits):
        if k == 0:
            self.first = max_probability(logits[:, 0])
        return super().leave(k, logits) | (self.first[: len(logits)] >= 0.6)


@fails("execution")
class Stale(Good):
    """Remember exit 0 in the policy and forget who left."""

    Policy = StalePolicy


HARD: dict[str, Callable[[Task], bool]] = {
    "one_class": lambda task: task.num_classes == 1,
    "absent_classes": lambda task: task.num_classes > 1 and len(task.val) > 2 and len(task.val.labels.unique()) == 1,
    "one_exit": lambda task: task.num_exits == 1,
    "two_samples": lambda task: len(task.train) == 2,
    "ties": lambda task: len(task.val) > 2 and len(task.val.final_logits.unique(dim=0)) == 4,
    "constant_features": lambda task: task.num_exits > 1 and len(task.val.features[0].unique()) == 1,
    "saturated_logits": lambda task: float(task.val.final_logits.abs().max()) >= 1e4,
}


class Fragile(Good):
    """Crash on one kind of task."""

    on = ""

    def fit(self, task, budgets):
        if HARD[self.on](task):
            raise ValueError("singular matrix")
        return super().fit(task, budgets)


class VaguePolicy(GoodPolicy):
    def combine(self, k, logits):
        answer = logits[:, k]
        return torch.where(answer.abs() > 1e3, torch.nan, answer)


@fails("saturated_logits")
class Vague(Good):
    """Answer NaN where logits are large."""

    Policy = VaguePolicy


class ClosurePolicy(GoodPolicy):
    def __init__(self, *args) -> None:
        super().__init__(*args)
        self.rule = lambda p: p >= self.threshold

    def leave(self, k, logits):
        return self.rule(max_probability(logits[:, k]))


@fails("pickle")
class Closure(Good):
    """Store a lambda in the policy."""

    Policy = ClosurePolicy


class LosingPolicy(GoodPolicy):
    def __getstate__(self):
        return {**self.__dict__, "threshold": 0.5}


@fails("pickle")
class Losing(Good):
    """Lose the threshold in pickle."""

    Policy = LosingPolicy
