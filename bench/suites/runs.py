"""The runs of a suite: one per setting, each what a single `bench run` command would do."""

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
# Options that would make another comparison; methods only choose rows of it.
FIXED = (
    "bank", "dataset", "backbone", "budgets", "seeds", "exits", "image_size", "weights", "views", "dtype", "precision",
    "channels_last", "limit", "tuned",
)  # fmt: skip


def runs(suite: Suite, settings: Sequence[Setting], own: RunConfig) -> list[RunConfig]:
    """Return the run of every setting, with what the user chose beside the suite: methods, folders, executor ….

    Raises UserError for an option that the suite fixes.
    """
    given = own.model_dump(exclude_unset=True)
    if fixed := [name for name in FIXED if name in given]:
        option = fixed[0].replace("_", "-")
        raise UserError(
            f"'{option}' is fixed by the suite {suite.edition}, so that its records compare. Leave it out, or leave "
            "--suite out and name dataset and backbone."
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
    """Return the commands that do the same as a setting of a suite: that of its network, if it has one, and its run."""
    given = options(suite, setting) | _methods(suite, setting, build(suite.options, suite.edition))
    words = [word for key, value in given.items() for word in (f"--{key.replace('_', '-')}", _text(value))]
    made = [setting.network.command] if setting.network else []
    return [*made, shlex.join(["bench", "run", *words])]


def check_networks(settings: Sequence[Setting]) -> None:
    """Raise UserError that names the command for every network that is not there."""
    if lines := [line for setting in settings if (line := lacks(setting))]:
        raise UserError("\n".join([*lines, "Or choose other settings with --settings (`bench list suites NAME`)."]))


def lacks(setting: Setting) -> str | None:
    """Say which network a setting lacks and how it is made; None if it lacks none."""
    network = setting.network
    if network is None or not network.missing:
        return None
    return (
        f"The network in {network.folder} is not there. Run the command in a clone of the project, which has the "
        f"published ones, or make it: {network.command}"
    )


def _methods(suite: Suite, setting: Setting, own: RunConfig) -> dict[str, Any]:
    """Return the methods of a setting, if they are to take other heads than plain ones."""
    if setting.heads is None:
        return {}
    chosen = own.methods if "methods" in own.model_fields_set else (suite.options["methods"],)
    everything = [name for name, plugin in registry.plugins("methods").items() if plugin.describe()[1] is None]
    names = [name for text in chosen for name in (everything if text == "all" else [text])]
    return {"methods": tuple(dict.fromkeys(_on(name, setting.heads) for name in names))}


def _on(name: str, heads: str) -> str:
    """Return a method on these heads if its own are plain ones, and the user has not named any."""
    spec = parse(name)
    field = registry.load("methods", spec.name).Config.__dataclass_fields__.get("heads")
    if field is None or field.default != PLAIN or "heads" in spec.params:
        return name
    return str(replace(spec, params={**spec.params, "heads": heads}))


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
