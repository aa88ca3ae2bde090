"""Keys tell images apart, the digest is free of order, and a second start takes both from the cache."""

import os

import numpy as np
import pytest

from bench.datasets import digests
from bench.datasets.images import ImageDataset
from bench.datasets.stores import ArrayStore


def dataset(pixels, labels, files=()):
    labels = np.asarray(labels, dtype=np.int64)
    store = ArrayStore(lambda: pixels, tuple(files))
    return ImageDataset("x", "x", ("a", "b"), labels, np.full(len(labels), "train"), store)


def test_key_is_of_pixels_shape_and_label():
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    other = image.copy()
    other[1, 3, 2] ^= 1
    keys = {digests.key(image, 0), digests.key(image, 1), digests.key(other, 0), digests.key(image.reshape(4, 2, 3), 0)}
    assert len(keys) == 4
    assert digests.key(np.asfortranarray(image), 0) == digests.key(image, 0)


def test_digest_is_free_of_order(images):
    pixels, labels = images(40), np.arange(40) % 2
    order = np.random.default_rng(1).permutation(40)
    first, second = dataset(pixels, labels), dataset(pixels[order], labels[order])
    assert first.digest == second.digest
    np.testing.assert_array_equal(first.keys[order], second.keys)
    assert dataset(pixels, 1 - labels).digest != first.digest


def test_keys_come_from_the_cache_until_a_file_changes(images, tmp_path):
    file = tmp_path / "data.bin"
    file.write_bytes(b"1")
    pixels, labels = images(10), np.arange(10) % 2
    first = dataset(pixels, labels, [file]).keys

    def unread():
        raise AssertionError("the pixels were read again")

    again = ImageDataset("x", "x", ("a", "b"), labels, np.full(10, "train"), ArrayStore(unread, (file,)))
    np.testing.assert_array_equal(again.keys, first)
    os.utime(file, ns=(1, 1))
    with pytest.raises(AssertionError):
        _ = ImageDataset("x", "x", ("a", "b"), labels, np.full(10, "train"), ArrayStore(unread, (file,))).keys
    with pytest.raises(AssertionError):
        _ = ImageDataset("x", "x", ("a", "b"), 1 - labels, np.full(10, "train"), ArrayStore(unread, (file,))).keys


def test_a_damaged_cache_entry_is_computed_anew(images, tmp_path, own_cache):
    file = tmp_path / "data.bin"
    file.write_bytes(b"1")
    pixels, labels = images(10), np.arange(10) % 2
    first = dataset(pixels, labels, [file]).keys
    (entry,) = (own_cache / "digests").iterdir()
    for damaged in (b"", b"\x93NUMPY", entry.read_bytes()[:-40]):
        entry.write_bytes(damaged)
        np.testing.assert_array_equal(dataset(pixels, labels, [file]).keys, first)
    assert [p.suffix for p in (own_cache / "digests").iterdir()] == [".npy"]


def test_progress_is_told(images):
    seen = []
    data = dataset(images(1000), np.arange(1000) % 2)
    data.prepare(lambda done, total: seen.append((done, total)))
    assert seen == [(512, 1000), (1000, 1000)]
    data.prepare(lambda done, total: seen.append((done, total)))
    assert len(seen) == 2
