"""Shared fixtures: where reference data may lie, and caches that belong to the test run alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from tests.helpers.paths import GOLDEN, SHARED

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
    if not (SHARED / "golden").is_dir():
        pytest.skip("needs the shared folder of reference data (set EXITBENCH_SHARED)")
    return SHARED


@pytest.fixture(scope="session")
def golden() -> Path:
    """The small reference arrays that are part of the project."""
    return GOLDEN


@pytest.fixture(scope="session")
def cache(tmp_path_factory) -> Path:
    """One cache for all command-line tests, so that the bank of the small job is built once."""
    return tmp_path_factory.mktemp("bench-cache")


@pytest.fixture(scope="session")
def environment(cache) -> dict[str, str]:
    return {**os.environ, "BENCH_CACHE": str(cache), "MPLBACKEND": "agg", "COLUMNS": "100"}
