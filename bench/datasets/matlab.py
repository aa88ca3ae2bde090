"""Read numeric arrays from MATLAB 5 files, checking every size before use; C code may crash on a false size."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bench.system.files import open_regular

HEADER = 128
MATRIX, COMPRESSED = 14, 15
TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
CLASSES = range(6, 16)  # arrays of numbers
MOST_BYTES = 1 << 30  # of a file, and of a variable


def read_matlab(path: Path, name: str) -> np.ndarray:
    """Return the array of numbers with this name; raise ValueError if the file has none or is damaged."""
    with open_regular(path, MOST_BYTES) as file:
        content = memoryview(file.read())
    order = {b"IM": "<", b"MI": ">"}.get(bytes(content[126:HEADER]))
    if order is None:
        raise ValueError("it does not have the header of a MATLAB 5 file")
    for kind, data in _elements(content[HEADER:], order):
        kind, data = next(_elements(_unpacked(data), order), (0, data)) if kind == COMPRESSED else (kind, data)
        if kind == MATRIX and (found := _array(data, order, name)) is not None:
            return found
    raise ValueError(f"it has no variable '{name}'")


def _elements(data: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """Yield type and content of the data elements in a buffer."""
    start = 0
    while start + 8 <= len(data):
        kind, size = struct.unpack(f"{order}II", data[start : start + 8])
        small = kind >> 16
        if small:
            kind, size, begin, end = kind & 0xFFFF, small, start + 4, start + 8
        else:
            begin = start + 8
            end = begin + size if kind == COMPRESSED else begin + -(-size // 8) * 8
        if size > len(data) - begin or (small and size > 4):
            raise ValueError("a part of it claims to be longer than the file")
        yield kind, data[begin : begin + size]
        start = end


def _unpacked(data: memoryview) -> memoryview:
    try:
        unpacker = zlib.decompressobj()
        found = unpacker.decompress(data, MOST_BYTES)
    except zlib.error as error:
        raise ValueError(f"its compressed data is damaged: {error}") from None
    if unpacker.unconsumed_tail or not unpacker.eof:
        raise ValueError("its compressed data is cut off or too large")
    return memoryview(found)


def _array(data: memoryview, order: str, name: str) -> np.ndarray | None:
    """Return the array in a matrix element; None if it has another name."""
    parts = [part for part, _ in zip(_elements(data, order), range(4), strict=False)]
    if len(parts) < 4 or len(parts[0][1]) < 8:
        raise ValueError("one of its variables is incomplete")
    (_, flags), (dimensions_type, sizes), (_, label), (kind, values) = parts
    if bytes(label) != name.encode():
        return None
    shape = tuple(int(n) for n in np.frombuffer(sizes, f"{order}i4")) if dimensions_type == 5 else ()
    (word,) = struct.unpack(f"{order}I", flags[:4])
    if word & 0xFF not in CLASSES or word & 0x800 or kind not in TYPES or not shape or min(shape) < 0:
        raise ValueError(f"its variable '{name}' is not an array of real numbers")
    found = np.frombuffer(values, f"{order}{TYPES[kind]}")
    count = 1
    for side in shape:
        count *= side
    if len(found) != count:
        raise ValueError(f"its variable '{name}' has {len(found):,} numbers, but claims the shape {shape}")
    return found.reshape(shape, order="F")
