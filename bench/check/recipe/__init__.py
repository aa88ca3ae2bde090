"""Check a head recipe: every requirement on it and on its fitted heads, on small synthetic tasks within seconds."""

from __future__ import annotations

from bench.check import described
from bench.check.examine import Examination
from bench.check.recipe import edges, fitted, steady
from bench.check.recipe.subject import RecipeSubject
from bench.check.result import Check
from bench.recipe import Recipe

_LOADED, _FITTED = ("loads",), ("fit",)


def checks() -> tuple[Check, ...]:
    """Return all checks of a head recipe in the order in which they are shown."""
    return (
        Check("loads", "The name must point to a class derived from bench.recipe.Recipe.", fitted.loads, ()),
        Check("name", "Name and docstring must describe the recipe.", described.named, _LOADED),
        Check("config", "Config must be a frozen dataclass with a default everywhere.", described.configured, _LOADED),
        Check("ranges", "Ranges for a search must be valid.", described.ranges, ("config",)),
        Check("fit", "fit must return fitted heads.", fitted.fits, ("config",)),
        Check("shapes", "forward, combine and macs must return what the interface requires.", fitted.shapes, _FITTED),
        Check("previous", "Heads that read earlier logits must say so.", fitted.previous),
        Check("costs", "macs(k) must count what runs.", fitted.costs),
        Check("learns", "Heads should answer better than chance.", fitted.learns),
        Check("replay", "Running twice must give the same result.", steady.replays),
        Check("refit", "Fitting twice with one seed must give the same heads.", steady.refits),
        Check("no_labels", "Fitted heads must not read the task.", steady.no_labels),
        Check("untouched", "Fitting and running must not change the data.", steady.untouched),
        Check("rows", "The order of samples and the size of batches must not matter.", steady.rows),
        *edges.edge_checks(),
        Check("pickle", "Recipe and heads must survive pickling.", steady.picklable),
    )


def examination(recipe: str | type[Recipe]) -> Examination:
    """Return the examination of a recipe, a registered `name[param=value,…]` or a class; UserError for a wrong name."""
    return Examination(RecipeSubject(recipe), checks())
