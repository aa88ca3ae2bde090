"""The request for a report: which stores to read, which folder to write, in which formats. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from bench.errors import UserError, nearest
from bench.report.markers import marked

if TYPE_CHECKING:
    from bench.stats.resample import BootstrapConfig

FORMATS = ("md", "csv", "parquet", "latex", "svg", "png", "site")
PAGE = ("md", "csv", "png")  # formats of pages and of the files they link to, which are in git: see `in_git`
DRAWN = {"svg", "png"}  # formats of figures
STATISTICS = "statistics.json.bz2"  # a file per setting, written with the CSV tables
ENDINGS = {"latex": "tex"}  # for other formats, the file extension is the name of the format


@dataclass(frozen=True)
class Request:
    """A request for a report.

    stores: the user's own stores. against: published stores shown beside them. only: a dataset or a setting; None: all.
    also: folders of other reports, whose summaries are reused if no files are requested.
    """

    stores: tuple[Path, ...]
    out: Path
    against: tuple[Path, ...] = ()
    only: str | None = None
    formats: tuple[str, ...] = FORMATS
    readme: Path | None = None
    bootstrap: BootstrapConfig | None = None
    also: tuple[Path, ...] = ()

    @property
    def roots(self) -> tuple[Path, ...]:
        """All stores; if two have the same record, the newer one counts, and in a tie that of the later store."""
        return (*self.against, *self.stores)


def request_of(
    stores: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    against: Sequence[str | Path] = (),
    only: str | None = None,
    formats: Sequence[str] = FORMATS,
    readme: str | Path | None = None,
    bootstrap: BootstrapConfig | None = None,
) -> Request:
    """Return the request for a report.

    against: published stores; their records are shown in the same tables as the user's own and flagged as published.
    only: a dataset (`cifar100`) or a setting (`cifar100/resnet18`), without index, site and README.
    readme: the README to write the leaderboard to. Raises UserError if it has no markers.
    """
    several = [stores] if isinstance(stores, str | Path) else stores
    named = None if readme is None else Path(readme)
    if named is not None:
        marked(named)
    others = tuple(Path(path) for path in against)
    return Request(tuple(map(Path, several)), Path(out), others, only, tuple(formats), named, bootstrap)


def is_published(store: Path) -> bool:
    """Return whether a folder is a published store."""
    return next(store.glob("*/*/scores.parquet"), None) is not None


def target(store: Path) -> Path:
    """Return the folder of a store's report: inside a working store, beside a published one."""
    return store.parent / "reports" if is_published(store) else store / "report"


def parse_formats(text: str) -> tuple[str, ...]:
    """Return the formats in a text such as `md,csv`, in the order of FORMATS.

    Raises UserError if a format is unknown or the text is empty.
    """
    asked = [word.strip().lower() for word in text.split(",") if word.strip()]
    for word in asked:
        if word not in FORMATS:
            raise UserError(f"There is no format '{word}'.{nearest(word, FORMATS)} Valid: {', '.join(FORMATS)}.")
    if not asked:
        raise UserError(f"--format is empty. Valid: {', '.join(FORMATS)}.")
    return tuple(name for name in FORMATS if name in asked)


def in_git(path: str) -> bool:
    """Return whether a file of the published report is kept in git: pages and their PNGs, CSV tables, statistics."""
    p = PurePosixPath(path)
    if p.parts[0] == "site":
        return False
    return p.name == STATISTICS or p.suffix in (".md", ".png") or (p.suffix == ".csv" and p.parent.name == "tables")


def has_format(path: str, formats: Sequence[str]) -> bool:
    """Return whether a file of a report has one of these formats."""
    p = PurePosixPath(path)
    if p.parts[0] == "site":
        return "site" in formats
    if p.name == STATISTICS:
        return "csv" in formats
    if p.parent.name == "figures" and not DRAWN & set(formats):
        return False
    return p.suffix.removeprefix(".") in {ENDINGS.get(name, name) for name in formats}
