"""IDX files: what is written is read the same, and no size that a file claims is believed."""

import gzip
import os
import struct

import numpy as np
import pytest

from bench.datasets import idx
from bench.datasets.idx import read_idx
from tests.helpers.idx import idx_bytes

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 4, 3), dtype=np.uint8)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lambda data: gzip.compress(data[:9]) + gzip.compress(data[9:])])
@pytest.mark.parametrize("array", [IMAGES, IMAGES[0, 0], IMAGES[:0]])
def test_reads_what_was_written(tmp_path, array, pack):
    (tmp_path / "a").write_bytes(pack(idx_bytes(array)))
    found = read_idx(tmp_path / "a")
    np.testing.assert_array_equal(found, array)
    assert found.dtype == np.uint8 and found.shape == array.shape


def claiming(*shape: int, kind: int = 8, dimensions: int | None = None) -> bytes:
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, kind, dimensions or len(shape), *shape) + b"\0" * 8


VALID = idx_bytes(IMAGES)
PACKED = gzip.compress(VALID)
LIES = {
    "more than there is": (claiming(9), "claims the shape"),
    "less than there is": (claiming(7), "claims the shape"),
    "more than an array can have": (claiming(*[(1 << 32) - 1] * 4), "claims the shape"),
    "a header cut off": (claiming(8, dimensions=4)[:12], "does not have the header"),
    "many dimensions": (claiming(*[1] * 200), "does not have the header"),
    "no dimensions": (b"\0\0\x08\0" + b"\0", "does not have the header"),
    "integers of four bytes": (claiming(2, kind=0x0C), "does not have the header"),
    "nothing": (b"", "does not have the header"),
    "another file": (b"\x89PNG\r\n\x1a\n", "does not have the header"),
    "cut off": (VALID[:-1], "claims the shape"),
    "compressed and cut off": (PACKED[:-9], "compressed data is damaged: Compressed file ended"),
    "of a wrong check sum": (PACKED[:-8] + b"\0" * 8, "compressed data is damaged: CRC check failed"),
    "with other data behind": (PACKED + b"more", "compressed data is damaged: Not a gzipped file"),
}


@pytest.mark.parametrize("lie", LIES)
def test_lies_are_refused(tmp_path, lie):
    content, sentence = LIES[lie]
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(ValueError, match=sentence):
        read_idx(tmp_path / "a")


def test_what_grows_beyond_all_bounds_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(idx, "MOST_BYTES", 1 << 16)
    (tmp_path / "bomb").write_bytes(gzip.compress(idx_bytes(np.zeros(1 << 22, np.uint8))))
    assert (tmp_path / "bomb").stat().st_size < 1 << 13
    with pytest.raises(ValueError, match="compressed data is larger than 65,536 bytes"):
        read_idx(tmp_path / "bomb")
    (tmp_path / "large").write_bytes(idx_bytes(np.zeros(1 << 17, np.uint8)))
    with pytest.raises(OSError, match="at most 65,536 are read"):
        read_idx(tmp_path / "large")


def test_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "a")
    with pytest.raises(OSError, match="not a regular file"):
        read_idx(tmp_path / "a")
