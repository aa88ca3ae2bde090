"""Check the inputs of a loaded policy, images or texts, one by one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from bench.errors import UserError
from bench.inputs.images import square

if TYPE_CHECKING:
    from PIL.Image import Image

    Images = Sequence["np.ndarray | Image"] | np.ndarray | Tensor
    Texts = Sequence[str] | Sequence[tuple[str, str]]


def texts(given: Any) -> list[str | tuple[str, str]]:
    """Return texts, or pairs of texts; raise UserError for anything else."""
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise UserError("Give a list of texts; put a single text into a list.")
    found: list[str | tuple[str, str]] = []
    for one in given:
        pair = isinstance(one, tuple | list) and len(one) == 2 and all(isinstance(part, str) for part in one)
        if not pair and not isinstance(one, str):
            raise UserError(f"A text has the type {type(one).__name__}. Give str, or tuples of two str for pairs.")
        found.append((one[0], one[1]) if pair else one)
        if not all(part.strip() for part in ([found[-1]] if isinstance(found[-1], str) else found[-1])):
            raise UserError(f"Text {len(found) - 1} is empty. Leave it out.")
    return found


def squares(images: Images) -> list[np.ndarray]:
    """Return the centre square [S, S, 3] of every image, uint8 RGB."""
    from PIL import Image, ImageOps

    from bench.datasets.decode import rgb

    if isinstance(images, Tensor):
        images = images.cpu().numpy()
    several = isinstance(images, Iterable) and not isinstance(images, str | Image.Image)
    if not several or (isinstance(images, np.ndarray) and images.ndim != 4):
        raise UserError("Give a list of images, or an array [N, H, W, 3]; put a single image into a list.")
    pixels = []
    for image in images:
        try:
            pixels.append(square(rgb(ImageOps.exif_transpose(image)) if isinstance(image, Image.Image) else image))
        except (UserError, ValueError, AttributeError):
            shape = getattr(image, "shape", getattr(image, "mode", ""))
            raise UserError(
                f"An image is {getattr(image, 'dtype', type(image).__name__)} {shape}. Give Pillow images, or uint8 "
                "arrays [H, W, 3]."
            ) from None
    return pixels
