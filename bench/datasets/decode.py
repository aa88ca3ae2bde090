"""Decode images to RGB arrays, and recognise their encoding."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from contextlib import suppress
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
MOST_PIXELS = 89_000_000  # per image
BAND_PIXELS = 4_000_000  # converted at once when an image is shrunk
AMPLE_PIXELS = 16_000_000  # larger images are shrunk to this; no network here reads as many
DARK = (
    "Some grey images use less than a sixteenth of their file's value range, and are nearly black. "
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
    """Return whether a regular file without a known suffix is an image by its content."""
    formats = tuple(name for name in TELLING if name != "TIFF" or not path.suffix)  # raw photographs are TIFF files
    try:
        with path.open("rb") as file, Image.open(file, formats=_readable(formats)):
            return True
    except Exception:  # Pillow raises many kinds
        return False


def decode(data: bytes, where: str) -> np.ndarray:
    """Decode any image to uint8 RGB [H, W, 3], rotated as EXIF says; `where` names it in a UserError.

    Only `FORMATS` are opened (others may start programs), and images of at most `MOST_PIXELS`. An image of more than
    `AMPLE_PIXELS` is shrunk by a whole factor, a JPEG while it is decoded.
    """
    try:
        with Image.open(BytesIO(data), formats=_readable(FORMATS)) as image:
            if image.width * image.height > MOST_PIXELS:
                raise Image.DecompressionBombError(f"{image.width} × {image.height} pixels")
            return _pixels(image)
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
        return f"its format is none of {', '.join(FORMATS)}"
    return str(error) or type(error).__name__


def _pixels(image: Image.Image) -> np.ndarray:
    """Load an opened image: uint8 RGB [H, W, 3], upright, of at most `AMPLE_PIXELS`."""
    if (factor := _excess(image)) > 1:
        image.draft(None, (image.width // factor, image.height // factor))  # has an effect on JPEG only
    image.load()
    most = _most(image)
    if most is not None and np.asarray(image).max(initial=0) < most // 16:
        tell_once(DARK)
    if (factor := _excess(image)) == 1:
        return rgb(_upright(image), most)
    high = factor * max(1, BAND_PIXELS // (factor * image.width))
    bands = ((0, top, image.width, min(top + high, image.height)) for top in range(0, image.height, high))
    parts = (Image.fromarray(rgb(image.crop(band), most)).reduce(factor) for band in bands)
    small = Image.fromarray(np.concatenate([np.asarray(part) for part in parts]))
    with suppress(Exception):  # Pillow raises many kinds for damaged EXIF data, which is ignored
        small.info["exif"] = image.getexif().tobytes()
    return rgb(_upright(small))


def _excess(image: Image.Image) -> int:
    """Return the smallest whole factor that shrinks both sides of an image to `AMPLE_PIXELS` or less."""
    return math.ceil(math.sqrt(image.width * image.height / AMPLE_PIXELS))


def _upright(image: Image.Image) -> Image.Image:
    """Rotate an image as its EXIF orientation says; damaged EXIF data is ignored."""
    with suppress(Exception):  # Pillow raises many kinds
        ImageOps.exif_transpose(image, in_place=True)
    return image


def rgb(image: Image.Image, most: int | None = None) -> np.ndarray:
    """Convert a Pillow image of any mode to uint8 [H, W, 3]: transparency onto white, 16-bit grey scaled to 8 bits.

    most: the highest value that 16-bit grey can have; None reads it from the image.
    """
    if image.mode == "RGB" and "transparency" not in image.info:
        return np.asarray(image)
    if image.mode == "F":
        raise ValueError("it has floating-point pixels; save it with 8 or 16 bits")
    if (most := most or _most(image)) is not None:
        grey = np.minimum((np.asarray(image).astype(np.uint32) * 255 + most // 2) // most, 255).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return np.asarray(image.convert("RGB"))


def _most(image: Image.Image) -> int | None:
    """Return the highest possible grey value by the bit depth of the file, not its content: one scale for all images.

    None for other modes. Raises ValueError if grey values have no fixed scale.
    """
    if not image.mode.startswith("I"):
        return None
    tags = getattr(image, "tag_v2", {})
    bits, kind = (next(iter(tags.get(tag, (default,)))) for tag, default in ((258, DEEP), (339, 1)))
    if bits > DEEP or kind != 1 or (image.mode == "I" and image.format not in ("PNG", "PPM")):
        raise ValueError("its grey values are signed or have more than 16 bits; save it with 8 or 16 bits, unsigned")
    return 2 ** int(bits) - 1


def lossy(samples: Iterable[bytes]) -> str | None:
    """Return the lossy encoding among these files: 'jpeg90' (the lowest quality found) or 'webp'; None if none."""
    found = [name for name in map(_encoding, samples) if name]
    return min(found, key=lambda name: (len(name), name)) if found else None


def _encoding(data: bytes) -> str | None:
    if data[:2] == b"\xff\xd8":
        try:
            with Image.open(BytesIO(data), formats=("JPEG",)) as image:
                return f"jpeg{jpeg_quality(image.quantization[0])}"  # type: ignore[attr-defined]
        except Exception:  # damaged: decode() raises the error
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
