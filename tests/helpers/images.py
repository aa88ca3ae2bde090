"""Encode arrays as image files."""

from io import BytesIO

import numpy as np
from PIL import Image


def encode(array: np.ndarray | Image.Image, *, encoding: str = "PNG", **options) -> bytes:
    file = BytesIO()
    image = array if isinstance(array, Image.Image) else Image.fromarray(array)
    image.save(file, encoding, **options)
    return file.getvalue()
