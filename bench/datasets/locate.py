"""Find a public dataset on this machine, or download it: data folder, $BENCH_DATA, system, cache, network."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.datasets.dataset import Store
from bench.datasets.images import ImageDataset
from bench.datasets.nearby import archives, extraction
from bench.datasets.official import DIGESTS, FAMILY
from bench.errors import UserError
from bench.system.cache import cache_dir
from bench.system.network import about_to_download
from bench.system.paths import user_path


@dataclass(frozen=True)
class Found:
    """One copy of a public dataset: its rows, train before test, and whether its files are the authors' own."""

    class_names: tuple[str, ...]
    labels: np.ndarray
    partition: np.ndarray
    store: Store
    verified: bool = False


Opener = Callable[[Path], Found | None]


def no_argument(name: str, argument: str | None) -> None:
    """Raise UserError for `name:argument` if the dataset takes no argument."""
    if argument is not None:
        raise UserError(f"'{name}' takes no argument after a colon. Write {name} instead of {name}:{argument}.")


def places(data_dir: Path | None) -> list[Path]:
    """Return the folders to search, in this order: the data folder, $BENCH_DATA, downloads of earlier runs."""
    roots = [] if data_dir is None else [data_dir]
    variable = os.environ.get("BENCH_DATA")
    if variable:
        root = user_path(variable)
        if not root.is_dir():
            raise UserError(f"$BENCH_DATA is {root}, which is not a folder. Correct or unset it.")
        roots.append(root)
    return [*roots, cache_dir("downloads")]


def find(
    key: str,
    data_dir: Path | None,
    openers: tuple[Opener, ...],
    layouts: str,
    download: Callable[[Path], None],
    *,
    system: tuple[Path, ...] = (),
) -> Found:
    """Open the first copy found; if there is none, download one, or raise UserError with what to do.

    System folders come after the user's. Raises ToDownload if downloads are not allowed. An opener reports the paths
    that it reads to `recall.watch`.
    """
    *given, downloads = places(data_dir)
    roots = [*given, *system, downloads]
    for root in roots:
        for opener in openers:
            found = opener(root)
            if found is not None:
                return found
    _check_unpacked(key, roots[:-1])
    about_to_download(FAMILY[key].title, FAMILY[key].bytes)
    try:
        download(roots[-1])
    except (Exception, SystemExit) as error:  # library and network raise many kinds
        looked = ", ".join(str(root) for root in roots)
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise UserError(
            f"{FAMILY[key].title} is not in {looked} (expected: {layouts}), and downloading it failed "
            f"({reason}). Put a copy into one of these folders, or give its folder with --data-dir or $BENCH_DATA."
        ) from error
    for opener in openers:
        found = opener(roots[-1])
        if found is not None:
            return found
    raise UserError(
        f"{FAMILY[key].title} was downloaded to {roots[-1]}, but not found there. Empty that folder and try again."
    )


def _check_unpacked(key: str, roots: list[Path]) -> None:
    """Raise UserError if a data folder contains the dataset as an archive, or in an unsupported format."""
    official = FAMILY[key]
    named = re.compile(rf"{key.replace('_', '')}(?!\d)")
    for base in dict.fromkeys(root / sub for root in roots for sub in official.folders):
        for archive in archives([base]):
            if named.match(re.sub(r"[^a-z0-9]", "", archive.name.lower())) or base.name == key:
                run = extraction(archive, base)
                raise UserError(f"{official.title} is in {archive}, which has not been extracted. Run {run} first.")
        for other in official.unread:
            if (base / other).is_dir():
                raise UserError(
                    f"{base / other} contains {official.title} in an unsupported format. Use the version for Python, "
                    "or parquet files."
                )


def dataset(key: str, found: Found, *, name: str | None = None, imbalance: int | None = None) -> ImageDataset:
    """Return the dataset of a copy that was found; `name` is that of a variant."""
    return ImageDataset(
        name or key,
        key,
        found.class_names,
        found.labels,
        found.partition,
        found.store,
        official=DIGESTS[key],
        verified=found.verified,
        released_as=FAMILY[key].released_as,
        imbalance=imbalance,
    )


def complete(key: str, where: Path, train: np.ndarray, test: np.ndarray) -> str | None:
    """Return what is wrong with these labels [N] of the two official partitions; None if nothing is."""
    official = FAMILY[key]
    for part, labels, expected in (("training", train, official.train), ("test", test, official.test)):
        if len(labels) != expected:
            return f"{where} has {len(labels):,} {part} images, but {official.title} has {expected:,}"
        if len(labels) and not 0 <= labels.min() <= labels.max() < official.classes:
            return f"{where} has {part} labels outside 0 … {official.classes - 1}"
    return None


def partitions(train: int, test: int) -> np.ndarray:
    """Return the partition names of `train` training rows followed by `test` test rows."""
    return np.repeat(np.array(["train", "test"]), [train, test])
