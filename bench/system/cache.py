"""Where the harness keeps what it can rebuild: digests, downloads, converted data, feature banks."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from bench.errors import UserError


def cache_dir(*parts: str) -> Path:
    """Return the cache folder, `$BENCH_CACHE` or the user's own, joined with `parts`; it exists afterwards."""
    root = Path(os.environ.get("BENCH_CACHE") or platformdirs.user_cache_dir("exitbench")).expanduser()
    folder = root.joinpath(*parts)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or error
        raise UserError(
            f"The cache folder {folder} cannot be made ({reason}). Point $BENCH_CACHE elsewhere."
        ) from error
    return folder
