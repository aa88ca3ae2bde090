"""Banks on disk: check, list, verify and prune them. No torch here: `bench bank list` stays fast."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from bench.bank.manifest import FILE, REMEDY, Manifest, file_digest, read_manifest
from bench.errors import BankError, UserError, nearest
from bench.system.cache import cache_dir
from bench.system.recall import stamp

SHORT = 6  # characters of a digest that identify a bank
_OURS = re.compile(r"[a-z0-9._-]+--[a-z0-9._-]+--[0-9a-f]{12}(\.partial|\.removed)?")
Stamps = list[list[int] | None]
_verified: dict[tuple[Path, str], Stamps] = {}  # banks that this process has verified


@dataclass(frozen=True)
class Found:
    """A bank's folder, inspected without comparing checksums."""

    path: Path
    state: Literal["ok", "partial", "broken"]
    manifest: Manifest | None
    bytes: int
    used: float  # seconds since the epoch, of the last opening
    problem: str | None = None

    @property
    def digest(self) -> str:
        """The bank's digest, or the part of it in the folder's name."""
        return self.manifest.digest if self.manifest else self.path.name.rpartition("--")[2].partition(".")[0]


def checked(path: Path) -> Manifest:
    """Read a bank's manifest after comparing every file with it; raise BankError for the first that is wrong."""
    manifest = read_manifest(path)
    state = _stamps(path, manifest)
    key = (path.resolve(), manifest.digest)
    if problems := _problems(path, manifest, contents=_verified.get(key) != state or None in state):
        raise BankError(f"{problems[0]} {REMEDY}")
    _verified[key] = state
    return manifest


def stamps(path: Path, digest: str) -> Stamps:
    """Return the stamps of a bank's files when this process verified it; `unchanged` compares with them."""
    return _verified[path.resolve(), digest]


def unchanged(path: Path, digest: str, seen: Stamps) -> Manifest | None:
    """Return the manifest of a bank if its files are unchanged since another process verified it, otherwise None."""
    try:
        manifest = read_manifest(path)
        if manifest.digest != digest or _stamps(path, manifest) != seen or _problems(path, manifest, contents=False):
            return None
    except (BankError, OSError):
        return None
    _verified[path.resolve(), digest] = seen
    return manifest


def mark_used(path: Path) -> None:
    """Record on disk that a bank was used now; `prune` can remove banks that have long been unused."""
    with contextlib.suppress(OSError):
        os.utime(path / FILE)


def verify(path: Path | str) -> list[str]:
    """Compare every byte of a bank with its manifest; return what is wrong, one sentence each."""
    try:
        manifest = read_manifest(Path(path))
    except BankError as error:
        return [str(error)]
    return _problems(Path(path), manifest, contents=True)


def list_banks(root: Path | None = None) -> list[Found]:
    """List the finished banks of a folder by name; one with missing or truncated files has state 'broken'."""
    return [found for found in survey(root) if found.manifest]


def bank_paths(root: Path | None = None) -> list[Path]:
    """List the folders of finished banks, intact or not."""
    return [found.path for found in survey(root) if found.state != "partial"]


def survey(root: Path | None = None) -> list[Found]:
    """List every folder that is a bank's: finished, unfinished and broken ones."""
    return [_look(path) for path in _folders(_root(root))]


def prune(
    root: Path | None = None, *, everything: bool = False, unused_days: float | None = None, dry_run: bool = False
) -> tuple[dict[Path, str], int]:
    """Remove unfinished and corrupt banks (every byte is compared), those not opened for that many days, or all.

    A bank that is being built is kept. Returns the removed folders with the reason for each, and the bytes freed;
    `dry_run` removes nothing.
    """
    if unused_days is not None and unused_days < 0:
        raise UserError(f"A bank cannot have been unused for {unused_days} days. Give 0 or more.")
    removed, freed = {}, 0
    for found in survey(root):
        lock = lock_file(found.path.with_name(found.path.name.removesuffix(".partial").removesuffix(".removed")))
        try:
            lock.parent.mkdir(exist_ok=True)
            with FileLock(lock, timeout=0):
                if not found.path.is_dir() or not (reason := _reason(found, everything, unused_days)):
                    continue
                if not dry_run:
                    delete(found.path)
        except Timeout:
            continue
        except OSError as error:
            raise UserError(f"{found.path} cannot be removed: {error}.") from error
        removed[found.path] = reason
        freed += found.bytes
    return removed, freed


def named(name: str, root: Path | None = None) -> Found:
    """Return the bank with this name in a folder of banks: its folder's name or its digest, as `list` prints them.

    Raises UserError if no bank or several match, and for anything that is not a name, such as a path.
    """
    place = _root(root)
    held = survey(place)
    like = [one for one in held if len(name) >= SHORT and one.digest.startswith(name)]
    whole = [one for one in like if one.state != "partial"]
    found = [one for one in held if one.path.name == name] or whole or like
    if len(found) == 1:
        return found[0]
    if found:
        raise UserError(
            f"'{name}' matches {len(found)} banks: {', '.join(one.path.name for one in found)}. Give one folder."
        )
    if len(Path(name).parts) != 1 or name in (".", ".."):
        raise UserError(f"'{name}' is a path. Give the name of a bank of {place} as `bench bank list` prints it.")
    hint = nearest(name, [one.path.name for one in held]) if held else ""
    raise UserError(f"There is no bank '{name}' in {place}.{hint} `bench bank list` lists all.")


def remove(name: str, root: Path | None = None, *, dry_run: bool = False) -> Found:
    """Remove one bank by its name, intact or not, and return it. With `dry_run` nothing is removed.

    Raises UserError for a name that `named` does not find, a link out of the folder, and a bank that is being built.
    """
    found = named(name, root)
    if found.path.is_symlink():
        raise UserError(
            f"{found.path} is a link to {found.path.resolve()}, outside the folder of banks. Remove it by hand."
        )
    lock = lock_file(found.path.with_name(found.path.name.removesuffix(".partial").removesuffix(".removed")))
    try:
        lock.parent.mkdir(exist_ok=True)
        with FileLock(lock, timeout=0):
            if not dry_run:
                delete(found.path)
    except Timeout:
        raise UserError(f"{found.path.name} is being built. Stop that run first.") from None
    except OSError as error:
        raise UserError(f"{found.path} cannot be removed: {error}.") from error
    return found


def lock_file(final: Path) -> Path:
    """Return the file that a build of this bank locks."""
    return final.parent / ".locks" / f"{final.name}.lock"


def partial_folder(final: Path) -> Path:
    """Return the folder in which a bank is built before it gets its final name."""
    return final.with_name(final.name + ".partial")


def _reason(found: Found, everything: bool, unused_days: float | None) -> str | None:
    if everything:
        return "all banks were selected"
    if found.state == "partial":
        return "unfinished"
    days = (time.time() - found.used) / 86400
    if unused_days is not None and days >= unused_days:
        return f"not opened for {days:.0f} days"
    problems = verify(found.path)
    return problems[0] if problems else None


def delete(path: Path) -> None:
    """Delete a folder; a half-deleted one cannot be opened."""
    condemned = path if path.suffix == ".removed" else path.with_name(path.name + ".removed")
    if condemned != path:
        shutil.rmtree(condemned, ignore_errors=True)
        path.rename(condemned)
    shutil.rmtree(condemned)


def _problems(path: Path, manifest: Manifest, *, contents: bool) -> list[str]:
    problems = []
    for name, entry in manifest.files.items():
        file = path / name
        if not file.is_file():
            problems.append(f"{file} is missing.")
        elif file.stat().st_size != entry["bytes"]:
            problems.append(f"{file} has {file.stat().st_size} bytes instead of {entry['bytes']}.")
        elif contents and file_digest(file) != entry["xxh3_128"]:
            problems.append(f"{file} is corrupt: its checksum differs from the manifest's.")
    strangers = {p.name for p in path.iterdir()} - {FILE, *manifest.files}
    problems += [f"{path / name} does not belong to this bank." for name in sorted(strangers)]
    return problems


def _stamps(path: Path, manifest: Manifest) -> Stamps:
    found = (stamp(path / name) for name in manifest.files)
    return [None if one is None else list(one) for one in found]


def _look(path: Path) -> Found:
    size = sum(p.stat().st_size for p in path.iterdir() if p.is_file())
    if path.suffix in (".partial", ".removed"):
        return Found(path, "partial", None, size, path.stat().st_mtime)
    try:
        manifest = read_manifest(path)
    except BankError as error:
        return Found(path, "broken", None, size, path.stat().st_mtime, str(error))
    problems = _problems(path, manifest, contents=False)
    state: Literal["ok", "broken"] = "broken" if problems else "ok"
    return Found(path, state, manifest, size, (path / FILE).stat().st_mtime, problems[0] if problems else None)


def _folders(root: Path) -> list[Path]:
    if not root.is_dir():
        return []
    return sorted(p for p in root.iterdir() if p.is_dir() and _OURS.fullmatch(p.name))


def _root(root: Path | None) -> Path:
    if root is not None:
        return Path(root)
    return cache_dir("banks")
