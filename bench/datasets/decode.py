"""Decode images to RGB arrays, and recognise their encoding."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from bench.errors import UserError
from bench.system.notices import tell_once

FORMATS = (
    *("AVIF", "BMP", "DIB", "GIF", "ICO", "JPEG", "JPEG2000", "PCX", "PNG", "PPM", "QOI", "SGI", "TGA", "TIFF", "WEBP"),
)
TELLING = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "QOI", "TIFF", "WEBP")  # begin with a signature
MOST_PIXELS = 89_000_000  # of one image: decoded, they take 0.6 GB
DARK = (
    "Some grey images use less than a sixteenth of the values that their files can hold, and are shown nearly black. "
    "If the whole set is like this (12 bits in files of 16), save it again with its values scaled to the full range."
)
DEEP = 16  # bits of a grey value in every format but TIFF

warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # decode() refuses these images


@cache
def suffixes() -> frozenset[str]:
    """Return the suffixes, in lower case and with their dot, of the formats that are read."""
    known = Image.registered_extensions()
    return frozenset(suffix for suffix, form in known.items() if form in (*FORMATS, "MPO"))


@cache
def _readable(formats: tuple[str, ...]) -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in formats if name in Image.OPEN)


def is_image(path: Path) -> bool:
    """Whether a regular file that its suffix says nothing about is an image by its content."""
    formats = tuple(name for name in TELLING if name != "TIFF" or not path.suffix)  # raw photographs are TIFF files
    try:
        with path.open("rb") as file, Image.open(file, formats=_readable(formats)):
            return True
    except Exception:  # Pillow raises many kinds
        return False


def decode(data: bytes, where: str) -> np.ndarray:
    """Decode any image to uint8 RGB [H, W, 3], turned as EXIF says; `where` names it in a UserError.

    Only `FORMATS` are opened (others may start programs), and images of `MOST_PIXELS` at most.
    """
    try:
        with Image.open(BytesIO(data), formats=_readable(FORMATS)) as image:
            if image.width * image.height > MOST_PIXELS:
                raise Image.DecompressionBombError(f"{image.width} × {image.height} pixels")
            image.load()
            return rgb(_upright(image))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        limit = f"at most {MOST_PIXELS // 1_000_000} million pixels"
        raise UserError(f"{where} is too large ({error}). Images may have {limit}: shrink or remove it.") from error
    except Exception as error:  # Pillow raises many kinds for damaged files
        raise UserError(f"{where} cannot be read as an image ({_reason(data, error)}). Repair or remove it.") from error


def _reason(data: bytes, error: Exception) -> str:
    if not data:
        return "it is empty"
    if data.startswith(b"version https://git-lfs"):
        return "it is a pointer of Git LFS; `git lfs pull` fetches the image"
    if isinstance(error, UnidentifiedImageError):
        return f"its content is none of {', '.join(FORMATS)}"
    return str(error) or type(error).__name__


def _upright(image: Image.Image) -> Image.Image:
    """Turn an image as its EXIF orientation says; damaged EXIF data says nothing."""
    try:
        ImageOps.exif_transpose(image, in_place=True)
    except Exception as error:  # Pillow raises many kinds
        _ = error
    return image


def rgb(image: Image.Image) -> np.ndarray:
    """Convert a Pillow image of any mode: transparency onto white, deep grey scaled to 8 bits. uint8 [H, W, 3]."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return np.asarray(image)
    if image.mode == "F":
        raise ValueError("it has floating-point pixels; save it with 8 or 16 bits")
    if image.mode.startswith("I"):
        most = 2 ** _depth(image) - 1  # of the file's depth, whatever values this image has: one scale for all
        wide = np.asarray(image).astype(np.uint32)
        if wide.max(initial=0) < most // 16:
            tell_once(DARK)
        grey = np.minimum((wide * 255 + most // 2) // most, 255).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return np.asarray(image.convert("RGB"))


def _depth(image: Image.Image) -> int:
    """Return how many bits a grey value has in the file. Raises ValueError where they have no fixed scale."""
    tags = getattr(image, "tag_v2", {})
    bits, kind = (next(iter(tags.get(tag, (default,)))) for tag, default in ((258, DEEP), (339, 1)))
    if bits > DEEP or kind != 1 or (image.mode == "I" and image.format not in ("PNG", "PPM")):
        raise ValueError("its grey values are signed or have more than 16 bits; save it with 8 or 16 bits, unsigned")
    return int(bits)


def lossy(samples: Iterable[bytes]) -> str | None:
    """Return the lossy encoding among these files: 'jpeg90' (the lowest quality found) or 'webp'; None if none."""
    found = [name for name in map(_encoding, samples) if name]
    return min(found, key=lambda name: (len(name), name)) if found else None


def _encoding(data: bytes) -> str | None:
    if data[:2] == b"\xff\xd8":
        try:
            with Image.open(BytesIO(data), formats=("JPEG",)) as image:
                return f"jpeg{jpeg_quality(image.quantization[0])}"  # type: ignore[attr-defined]
        except Exception:  # damaged: decode() says so
            return None
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
