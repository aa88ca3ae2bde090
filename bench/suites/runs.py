"""The runs of a suite: one per setting, each the same as a single `bench run` command."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bench.config import RunConfig, build
from bench.errors import UserError
from bench.plugins import registry
from bench.plugins.spec import parse
from bench.suites.suite import Setting, Suite

PLAIN = "plain"
# Options that define the comparison. Methods are not among them, because they only select its rows.
FIXED = (
    "bank", "dataset", "backbone", "budgets", "seeds", "exits", "image_size", "weights", "views", "dtype", "precision",
    "channels_last", "limit", "tuned",
)  # fmt: skip


def runs(suite: Suite, settings: Sequence[Setting], own: RunConfig) -> list[RunConfig]:
    """Return the configuration of every setting's run, with the user's other options: methods, folders, executor ….

    Raises UserError for an option that the suite fixes.
    """
    given = own.model_dump(exclude_unset=True)
    if fixed := [name for name in FIXED if name in given]:
        option = fixed[0].replace("_", "-")
        raise UserError(
            f"'{option}' is fixed by the suite {suite.edition}, so that its records are comparable. Leave it out, or "
            "give --dataset and --backbone instead of --suite."
        )
    return [
        build(options(suite, setting) | given | _methods(suite, setting, own), suite.edition) for setting in settings
    ]


def options(suite: Suite, setting: Setting) -> dict[str, Any]:
    """Return the options of `bench run` that a setting has in a suite."""
    size = {} if setting.image_size is None else {"image_size": setting.image_size}
    backbone = str(setting.network.folder) if setting.network else setting.backbone
    return {**suite.options, "dataset": (setting.dataset,), "backbone": (backbone,), **size}


def commands(suite: Suite, setting: Setting) -> list[str]:
    """Return the commands equivalent to a setting of a suite: `bench finetune` for its own network, and `bench run`."""
    given = options(suite, setting) | _methods(suite, setting, build(suite.options, suite.edition))
    words = [word for key, value in given.items() for word in (f"--{key.replace('_', '-')}", _text(value))]
    made = [setting.network.command] if setting.network else []
    return [*made, shlex.join(["bench", "run", *words])]


def check_networks(settings: Sequence[Setting]) -> None:
    """Raise UserError with the command for every network that is missing."""
    if lines := [line for setting in settings if (line := lacks(setting))]:
        raise UserError("\n".join([*lines, "Or choose other settings with --settings (`bench list suites NAME`)."]))


def lacks(setting: Setting) -> str | None:
    """Return a message that names a setting's missing network and how to make it; None if none is missing."""
    network = setting.network
    if network is None or not network.missing:
        return None
    return (
        f"There is no network in {network.folder}. Run the command in a clone of the project, which contains the "
        f"published networks, or train it: {network.command}"
    )


def _methods(suite: Suite, setting: Setting, own: RunConfig) -> dict[str, Any]:
    """Return the methods of a setting that sets their heads; empty for plain heads."""
    if setting.heads is None:
        return {}
    chosen = own.methods if "methods" in own.model_fields_set else (suite.options["methods"],)
    everything = [name for name, plugin in registry.plugins("methods").items() if plugin.describe()[1] is None]
    names = [name for text in chosen for name in (everything if text == "all" else [text])]
    return {"methods": tuple(dict.fromkeys(_on(name, setting.heads) for name in names))}


def _on(name: str, heads: str) -> str:
    """Return a method on these heads if its default heads are plain and the user has not chosen any."""
    spec = parse(name)
    field = registry.load("methods", spec.name).Config.__dataclass_fields__.get("heads")
    if field is None or field.default != PLAIN or "heads" in spec.params:
        return name
    return str(replace(spec, params={**spec.params, "heads": heads}))


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
