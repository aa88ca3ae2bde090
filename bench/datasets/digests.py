"""Digests of decoded images: one key per image, one digest per dataset, both free of row order."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import PIL

from bench.system.cache import cache_dir

SCHEME = "pixels-label-1"
CHUNK = 512


def key(image: np.ndarray, label: int) -> str:
    """Digest one image, uint8 [H, W, 3], with its label: 32 hexadecimal digits."""
    height, width = image.shape[:2]
    state = hashlib.blake2b(f"{height}x{width}:{label}:".encode(), digest_size=16)
    state.update(np.ascontiguousarray(image).data)
    return state.hexdigest()


def keys(
    read: Callable[[np.ndarray], Sequence[np.ndarray]],
    labels: np.ndarray,
    fingerprint: str | None,
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Digest every image by streaming them once: 'S32' [N]. Kept on disk under the fingerprint of their files."""
    path = None if fingerprint is None else cache_dir("digests") / f"{_name(fingerprint, labels)}.npy"
    known = None if path is None else _open(path, len(labels))
    if known is not None:
        return known
    found: list[str] = []
    for start in range(0, len(labels), CHUNK):
        rows = np.arange(start, min(start + CHUNK, len(labels)))
        found += [key(image, int(labels[row])) for row, image in zip(rows, read(rows), strict=True)]
        if progress is not None:
            progress(len(found), len(labels))
    result = np.array(found, dtype="S32")
    if path is not None:
        _save(path, result)
    return result


def combine(image_keys: np.ndarray) -> str:
    """Digest a set of image keys in sorted order."""
    return hashlib.sha256(np.sort(image_keys).tobytes()).hexdigest()


def files(paths: Iterable[Path], *extra: str) -> str:
    """Fingerprint files by path, size and modification time, without reading them."""
    state = hashlib.sha256("\0".join(extra).encode())
    for path in paths:
        stat = path.stat()
        state.update(f"\n{path.resolve()}\0{stat.st_size}\0{stat.st_mtime_ns}".encode())
    return state.hexdigest()


def _name(fingerprint: str, labels: np.ndarray) -> str:
    """The cache entry's name: decoders may differ between Pillow versions, so that is a part of it."""
    state = hashlib.sha256(f"{SCHEME}\0{PIL.__version__}\0{fingerprint}\0".encode())
    state.update(np.ascontiguousarray(labels, dtype=np.int64).data)
    return state.hexdigest()[:40]


def _open(path: Path, count: int) -> np.ndarray | None:
    try:
        known = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return known if known.dtype == np.dtype("S32") and known.shape == (count,) else None


def _save(path: Path, image_keys: np.ndarray) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".tmp", delete=False) as file:
        np.save(file, image_keys)
    os.replace(file.name, path)  # noqa: PTH105 - one atomic step, on the name as it is
