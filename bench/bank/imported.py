"""Turn per-exit logits, published or from any other source, into a bank whose heads are the network's own."""

from __future__ import annotations

import json
import platform
import tempfile
import warnings
from dataclasses import replace
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xxhash
from safetensors.torch import save_file

from bench.bank.bank import Bank
from bench.bank.logits import load_logits
from bench.bank.manifest import FILE, SCHEMA, SPLITS, FileEntry, Manifest, digest_of, file_digest
from bench.bank.partial import sync, write_text
from bench.bank.plan import NATIVE, array_file, default_root
from bench.errors import UserError
from bench.system.download import is_url
from bench.system.files import mark_output, read_regular
from bench.system.npz import read_npz

DESCRIPTION = "macs.json"
MOST_JSON = 1 << 24
NAMES = {"train": ("train",), "pool": ("pool", "val", "validation", "held_out"), "test": ("test",)}
SUFFIXES = (".npz", ".safetensors")
EXTERNAL = "external"  # the protocol of such banks, and the prefix of their backbone's name
Split = tuple[list[np.ndarray], np.ndarray]


def import_logits(given: Path | str, root: Path | None = None) -> Bank:
    """Make a bank from logits and return it; an existing one is opened.

    given: a file written by `bench publish --logits`, its http(s) address, or a folder. The folder contains macs.json
    and, as .npz or .safetensors, test, pool (or val: samples held out of training, which a run splits into val and cal)
    and, if available, train: arrays exit_0 … exit_K-1 [N, C] and labels [N].
    Raises UserError if something is missing or does not fit.
    """
    if is_url(str(given)) or Path(given).is_file():
        return _make(*_published(given), str(given), root)
    folder = Path(given)
    if not folder.is_dir():
        raise UserError(
            f"There is no file or folder '{folder}'. Give a file from `bench publish --logits`, or a folder with "
            f"{DESCRIPTION}, pool.npz and test.npz."
        )
    told = _described(folder / DESCRIPTION)
    return _make(told, {name: _read(folder, name) for name in SPLITS}, str(folder), root)


def _published(file: Path | str) -> tuple[dict[str, Any], dict[str, Split | None]]:
    held = load_logits(file)
    if held.about.seed is not None:
        seed = held.about.seed
        warnings.warn(f"The heads in '{file}' were chosen on val of seed {seed}: use seed {seed} alone.", stacklevel=3)
    names = ("dataset", "macs", "class_names", "image_size")
    told = {"name": held.name, **{name: getattr(held.about, name) for name in names}}
    splits = {name: _checked(file, held.arrays(name)) for name in ("pool", "test")}
    return _risen(file, told), {"train": None, **splits}


def _make(told: dict[str, Any], splits: dict[str, Split | None], source: str, root: Path | None) -> Bank:
    exits, classes = _fitting(source, splits, told)
    held = {
        name: split or ([np.empty((0, classes), np.float32)] * exits, np.empty(0, np.int64))
        for name, split in splits.items()
    }
    manifest = _manifest(told, held, exits, classes)
    root = default_root() if root is None else root
    final = root / manifest.folder
    if not final.exists():
        try:
            _write(final, manifest, held)
        except OSError as error:
            reason = error.strerror or error
            raise UserError(
                f"The bank cannot be written to {root} ({reason}). Free some space, or give --bank-dir."
            ) from error
    return Bank.open(final)


def _described(path: Path) -> dict[str, Any]:
    """Read and check macs.json."""
    from typing import NotRequired

    from pydantic import TypeAdapter, ValidationError
    from typing_extensions import TypedDict

    fields: dict[str, Any] = {"name": str, "dataset": str, "macs": list[int]}
    fields |= {"class_names": NotRequired[list[str]], "image_size": NotRequired[int]}
    shape = TypedDict("shape", fields)  # type: ignore[misc]
    example = '{"name": "my_net", "dataset": "cifar100", "macs": [1000000, 2500000]}'
    try:
        told = json.loads(read_regular(path, MOST_JSON))
        checked: dict[str, Any] = dict(TypeAdapter[Any](shape).validate_python(told))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "all of it"
        raise UserError(f"'{path}' is not valid: {where}: {first['msg']}. It should look like {example}.") from None
    except Exception as error:  # damaged JSON may raise several kinds
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise UserError(f"'{path}' cannot be read ({reason}). It should look like {example}.") from None
    return _risen(path, checked)


def _risen(path: Path | str, checked: dict[str, Any]) -> dict[str, Any]:
    """Return the description after checking that costs rise from exit to exit."""
    macs = checked["macs"]
    if not macs or macs[0] <= 0 or any(b <= a for a, b in pairwise(macs)):
        raise UserError(
            f"'{path}': macs must rise from exit to exit. Give the cost of leaving at each, heads on the way included."
        )
    return checked


def _read(folder: Path, split: str) -> Split | None:
    """Read the logits and labels of a split; None if it has no file."""
    found = [path for name in NAMES[split] for suffix in SUFFIXES if (path := folder / f"{name}{suffix}").exists()]
    if not found:
        return None
    if len(found) > 1:
        raise UserError(f"'{found[0].name}' and '{found[1].name}' in '{folder}' are the same split. Keep one.")
    path = found[0]
    try:
        arrays = read_npz(path) if path.suffix == ".npz" else _tensors(path)
    except Exception as error:  # damaged files raise many kinds
        raise UserError(f"'{path}' cannot be read ({str(error) or type(error).__name__}). Save it again.") from None
    return _checked(path, arrays)


def _checked(path: Path | str, arrays: dict[str, np.ndarray]) -> Split:
    if "labels" not in arrays:
        raise UserError(f"'{path}' has no array 'labels'. It has: {', '.join(sorted(arrays)[:8]) or 'none'}.")
    exits = [arrays.get(f"exit_{k}") for k in range(len(arrays) - 1)]
    if not exits or any(x is None for x in exits):
        names = ", ".join(sorted(arrays)[:8])
        raise UserError(f"'{path}' must contain labels and exit_0, exit_1, … without a gap. It has: {names}.")
    labels = arrays["labels"]
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or not len(labels):
        raise UserError(
            f"'{path}': labels is {labels.dtype} {list(labels.shape)}; give one whole number for each sample."
        )
    return [_logits(path, k, x, len(labels)) for k, x in enumerate(exits) if x is not None], labels.astype(np.int64)


def _tensors(path: Path) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    if not path.is_file():
        raise ValueError("it is not a regular file")
    return load_file(path)


def _logits(path: Path | str, k: int, values: np.ndarray, samples: int) -> np.ndarray:
    if values.ndim != 2 or len(values) != samples or values.dtype.kind != "f":
        raise UserError(
            f"'{path}': exit_{k} is {values.dtype} {list(values.shape)}; give logits [{samples}, classes] as floats."
        )
    found = values.astype(np.float32)
    if not np.isfinite(found).all():
        raise UserError(f"'{path}': exit_{k} contains values that are not finite.")
    return found


def _fitting(source: str, splits: dict[str, Split | None], told: dict[str, Any]) -> tuple[int, int]:
    """Return K and C. Raises UserError if splits disagree on them, or labels are outside 0 … C-1."""
    for name in ("pool", "test"):
        if splits[name] is None:
            raise UserError(
                f"'{source}' has no logits of {name}. Add {NAMES[name][0]}.npz or {NAMES[name][0]}.safetensors."
            )
    exits = len(told["macs"])
    names = told.get("class_names")
    classes = len(names) if names is not None else splits["test"][0][0].shape[1]  # type: ignore[index]
    for name, split in splits.items():
        if split is None:
            continue
        logits, labels = split
        if len(logits) != exits:
            raise UserError(f"{name} has {len(logits)} exits, but {DESCRIPTION} gives the costs of {exits}.")
        if wrong := [k for k, x in enumerate(logits) if x.shape[1] != classes]:
            raise UserError(f"{name}: exit_{wrong[0]} has {logits[wrong[0]].shape[1]} classes instead of {classes}.")
        if labels.min() < 0 or labels.max() >= classes:
            raise UserError(
                f"{name}: labels range from {labels.min()} to {labels.max()}, but there are {classes} classes."
            )
    return exits, classes


def _manifest(told: dict[str, Any], held: dict[str, Split], exits: int, classes: int) -> Manifest:
    """Return the manifest of the bank, without its files."""
    hashes = {name: [_hash(x) for x in (*logits, labels)] for name, (logits, labels) in held.items()}
    names = tuple(told.get("class_names") or map(str, range(classes)))
    data = digest_of([told["dataset"], {name: found[-1] for name, found in hashes.items()}])
    digest = digest_of({"schema": SCHEMA, EXTERNAL: told, "splits": hashes, "class_names": names})
    return Manifest(
        digest=digest,
        dataset=told["dataset"],
        dataset_digest=data,
        source=told["dataset"],
        dataset_variant=None,
        class_names=names,
        num_classes=classes,
        protocol=EXTERNAL,
        seen=False,
        limit=None,
        sizes={name: len(labels) for name, (_, labels) in held.items()},
        train_class_counts=tuple(np.bincount(held["train"][1], minlength=classes).tolist()),
        backbone=f"{EXTERNAL}:{told['name']}",
        weights_digest=digest,
        image_size=told.get("image_size", 0),
        exit_names=(*(f"exit {k}" for k in range(exits - 1)), "head"),
        feature_dims=(classes,) * (exits - 1),
        final_dim=classes,
        macs=tuple(told["macs"]),
        head="backbone",
        l2=(0.0,),
        transform={},
        dtype="float32",
        views=0,
        libraries={"python": platform.python_version(), "numpy": version("numpy")},
        files={},
    )


def _write(final: Path, manifest: Manifest, held: dict[str, Split]) -> None:
    """Write the arrays, then move the bank to its final name atomically."""
    final.parent.mkdir(parents=True, exist_ok=True)
    mark_output(final.parent)
    with tempfile.TemporaryDirectory(dir=final.parent, prefix=f".{final.name}.") as temporary:
        folder = Path(temporary) / "bank"
        folder.mkdir()
        for name, (logits, labels) in held.items():
            for k, values in enumerate(logits):
                np.save(folder / array_file(name, 0, k, len(logits)), values)
            np.save(folder / f"{name}.labels.npy", labels)
        rows: dict[str, Any] = {}
        for name, (_, labels) in held.items():
            rows |= {f"{name}_rows": np.arange(len(labels)), f"{name}_keys": np.arange(len(labels)).astype("S20")}
        np.savez(folder / "rows.npz", **rows)
        unit = {"weight": torch.eye(manifest.num_classes)[None], "bias": torch.zeros(1, manifest.num_classes)}
        save_file({**unit, "l2": torch.zeros(1, dtype=torch.float64)}, folder / "head.safetensors")
        save_file({}, folder / NATIVE)  # the features are the logits
        files: dict[str, FileEntry] = {
            path.name: {"bytes": path.stat().st_size, "xxh3_128": file_digest(path)} for path in folder.iterdir()
        }
        for name in files:
            sync(folder / name)
        write_text(folder / FILE, replace(manifest, files=files).dumps())
        sync(folder)
        folder.rename(final)
    sync(final.parent)


def _hash(values: np.ndarray) -> str:
    return digest_of([list(values.shape), xxhash.xxh3_128_hexdigest(np.ascontiguousarray(values).tobytes())])
