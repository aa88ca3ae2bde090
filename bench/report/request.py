"""What a report is asked for: which stores, into which folder, in which formats. Imports nothing heavy."""

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
PAGE = ("md", "csv", "png")  # pages, and what they link: the formats of which files are in git, see `in_git`
DRAWN = {"svg", "png"}  # formats that need figures
ENDINGS = {"latex": "tex"}  # of the others the name is the ending


@dataclass(frozen=True)
class Request:
    """`stores` are the user's own, `against` are published ones beside them; `only` limits it to some settings.

    also: folders of other reports, whose summaries of settings are taken where no files are asked for.
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
        """All stores; where two have the same record, the later one counts unless the other's is newer."""
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
    """Return what a report is asked for.

    against: published stores beside one's own, whose records meet in the same tables and are flagged as published.
    only: the settings of one dataset (`cifar100`), or one (`cifar100/resnet18`), without index, site and README.
    readme: gets the leaderboard between its markers. Raises UserError where it has none.
    """
    several = [stores] if isinstance(stores, str | Path) else stores
    named = None if readme is None else Path(readme)
    if named is not None:
        marked(named)
    others = tuple(Path(path) for path in against)
    return Request(tuple(map(Path, several)), Path(out), others, only, tuple(formats), named, bootstrap)


def is_published(store: Path) -> bool:
    """Whether a folder is a published store."""
    return next(store.glob("*/*/scores.parquet"), None) is not None


def target(store: Path) -> Path:
    """Return where the report of a store is written: within a working store, beside a published one."""
    return store.parent / "reports" if is_published(store) else store / "report"


def parse_formats(text: str) -> tuple[str, ...]:
    """Turn `md,csv` into formats, in the order of FORMATS. Raises UserError for an unknown format, or none."""
    asked = [word.strip().lower() for word in text.split(",") if word.strip()]
    for word in asked:
        if word not in FORMATS:
            raise UserError(f"There is no format '{word}'.{nearest(word, FORMATS)} Valid: {', '.join(FORMATS)}.")
    if not asked:
        raise UserError(f"--format names no format. Valid: {', '.join(FORMATS)}.")
    return tuple(name for name in FORMATS if name in asked)


def in_git(path: str) -> bool:
    """Whether a file of the published report is kept in git: pages, the data of tables, pictures that pages show."""
    p = PurePosixPath(path)
    if p.parts[0] == "site":
        return False
    return p.suffix in (".md", ".png") or (p.suffix == ".csv" and p.parent.name == "tables")


def has_format(path: str, formats: Sequence[str]) -> bool:
    """Whether a file of a report is of one of these formats."""
    p = PurePosixPath(path)
    if p.parts[0] == "site":
        return "site" in formats
    if p.parent.name == "figures" and not DRAWN & set(formats):
        return False
    return p.suffix.removeprefix(".") in {ENDINGS.get(name, name) for name in formats}
