"""A tiny network on tiny images."""

from __future__ import annotations

import pytest

from bench.finetune import Wanted, finetune


@pytest.fixture(scope="session")
def wanted():
    """Make what a user asks for: digits through a small random ResNet of three exits, a few steps."""

    def make(**options) -> Wanted:
        config = {"epochs": 2, "batch_size": 8, "lr": 0.02, "trunk_rate": 1.0, "augment": 0, "exits": "joint"} | options
        return Wanted("digits", "cifar_resnet20[exits='2,5']", config, image_size=8, weights="random", limit=60)

    return make


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of such a network with heads at its exits."""
    config = {"epochs": 1, "batch_size": 16, "augment": 0, "exits": "joint"}
    wanted = Wanted("digits", "cifar_resnet20[exits='2,5']", config, image_size=8, weights="random", limit=60)
    return finetune(wanted, tmp_path_factory.mktemp("networks") / "joint", workers=0)
