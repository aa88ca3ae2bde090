"""Images to inputs: what is computed, and that each image is treated on its own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from bench.errors import UserError
from bench.inputs.images import Transform, augment, square

RNG = np.random.default_rng(3)
PLAIN = Transform(16, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "bilinear")


def random_images(*shapes: tuple[int, int]) -> list[np.ndarray]:
    return [RNG.integers(0, 256, (*s, 3)).astype(np.uint8) for s in shapes]


def test_same_size_is_only_normalised() -> None:
    transform = Transform(16, (0.1, 0.2, 0.3), (0.5, 0.6, 0.7), "bicubic")
    (image,) = random_images((16, 16))
    expected = (image / 255 - np.array(transform.mean)) / np.array(transform.std)
    found = transform(torch.from_numpy(image)[None])[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("side", [8, 16, 40])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_resize_agrees_with_pillow(side: int, mode: str) -> None:
    transform = Transform(16, (0.0,) * 3, (1.0,) * 3, mode)
    image = RNG.integers(80, 176, (side, side, 3)).astype(np.uint8)  # Pillow also clips overshoot between its passes
    resized = Image.fromarray(image).resize((16, 16), Image.Resampling[mode.upper()])
    expected = np.asarray(resized, dtype=np.float32)
    found = transform(torch.from_numpy(image)[None])[0].permute(1, 2, 0).numpy() * 255
    np.testing.assert_allclose(found, expected, atol=1.6)  # Pillow rounds to integers between its two passes


def test_mixed_sizes_equal_one_by_one() -> None:
    images = [square(i) for i in random_images((12, 20), (30, 30), (12, 12), (18, 17), (30, 44))]
    keys = np.array([f"key{i}" for i in range(5)])
    for view in (0, 1):
        together = PLAIN.batch(images, keys, view)
        alone = torch.cat([PLAIN.batch([image], keys[i : i + 1], view) for i, image in enumerate(images)])
        torch.testing.assert_close(together, alone, rtol=0, atol=1e-6)


@pytest.mark.parametrize("side", [16, 30])
def test_grey_images_are_treated_like_colour_ones(side: int) -> None:
    grey, colour = random_images((side, side), (side, side))
    grey[:] = grey[..., :1]
    transform = Transform(16, (0.1, 0.2, 0.3), (0.5, 0.6, 0.7), "bicubic")
    together = transform(torch.from_numpy(np.stack([grey, colour])))
    assert torch.equal(transform(torch.from_numpy(grey)[None]), together[:1])


def test_square_is_the_centre() -> None:
    image = np.zeros((4, 10, 3), np.uint8)
    image[:, 3:7] = 255
    assert square(image).shape == (4, 4, 3)
    assert square(image).min() == 255


@pytest.mark.parametrize(
    ("shape", "dtype"), [((4, 4), "uint8"), ((4, 4, 3), "float32"), ((4, 4, 4), "uint8"), ((0, 4, 3), "uint8")]
)
def test_other_arrays_are_refused(shape: tuple[int, ...], dtype: str) -> None:
    with pytest.raises(UserError, match=r"uint8 \[H, W, 3\]"):
        square(np.zeros(shape, dtype))


def test_views_follow_key_and_number_alone() -> None:
    squares = torch.from_numpy(np.stack(random_images(*[(16, 16)] * 40)))
    keys = np.array([f"key{i}".encode() for i in range(40)])
    order = RNG.permutation(40)
    torch.testing.assert_close(
        augment(squares, keys, 1)[order], augment(squares[order], keys[order], 1), rtol=0, atol=0
    )
    assert torch.equal(augment(squares, keys, 0), squares)
    assert not torch.equal(augment(squares, keys, 1), augment(squares, keys, 2))


def test_views_are_shifts_and_flips_of_the_mirrored_image() -> None:
    pad, count = 2, 400
    (image,) = random_images((16, 16))
    padded = np.pad(image, ((pad, pad), (pad, pad), (0, 0)), mode="reflect")
    crops = {}
    for dy in range(2 * pad + 1):
        for dx in range(2 * pad + 1):
            crop = padded[dy : dy + 16, dx : dx + 16]
            crops[crop.tobytes()] = (dy, dx, False)
            crops[np.ascontiguousarray(crop[:, ::-1]).tobytes()] = (dy, dx, True)
    keys = np.array([f"{i}" for i in range(count)])
    views = augment(torch.from_numpy(image)[None].expand(count, -1, -1, -1), keys, 1)
    drawn = [crops[v.numpy().tobytes()] for v in views]  # a KeyError where a view is none of these
    assert len(set(drawn)) == 2 * (2 * pad + 1) ** 2
    assert 0.4 < np.mean([flip for *_, flip in drawn]) < 0.6


def test_a_single_pixel_has_views() -> None:
    assert augment(torch.zeros(1, 1, 1, 3, dtype=torch.uint8), np.array(["k"]), 1).shape == (1, 1, 1, 3)
