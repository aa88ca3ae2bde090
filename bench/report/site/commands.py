"""The commands that measure a method of a setting again, and that write its policy: with places for both names."""

from __future__ import annotations

import shlex
from functools import cache

from bench.bank.cell import Cell
from bench.suites.suite import suites
from bench.trials.folders import place_of, without_paths

METHOD, BUDGET = "{method}", "{budget}"  # where the page puts its choice


def run_command(cell: Cell, seeds: tuple[int, ...]) -> str:
    """Return the `bench run` command of one policy; a budget is {budget}, a method {method}, quoted for a shell."""
    dataset = shlex.quote(without_paths(cell.dataset))
    chosen = ",".join(map(str, seeds))
    if len(seeds) > 1 and list(seeds) == list(range(seeds[0], seeds[-1] + 1)):
        chosen = f"{seeds[0]}-{seeds[-1]}"
    parts = ["bench run", f"--dataset {dataset}", *_network(cell), f"--methods {METHOD}", f"--budgets {BUDGET}"]
    return " ".join([*parts, *([f"--seeds {chosen}"] if chosen else [])])


def export_command(cell: Cell) -> str:
    """Return the `bench export` command of one policy, which fits it and writes it into a folder."""
    dataset = shlex.quote(without_paths(cell.dataset))
    return " ".join(["bench export", dataset, METHOD, BUDGET, *_network(cell), "-o policy"])


def exported(command: str, method: str, budget: str = "0.5") -> str:
    """Return an export command with a method and a budget in their places."""
    return command.replace(METHOD, shlex.quote(method)).replace(BUDGET, budget)


def _network(cell: Cell) -> list[str]:
    """Return the options that name the backbone: a network of a suite by its folder, any other by name and size."""
    folder = _networks().get(str(place_of(cell)))
    found = [f"--backbone {shlex.quote(folder or without_paths(cell.backbone))}"]
    if folder is None and cell.modality == "image" and cell.image_size:
        found.append(f"--image-size {cell.image_size}")
    return [*found, *([] if cell.limit is None else [f"--limit {cell.limit}"])]


@cache
def _networks() -> dict[str, str]:
    """Return the folders of networks that are published beside their records, by the folders of their settings."""
    return {s.name: str(s.network.folder) for suite in suites().values() for s in suite.settings if s.network}
