"""From uint8 images to the backbone's input: centre square, antialiased resize, normalisation; augmented views.

Every step processes each image independently of the others in its batch. B images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import xxhash
from torch import Tensor
from torch.nn.functional import interpolate

from bench.errors import UserError

_PAD_FRACTION = 8  # a view is cropped from the image padded by an eighth of its side, mirrored
_FLOATS_AT_ONCE = 1 << 20  # values per resize call, few enough for the CPU cache; an accelerator takes more
_FLOATS_ON_ACCELERATOR = 1 << 24


@dataclass(frozen=True)
class Transform:
    """How images are prepared for a backbone."""

    size: int  # side in pixels
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str  # 'bilinear' or 'bicubic'

    @classmethod
    def of(cls, backbone: Any) -> Transform:
        """Return the evaluation transform of an image backbone."""
        mean, std = (tuple(float(v) for v in values) for values in (backbone.mean, backbone.std))
        if backbone.interpolation not in ("bilinear", "bicubic"):
            raise UserError(f"'{backbone.interpolation}' is not an interpolation of a bank. Valid: bicubic, bilinear.")
        return cls(int(backbone.image_size), mean, std, backbone.interpolation)

    def describe(self, views: int = 0) -> dict[str, Any]:
        """Return everything that determines pixel values, for the digest and the manifest."""
        steps = {"crop": "centre square", "resize": "antialiased", **asdict(self)}
        if views:
            steps["views"] = "random crop from the image padded by 1/8 (mirrored), horizontal flip; seeded by image key"
        return steps

    @torch.no_grad()
    def __call__(self, squares: Tensor) -> Tensor:
        """Resize and normalise uint8 images [B, S, S, 3] of one side into float32 [B, 3, size, size]."""
        inputs = torch.empty(len(squares), 3, self.size, self.size, device=squares.device)
        values = _FLOATS_AT_ONCE if squares.device.type == "cpu" else _FLOATS_ON_ACCELERATOR
        step = max(1, values // max(squares[0].numel(), inputs[0].numel()))
        for part, into in zip(squares.split(step), inputs.split(step), strict=True):
            self._resize(part, into)
        return inputs

    def _resize(self, squares: Tensor, into: Tensor) -> None:
        if squares.device.type == "cpu" and (squares == squares[..., :1]).all():
            squares = squares[..., :1]  # a grey image is resized once, not once per channel
        pixels = squares.permute(0, 3, 1, 2).float().contiguous()
        if pixels.shape[-1] != self.size:
            size = (self.size, self.size)
            pixels = interpolate(pixels, size=size, mode=self.interpolation, antialias=True, align_corners=False)
            pixels = pixels.clamp_(0, 255)
        mean, std = (torch.tensor(v, device=pixels.device).view(1, 3, 1, 1) for v in (self.mean, self.std))
        torch.div(pixels.div_(255) - mean, std, out=into)

    def batch(self, inputs: Sequence[np.ndarray], keys: np.ndarray, view: int = 0) -> Tensor:
        """Prepare images [H, W, 3] of any size: their centre squares, resized in one batch per side."""
        images = [square(image) for image in inputs]
        sides = np.array([len(image) for image in images])
        if len(np.unique(sides)) == 1:
            return self(augment(torch.from_numpy(np.stack(images)), keys, view))
        batch = torch.empty(len(images), 3, self.size, self.size)
        for side in np.unique(sides):
            members = np.flatnonzero(sides == side)
            squares = torch.from_numpy(np.stack([images[int(i)] for i in members]))
            batch[torch.from_numpy(members)] = self(augment(squares, keys[members], view))
        return batch


def square(image: np.ndarray) -> np.ndarray:
    """Cut the centre square out of a uint8 RGB image [H, W, 3] (before the resize: an extreme shape costs nothing)."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise UserError(f"An image is {image.dtype} {list(image.shape)}; a dataset must give uint8 [H, W, 3] arrays.")
    height, width, _ = image.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[top : top + side, left : left + side]


def augment(squares: Tensor, keys: np.ndarray, view: int) -> Tensor:
    """Return augmented view `view` of uint8 images [B, S, S, 3]: random crop of the padded image, and a fair flip.

    The padding is an eighth of the side, mirrored, at native size. Randomness comes from each image's key and the
    view number alone, so neither order nor batch nor an interruption changes it. View 0 is the clean image.
    """
    if view == 0:
        return squares
    side = squares.shape[1]
    shifts, flips = _draw(keys, view, max(1, round(side / _PAD_FRACTION)))
    steps = np.arange(side)
    down = _mirror(steps + shifts[:, :1], side)
    across = _mirror(steps + shifts[:, 1:], side)
    across = np.where(flips[:, None], across[:, ::-1], across)
    rows, columns = (torch.from_numpy(np.ascontiguousarray(v)).to(squares.device) for v in (down, across))
    sample = torch.arange(len(squares), device=squares.device)[:, None, None]
    return squares[sample, rows[:, :, None], columns[:, None, :]]


def _draw(keys: np.ndarray, view: int, pad: int) -> tuple[np.ndarray, np.ndarray]:
    """Return offsets [B, 2] in -pad … pad and flips [B], from the hash of key and view."""
    bits = [xxhash.xxh3_64_intdigest(key_bytes(key), seed=view) for key in keys]
    width = 2 * pad + 1
    shifts = np.array([[(b >> 1) % width - pad, (b >> 32) % width - pad] for b in bits], dtype=np.int64)
    return shifts.reshape(-1, 2), np.array([b & 1 for b in bits], dtype=bool)


def _mirror(index: np.ndarray, side: int) -> np.ndarray:
    """Reflect out-of-range indices at the borders, the border pixel itself not repeated."""
    index = np.abs(index)
    return np.clip(np.minimum(index, 2 * (side - 1) - index), 0, side - 1)


def key_bytes(key: Any) -> bytes:
    """Turn one image key (text, bytes, an integer or a row of integers) into bytes."""
    if isinstance(key, bytes):
        return bytes(key)
    return str(key).encode() if isinstance(key, str) else np.asarray(key).tobytes()
