"""Check the return values of fit and of the four functions of its policies: types, shapes, numbers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from bench.check import tasks
from bench.check.result import Violation
from bench.check.subject import BUDGETS, Subject
from bench.exits import ForwardPass
from bench.method import ExitData, Infeasible, Policy


def fits(subject: Subject) -> str:
    """Fit the ordinary task and check the list that fit returns."""
    found = subject.raw_answers
    if not isinstance(found, Sequence):
        raise Violation(f"fit returned a {type(found).__name__}: return a list with one answer per budget.")
    if len(found) != len(BUDGETS):
        raise Violation(
            f"fit returned {len(found)} answers for {len(BUDGETS)} budgets: return one per budget, in order."
        )
    for budget, answer in zip(BUDGETS, found, strict=True):
        if not isinstance(answer, Policy | Infeasible):
            raise Violation(
                f"fit answered budget {budget} with {_name(answer)}: return a bench.method.Policy, or an "
                "Infeasible(reason) if the budget cannot be met."
            )
        if isinstance(answer, Infeasible) and not str(answer):
            raise Violation(f"The Infeasible for budget {budget} does not give a reason: state it in one sentence.")
        if isinstance(answer, Policy) and not isinstance(answer.note, str):
            raise Violation(f"The note of the policy for budget {budget} is {answer.note!r}: make it a string.")
    refusals = [a for a in found if isinstance(a, Infeasible)]
    if len(refusals) == len(found):
        raise Violation(
            f"Every budget up to {BUDGETS[-1]} is reported as infeasible ({refusals[-1]}): on this task the backbone "
            "costs far more than heads, so meet at least the whole backbone's budget."
        )
    return f"{len(found) - len(refusals)} policies, {len(refusals)} infeasible"


def shapes(subject: Subject) -> None:
    """Call the policies' functions directly on several batches, including a single sample."""
    data = tasks.unseen(7)
    for budget, policy in subject.policies.items():
        policy.eval()
        for n in (7, 1):
            rows = ExitData(tuple(x[:n] for x in data.features), data.final_logits[:n], data.labels[:n])
            try:
                _walk(policy, rows)
            except Violation as problem:
                raise Violation(f"With the policy for budget {budget} and {n} samples, {problem}") from None


@torch.no_grad()
def _walk(policy: Policy, data: ExitData) -> None:
    n, classes = len(data), data.final_logits.shape[-1]

    def head(k: int, features: Tensor, previous: Sequence[Tensor]) -> Tensor:
        return _logits(f"head({k}, …)", policy.head(k, features, previous), n, classes)

    def combine(k: int, logits: Tensor) -> Tensor:
        return _logits(f"combine({k}, …)", policy.combine(k, logits), n, classes)

    forward = ForwardPass(head, combine)
    for k in range(data.num_exits):
        forward.step(data.inputs(k).clone())
        if k < data.num_exits - 1:
            stop = policy.leave(k, forward.answers)
            if not isinstance(stop, Tensor) or stop.dtype != torch.bool or stop.shape != (n,):
                raise Violation(f"leave({k}, …) returned {_name(stop)}: return bool [{n}], one decision per sample.")
        macs = policy.macs(k)
        if isinstance(macs, bool) or not isinstance(macs, int) or macs < 0:
            raise Violation(f"macs({k}) is {macs!r}: return an int of 0 or more, the MACs per sample of that exit.")


def _logits(call: str, value: object, n: int, classes: int) -> Tensor:
    if not isinstance(value, Tensor) or value.shape != (n, classes) or not value.is_floating_point():
        raise Violation(f"{call} returned {_name(value)}: return floating-point logits [{n}, {classes}].")
    if bool(value.softmax(-1).isnan().any()):
        raise Violation(f"{call} returned logits that are not a distribution (NaN or infinite): keep them finite.")
    return value


def _name(value: object) -> str:
    if isinstance(value, Tensor):
        return f"a {str(value.dtype).removeprefix('torch.')} tensor {list(value.shape)}"
    return f"the class {value.__name__}" if isinstance(value, type) else f"a {type(value).__name__}"
