"""Read IDX files of bytes, plain or compressed by gzip; every size is checked before use."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from bench.system.files import open_regular

UNSIGNED_BYTES = b"\0\0\x08"  # how such a file begins, followed by the number of dimensions
GZIP = b"\x1f\x8b"
MOST_BYTES = 1 << 26  # of a file, and of its unpacked content: the largest has 47 MB
MOST_DIMENSIONS = 4


def read_idx(path: Path) -> np.ndarray:
    """Return the array in an IDX file, uint8, read-only. Raises OSError, or ValueError if the file is damaged."""
    with open_regular(path, MOST_BYTES) as file:
        packed = file.read(len(GZIP)) == GZIP
        file.seek(0)
        try:
            content = (gzip.GzipFile(fileobj=file) if packed else file).read(MOST_BYTES + 1)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(f"its compressed data is damaged: {str(error).rstrip('.')}") from None
    if len(content) > MOST_BYTES:
        raise ValueError(f"its compressed data is larger than {MOST_BYTES:,} bytes")
    dimensions = content[3] if len(content) > 3 else 0
    header = 4 + 4 * dimensions
    if content[:3] != UNSIGNED_BYTES or not 0 < dimensions <= MOST_DIMENSIONS or len(content) < header:
        raise ValueError("it does not have the header of an IDX file of bytes")
    shape = struct.unpack(f">{dimensions}I", content[4:header])
    if math.prod(shape) != len(content) - header:
        raise ValueError(f"it claims the shape {shape}, but has {len(content) - header:,} bytes of data")
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)
