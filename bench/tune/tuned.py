"""Configure methods with the parameters that `bench tune` kept for them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.bank.cell import Cell
from bench.errors import UserError
from bench.method import Method
from bench.plugins.params import label
from bench.trials.identity import method_identity
from bench.trials.plan import Configured
from bench.tune.history import FOLDER, Tuned, of_other_banks, path_of, read, searches, write

__all__ = ["FOLDER", "Tuned", "apply", "path_of", "read", "searches", "write"]


def apply(
    methods: Sequence[Method],
    cell: Cell,
    folder: Path,
    seeds: Sequence[int] = (),
) -> list[Configured]:
    """Return the methods with the values that `bench tune` kept for them on a setting.

    A method without a search space is not changed. seeds: those of the run. Raises UserError if a search is missing or
    not finished, is of another bank or another version of the method's code, or used one of these seeds.
    """
    from bench.tune.space import configured, space_of

    found = []
    for method in methods:
        name = label(method.name, method.config)
        if not space_of(method):
            found.append(Configured(method))
            continue
        path = path_of(folder, cell, name)
        command = f"bench tune --methods '{name}' --dataset {cell.dataset} --backbone {cell.backbone}"
        again = f"Run `{command}` first, with the other options of this run, or leave out --tuned."
        if not path.exists():
            if others := of_other_banks(folder, cell, name):
                raise UserError(
                    f"'{others[0]}' was searched on another bank (image size, exits, weights or data). {again}"
                )
            where = f"{cell.dataset} through {cell.backbone}"
            raise UserError(f"'{name}' has not been tuned on {where}: there is no '{path}'. {again}")
        tuned = read(path)
        if tuned.kept is None:
            raise UserError(f"'{path}' is not finished: {len(tuned.history)} of {tuned.trials} trials. {again}")
        if tuned.subject.bank_digest != cell.bank_digest:
            raise UserError(f"'{path}' was searched on another bank (image size, exits, weights or data). {again}")
        if tuned.subject.identity != method_identity(method).text:
            raise UserError(f"'{path}' was searched with other code of '{name}'. {again}")
        shared = sorted({*tuned.protocol.seeds, *tuned.protocol.deciding} & set(seeds))
        if shared:
            raise UserError(
                f"'{path}' was searched on seed {shared[0]}, which this run would report: its parameters were chosen "
                "on it. Run on other --seeds, or search on others."
            )
        try:
            chosen = configured(method, tuned.parameters)
        except (TypeError, ValueError, AttributeError) as error:
            raise UserError(f"'{name}' does not take the parameters in '{path}' ({error}). {again}") from None
        found.append(Configured(chosen, tuned.kept))
    return found
