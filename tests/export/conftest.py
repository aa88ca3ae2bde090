from __future__ import annotations

import functools
import shutil
from pathlib import Path

import numpy as np
import pytest

from bench import datasets
from bench.config import RunConfig
from bench.export.request import export_policy
from tests.helpers.commands import SMALL_CONFIG

ONE = {**SMALL_CONFIG, "methods": ["msdnet_thresh"], "budgets": [0.6], "seeds": [0]}


@pytest.fixture(scope="session")
def exported(small_bank, tmp_path_factory) -> Path:
    """A folder that must not be changed: thresholds on the small bank, with the backbone."""
    work = tmp_path_factory.mktemp("exported")
    export_policy(RunConfig(**ONE, output=work / "runs"), work / "policy")
    return work / "policy"


@pytest.fixture(scope="session")
def operators_once():
    """Let the ONNX exporter read its list of operators once, not for each file."""
    pytest.importorskip("onnxscript")
    from torch.onnx._internal._lazy_import import onnxscript_apis as apis

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(apis, "get_torchlib_ops", functools.cache(apis.get_torchlib_ops))
        yield


@pytest.fixture
def folder(exported, tmp_path) -> Path:
    """A copy of it."""
    return shutil.copytree(exported, tmp_path / "copy")


@pytest.fixture(scope="session")
def digits():
    """The dataset of the small bank: images by row, and labels."""
    found = datasets.load("digits")
    return found, lambda rows: found.read(np.sort(rows))
