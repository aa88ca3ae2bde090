"""The sets that come with PyPI packages are the ones that their digests were taken of."""

import numpy as np
import pytest

from bench import datasets


@pytest.mark.parametrize(
    ("name", "source", "count", "size"), [("mnist5k", "mnist", 5000, 28), ("digits", "digits", 1797, 8)]
)
def test_embedded(name, source, count, size):
    data = datasets.load(name)
    assert (data.name, data.source, len(data), data.num_classes) == (name, source, count, 10)
    assert data.native_size == size and data.variant is None and not data.longtail
    assert data.labels.dtype == np.int64 and set(data.partition) == {"train"}
    first, last = data.read([count - 1, 0])
    assert first.shape == (size, size, 3) and first.dtype == np.uint8 and first.max() > 200
    np.testing.assert_array_equal(last, data.read([0])[0])
    assert not np.array_equal(first, last)
    assert (first[..., 0] == first[..., 2]).all()


def test_altered_images_are_unverified():
    data = datasets.load("digits")
    data.store.images[5, 0, 0] ^= 1
    assert data.variant == "unverified"
