"""Labelled images and texts by name: `load("cifar100lt[imbalance=50]")`. One file per dataset family."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.datasets.dataset import Dataset
    from bench.plugins.spec import Spec


def load(text: str | Spec, *, data_dir: Path | str | None = None) -> Dataset:
    """Open the dataset that `name[param=value]` or `family:argument[param=value]` names.

    Data is searched for in `data_dir`, then in `$BENCH_DATA`, a system folder and the cache, and downloaded if missing.
    Raises UserError for an unknown name or parameter, and if the data is not available.
    """
    import inspect
    from typing import get_type_hints

    from bench.datasets.nearby import extraction, is_archive
    from bench.errors import UserError
    from bench.plugins import registry, spec
    from bench.system.paths import user_path

    wanted = spec.parse(text) if isinstance(text, str) else text
    loader = registry.load("datasets", wanted.name)
    hints = get_type_hints(loader, include_extras=True)
    keywords = [p.name for p in inspect.signature(loader).parameters.values() if p.kind is p.KEYWORD_ONLY]
    params = spec.typed(wanted.name, wanted.params, {name: hints.get(name, str) for name in keywords})
    folder = None if data_dir is None else user_path(data_dir)
    if folder is not None and is_archive(folder):
        raise UserError(f"{folder} is an archive. Extract it ({extraction(folder)}), and give --data-dir the folder.")
    if folder is not None and not folder.is_dir():
        raise UserError(f"The data folder {folder} does not exist. Give --data-dir a folder that contains the data.")
    return loader(wanted.argument, folder, **params)
