"""The checks of head recipes: every violation is found and explained; a recipe that conforms passes all."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import nn

from bench.check.examine import Examination
from bench.check.recipe import checks, examination
from bench.check.recipe.subject import RecipeSubject
from bench.errors import UserError
from bench.recipe import Heads, Recipe, linear_macs

FOUND: dict[str, tuple[type, str]] = {}  # check → a recipe that breaks it, and words of the message


@dataclass(frozen=True)
class Config:
    """Nothing to set."""


class Means(Heads):
    """Scores of class means."""

    def __init__(self, means):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(m.shape[1], len(m)) for m in means)
        for layer, m in zip(self.layers, means, strict=True):
            layer.weight.data, layer.bias.data = m, -m.square().sum(1) / 2

    def forward(self, k, features, previous):
        return self.layers[k](features) if k < len(self.layers) else features

    def macs(self, k):
        return linear_macs(self.layers[k].in_features, self.layers[k].out_features) if k < len(self.layers) else 0


class Good(Recipe):
    """Nearest class means."""

    name, Config = "good", Config
    made = Means

    def fit(self, task):
        member = (task.train.labels == torch.arange(task.num_classes)[:, None]).float()
        return self.made([member @ x / member.sum(1, keepdim=True).clamp_min(1) for x in task.train.features])


def broken(check: str, says: str):
    """Register a class of heads, or a recipe, as one that fails a check."""

    def take(cls):
        recipe = cls if issubclass(cls, Recipe) else type(cls.__name__, (Good,), {"__doc__": "Broken.", "made": cls})
        FOUND[f"{check}: {cls.__name__}"] = (recipe, says)
        return cls

    return take


@broken("loads", "derive a class from bench.recipe.Recipe")
class NoRecipe(Means): ...


FOUND["loads: NoRecipe"] = (NoRecipe, "derive a class from bench.recipe.Recipe")


@broken("name", "has no docstring")
class Silent(Good):
    __doc__ = None


@broken("fit", "return an instance of a class derived from bench.recipe.Heads")
class NoHeads(Good):
    """Broken."""

    def fit(self, task):
        return nn.Linear(3, 3)


@broken("shapes", "combine(0, …) returns torch.float32 [7, 1]: return logits")
class Narrow(Means):
    def combine(self, k, logits):
        return logits[:, k, :1]


@broken("shapes", "returns NaN or infinity: guard logarithms")
class Infinite(Means):
    def forward(self, k, features, previous):
        return super().forward(k, features, previous) / 0


@broken("shapes", "macs(0) returns 30.0: return the number")
class Fraction(Means):
    def macs(self, k):
        return float(super().macs(k))


@broken("previous", "set the class variable needs_previous = True")
class Secret(Means):
    def forward(self, k, features, previous):
        found = super().forward(k, features, previous)
        return found + previous[-1] if previous else found


@broken("costs", "macs(0) returns 0, but forward and combine run 30 multiply-accumulates")
class Free(Means):
    def macs(self, k):
        return 0


@broken("replay", "draw no random numbers in forward and combine")
class Noisy(Means):
    def forward(self, k, features, previous):
        return super().forward(k, features, previous) + torch.rand(1)


@broken("refit", "generator seeded with task.seed")
class Random(Good):
    """Broken."""

    def fit(self, task):
        found = super().fit(task)
        found.layers[0].bias.data += torch.rand(1)
        return found


@broken("no_labels", "keep no reference to it")
class Keeps(Good):
    """Broken."""

    def fit(self, task):
        found = super().fit(task)
        found.layers[0].weight.data = task.train.features[0][:5]
        return found


@broken("untouched", "fit changes task.train.features[0] in place")
class Writes(Good):
    """Broken."""

    def fit(self, task):
        found = super().fit(task)
        for x in task.train.features[:1]:
            x *= 2
        return found


@broken("untouched", "Running the heads changes the split's features[0] in place")
class WritesLater(Means):
    def forward(self, k, features, previous):
        found = super().forward(k, features, previous)
        features *= 2
        return found


@broken("rows", "treat every row independently")
class Centred(Means):
    def forward(self, k, features, previous):
        found = super().forward(k, features, previous)
        return found - found.mean(0)


@broken("two_samples", "Instead: ValueError: too few samples")
class Demanding(Good):
    """Broken."""

    def fit(self, task):
        if len(task.train) < 10:
            raise ValueError("too few samples")
        return super().fit(task)


@broken("one_class", "the answers are [50, 4, 5], not [50, 4, 1]: take the sizes from the task")
class Fixed(Means):
    def combine(self, k, logits):
        return logits[:, k].repeat(1, 5)[:, :5]


@broken("constant_features", "the heads answer NaN")
class Scaled(Means):
    def combine(self, k, logits):
        return logits[:, k] / (0 if self.layers and self.layers[0].weight.std() < 1e-6 else 1)


class Closure(Means):
    def __init__(self, means):
        super().__init__(means)
        self.rule = lambda: 0


@broken("pickle", "The fitted heads cannot be pickled")
class Closes(Good):
    """Broken."""

    made = Closure


@pytest.mark.parametrize("case", FOUND)
def test_a_violation_is_found_and_explained(case):
    recipe, says = FOUND[case]
    result = examination(recipe).result(case.partition(":")[0])
    assert result.status == "fail" and says in result.message, result


def test_a_recipe_that_conforms_passes_every_check():
    assert {r.name: r.message for r in examination(Good).results() if r.status != "pass"} == {}


def test_what_deserves_a_look_is_a_warning():
    class Wrong(Means):
        def forward(self, k, features, previous):
            return -super().forward(k, features, previous)

    class WrongRecipe(Good):
        """Predict the least likely class."""

        made = Wrong

    assert examination(WrongRecipe).result("learns").status == "warn"
    closure, _ = FOUND["pickle: Closes"]
    result = examination(closure).result("fit")
    assert result.status == "warn" and "`bench score` and `bench export` cannot use them" in result.message


@pytest.mark.parametrize("name", ["class_means", "native", "lens[ridge=0.1]"])
def test_built_in_recipes_conform(name):
    assert {r.name: r.message for r in examination(name).results() if not r.passed} == {}


def test_a_wrong_name_or_parameter_is_the_users_mistake():
    with pytest.raises(UserError, match="Did you mean 'plain'"):
        examination("plane")
    with pytest.raises(UserError, match="has no parameter 'widht'"):
        examination("plain[widht=3]")


def test_a_check_is_skipped_whose_need_fails():
    result = Examination(RecipeSubject(FOUND["fit: NoHeads"][0]), checks()).result("shapes")
    assert result.status == "skip" and "'fit' fails" in result.message
