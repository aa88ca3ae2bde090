"""The cache folder, for data that can be rebuilt: digests, downloads, converted data, feature banks."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from bench.errors import UserError
from bench.system.paths import user_path


def cache_dir(*parts: str) -> Path:
    """Return the cache folder, `$BENCH_CACHE` or the user's own, joined with `parts`; create it if it is missing."""
    folder = _root().joinpath(*parts)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or error
        raise UserError(
            f"The cache folder {folder} cannot be created ({reason}). Set $BENCH_CACHE to another folder."
        ) from error
    return folder


def _root() -> Path:
    """Return $BENCH_CACHE or the user's own cache folder; raise UserError if this user has no home."""
    given = os.environ.get("BENCH_CACHE")
    try:
        return user_path(given or platformdirs.user_cache_dir("exitbench"))
    except (UserError, KeyError, RuntimeError, OSError) as error:
        if given:
            raise
        problem = "This user has no home folder, so there is no place for a cache."
        raise UserError(f"{problem} Set $BENCH_CACHE or $HOME to a folder that can be written to.") from error
