"""Where the tests of the scores find their helpers and the reference numbers."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for made_up


@pytest.fixture
def shared() -> Path:
    """The folder of real data and reference numbers, or a skip."""
    folder = Path(os.environ.get("EXITBENCH_SHARED", Path(__file__).resolve().parents[3] / "shared"))
    if not (folder / "golden").is_dir():
        pytest.skip("the shared reference numbers are not here (set EXITBENCH_SHARED)")
    return folder
