"""Compare two runs on the same samples and describe the difference in words."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.check.subject import infer
from bench.inference import Outcomes
from bench.method import ExitData, Infeasible, Policy

CLOSE = 1e-4  # relative and absolute: how much an answer may change with the shape of the batch
LAST_BITS = 3e-6
FEW = 0.2


def difference(policy: Policy, data: ExitData, first: Outcomes, second: Outcomes) -> str | None:
    """Describe how two runs on `data` differ, or return None; decisions that rounding can change are excused."""
    moved = first.exit_index != second.exit_index
    if bool(moved.any()):
        edge = on_edge(policy, data)
        if float(edge.float().mean()) <= FEW:  # not if most decisions of the policy are borderline
            moved &= ~edge
    if bool(moved.any()):
        i = int(moved.nonzero()[0])
        return f"{int(moved.sum())} of {len(moved)} samples change their exit, e.g. {_exits(first, second, i)}"
    stayed = first.exit_index == second.exit_index
    close = torch.isclose(first.logits, second.logits, rtol=CLOSE, atol=CLOSE, equal_nan=True).all(-1)
    changed = stayed & ~close
    if bool(changed.any()):
        worst = float((first.logits - second.logits)[changed].abs().max())
        return f"the answers of {int(changed.sum())} of {len(changed)} samples change by up to {worst:.2g}"
    return None


def exact_difference(first: Outcomes, second: Outcomes) -> str | None:
    """Describe how two runs differ by as little as one bit, or return None."""
    moved = first.exit_index != second.exit_index
    if bool(moved.any()):
        i = int(moved.nonzero()[0])
        return f"{int(moved.sum())} of {len(moved)} samples change their exit, e.g. {_exits(first, second, i)}"
    if not torch.equal(first.logits.nan_to_num(), second.logits.nan_to_num()):
        worst = float((first.logits - second.logits).abs().nan_to_num().max())
        return f"exits are the same, but answers change by up to {worst:.2g}"
    return None


def answer_difference(data: ExitData, first: Policy | Infeasible, second: Policy | Infeasible) -> str | None:
    """Describe how two answers to one budget differ when they run on `data`, or return None."""
    if isinstance(first, Infeasible) or isinstance(second, Infeasible):
        same = isinstance(first, Infeasible) and isinstance(second, Infeasible)
        return None if same else "one of the two is Infeasible, the other is not"
    return difference(first, data, infer(first, data), infer(second, data))


@torch.no_grad()
def on_edge(policy: Policy, data: ExitData) -> Tensor:
    """Return which rows have a decision that noise in the last bits of the answers changes: bool [N]."""
    answers = infer(policy, data).exit_logits
    assert answers is not None
    edge = torch.zeros(len(data), dtype=torch.bool)
    g = torch.Generator().manual_seed(0)
    for _ in range(8):
        noise = torch.randn(answers.shape, generator=g, dtype=torch.float64)
        shaken = (answers.double() * (1 + LAST_BITS * noise) + LAST_BITS * noise.flip(0)).to(answers.dtype)
        for k in range(data.num_exits - 1):
            calm, tipped = (policy.leave(k, x[:, : k + 1].contiguous()) for x in (answers, shaken))
            edge |= calm != tipped
    return edge


def _exits(first: Outcomes, second: Outcomes, i: int) -> str:
    return f"sample {i} from exit {int(first.exit_index[i])} to {int(second.exit_index[i])}"
