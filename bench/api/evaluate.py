"""Evaluate methods on an open bank without a store, as while a method is being written."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.bank.bank import Bank
from bench.bank.cell import cell_of
from bench.config import DEFAULT_BUDGETS, build, resolve_device
from bench.errors import UserError
from bench.method import Method
from bench.plugins import registry
from bench.plugins.params import label
from bench.system.download import is_url
from bench.system.paths import user_path
from bench.system.text import counted
from bench.trials.plan import Configured, every_trial, load_methods
from bench.trials.table import frame_of

if TYPE_CHECKING:
    import pandas as pd

    from bench.trials.record import Record

SESSION = Path("<this session>")  # the file under which classes of this process are registered


def open_bank(bank: str | Path) -> Bank:
    """Open and verify a bank: its folder, or the name of one in the cache, as `bench bank list` prints it.

    A file of `bench publish --logits`, or its http(s) address, is imported as a bank into the cache (`heads=native`).
    """
    from bench.bank import store
    from bench.bank.imported import import_logits

    if is_url(str(bank)):
        return import_logits(str(bank))
    path = user_path(bank)
    if path.is_file():
        return import_logits(path)
    if path.is_dir():
        return Bank.open(path)
    if len(path.parts) > 1:
        raise UserError(
            f"There is no bank '{bank}'. Give the folder of one, or a name that `bench bank list` prints; "
            "`bench bank build` makes one."
        )
    return Bank.open(store.named(str(bank)).path)


def load_method(method: str | type[Method] | Method) -> Method:
    """Return a configured method, from its name with parameters (`eefp[top=3]`), its class, or a configured method.

    A class that is not registered is registered under its name until the process ends; a later class of the same name
    replaces it. Raises UserError for invalid names and parameters.
    """
    if isinstance(method, str):
        found = load_methods([method])
        if len(found) != 1:
            raise UserError(f"'{method}' names {len(found)} methods. Give the name of one.")
        return found[0]
    cls = method if isinstance(method, type) else type(method)
    _register(cls)
    return method() if isinstance(method, type) else method


def _register(cls: type[Method]) -> None:
    name = getattr(cls, "name", cls.__name__)
    if problem := registry.fault("methods", name, cls):
        raise UserError(f"{cls.__name__} is not a method: {problem}.")
    known = registry.plugins("methods").get(name)
    if known is None or known.file == SESSION or known.load() is not cls:
        held = [p for p in registry.plugins("methods").values() if p.file == SESSION and p.name != name]
        registry.add(SESSION, [*held, registry.Plugin("methods", name, "", "this session", SESSION, cls)])


def evaluate(
    methods: str | type[Method] | Method | Sequence[str | type[Method] | Method],
    bank: Bank | str | Path,
    seeds: Iterable[int] = (0, 1, 2),
    budgets: Sequence[float] | None = None,
    *,
    references: bool = True,
    device: str = "cpu",
    threads: int = 2,
) -> pd.DataFrame:
    """Fit methods on a bank and score them; return one row per operating point, as `bench.load_records` does.

    seeds: each draws its own val and cal. budgets: fractions of the plain backbone's MACs, by default those of `bench
    run`. references: add static exits, their hull, the oracle and random exits, which a leaderboard needs.
    Nothing is stored. Points that did not finish have the status 'failed' and a reason, and cause a warning.
    """
    from bench.executors.worker import Settings, Worker
    from bench.trials.provenance import provenance

    several = methods if isinstance(methods, Sequence) and not isinstance(methods, str) else [methods]
    loaded = {label(m.name, m.config): m for m in map(load_method, several)}
    bank = bank if isinstance(bank, Bank) else open_bank(bank)
    given = {
        "methods": tuple(loaded),
        "seeds": tuple(seeds),
        "budgets": tuple(budgets or DEFAULT_BUDGETS),
        "threads": threads,
    }
    config = build({**given, "device": device}, "bench.evaluate")
    where = resolve_device(config.device)
    worker = Worker(Settings(where, config.threads, provenance(where, config.threads)))
    records: list[Record] = []
    for trial in every_trial(config, cell_of(bank), [Configured(m) for m in loaded.values()]):
        if references or trial.config is not None:
            records += [record for record, _ in worker.run(bank, trial)]
    bad = [r for r in records if r.status == "failed"]
    if bad:
        first = f"{bad[0].point.label}, {bad[0].point.point}: {bad[0].reason}"
        warnings.warn(f"{counted(len(bad), 'operating point')} failed, for example {first}", stacklevel=2)
    return frame_of(records, outcomes=True)
