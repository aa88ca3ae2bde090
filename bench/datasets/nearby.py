"""Hints from files and folders near a path that cannot be read: archives, similar names."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

_TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst")
_COMMANDS = {".zip": "unzip {0} -d {1}", ".7z": "7z x {0} -o{1}", ".rar": "unrar x {0} {1}/"} | dict.fromkeys(
    _TARS, "mkdir -p {1} && tar -xf {0} -C {1}"
)


def is_archive(path: Path) -> bool:
    """Return whether a path is a file with the suffix of an archive."""
    return path.name.lower().endswith(tuple(_COMMANDS)) and path.is_file()


def extraction(path: Path, into: Path | None = None) -> str:
    """Return the command that extracts an archive into a folder, by default one of the same name next to it."""
    suffix = next(suffix for suffix in sorted(_COMMANDS, key=len, reverse=True) if path.name.lower().endswith(suffix))
    folder = into or path.with_name(path.name[: -len(suffix)])
    return _COMMANDS[suffix].format(shlex.quote(str(path)), shlex.quote(str(folder)))


def archives(folders: Iterable[Path]) -> list[Path]:
    """Return the archives directly in these folders."""
    return sorted(path for folder in folders if folder.is_dir() for path in folder.iterdir() if is_archive(path))


def similar(path: Path) -> str:
    """Return a hint (" Did you mean 'pets'?") if the folder of a missing path contains a similar name."""
    beside = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    close = get_close_matches(path.name.casefold(), [name.casefold() for name in beside], n=1)
    found = next((name for name in beside if name.casefold() in close), None)
    return f" Did you mean '{path.with_name(found)}'?" if found else ""
