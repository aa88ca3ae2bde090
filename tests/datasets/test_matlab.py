"""MATLAB files: what scipy writes is read the same, and no size that a file claims is believed."""

import os
import struct
import zlib

import numpy as np
import pytest
from scipy.io import savemat

from bench.datasets.matlab import read_matlab

ARRAYS = {
    "X": np.random.default_rng(0).integers(0, 256, (4, 4, 3, 5), dtype=np.uint8),
    "y": np.arange(5, dtype=np.uint8)[:, None],
    "double": np.linspace(0, 1, 7)[None],
    "a_long_name_of_a_variable": np.arange(3, dtype=np.int64)[None],
}


@pytest.mark.parametrize("packed", [True, False])
def test_reads_what_scipy_writes(tmp_path, packed):
    savemat(tmp_path / "a.mat", ARRAYS, do_compression=packed)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(read_matlab(tmp_path / "a.mat", name), array)
    with pytest.raises(ValueError, match="no variable 'z'"):
        read_matlab(tmp_path / "a.mat", "z")


def file(*elements: bytes) -> bytes:
    return b" " * 124 + b"\x00\x01IM" + b"".join(elements)


def element(kind: int, data: bytes, size: int | None = None) -> bytes:
    return struct.pack("<II", kind, len(data) if size is None else size) + data + b"\0" * (-len(data) % 8)


def matrix(shape: tuple[int, ...], data: bytes, kind: int = 2, flags: int = 9, name: bytes = b"X") -> bytes:
    sizes = struct.pack(f"<{len(shape)}i", *shape)
    parts = [element(6, struct.pack("<II", flags, 0)), element(5, sizes), element(1, name), element(kind, data)]
    return element(14, b"".join(parts))


BOMB = element(15, zlib.compress(b"\0" * 8, 9)[:-4])
LIES = {
    "cells": matrix((1, 1), b"\0" * 8, flags=1),
    "an object": matrix((1, 1), b"\0" * 8, flags=17),
    "complex": matrix((2, 1), b"\0" * 2, flags=9 | 0x800),
    "text for numbers": matrix((2, 1), b"\0" * 2, kind=16),
    "more numbers than there are": matrix((1 << 30, 1 << 30, 1 << 30), b"\0" * 8),
    "a negative size": matrix((-1, -8), b"\0" * 8),
    "an element longer than the file": element(14, b"\0" * 8, size=1 << 31),
    "a part longer than its matrix": element(14, element(6, b"\0" * 8) + element(5, b"\0" * 8, size=1 << 20)),
    "a matrix in a matrix": element(14, matrix((1, 1), b"\0")),
    "nothing": b"",
    "cut off": BOMB,
}


@pytest.mark.parametrize("lie", LIES)
def test_lies_are_refused(tmp_path, lie):
    (tmp_path / "a.mat").write_bytes(file(LIES[lie]))
    with pytest.raises(ValueError, match=r"it|its|a part"):
        read_matlab(tmp_path / "a.mat", "X")


def test_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "a.mat")
    with pytest.raises(OSError, match="not a regular file"):
        read_matlab(tmp_path / "a.mat", "X")
