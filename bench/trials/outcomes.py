"""Pack the correctness and exit of every test sample into text for the JSON of a record, and back."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.errors import UserError
from bench.trials.record import PackedOutcomes, Record

MOST_SAMPLES = 10**8
LEVEL = 9  # of zlib: the same arrays always give the same text


class SampleOutcomes(NamedTuple):
    """Per test sample, in the order of the bank's test split, which all methods of a cell share."""

    correct: NDArray[np.bool_]  # [N]
    exit_index: NDArray[np.int16]  # [N], counted from 0


def pack(correct: ArrayLike, exit_index: ArrayLike) -> PackedOutcomes:
    """Pack correctness [N] and exits [N] as text: bits (or the smallest unsigned type) → zlib → base64."""
    right, index = np.asarray(correct).astype(bool), np.asarray(exit_index)
    if right.ndim != 1 or right.shape != index.shape:
        raise ValueError(f"outcomes need two arrays of one length, not {right.shape} and {index.shape}")
    if len(index) and not 0 <= index.min() <= index.max() <= np.iinfo(np.int16).max:
        raise ValueError(f"exits must be in 0 … {np.iinfo(np.int16).max}, not {index.min()} … {index.max()}")
    small: Literal["u1", "<u2"] = "u1" if not len(index) or index.max() < 256 else "<u2"
    return PackedOutcomes(
        samples=len(index), correct=_text(np.packbits(right)), exit_index=_text(index.astype(small)), exit_type=small
    )


def unpack(record: Record | Mapping[str, Any]) -> SampleOutcomes:
    """Return correct [N] bool and exit_index [N] int16 of a record, or of its JSON as a dict.

    Raises UserError if the record has none (`bench score` adds them from the stored outcomes) or damaged ones.
    """
    name, held = (record.id, record.outcomes) if isinstance(record, Record) else _fields(record)
    if held is None:
        raise UserError(
            f"Record {name} has no per-sample outcomes: it is not an ok point of a policy, or an older version wrote "
            "it. Run `bench score`, or run the point again."
        )
    exits = len(record.cell.exit_names) if isinstance(record, Record) else np.iinfo(np.int16).max
    try:
        most = 2 * min(max(held.samples, 0), MOST_SAMPLES) + 8
        bits = np.frombuffer(_bytes(held.correct, most), np.uint8)
        index = np.frombuffer(_bytes(held.exit_index, most), held.exit_type).astype(np.int16)
        if len(bits) != (held.samples + 7) // 8 or len(index) != held.samples:
            raise ValueError(f"{held.samples} samples, {len(bits)} bytes of correctness, {len(index)} exits")
        if not 0 <= index.min(initial=0) <= index.max(initial=0) < exits:
            raise ValueError(f"exits must be in 0 … {exits - 1}, not {index.min()} … {index.max()}")
        correct = np.unpackbits(bits, count=held.samples).astype(bool)
    except (ValueError, zlib.error, binascii.Error) as error:
        raise UserError(f"The outcomes of record {name} are damaged ({error}). Run `bench score --again`.") from None
    return SampleOutcomes(correct, index)


def _fields(record: Mapping[str, Any]) -> tuple[str, PackedOutcomes | None]:
    held = record.get("outcomes")
    if held is not None and not isinstance(held, PackedOutcomes):
        held = PackedOutcomes.model_validate(held)
    return str(record.get("id", "without a name")), held


def _text(values: NDArray[Any]) -> str:
    return base64.b64encode(zlib.compress(values.tobytes(), LEVEL)).decode("ascii")


def _bytes(text: str, most: int) -> bytes:
    unpacker = zlib.decompressobj()
    found = unpacker.decompress(base64.b64decode(text, validate=True), most)
    if unpacker.unconsumed_tail:
        raise ValueError("more bytes than samples")
    return found
