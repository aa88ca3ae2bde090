"""The folder of an exported policy: `policy.json` as readable text, and tensors in safetensors files."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from bench.bank.manifest import FileEntry, digest_of, file_digest
from bench.errors import UserError
from bench.system.files import open_regular, write_atomic

FORMAT = 1  # raised when this version can no longer read what an older one has written, or the other way round
FILE, TENSORS, BACKBONE = "policy.json", "policy.safetensors", "backbone.safetensors"
_OURS = re.compile(r"policy\.json|(policy|backbone)\.safetensors|stage_\d+\.onnx|run_onnx\.py")
MOST_PIXELS = 2048  # of one side of an image
MOST_BYTES = 1 << 26  # of policy.json
_LIST = re.compile(r"\[\n([^\[\]{}]*?)\]")  # without a list or an object in it
REMEDY = "Write the folder again with `bench export`."


@dataclass(frozen=True)
class BackboneSpec:
    """The specification of the backbone, and the digest of its weights."""

    spec: str  # name, or name[param=value,…]
    num_classes: Annotated[int, Field(ge=1, le=1_000_000)]  # of the head that it was built with
    image_size: Annotated[int, Field(ge=1, le=MOST_PIXELS)] | None  # None: the network's own
    exits: str | None
    weights: str | None  # None: the pretrained ones; 'random'; the name of a file
    digest: str


@dataclass(frozen=True)
class Contents:
    """The contents of `policy.json`. K exits; costs in multiply-accumulates (MACs) per sample."""

    exitbench: str  # the version that wrote it
    method: str
    heads: str | None  # the head recipe that the method names
    budget: float  # fraction of the plain backbone's MACs
    seed: int
    note: str  # a limit that the method reports
    numbers: Mapping[str, Any]  # a copy to read: thresholds, temperatures, parameters of gates
    setting: Mapping[str, Any]  # the bank that the policy was fitted on
    record: str | None  # the stored record that it agrees with
    classes: tuple[str, ...]
    exits: tuple[str, ...]  # K names
    macs: tuple[int, ...]  # K: the backbone up to each exit
    costs: tuple[int, ...]  # K: the same with all heads and gates on the way
    val: Mapping[str, float]  # accuracy, macs, macs_fraction
    test: Mapping[str, float]
    transform: Mapping[str, Any]
    backbone: BackboneSpec
    structure: Mapping[str, Any]  # see `bench.trials.modules`
    files: Mapping[str, FileEntry]
    format: int = field(default=FORMAT, kw_only=True)

    def write(self, folder: Path) -> None:
        """Write `policy.json` into a folder; it contains its own checksum."""
        body = json.loads(json.dumps(asdict(self), allow_nan=False))
        body = {"format": body.pop("format"), **body}
        text = json.dumps({**body, "checksum": digest_of(body)}, indent=1, ensure_ascii=False) + "\n"
        text = _LIST.sub(lambda found: f"[{' '.join(map(str.strip, found[1].split(chr(10)))).strip()}]", text)
        write_atomic(folder / FILE, lambda file: file.write(text.encode()))


def read(folder: Path) -> Contents:
    """Read a folder and compare its files with their checksums.

    Raises UserError for a file that is missing, changed, or of a newer format.
    """
    path = folder / FILE
    try:
        with open_regular(path, MOST_BYTES) as file:
            body = json.load(file)
        claimed, found = body.pop("checksum", None), body.get("format")
    except FileNotFoundError:
        raise UserError(
            f"'{folder}' has no {FILE}, so it is not an exported policy. `bench export` writes one."
        ) from None
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"'{path}' cannot be read ({type(error).__name__}: {error}). {REMEDY}") from None
    if type(found) is int and found > FORMAT:
        version = body.get("exitbench")
        raise UserError(
            f"'{folder}' has format {found}, written by exitbench {version}; this version reads format {FORMAT}. "
            "Install that version of exitbench."
        )
    if claimed != digest_of(body):
        raise UserError(f"'{path}' was changed after it was written. {REMEDY}")
    contents = _typed(path, body)
    for name, entry in contents.files.items():
        _compare(folder / name, entry)
    return contents


def is_ours(name: str) -> bool:
    """Return whether a file of this name belongs to an exported policy."""
    return _OURS.fullmatch(name) is not None


def entry_of(path: Path) -> FileEntry:
    """Return size and checksum of a file."""
    return {"bytes": path.stat().st_size, "xxh3_128": file_digest(path)}


def _typed(path: Path, body: Any) -> Contents:
    from pydantic import TypeAdapter, ValidationError

    try:
        contents = TypeAdapter(Contents).validate_python(body)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UserError(f"'{path}' has a value that is not valid: {where}: {first['msg']}. {REMEDY}") from None
    if TENSORS not in contents.files or FILE in contents.files or not all(map(is_ours, contents.files)):
        raise UserError(f"'{path}' does not list the files of an exported policy. {REMEDY}")
    return contents


def _compare(path: Path, entry: FileEntry) -> None:
    try:
        with open_regular(path):
            pass
        found = entry_of(path)
    except OSError as error:
        raise UserError(f"'{path}' cannot be read ({error.strerror}). {REMEDY}") from None
    if found != entry:
        raise UserError(f"'{path}' was changed after it was written: its checksum differs. {REMEDY}")
