"""Shared fixtures: where reference data may lie, and caches that belong to the test run alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]

# On a busy machine an example may take long; and where a change is judged, luck must not decide.
settings.register_profile("here", deadline=None)
settings.register_profile("gate", deadline=None, derandomize=True)
settings.load_profile("gate" if os.environ.get("CI") else "here")


@pytest.fixture(scope="session", autouse=True)
def _few_threads() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data, weights and reference numbers, where it is at hand."""
    folder = Path(os.environ.get("EXITBENCH_SHARED", ROOT.parent / "shared"))
    if not (folder / "golden").is_dir():
        pytest.skip("needs the shared folder of reference data (set EXITBENCH_SHARED)")
    return folder


@pytest.fixture(scope="session")
def golden() -> Path:
    """The small reference arrays that are part of the project."""
    return ROOT / "tests" / "golden"
