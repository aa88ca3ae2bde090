"""Check degenerate tasks: fitting and running must work, without NaN."""

from __future__ import annotations

import torch

from bench.check import tasks
from bench.check.edge_cases import WORDS
from bench.check.recipe.subject import RecipeSubject, answers, with_native
from bench.check.result import Check, Violation


def edge_checks() -> list[Check]:
    """Return one check per degenerate task."""
    asks = "Fitting and running must work for {}."
    return [Check(kind, asks.format(words), _Survives(kind)) for kind, words in WORDS.items()]


class _Survives:
    """Fit one degenerate task and run its heads."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __call__(self, subject: RecipeSubject) -> None:
        task, other = tasks.degenerate(self.kind)
        heads = subject.fit(with_native(task)).eval()
        for data in (task.val, other):
            found = answers(heads, data)
            if tuple(found.shape) != (len(data), data.num_exits, task.num_classes):
                raise Violation(
                    f"With {WORDS[self.kind]} the answers are {list(found.shape)}, not "
                    f"{[len(data), data.num_exits, task.num_classes]}: take the sizes from the task."
                )
            if bool(torch.isnan(found).any()):
                raise Violation(
                    f"With {WORDS[self.kind]} the heads answer NaN: guard logarithms, divisions and variances."
                )
