"""Logits of a setting in one .npz file: rules can be tested on them with NumPy alone. No torch here."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench import protocol
from bench.errors import UserError
from bench.system.download import download, is_url
from bench.system.npz import read_npz
from bench.system.paths import user_path

FORMAT = 1
ABOUT = "about"  # the array that holds the description, JSON in UTF-8 as bytes
SPLITS = ("pool", "test")


class SplitLogits(NamedTuple):
    """Logits of every exit on one split of N samples; K exits, C classes."""

    logits: np.ndarray  # [N, K, C] float16
    labels: np.ndarray  # [N] int64
    keys: np.ndarray  # [N] bytes: identify the same samples in any copy of the dataset


@dataclass(frozen=True)
class About:
    """The dataset, network and heads that the logits come from."""

    dataset: str
    backbone: str
    image_size: int  # side in pixels; for texts the number of tokens that costs are counted at
    protocol: str
    bank_digest: str
    exit_names: tuple[str, ...]  # K
    class_names: tuple[str, ...]  # C
    macs: tuple[int, ...]  # K: the cost of leaving at each exit, all heads on the way included
    full_macs: int  # of the plain backbone: a budget is a fraction of it
    heads: str  # the head recipe: 'plain', or 'native' for the network's own
    heads_version: int
    seed: int | None  # its val chose the heads; None: no val did, and any seed may be used
    format: int = FORMAT


@dataclass(frozen=True)
class Logits:
    """Logits of every exit on the held-out pool (val and cal) and on test."""

    about: About
    pool: SplitLogits
    test: SplitLogits

    @property
    def name(self) -> str:
        """The name of the network with its heads."""
        seed = "" if self.about.seed is None else f"-seed{self.about.seed}"
        return f"{self.about.backbone}+{self.about.heads}{seed}"

    def halves(self, seed: int | None = None) -> tuple[SplitLogits, SplitLogits]:
        """Return val and cal of a seed, as `bench run` splits the pool; by default the seed of the heads.

        Raises UserError for any seed but the one whose val chose the heads: its cal would contain those val samples.
        """
        made = self.about.seed
        if seed is not None and made is not None and seed != made:
            raise UserError(
                f"The heads were chosen on val of seed {made}, so cal of seed {seed} is not held out. Use seed {made}."
            )
        rows = protocol.halves(self.pool.labels, seed if seed is not None else made or 0)
        val, cal = (SplitLogits(*(array[part] for array in self.pool)) for part in rows)
        return val, cal

    def arrays(self, split: str) -> dict[str, np.ndarray]:
        """Return a split in the format of `bench import`: exit_0 … exit_K-1 [N, C], and labels [N]."""
        held: SplitLogits = getattr(self, split)
        exits = {f"exit_{k}": held.logits[:, k] for k in range(held.logits.shape[1])}
        return {**exits, "labels": held.labels}

    def dumps(self) -> bytes:
        """Return the content of the file; the same logits give the same bytes."""
        about = np.frombuffer(json.dumps(asdict(self.about), ensure_ascii=False).encode(), np.uint8)
        arrays: dict[str, Any] = {ABOUT: about}
        for split in SPLITS:
            held: SplitLogits = getattr(self, split)
            small = held.labels.astype(np.min_scalar_type(len(self.about.class_names) - 1))
            parts = {"logits": held.logits, "labels": small, "keys": held.keys}
            arrays |= {f"{split}_{name}": array for name, array in parts.items()}
        content = io.BytesIO()
        np.savez_compressed(content, **arrays)
        return content.getvalue()


def load_logits(file: str | Path) -> Logits:
    """Return the logits in a file from `bench publish --logits`, given by its path or http(s) address.

    Raises UserError if it is missing, damaged, or another kind of file.
    """
    if is_url(str(file)):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "logits.npz"
            download(str(file), path)
            return _read(path, str(file))
    return _read(user_path(file), str(file))


def _read(path: Path, name: str) -> Logits:
    try:
        arrays = read_npz(path)
        about = _about(json.loads(arrays[ABOUT].tobytes()))
        pool, test = (_split(arrays, split, about) for split in SPLITS)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        reason = f"it has no array {error}" if isinstance(error, KeyError) else str(error)
        raise UserError(
            f"'{name}' is not a readable file of logits ({reason}). Give one written by `bench publish --logits`."
        ) from None
    return Logits(about, pool, test)


def _about(told: Any) -> About:
    from pydantic import TypeAdapter

    if isinstance(told, dict) and told.get("format") != FORMAT:
        raise ValueError(f"it has format {told.get('format')}, and this version reads {FORMAT}")
    about = TypeAdapter(About).validate_python(told)
    if len(about.macs) != len(about.exit_names) or not about.macs or not about.class_names or about.full_macs < 1:
        raise ValueError("its costs, exits and classes do not match")
    return about


def _split(arrays: Mapping[str, np.ndarray], split: str, about: About) -> SplitLogits:
    logits, labels, keys = (arrays[f"{split}_{name}"] for name in ("logits", "labels", "keys"))
    shape = (len(labels), len(about.exit_names), len(about.class_names))
    if logits.dtype != np.float16 or logits.shape != shape or keys.shape != labels.shape or labels.ndim != 1:
        raise ValueError(f"the logits of {split} are {logits.dtype} {list(logits.shape)}, not float16 {list(shape)}")
    if not np.isfinite(logits).all():
        raise ValueError(f"the logits of {split} contain values that are not finite")
    if labels.dtype.kind not in "iu" or not len(labels) or labels.min() < 0 or labels.max() >= shape[2]:
        raise ValueError(f"the labels of {split} are not classes from 0 to {shape[2] - 1}")
    return SplitLogits(logits, labels.astype(np.int64), keys)
