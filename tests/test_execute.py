from __future__ import annotations

import pytest
import torch

from bench import backbones
from bench.costs import backbone_macs
from bench.inference import execute, simulate
from bench.method import ExitData, Task
from bench.trials.plan import load_methods


@pytest.fixture(scope="module")
def network():
    """A random residual network, images of four kinds, and its exits on them."""
    backbone = backbones.load("cifar_resnet20", num_classes=4, image_size=32, weights="random", exits="1,3,6")
    g = torch.Generator().manual_seed(0)
    patterns = torch.randn(4, 3, 32, 32, generator=g)

    def split(n: int) -> tuple[torch.Tensor, ExitData]:
        labels = torch.randint(4, (n,), generator=g)
        images = patterns[labels] + 3 * torch.rand(n, 1, 1, 1, generator=g) * torch.randn(n, 3, 32, 32, generator=g)
        with torch.no_grad():
            features, logits = backbone.exits(images)
        return images, ExitData(tuple(features), logits, labels)

    (_, train), (_, val), test = split(200), split(200), split(150)
    return backbone, Task(train, val, backbone_macs(backbone, 32), 4, 0, torch.device("cpu")), *test


@pytest.mark.slow
@pytest.mark.parametrize("name", ["jeidnn", "jeidnn[reading=clipped]", "msdnet_thresh", "entropy_thresh"])
@pytest.mark.parametrize("budget", [0.4, 0.7])
def test_stopping_early_for_real_is_what_was_simulated(network, name, budget):
    backbone, task, images, data = network
    (policy,) = load_methods([name])[0].fit(task, [budget])
    simulated = simulate(policy, data, task.macs)
    executed = execute(policy, backbone, images, data.labels, task.macs)
    assert torch.equal(simulated.exit_index, executed.exit_index)
    assert torch.equal(simulated.macs, executed.macs)
    torch.testing.assert_close(simulated.logits, executed.logits, atol=1e-3, rtol=1e-3)
    assert simulated.exit_index.unique().numel() > 1


def test_a_sample_that_left_is_not_computed_any_further(network):
    backbone, task, images, data = network
    (policy,) = load_methods(["msdnet_thresh"])[0].fit(task, [0.5])
    seen = []
    stage = backbone.stage
    backbone.stage = lambda k, state: (seen.append(len(state)), stage(k, state))[1]
    try:
        outcomes = execute(policy, backbone, images, data.labels, task.macs)
    finally:
        del backbone.stage
    still_there = [int((outcomes.exit_index >= k).sum()) for k in range(backbone.num_exits)]
    assert seen == [n for n in still_there if n]
