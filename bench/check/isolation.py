"""Check that a policy does not use later exits or the task's tensors and labels, and that a fit changes no data."""

from __future__ import annotations

import dataclasses

import torch

from bench import heads
from bench.check import tasks
from bench.check.compare import difference
from bench.check.result import Violation
from bench.check.subject import Subject, decide, infer
from bench.inference import simulate
from bench.method import ExitData


def causality(subject: Subject) -> None:
    """Change the inputs of later exits and compare earlier decisions and answers."""
    data = tasks.unseen()
    for budget, policy in subject.few.items():
        answers, stops = decide(policy, data)
        for k in range(data.num_exits - 1):
            other_answers, other_stops = decide(policy, disturb(data, k))
            if not torch.equal(answers[:, : k + 1], other_answers[:, : k + 1]):
                what = f"the answers of exit {k} or an earlier one"
            elif not torch.equal(stops[:, : k + 1], other_stops[:, : k + 1]):
                what = f"which samples leave at exit {k} or earlier"
            else:
                continue
            raise Violation(
                f"Later exits change {what} (policy for budget {budget}): use only the arguments of head, combine and "
                "leave, and store nothing of a later exit in the policy."
            )


def disturb(data: ExitData, k: int) -> ExitData:
    """Replace the inputs of exits after k by other samples' values, negated."""
    features = tuple(x if j <= k else 1 - 3 * x.flip(0) for j, x in enumerate(data.features))
    return ExitData(features, 1 - 3 * data.final_logits.flip(0), data.labels)


def no_labels(subject: Subject) -> None:
    """Overwrite the task's labels and val split in place and run again."""
    task = subject.task
    split = tasks.clone(task.val)
    first = {budget: infer(policy, split) for budget, policy in subject.few.items()}
    held = [task.train.labels, *tasks.tensors(task.val).values()]
    kept = [x.clone() for x in held]
    try:
        for x in held:
            x.zero_()
        blind = dataclasses.replace(split, labels=torch.full_like(split.labels, -1))
        second = {budget: infer(policy, blind) for budget, policy in subject.few.items()}
    finally:
        for x, old in zip(held, kept, strict=True):
            x.copy_(old)
    for budget, policy in subject.few.items():
        if found := difference(policy, split, first[budget], second[budget]):
            raise Violation(
                f"The policy for budget {budget} still reads the task's labels or val split during inference: {found} "
                "once they are overwritten. Keep no reference to the task; clone in fit what the policy needs."
            )


def untouched(subject: Subject) -> None:
    """Compare the task's tensors, its shared heads and the split of a run with their values before."""
    _ = subject.answers
    for name, data in (("train", subject.task.train), ("val", subject.task.val)):
        for key, value in tasks.tensors(data).items():
            if not torch.equal(value, subject.before[name][key]):
                raise Violation(f"fit changes task.{name}.{key} in place, which other methods share: work on a copy.")
    fresh = heads.fit("plain", tasks.task()).logits(tasks.unseen())
    if not torch.equal(fresh, heads.fit("plain", subject.task).logits(tasks.unseen())):
        raise Violation("fit changes the task's shared plain heads in place: copy heads before you alter them.")
    data, before = tasks.unseen(), tasks.tensors(tasks.unseen())
    for policy in subject.few.values():
        simulate(policy, data, subject.task.macs)
        for key, value in tasks.tensors(data).items():
            if not torch.equal(value, before[key]):
                raise Violation(
                    f"Inference changes the split's {key} in place: work on a copy in head, combine and leave."
                )
