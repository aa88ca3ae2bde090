"""The manifest of a bank: identity, contents, checksums. No torch here, so that listing banks stays fast."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import xxhash
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from bench.errors import BankError
from bench.inputs import Modality
from bench.system.files import open_regular

SCHEMA = 1
MOST_BYTES = 1 << 26  # of a manifest
FILE = "manifest.json"
IDENTITY = (
    *("dataset", "dataset_variant", "dataset_digest", "backbone", "modality", "image_size", "exit_names", "digest"),
    *("protocol", "limit"),
)
SPLITS = ("train", "pool", "test")
LATER = {"compute", "modality", "pool_class_counts"}  # fields that older banks lack
_FILE = re.compile(r"[a-z0-9.]+\.(npy|npz|safetensors)")
REMEDY = "Remove it with `bench bank prune` and make it again with `bench bank build`."


class FileEntry(TypedDict):
    """Size and checksum of a file."""

    bytes: int
    xxh3_128: str


@dataclass(frozen=True)
class Manifest:
    """One bank's description. K exits, the last being the frozen head on the final features."""

    digest: str  # of everything that decides the contents; not of batch size, device or paths
    dataset: str
    dataset_digest: str
    source: str
    dataset_variant: str | None  # 'jpeg90', 'unverified'; None for the official data
    class_names: tuple[str, ...]
    num_classes: int
    protocol: str
    seen: bool
    limit: int | None
    sizes: Mapping[str, int]  # rows of each split
    train_class_counts: tuple[int, ...]  # per seed
    backbone: str
    weights_digest: str
    image_size: int  # side in pixels; for texts the tokens at which `macs` are counted
    exit_names: tuple[str, ...]  # K
    feature_dims: tuple[int, ...]  # K-1
    final_dim: int
    macs: tuple[int, ...]  # K, cumulative; the last includes the frozen head that this bank uses
    head: str  # 'backbone' or 'probe'
    l2: tuple[float, ...]  # penalty of each candidate head, strongest first
    transform: Mapping[str, Any]
    dtype: str
    views: int
    libraries: Mapping[str, str]
    files: Mapping[str, FileEntry]
    schema: int = SCHEMA
    compute: Mapping[str, str] = field(default_factory=dict)  # empty for float32 on contiguous images
    modality: Modality = "image"
    pool_class_counts: tuple[int, ...] = ()  # per seed, drawn from `train`; empty if there is a pool split

    @property
    def identity(self) -> dict[str, Any]:
        """The description of the bank in a record; `bench.bank.cell.cell_of` reads it."""
        return {name: getattr(self, name) for name in IDENTITY}

    @property
    def folder(self) -> str:
        """The name of the bank's folder."""
        return folder_name(self.dataset, self.backbone, self.digest)

    @property
    def bytes(self) -> int:
        """Size of all files."""
        return sum(entry["bytes"] for entry in self.files.values())

    def dumps(self) -> str:
        """Return the manifest as JSON with its own checksum."""
        body = json.loads(json.dumps(asdict(self)))
        for name in LATER:
            if not body[name] or body[name] == "image":
                del body[name]  # as in banks older than these fields
        return json.dumps({**body, "checksum": digest_of(body)}, indent=1, ensure_ascii=False) + "\n"


def read_manifest(folder: Path) -> Manifest:
    """Read and check a bank's manifest; raise BankError naming the file and what is wrong with it."""
    path = folder / FILE
    try:
        with open_regular(path, MOST_BYTES) as file:
            body = json.load(file)
        claimed = body.pop("checksum")
        found = digest_of(body)
    except FileNotFoundError:
        raise BankError(f"{path} is missing: {folder} is not a finished bank. {REMEDY}") from None
    except Exception as error:  # a damaged file may raise anything
        raise BankError(f"{path} cannot be read ({type(error).__name__}: {error}). {REMEDY}") from None
    if body.get("schema") != SCHEMA:
        raise BankError(
            f"{path} has schema {body.get('schema')}, but this version reads {SCHEMA}. Build the bank again with "
            "`bench bank build`, or use the version that made it."
        )
    if claimed != found:
        raise BankError(f"{path} does not match its own checksum: it was changed after it was written. {REMEDY}")
    wanted = {f.name for f in fields(Manifest)}
    if wrong := (set(body) ^ wanted) - LATER:
        raise BankError(f"{path} has missing or unknown fields: {', '.join(sorted(wrong))}. {REMEDY}")
    return _typed(path, body)


def _typed(path: Path, body: dict[str, Any]) -> Manifest:
    """Return the manifest after checking the types of its values."""
    from pydantic import TypeAdapter, ValidationError

    try:
        manifest = TypeAdapter(Manifest).validate_python(body)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise BankError(f"{path} has a value that is not valid: {where}: {first['msg']}. {REMEDY}") from None
    if strange := [name for name in manifest.files if not _FILE.fullmatch(name)]:
        raise BankError(f"{path} lists '{strange[0]}', which is not a file of a bank. {REMEDY}")
    return manifest


def digest_of(value: Any) -> str:
    """Hash a JSON value in its canonical form: xxh3-128, hex."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return xxhash.xxh3_128_hexdigest(text.encode())


def file_digest(path: Path) -> str:
    """Hash a file's bytes: xxh3-128, hex."""
    state = xxhash.xxh3_128()
    with path.open("rb", buffering=0) as file:
        while block := file.read(1 << 22):
            state.update(block)
    return state.hexdigest()


def folder_name(dataset: str, backbone: str, digest: str) -> str:
    """Return a readable name for a bank's folder, with enough of the digest to be unique."""
    return f"{_slug(dataset)}--{_slug(backbone)}--{digest[:12]}"


def _slug(name: str) -> str:
    return re.sub(r"-+", "-", re.sub(r"[^a-z0-9._]+", "-", name.lower())).strip("-.")[-60:] or "unnamed"
