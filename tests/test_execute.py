from __future__ import annotations

import pytest
import torch
from torch import nn

from bench import backbones
from bench.check.compare import difference
from bench.costs import backbone_macs
from bench.exits import ForwardPass
from bench.inference import execute, simulate
from bench.method import ExitData, Policy, Task
from bench.plugins import registry
from bench.trials.plan import load_methods

METHODS = [name for name, plugin in registry.plugins("methods").items() if plugin.distribution == "exitbench"]
BUDGETS = (0.4, 0.8)
FAMILIES = {"cifar_resnet20": 32, "t2t_vit_7": 32, "efficientnet_lite0": 32, "deit_tiny": 32}


class Script(Policy):
    """Answers with the first features; a sample leaves where the first of them is above a threshold."""

    def __init__(self, thresholds):
        super().__init__()
        self.thresholds = thresholds

    def head(self, k, features, previous):
        return features[:, :4]

    def leave(self, k, logits):
        return logits[:, k, 0] > self.thresholds[k]

    def macs(self, k):
        return 1


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


def between(values, share) -> float:
    """Return a threshold that this share of values is below, far from all of them."""
    i = int(share * len(values))
    return float(values.sort().values[i - 1 : i + 1].mean())


def equal(simulated, executed):
    assert torch.equal(simulated.exit_index, executed.exit_index)
    assert torch.equal(simulated.macs, executed.macs)
    torch.testing.assert_close(simulated.logits, executed.logits, atol=1e-3, rtol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*METHODS, "jeidnn[reading=clipped,scheme=subsequent]"])
def test_stopping_early_for_real_is_what_was_simulated(network, name):
    backbone, task, images, data = network
    policies = [p for p in load_methods([name])[0].fit(task, BUDGETS) if isinstance(p, Policy)]
    used = set()
    for policy in policies:
        simulated = simulate(policy, data, task.macs)
        for batches in (images, images.split(64)):
            executed = execute(policy, backbone, batches, data.labels, task.macs)
            assert difference(policy, data, simulated, executed) is None
        used |= set(simulated.exit_index.tolist())
    assert len(used) > (name != "risk_control")  # its promise holds for exit 0 here


@pytest.mark.parametrize("size", [1, 7, 150])
def test_batches_of_any_size_come_one_after_the_other(network, size):
    backbone, task, images, data = network
    policy = Script([between(x[:, 0], 0.5) for x in data.features])
    batches = (batch for batch in images.split(size))
    simulated = simulate(policy, data, task.macs)
    assert simulated.exit_index.unique().numel() == 4
    equal(simulated, execute(policy, backbone, batches, data.labels, task.macs))


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_drops_samples_as_it_keeps_them(family):
    backbone = backbones.load(family, num_classes=4, image_size=FAMILIES[family], weights="random")
    images = torch.randn(12, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features, logits = backbone.exits(images)
    data = ExitData(tuple(features), logits, torch.zeros(12, dtype=torch.int64))
    policy = Script([between(x[:, 0], 0.75) for x in features])
    macs = tuple(range(1, backbone.num_exits + 1))
    simulated = simulate(policy, data, macs)
    assert 0 in simulated.exit_index and simulated.exit_index.unique().numel() > 2
    equal(simulated, execute(policy, backbone, images.split(5), data.labels, macs))


@pytest.mark.parametrize("at", ["first", "last"])
def test_all_may_leave_at_once_or_never(network, at):
    backbone, task, images, data = network
    inf = float("inf")
    policy = Script([-inf] * 3 if at == "first" else [inf] * 3)
    seen = computed(backbone, lambda: execute(policy, backbone, images.split(100), data.labels, task.macs))
    outcomes = execute(policy, backbone, images, data.labels, task.macs)
    assert set(outcomes.exit_index.tolist()) == {0 if at == "first" else 3}
    assert seen == ([100, 50] if at == "first" else [100] * 4 + [50] * 4)
    equal(simulate(policy, data, task.macs), outcomes)


def test_the_last_exit_is_the_head_that_is_given(network):
    backbone, task, images, data = network
    other = nn.Linear(backbone.final_dim, 4).requires_grad_(False)
    with torch.no_grad():
        final = other(backbone.features(images)[-1])
    policy = Script([between(x[:, 0], 0.5) for x in data.features])
    probed = ExitData(data.features, final, data.labels)
    found = execute(policy, backbone, images, data.labels, task.macs, head=(other.weight, other.bias))
    equal(simulate(policy, probed, task.macs), found)
    assert not torch.allclose(found.logits, execute(policy, backbone, images, data.labels, task.macs).logits)


def test_under_bfloat16_policies_still_see_single_precision(network):
    backbone, task, images, data = network
    kinds = set()
    policy = Script([0.0, 0.0, 0.0])
    policy.leave = lambda k, logits: kinds.add(logits.dtype) or torch.zeros(len(logits), dtype=torch.bool)
    found = execute(policy, backbone, images[:8], data.labels[:8], task.macs, precision="bfloat16")
    assert kinds == {torch.float32} and found.logits.dtype == torch.float32
    assert not torch.equal(found.logits, data.final_logits[:8])


def test_a_sample_that_left_is_not_computed_any_further(network):
    backbone, task, images, data = network
    (policy,) = load_methods(["msdnet_thresh"])[0].fit(task, [0.5])
    seen = computed(backbone, lambda: execute(policy, backbone, images, data.labels, task.macs))
    outcomes = execute(policy, backbone, images, data.labels, task.macs)
    still_there = [int((outcomes.exit_index >= k).sum()) for k in range(backbone.num_exits)]
    assert seen == [n for n in still_there if n]


def test_nothing_is_copied_at_an_exit_that_nobody_leaves_at(network, monkeypatch):
    backbone, task, images, data = network
    compacted = []
    keep = ForwardPass.keep
    monkeypatch.setattr(ForwardPass, "keep", lambda self, rows: compacted.append(len(rows)) or keep(self, rows))
    middle = between(data.features[1][:, 0], 0.5)
    policy = Script([float("inf"), middle, float("inf")])
    executed = execute(policy, backbone, images, data.labels, task.macs)
    equal(simulate(policy, data, task.macs), executed)
    assert compacted == [int((executed.exit_index == 3).sum())]


def computed(backbone, run) -> list[int]:
    """Return how many samples each stage computed."""
    seen = []
    stage = backbone.stage
    backbone.stage = lambda k, state: (seen.append(len(state)), stage(k, state))[1]
    try:
        run()
    finally:
        del backbone.stage
    return seen
