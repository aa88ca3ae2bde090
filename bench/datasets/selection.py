"""Find the images in a folder by suffix or content; skipped files are counted and reported once."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from bench.datasets.decode import is_image, suffixes
from bench.errors import UserError
from bench.system.files import OUTPUT_MARK, leads_back
from bench.system.notices import tell_once

TOOLS = {"__macosx", "__pycache__", "node_modules", "@eadir", "#recycle", "$recycle.bin", "lost+found"}
TOOLS |= {"system volume information", "@tmp", "#snapshot"}
OUTPUTS = {"runs", "results", "reports", "report"}  # output of older versions, which did not mark it
ENVIRONMENT = "pyvenv.cfg"  # in every Python virtual environment
REPORT, PUBLISHED = ".state/index.json", "*/*/scores.parquet"
COPIES = {".part", ".crdownload", ".download", ".partial", ".tmp", ".temp", ".bak", ".orig", ".old", ".swp"}
RAW = {".dng", ".nef", ".cr2", ".cr3", ".arw", ".orf", ".rw2", ".pef", ".srw", ".raf"}  # Pillow reads thumbnails
NAMED = 3  # examples and kinds listed in a message


class Selection:
    """The folders and images of a tree that are used. `tell` reports how many files are skipped, and why."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.used = 0
        self.passed_over: Counter[str] = Counter()  # files, by kind
        self.skipped: dict[Path, None] = {}  # folders, in the order in which they were found

    def folders(self, base: Path) -> list[Path]:
        """Return the sub-folders of a folder by name, except hidden ones, those of tools and our own output.

        Raises UserError for a broken link without a file suffix, which may be a folder.
        """
        paths = [Path(entry.path) for entry in self._entries(base)]
        for path in paths:
            if not path.suffix and path.name[0] != "." and not path.exists():
                raise _broken(path)
        return sorted(path for path in paths if path.is_dir() and self._counts(path))

    def images(self, base: Path) -> list[Path]:
        """Return the image files in a folder at any depth, sorted; links to folders are followed.

        Raises UserError for a link whose target is missing and for a folder that cannot be read.
        """
        found = sorted(path for path in self._files(base, (os.path.realpath(base),)) if self._take(path))
        self.used += len(found)
        return found

    def holds(self, base: Path) -> bool:
        """Return whether a folder contains an image at any depth."""
        return any(self._take(path) for path in self._files(base, (os.path.realpath(base),)))

    def loose(self, base: Path) -> int:
        """Return the number of images directly in a folder."""
        return sum(not entry.is_dir() and self._take(Path(entry.path)) for entry in self._entries(base))

    def tell(self) -> None:
        """Report once how many files and which folders were skipped, if any."""
        parts = [f"{number:,} {kind}" for kind, number in self.passed_over.most_common(NAMED)]
        rest = sum(self.passed_over.values()) - sum(n for _, n in self.passed_over.most_common(NAMED))
        parts += [f"{rest:,} of other kinds"] if rest else []
        parts += (
            [_listed("folder", [str(path.relative_to(self.root)) for path in self.skipped])] if self.skipped else []
        )
        if parts:
            total = self.used + sum(self.passed_over.values())
            tell_once(f"{self.used:,} of {total:,} files in {self.root} are used. Skipped: {'; '.join(parts)}.")

    def _entries(self, base: Path) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(base) as entries:
                return sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            raise UserError(f"The folder {base} cannot be read ({error.strerror}). Repair or remove it.") from error

    def _files(self, base: Path, above: tuple[str, ...]) -> Iterator[Path]:
        """Yield all files in a folder at any depth; `above` contains the real paths of the folders above it."""
        for entry in self._entries(base):
            path = Path(entry.path)
            if not entry.is_dir():
                yield path
            elif self._counts(path):
                real = os.path.realpath(path)
                if not leads_back(real, above):
                    yield from self._files(path, (*above, real))

    def _counts(self, folder: Path) -> bool:
        """Return whether a folder may contain the user's images; record a skipped one that contains image files."""
        if self._ours(folder):
            return False
        name = folder.name.casefold()
        hidden = name.startswith(".") or name in TOOLS or (folder / ENVIRONMENT).exists()
        if not hidden and not (name in OUTPUTS and not self._has_image(folder)):
            return True
        if not hidden or any(_known(file) for _, _, names in os.walk(folder) for file in names):
            self.skipped[folder] = None
        return False

    def _ours(self, folder: Path) -> bool:
        """Return whether exitbench wrote a folder or all its content: stores, banks, reports, published records."""
        if (folder / OUTPUT_MARK).exists() or (folder / REPORT).exists() or any(folder.glob(PUBLISHED)):
            return True
        entries = [entry for entry in self._entries(folder) if entry.name[0] != "."]
        return bool(entries) and all(e.is_dir(follow_symlinks=False) and self._ours(Path(e.path)) for e in entries)

    def _has_image(self, folder: Path) -> bool:
        return any(entry.is_file() and _known(entry.name) for entry in self._entries(folder))

    def _take(self, path: Path) -> bool:
        """Return whether a file is an image to use; otherwise count it under its kind."""
        suffix, known = path.suffix.lower(), _known(path.name)
        if path.name.startswith("."):
            if known:
                self.passed_over["hidden"] += 1
            return False
        if not path.exists() and (known or not suffix):
            raise _broken(path)
        if path.is_file():
            if known or (suffix not in COPIES | RAW and not path.name.endswith("~") and is_image(path)):
                return True
            self.passed_over[suffix or "without suffix"] += 1
        else:
            self.passed_over["broken links" if path.is_symlink() else "not regular files"] += 1
        return False


def _broken(path: Path) -> UserError:
    return UserError(
        f"{path} is a link to {os.readlink(path)}, which does not exist. Fetch the file or folder "  # noqa: PTH115
        "(git annex get, dvc pull, a new download), or remove the link."
    )


def _known(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in suffixes()  # noqa: PTH122 - of names, many


def _listed(noun: str, names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"the {noun}{'s' if len(names) > 1 else ''} {', '.join(names[:NAMED])}{more}"
