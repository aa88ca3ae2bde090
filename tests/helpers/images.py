"""Encode arrays as image files."""

from io import BytesIO

import numpy as np
from PIL import Image


def encode(array: np.ndarray, *, encoding: str = "PNG", **options) -> bytes:
    file = BytesIO()
    Image.fromarray(array).save(file, encoding, **options)
    return file.getvalue()
