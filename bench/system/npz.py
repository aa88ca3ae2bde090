"""Read untrusted .npz files: with a size limit, and without running code."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench.system.files import open_regular

if TYPE_CHECKING:
    import numpy as np

MOST_BYTES = 1 << 30  # of all arrays of a file in memory


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Return all arrays of a file by name. Raises ValueError if it is damaged, too large, or not a regular file."""
    import numpy as np

    try:
        with open_regular(path, MOST_BYTES) as file:
            with zipfile.ZipFile(file) as archive:
                size = sum(entry.file_size for entry in archive.infolist())
            if size > MOST_BYTES:
                raise ValueError(f"its arrays take {size:,} bytes; at most {MOST_BYTES:,} are read")
            file.seek(0)
            with np.load(file, allow_pickle=False) as held:
                return {name: held[name] for name in held.files}
    except Exception as error:  # a damaged archive may raise anything
        raise ValueError(getattr(error, "strerror", None) or str(error) or type(error).__name__) from None
