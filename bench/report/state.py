"""The state that a report stores in its folder: the files it wrote, and digests of its inputs. Imports nothing heavy.

`.state/<folder of a setting>.json`: a line with key, formats and files of the setting, and a line with its summary.
`.state/index.json`: a digest of all inputs of the report, and its files. `files.json`: the files that are in git.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from bench.errors import UserError
from bench.report.inputs import state_of, whole_digest
from bench.report.request import Request
from bench.system.files import read_regular

LIST, FOLDER = "files.json", ".state"


@dataclass(frozen=True)
class Kept:
    """The stored state of a setting: a digest of its inputs, its formats, and its files with their digests."""

    key: str
    formats: tuple[str, ...]
    files: dict[str, str]
    summary: bytes = b""

    def write(self) -> bytes:
        """Return the content of the state file."""
        head = {"key": self.key, "formats": self.formats, "files": self.files}
        return json.dumps(head).encode() + b"\n" + self.summary + b"\n"


def state_path(folder: str) -> str:
    """Return the path of a setting's state file within the report."""
    return f"{FOLDER}/{folder}.json"


def read_kept(out: Path, folder: str) -> Kept | None:
    """Return the stored state of a setting; None if there is none or it is damaged."""
    try:
        head, summary, *_ = read_regular(out / state_path(folder)).split(b"\n")
        known = json.loads(head)
        return Kept(str(known["key"]), tuple(known["formats"]), _files(known), summary)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _files(known: dict[str, Any]) -> dict[str, str]:
    """Return the files that a state lists. Raises TypeError if the list has another form."""
    files = known["files"]
    if not isinstance(files, dict) or not all(isinstance(value, str) for value in files.values()):
        raise TypeError("files without digests")
    return files


def digest(content: bytes) -> str:
    """Return the digest of a file's content."""
    return hashlib.sha256(content).hexdigest()


def intact(out: Path, files: Mapping[str, str]) -> bool:
    """Return whether all these files are unchanged on disk."""
    try:
        return all(digest(read_regular(out / name)) == known for name, known in files.items())
    except OSError:
        return False


def current(request: Request) -> str:
    """Return a digest of all inputs of the report; for stores, the names, sizes and times of their files."""
    bootstrap = asdict(request.bootstrap) if request.bootstrap else None
    parts = [whole_digest(), request.formats, bootstrap, len(request.against), state_of(request.roots, request.out)]
    return digest(json.dumps(parts).encode())


def index(state: str, files: Mapping[str, str], readme: bytes | None) -> bytes:
    """Return the content of the index file."""
    held = {"state": state, "files": dict(sorted(files.items())), "readme": None if readme is None else digest(readme)}
    return (json.dumps(held) + "\n").encode()


def unchanged(request: Request, state: str) -> list[str] | None:
    """Return the files of the report if writing it again would change none of them, otherwise None."""
    held = _index(request.out)
    if held is None or held["state"] != state or not intact(request.out, held["files"]):
        return None
    if request.readme is not None and held["readme"] != _digest_of(request.readme):
        return None
    return sorted(held["files"])


def _index(out: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(read_regular(out / FOLDER / "index.json"))
        return found if {"state", "readme"} <= found.keys() and _files(found) is not None else None
    except (OSError, ValueError, AttributeError, KeyError, TypeError, RecursionError):
        return None


def _digest_of(path: Path) -> str | None:
    try:
        return digest(path.read_bytes())
    except OSError:
        return None


def settings_kept(out: Path) -> list[str]:
    """Return the folders of all settings that have a stored state."""
    paths = (path.relative_to(out / FOLDER).with_suffix("") for path in (out / FOLDER).glob("*/*.json"))
    return sorted(str(PurePosixPath(path)) for path in paths)


def listed(out: Path) -> set[str]:
    """Return the paths that earlier reports wrote into the folder."""
    try:
        in_git = json.loads(read_regular(out / LIST))
    except FileNotFoundError:
        in_git = []
    except (OSError, ValueError, RecursionError):
        raise UserError(f"'{out / LIST}' is damaged. Delete it and the files of old reports by hand.") from None
    found: list[object] = list(in_git) if isinstance(in_git, list) else []
    found += (_index(out) or {"files": {}})["files"]
    for folder in settings_kept(out):
        kept = read_kept(out, folder)
        found += kept.files if kept else {}
    return set(_safe(found))


def _safe(paths: Iterable[object]) -> Iterable[str]:
    """Yield only the paths that a report can have written."""
    for path in (PurePosixPath(p) for p in paths if isinstance(p, str)):
        if path.parts and not path.is_absolute() and ".." not in path.parts and str(path) != LIST:
            yield str(path)
