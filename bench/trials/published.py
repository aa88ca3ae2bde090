"""The published store: two Parquet files per setting, in `<store>/<dataset>/<backbone>/`."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from bench.bank.cell import Cell
from bench.errors import UserError
from bench.system.files import read_regular, visible, write_atomic
from bench.trials.folders import folders_of
from bench.trials.record import Record

if TYPE_CHECKING:
    from bench.trials.sheet import Sheet

NAMES = ("scores.parquet", "outcomes.parquet")


class PublishedStore:
    """A folder of published settings."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def paths(self) -> list[Path]:
        """Return the paths of all files, in order."""
        return [folder / name for folder in self._places() for name in sorted(NAMES)]

    def folders(self) -> dict[Cell, PurePosixPath]:
        """Return the folder of every published setting, relative to the store."""
        return {sheet.cell: PurePosixPath(folder.relative_to(self.root)) for folder, sheet in self._sheets()}

    def records(self, cells: Collection[Cell] | None = None) -> list[Record]:
        """Return all records, or those of some settings, in a stable order."""
        sheets = (sheet for _, sheet in self._sheets())
        return [record for sheet in sheets if cells is None or sheet.cell in cells for record in sheet.records()]

    def digests(self) -> dict[Cell, str]:
        """Return a digest of the stored records of every setting."""
        return {sheet.cell: hashlib.sha256(b"".join(_contents(folder))).hexdigest() for folder, sheet in self._sheets()}

    def write(self, settings: dict[Cell, Sequence[Record]]) -> list[Path]:
        """Replace the records of some settings, leaving all others alone; return the paths of the files."""
        from bench.trials.sheet import write_sheet

        folders = folders_of(settings, self.folders() if self.root.is_dir() else {})
        written = []
        for cell, records in settings.items():
            scores, outcomes = write_sheet(cell, records)
            for name, content in zip(reversed(NAMES), (outcomes, scores), strict=True):
                written.append(self.root / folders[cell] / name)
                _write(written[-1], content)
        return sorted(written)

    def _places(self) -> list[Path]:
        return sorted(path.parent for path in self.root.rglob(NAMES[0]) if visible(path, self.root))

    def _sheets(self) -> Iterator[tuple[Path, Sheet]]:
        """Yield every folder with its contents; raise UserError for two copies of one setting."""
        found: dict[Cell, Path] = {}
        for folder in self._places():
            sheet = self._sheet(folder)
            if (other := found.setdefault(sheet.cell, folder)) != folder:
                raise UserError(f"'{other}' and '{folder}' are copies of one setting. Move one of them elsewhere.")
            yield folder, sheet

    def _sheet(self, folder: Path) -> Sheet:
        from bench.trials.sheet import Sheet  # pyarrow and scipy, only where something is published

        return Sheet(*_contents(folder), str(folder))


def _contents(folder: Path) -> tuple[bytes, bytes]:
    try:
        scores, outcomes = (read_regular(folder / name) if (folder / name).exists() else b"" for name in NAMES)
    except OSError as error:
        raise UserError(f"The published records in '{folder}' cannot be read ({error.strerror}).") from None
    return scores, outcomes


def _write(path: Path, content: bytes) -> None:
    if not path.exists() or path.read_bytes() != content:
        write_atomic(path, lambda file: file.write(content))
