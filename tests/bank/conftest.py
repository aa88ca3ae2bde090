"""Shared fixtures of the bank's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.bank.bank import Bank
from tests.helpers.banks import FakeBackbone, FakeImages, build, splits


@pytest.fixture
def images() -> FakeImages:
    return FakeImages.random()


@pytest.fixture
def backbone() -> FakeBackbone:
    return FakeBackbone()


@pytest.fixture
def bank(tmp_path: Path, images: FakeImages, backbone: FakeBackbone) -> Bank:
    return build(images, backbone, splits(images), root=tmp_path, batch_size=16)
