"""Check that fitted heads depend only on the task and its seed, and treat each sample independently."""

from __future__ import annotations

from typing import Any

import torch

from bench.check import tasks
from bench.check.compare import CLOSE
from bench.check.recipe.subject import RecipeSubject, answers, with_native
from bench.check.repeats import scatter
from bench.check.result import Violation
from bench.check.workers import copied
from bench.recipe import Heads


def replays(subject: RecipeSubject) -> None:
    """Run the heads twice with other global random states."""
    scatter(1)
    first = answers(subject.heads, tasks.unseen())
    scatter(2)
    if not torch.equal(first, answers(subject.heads, tasks.unseen())):
        raise Violation(
            "Running the heads twice gives different answers: draw no random numbers in forward and combine (call "
            "dropout with training=self.training), and keep no state between calls."
        )


def refits(subject: RecipeSubject) -> None:
    """Fit a copy of the task with other global random states."""
    scatter(3)
    again = subject.fit(with_native(tasks.task())).eval()
    if not torch.equal(answers(subject.heads, tasks.unseen()), answers(again, tasks.unseen())):
        raise Violation(
            "Fitting a copy of the same task gives different heads: draw every random number from a generator seeded "
            "with task.seed."
        )


def no_labels(subject: RecipeSubject) -> None:
    """Overwrite the task's tensors in place and run again."""
    data, task = tasks.unseen(), with_native(tasks.task())
    heads = subject.fit(task).eval()
    first = answers(heads, data)
    for split in (task.train, task.val):
        for held in tasks.tensors(split).values():
            held.zero_()
    if not torch.equal(first, answers(heads, data)):
        raise Violation(
            "The heads still read the task after the fit: keep no reference to it, and clone what they need of it."
        )


def untouched(subject: RecipeSubject) -> None:
    """Compare the task's tensors and a split with their values before fit and run."""
    task, fresh = with_native(tasks.task()), tasks.task()
    heads = subject.fit(task).eval()
    for name, data, before in (("train", task.train, fresh.train), ("val", task.val, fresh.val)):
        _compare(f"fit changes task.{name}", data, before)
    data = tasks.unseen()
    with torch.no_grad():
        heads.logits(data)
    _compare("Running the heads changes the split's", data, tasks.unseen())


def _compare(what: str, data: tasks.ExitData, before: tasks.ExitData) -> None:
    joint = "." if what.startswith("fit") else " "
    for key, value in tasks.tensors(data).items():
        if not torch.equal(value, tasks.tensors(before)[key]):
            raise Violation(f"{what}{joint}{key} in place, which others share: work on a copy.")


def rows(subject: RecipeSubject) -> None:
    """Run the samples in another order, one by one and in batches of seven."""
    data = tasks.unseen(64)
    whole = answers(subject.heads, data)
    mixed = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))
    ways = {
        "in another order": answers(subject.heads, _take(data, mixed))[mixed.argsort()],
        **{f"in batches of {n}": _parts(subject.heads, data, n) for n in (1, 7)},
    }
    for how, found in ways.items():
        if not torch.allclose(whole, found, rtol=CLOSE, atol=CLOSE):
            worst = float((whole - found).abs().max())
            raise Violation(
                f"Answers change by up to {worst:.2g} when the samples are run {how}: treat every row independently, "
                "without statistics over the batch."
            )


def _parts(heads: Heads, data: tasks.ExitData, size: int) -> torch.Tensor:
    return torch.cat([answers(heads, _take(data, rows)) for rows in torch.arange(len(data)).split(size)])


def _take(data: tasks.ExitData, rows: torch.Tensor) -> tasks.ExitData:
    return tasks.ExitData(tuple(x[rows] for x in data.features), data.final_logits[rows], data.labels[rows])


def picklable(subject: RecipeSubject) -> None:
    """Pickle and unpickle the recipe and its heads, and compare the answers of the copy."""
    things: list[tuple[str, Any]] = [("The recipe", subject.recipe()), ("The fitted heads", subject.heads)]
    for what, thing in things:
        copy = copied(what, thing)
        if thing is subject.heads and not torch.equal(answers(thing, tasks.unseen()), answers(copy, tasks.unseen())):
            raise Violation("The heads answer differently after pickling: keep everything they need in them.")
