"""Check the return values of fit and of the functions of fitted heads: types, shapes, numbers, costs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from bench.check import tasks
from bench.check.recipe.subject import RecipeSubject, answers
from bench.check.result import Caution, Violation
from bench.recipe import Heads, Recipe
from bench.trials.modules import describe

ROWS = 64
CLOSE = 1e-4


def loads(subject: RecipeSubject) -> None:
    """Import the class."""
    if not (isinstance(subject.cls, type) and issubclass(subject.cls, Recipe)):
        raise Violation(f"{subject.cls!r} is not a head recipe: derive a class from bench.recipe.Recipe.")


def fits(subject: RecipeSubject) -> str | None:
    """Fit the ordinary task, and check whether the heads can be stored."""
    if not isinstance(subject.heads, Heads):
        raise Violation(
            f"fit returned a {type(subject.heads).__name__}: return an instance of a class derived from "
            "bench.recipe.Heads, which has `forward` and `macs`."
        )
    try:
        describe(subject.heads, {})
    except TypeError as error:
        return Caution(
            f"The heads cannot be stored ({error}), so `bench score` and `bench export` cannot use them: keep only "
            "numbers, text, tensors, modules, and lists and dictionaries of these in them."
        )
    return None


def shapes(subject: RecipeSubject) -> None:
    """Call the functions of the heads directly on several batches, including a single sample."""
    for n in (7, 1):
        try:
            _walk(subject.heads, n)
        except Violation as problem:
            raise Violation(f"With a batch of {n}, {problem}") from None


@torch.no_grad()
def _walk(heads: Heads, n: int) -> None:
    data, given = tasks.unseen(n), list[Tensor]()
    for k in range(data.num_exits):
        found = heads(k, data.inputs(k), tuple(given))
        _check_logits(f"forward({k}, …) returns", found, n)
        given.append(found)
        _check_logits(f"combine({k}, …) returns", heads.combine(k, torch.stack(given, 1)), n)
        said = heads.macs(k)
        if type(said) is not int or said < 0:
            raise Violation(
                f"macs({k}) returns {said!r}: return the number of multiply-accumulates, an int of 0 or more."
            )


def _check_logits(what: str, found: object, n: int) -> None:
    wanted = (n, tasks.CLASSES)
    if not isinstance(found, Tensor) or tuple(found.shape) != wanted or not found.is_floating_point():
        seen = f"{found.dtype} {list(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
        raise Violation(f"{what} {seen}: return logits, a floating-point tensor {list(wanted)}.")
    if not bool(found.isfinite().all()):
        raise Violation(f"{what} NaN or infinity: guard logarithms and divisions in fit and in forward.")


@torch.no_grad()
def previous(subject: RecipeSubject) -> str | None:
    """Run each head without the logits of earlier exits, unless the heads say that they read them."""
    heads, data = subject.heads, tasks.unseen(ROWS)
    if heads.needs_previous:
        return "Exits read the logits of earlier ones."
    given: list[Tensor] = []
    for k in range(data.num_exits):
        found = heads(k, data.inputs(k), tuple(given))
        given.append(found)
        noise = [1 - 3 * x for x in given]
        try:
            same = torch.equal(found, heads(k, data.inputs(k), tuple(noise[:-1])))
            same &= torch.equal(
                heads.combine(k, torch.stack(given, 1)), heads.combine(k, torch.stack([*noise[:-1], found], 1))
            )
        except Exception:  # code that reads logits which are not there may raise anything
            same = False
        if not same:
            raise Violation(
                f"Exit {k} reads the logits of earlier exits, but `needs_previous` is False, so they may not have been "
                "computed: set the class variable needs_previous = True, or read only exit k's own arguments."
            )
    return None


@torch.no_grad()
def costs(subject: RecipeSubject) -> str:
    """Count the matrix products that each exit runs and compare them with macs(k)."""
    heads, data, highest = subject.heads, tasks.unseen(ROWS), 0.0
    given: list[Tensor] = []
    for k in range(data.num_exits):
        with FlopCounterMode(display=False) as counter:
            given.append(heads(k, data.inputs(k), tuple(given)))
            heads.combine(k, torch.stack(given, 1))
        ran, said = counter.get_total_flops() / 2 / ROWS, heads.macs(k)
        if ran > said:
            raise Violation(
                f"macs({k}) returns {said}, but forward and combine run {ran:g} multiply-accumulates per sample in "
                f"matrix products at exit {k}: count all of them (bench.recipe.linear_macs counts one linear layer)."
            )
        highest = max(highest, ran / max(said, 1))
    return f"matrix products are at most {highest:.0%} of macs(k)"


def learns(subject: RecipeSubject) -> str:
    """Compare the accuracy of each exit's head with that of guessing."""
    data = tasks.unseen()
    right = (answers(subject.heads, data).argmax(-1) == data.labels[:, None]).double().mean(0).tolist()
    said = f"accuracy of the exits on synthetic samples: {_percent(right)}"
    if max(right[:-1]) <= 1 / tasks.CLASSES + 0.05:
        return Caution(
            f"{said}. Guessing reaches {1 / tasks.CLASSES:.0%}: check what fit trains, and the order of classes."
        )
    return said


def _percent(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.0%}" for value in values)
