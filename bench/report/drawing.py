"""Import matplotlib and seaborn with their default settings: MPLBACKEND and matplotlibrc must not change figures."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def _untouched() -> Iterator[None]:
    """Make matplotlib read its own matplotlibrc at import: a user's may be unreadable or for another version."""
    spec = find_spec("matplotlib")
    if "matplotlib" in sys.modules or spec is None or not spec.submodule_search_locations:
        yield
        return
    backend = os.environ.pop("MPLBACKEND", None)
    here = os.open(".", os.O_RDONLY)
    try:
        os.chdir(
            Path(spec.submodule_search_locations[0], "mpl-data")
        )  # matplotlib looks for matplotlibrc in the current folder first
        yield
    finally:
        os.fchdir(here)
        os.close(here)
        if backend is not None:
            os.environ["MPLBACKEND"] = backend


with _untouched():
    import matplotlib as mpl
    import seaborn as sns

__all__ = ["defaults", "mpl", "sns"]


def defaults() -> dict[str, Any]:
    """Return matplotlib's default values of all settings that this process has changed, except the backend."""
    kept = {"backend", "backend_fallback", "interactive", "toolbar"}
    own = {key: value for key, value in mpl.rcParamsDefault.items() if key not in kept}
    return {key: value for key, value in own.items() if mpl.rcParams[key] != value}
