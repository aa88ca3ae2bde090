"""The folder of an exported policy as one .zip: packed by `bench export -o NAME.zip`, unpacked to be loaded."""

from __future__ import annotations

import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from bench.errors import UserError
from bench.export.folder import FILE, MOST_BYTES, REMEDY, is_ours
from bench.system.files import write_atomic

ENDING = ".zip"
LARGEST, RATIO = 1 << 33, 100  # unpacked: bytes, and times the size of the .zip
BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError)


def is_zip(path: Path) -> bool:
    """Return whether a path to write names a .zip, not a folder."""
    return path.suffix.lower() == ENDING and not path.is_dir()


def check_zip(path: Path) -> None:
    """Raise UserError if a path to write is a file that is not the .zip of an exported policy."""
    if not path.exists():
        return
    try:
        with zipfile.ZipFile(path) as archive:
            held = FILE in archive.namelist()
    except BROKEN:
        held = False
    if not held:
        raise UserError(f"'{path}' is not an exported policy and is not replaced. Give a new name with --output.")


@contextmanager
def to_fill(output: Path) -> Iterator[Path]:
    """Yield the folder to write a policy to: `output`, or for a .zip, a temporary one that is then packed into it."""
    if not is_zip(output):
        yield output
        return
    with tempfile.TemporaryDirectory() as made:
        yield Path(made)
        parts = sorted(path for path in Path(made).iterdir() if is_ours(path.name))
        write_atomic(output, lambda file: _pack(parts, file))


def _pack(parts: Sequence[Path], target: IO[bytes]) -> None:
    with zipfile.ZipFile(target, "w") as archive:
        for path in parts:
            member = zipfile.ZipInfo(path.name)  # of 1980, so that the same policy gives the same file
            member.compress_type, member.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            member.file_size = path.stat().st_size
            with path.open("rb") as source, archive.open(member, "w") as packed:
                shutil.copyfileobj(source, packed)


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """Yield the folder of an exported policy: `path`, or if it is a .zip, a temporary one with its contents.

    Raises UserError for a file that is not the .zip of an exported policy, or would be far too large.
    """
    if not path.is_file():
        yield path
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        try:
            _extract(path, Path(folder))
            yield Path(folder)
        except UserError as error:  # the user knows the .zip, not the temporary folder
            raise UserError(str(error).replace(folder, str(path))) from None


def _extract(path: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            _check(path, members)
            for member in members:
                with archive.open(member) as source, (folder / member.filename).open("xb") as target:
                    shutil.copyfileobj(source, target)
    except BROKEN as error:
        raise UserError(f"'{path}' cannot be unpacked ({error}). {REMEDY}") from None


def _check(path: Path, members: Sequence[zipfile.ZipInfo]) -> None:
    """Raise UserError for names that are not those of an exported policy, for links, and for excessive sizes."""
    for member in members:
        plain = member.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
        if not (is_ours(member.filename) and plain) or stat.S_ISLNK(member.external_attr >> 16):
            raise UserError(f"'{path}' contains {member.filename!r}, so it is not an exported policy. {REMEDY}")
    size = sum(member.file_size for member in members)
    if size > min(LARGEST, max(MOST_BYTES, RATIO * path.stat().st_size)):
        raise UserError(f"'{path}' claims {size / 1e9:,.1f} GB when unpacked, too much for a policy. {REMEDY}")
