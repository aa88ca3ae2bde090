"""Check costs: budgets are met on val, and macs(k) counts all matrix products of heads and gates."""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from bench.check import tasks
from bench.check.result import Caution, Violation
from bench.check.subject import BUDGETS, Subject
from bench.exits import ForwardPass
from bench.inference import exit_macs, simulate
from bench.method import Infeasible, Policy, Task

SLACK = 1e-9  # tolerated rounding of the mean, as in a run
ROWS = 64


def budgets(subject: Subject) -> str:
    """Run every policy on val and compare its cost with its budget."""
    task, spent = subject.task, {}
    for budget, policy in subject.policies.items():
        spent[budget] = val_cost(policy, task)
        over(budget, spent[budget])
    for budget, answer in zip(BUDGETS, subject.answers, strict=True):
        lower = [b for b in spent if b < budget]
        if isinstance(answer, Infeasible) and lower:
            raise Violation(
                f"Budget {budget} is reported as infeasible ({answer}), but the policy for {lower[-1]} meets it: "
                "return the most expensive policy that fits a budget."
            )
    for budget, policy in subject.policies.items():
        reachable = min(budget, exit_macs(policy, task.macs)[-1] / task.macs[-1])
        if spent[budget] < 0.75 * reachable and not policy.note:
            return Caution(
                f"The policy for budget {budget} spends only {spent[budget]:.3f} on val and does not say why: spend "
                'the budget, or give the reason in policy.note ("unreachable: …").'
            )
    return ", ".join(f"{b:g} → {cost:.3f}" for b, cost in spent.items())


def val_cost(policy: Policy, task: Task) -> float:
    """Return the mean cost of a policy on val, as a fraction of the plain backbone."""
    return float(simulate(policy, tasks.clone(task.val), task.macs).macs.double().mean()) / task.macs[-1]


def over(budget: float, cost: float) -> None:
    """Raise a Violation if a cost is above its budget."""
    if cost > budget + SLACK:
        raise Violation(
            f"The policy for budget {budget} costs {cost:.4f} of the backbone on val: choose the operating point "
            "by its mean cost on task.val with everything that macs(k) counts, and return Infeasible if none fits."
        )


def costs(subject: Subject) -> str:
    """Count the matrix products that each exit runs and compare with macs(k)."""
    highest = 0.0
    for budget, policy in subject.few.items():
        for k, ran in enumerate(counted(policy, subject.task)):
            said = policy.macs(k)
            if ran > said:
                raise Violation(
                    f"macs({k}) of the policy for budget {budget} returns {said}, but head, combine and leave run "
                    f"{ran:g} multiply-accumulates per sample in matrix products at exit {k}: count all of them."
                )
            highest = max(highest, ran / max(said, 1))
    return f"matrix products are at most {highest:.0%} of macs(k)"


@torch.no_grad()
def counted(policy: Policy, task: Task) -> list[float]:
    """Return the multiply-accumulates per sample in matrix products that each of the K exits runs itself."""
    data = tasks.unseen(ROWS)
    policy.eval()
    forward = ForwardPass(policy.head, policy.combine)
    totals = []
    for k in range(data.num_exits):
        with FlopCounterMode(display=False) as counter:
            forward.step(data.inputs(k))
            if k < data.num_exits - 1:
                policy.leave(k, forward.answers)
        totals.append(counter.get_total_flops() / 2 / ROWS)
    return totals
