"""Decode images to RGB arrays, and recognise their encoding."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from io import BytesIO

import numpy as np
from PIL import Image

from bench.errors import UserError


def decode(data: bytes, where: str) -> np.ndarray:
    """Decode any image to uint8 RGB [H, W, 3]; `where` names it in the UserError that a broken one raises."""
    try:
        with Image.open(BytesIO(data)) as image:
            image.load()
            return rgb(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"{where} cannot be read as an image ({error}). Repair or remove it.") from error


def rgb(image: Image.Image) -> np.ndarray:
    """Convert a Pillow image of any mode: transparency onto white, 16-bit scaled to 8. Returns uint8 [H, W, 3]."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return np.asarray(image)
    if image.mode == "F":
        raise ValueError("it has floating-point pixels; save it with 8 or 16 bits")
    if image.mode.startswith("I"):
        wide = np.asarray(image).astype(np.int64)
        grey = np.clip((wide + 128) // 257 if wide.max() > 255 else wide, 0, 255).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return np.asarray(image.convert("RGB"))


def lossy(samples: Iterable[bytes]) -> str | None:
    """Return the lossy encoding among these files: 'jpeg90' (the lowest quality found) or 'webp'; None if none."""
    found = [name for name in map(_encoding, samples) if name]
    return min(found, key=lambda name: (len(name), name)) if found else None


def _encoding(data: bytes) -> str | None:
    if data[:2] == b"\xff\xd8":
        with Image.open(BytesIO(data)) as image:
            return f"jpeg{jpeg_quality(image.quantization[0])}"  # type: ignore[attr-defined]
    if data[:4] == b"RIFF" and data[8:16] == b"WEBPVP8 ":
        return "webp"
    return None


def jpeg_quality(table: Iterable[int]) -> int:
    """Estimate the quality 1 … 100 of a JPEG from its luminance quantisation table, by the nearest standard table."""
    mine = np.sort(np.array(list(table), dtype=np.int64))
    return int(np.abs(_standard_tables() - mine).sum(axis=1).argmin()) + 1


@cache
def _standard_tables() -> np.ndarray:
    """Luminance tables of qualities 1 … 100, each sorted: int64 [100, 64]."""
    tables = []
    for quality in range(1, 101):
        file = BytesIO()
        Image.new("L", (8, 8)).save(file, "JPEG", quality=quality)
        with Image.open(file) as image:
            tables.append(sorted(image.quantization[0]))  # type: ignore[attr-defined]
    return np.array(tables, dtype=np.int64)
