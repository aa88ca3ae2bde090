"""Pixels come out as uint8 RGB whatever the mode, and lossy encodings are named."""

import numpy as np
import pytest
from PIL import Image

from bench.datasets.decode import decode, lossy, rgb
from bench.errors import UserError
from tests.helpers.images import encode


def test_modes_become_rgb():
    grey = np.arange(36, dtype=np.uint8).reshape(6, 6) * 7
    expected = np.repeat(grey[:, :, None], 3, 2)
    for image in (
        Image.fromarray(grey),
        Image.fromarray(expected),
        Image.fromarray(grey).convert("P"),
        Image.merge("LA", [Image.fromarray(grey), Image.new("L", (6, 6), 255)]),
        Image.fromarray(grey.astype(np.uint16) * 257),
        Image.fromarray(grey.astype(np.int32) * 257),
        Image.fromarray(grey.astype(np.int32)),
    ):
        array = rgb(image)
        assert array.dtype == np.uint8 and array.shape == (6, 6, 3)
        np.testing.assert_array_equal(array, expected)


def test_transparency_is_shown_on_white():
    layer = np.zeros((2, 2, 4), np.uint8)
    layer[0, 0] = (10, 20, 30, 255)
    array = rgb(Image.fromarray(layer))
    assert array[0, 0].tolist() == [10, 20, 30]
    assert array[1, 1].tolist() == [255, 255, 255]


def test_floating_point_pixels_are_refused():
    with pytest.raises(ValueError, match="floating-point"):
        rgb(Image.fromarray(np.zeros((2, 2), np.float32)))


def test_broken_images_are_named():
    data = encode(np.zeros((9, 9, 3), np.uint8))
    for broken in (b"", b"no image", data[: len(data) // 2]):
        with pytest.raises(UserError, match=r"here\.png cannot be read as an image"):
            decode(broken, "here.png")


@pytest.mark.parametrize("quality", [5, 30, 50, 75, 90, 95, 100])
def test_jpeg_quality_is_read_off_the_tables(quality, images):
    (array,) = images(1, size=16)
    assert lossy([encode(array, encoding="JPEG", quality=quality)]) == f"jpeg{quality}"


def test_lossless_encodings_have_no_name_and_the_worst_lossy_one_counts(images):
    (array,) = images(1, size=16)
    clean = [encode(array, encoding=e) for e in ("PNG", "BMP", "PPM")] + [encode(array, encoding="WEBP", lossless=True)]
    assert lossy(clean) is None
    mixed = [*clean, *(encode(array, encoding="JPEG", quality=q) for q in (100, 90, 95))]
    assert lossy(mixed) == "jpeg90"
    assert lossy([encode(array, encoding="WEBP", quality=80)]) == "webp"
