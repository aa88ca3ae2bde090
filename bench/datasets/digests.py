"""Digests of inputs: one key per sample, one digest per dataset, both independent of row order."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL

from bench.errors import UserError
from bench.system.cache import cache_dir
from bench.system.files import open_regular, write_atomic

CHUNK = 512  # samples between progress reports
SAMPLES, SAMPLE = 3, 2048  # number and bytes of the parts of a file in its fingerprint


@dataclass(frozen=True)
class Scheme:
    """How samples of one kind are digested."""

    name: str  # of the scheme and all that it depends on; part of the name of a cache entry
    key: Callable[[Any, int], str]
    at_once: int  # samples that are read together


def key(image: np.ndarray, label: int) -> str:
    """Digest one image, uint8 [H, W, 3], with its label: 32 hexadecimal digits."""
    height, width = image.shape[:2]
    state = hashlib.blake2b(f"{height}x{width}:{label}:".encode(), digest_size=16)
    state.update(np.ascontiguousarray(image).data)
    return state.hexdigest()


def text_key(text: str | tuple[str, str], label: int) -> str:
    """Digest a text, or the two texts of a pair, with its label: 32 hexadecimal digits."""
    parts = [part.encode() for part in ((text,) if isinstance(text, str) else text)]
    lengths = "+".join(str(len(part)) for part in parts)
    return hashlib.blake2b(f"text {lengths}:{label}:".encode() + b"".join(parts), digest_size=16).hexdigest()


PIXELS = Scheme(f"pixels-label-1\0{PIL.__version__}", key, 1)  # decoders may differ between Pillow's versions
TEXTS = Scheme("text-label-1", text_key, CHUNK)


def keys(
    scheme: Scheme,
    read: Callable[[np.ndarray], Sequence[Any]],
    labels: np.ndarray,
    fingerprint: Callable[[], str | None],
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Return the digest of every sample, 'S32' [N], in one pass; cached on disk by the fingerprint of their files."""
    before = fingerprint()
    path = None if before is None else cache_dir("digests") / f"{_name(scheme, before, labels)}.npy"
    known = None if path is None else _open(path, len(labels))
    if known is not None:
        return known
    found: list[str] = []
    for start in range(0, len(labels), scheme.at_once):
        rows = np.arange(start, min(start + scheme.at_once, len(labels)))
        found += [scheme.key(one, int(label)) for one, label in zip(read(rows), labels[rows], strict=True)]
        if progress is not None and (len(found) % CHUNK == 0 or len(found) == len(labels)):
            progress(len(found), len(labels))
    result = np.array(found, dtype="S32")
    if path is not None and fingerprint() == before:  # otherwise a file has changed
        _save(path, result)
    return result


def combine(found: np.ndarray) -> str:
    """Digest a set of keys in sorted order."""
    return hashlib.sha256(np.sort(found).tobytes()).hexdigest()


def files(paths: Iterable[Path], *extra: str) -> str:
    """Fingerprint files by path, identity, size, times and a sample of their bytes.

    Times alone are not enough: an archive, a copy or a coarse file system may give another file the same ones.
    """
    state = hashlib.sha256("\0".join(extra).encode())
    for path in paths:
        try:
            with open_regular(path) as file:
                stat = os.fstat(file.fileno())
                identity = (stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
                state.update(os.fsencode(f"\n{path.resolve()}\0{identity}"))
                for part in range(SAMPLES if stat.st_size > SAMPLE else 1):
                    file.seek(part * (stat.st_size - SAMPLE) // (SAMPLES - 1) if part else 0)
                    state.update(file.read(SAMPLE))
        except OSError as error:
            raise UserError(f"{path} cannot be read ({error.strerror}). Repair or remove it.") from error
    return state.hexdigest()


def _name(scheme: Scheme, fingerprint: str, labels: np.ndarray) -> str:
    """Return the name of the cache entry."""
    state = hashlib.sha256(f"{scheme.name}\0{fingerprint}\0".encode())
    state.update(np.ascontiguousarray(labels, dtype=np.int64).data)
    return state.hexdigest()[:40]


def _open(path: Path, count: int) -> np.ndarray | None:
    """Return the keys of a cache entry; None unless it is complete, unchanged and of this many samples."""
    try:
        with open_regular(path) as file:
            known = np.load(file, allow_pickle=False)
        if known.dtype == np.dtype("S32") and known.shape == (count + 1,) and known[-1] == _check(path, known[:-1]):
            return known[:-1]
    except Exception:  # a damaged entry raises many kinds; it is made again
        return None
    return None


def _check(path: Path, found: np.ndarray) -> bytes:
    """Return the digest of keys and the name of their cache entry."""
    content = path.stem.encode() + np.ascontiguousarray(found).tobytes()
    return hashlib.blake2b(content, digest_size=16).hexdigest().encode()


def _save(path: Path, found: np.ndarray) -> None:
    checked = np.append(found, np.array([_check(path, found)], dtype="S32"))
    with suppress(OSError):  # a full disk: the next start computes the keys again
        write_atomic(path, lambda file: np.save(file, checked))
