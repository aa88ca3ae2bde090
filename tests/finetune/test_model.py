"""What is learnt: the exits' losses and their gradients."""

import pytest
import torch
from torch import nn

from bench.finetune.config import FineTuning
from bench.finetune.model import Network, loss, scaled
from tests.helpers.backbones import build, images


def network(**options):
    return Network(build("cifar_resnet20", 16, exits="2,5"), FineTuning(**{"exits": "joint"} | options))


def test_the_loss_is_the_weighted_sum_over_exits():
    g = torch.Generator().manual_seed(0)
    logits = [torch.randn(5, 3, generator=g) for _ in range(3)]
    labels = torch.tensor([0, 2, 1, 1, 0])
    config = FineTuning(exits="joint", exit_weights=(1.0, 0.5, 2.0), smoothing=0.3, distil=0.7, temperature=2.0)
    expected = 0.0
    for weight, z in zip(config.exit_weights, logits, strict=True):
        log_p = z.log_softmax(1)
        own = -log_p[torch.arange(5), labels].mean()
        expected += weight * (0.7 * own + 0.3 * -log_p.mean())
    teacher = (logits[-1] / 2).softmax(1)
    for z in logits[:-1]:
        expected += 0.7 * 4 * (teacher * (teacher.log() - (z / 2).log_softmax(1))).sum(1).mean()
    torch.testing.assert_close(loss(logits, labels, config), expected)


def test_the_teacher_does_not_learn_from_its_pupils():
    last = torch.randn(4, 3, requires_grad=True)
    pupil = torch.randn(4, 3, requires_grad=True)
    config = FineTuning(exits="joint", exit_weights=(1.0, 0.0), distil=1.0)
    loss([pupil, last], torch.zeros(4, dtype=torch.int64), config).backward()
    assert not last.grad.any() and pupil.grad.any()


def test_scaling_changes_gradients_alone():
    x = torch.ones(2, requires_grad=True)
    y = scaled(x, 0.25)
    assert torch.equal(x, y)
    y.sum().backward()
    assert x.grad.tolist() == [0.25, 0.25]


def test_equilibrium_keeps_the_trunks_gradient_from_growing_with_the_heads():
    """Three heads of gradient 1 add up to 3 at the first exit; in equilibrium a state gets 1 at every exit."""

    class Line(nn.Module):
        num_exits, trunk, head = 3, nn.Linear(1, 1), nn.Identity()
        native = nn.ModuleList([nn.Identity(), nn.Identity()])

        def __init__(self):
            super().__init__()
            self.weights = nn.Parameter(torch.ones(3))
            self.seen = []

        def start(self, x):
            return x

        def stage(self, k, state):
            state = state * self.weights[k]
            state.retain_grad()
            self.seen.append(state)
            return state

        def feature(self, k, state):
            return state

    for equilibrium, expected in ((False, [3.0, 2.0, 1.0]), (True, [1.0, 1.0, 1.0])):
        line = Line()
        net = Network.__new__(Network)
        nn.Module.__init__(net)
        net.backbone, net.config = line, FineTuning(exits="joint", equilibrium=equilibrium)
        torch.stack(net(torch.ones(1, 1))).sum().backward()
        assert [float(s.grad) for s in line.seen] == pytest.approx(expected)


@pytest.mark.parametrize(("exits", "heads"), [("none", 1), ("joint", 3), ("frozen", 3)])
def test_what_learns_and_what_does_not(exits, heads):
    net = network(exits=exits).train()
    assert net.backbone.trunk.training == (exits != "frozen")
    logits = net(images(4, 16))
    assert len(logits) == heads and all(z.shape == (4, 10) for z in logits)
    loss(logits, torch.arange(4), net.config).backward()
    learns = {name.split(".")[1] for name, p in net.named_parameters() if p.grad is not None and p.grad.any()}
    assert learns == {"head"} | ({"trunk"} if exits != "frozen" else set()) | ({"native"} if heads == 3 else set())
    assert net.eval().backbone.trunk.training is False


def test_in_training_and_in_a_bank_the_network_is_the_same():
    net = network().eval()
    x = images(3, 16)
    with torch.no_grad():
        *features, last = net.backbone.features(x)
        logits = net(x)
        own = [layer(f) for layer, f in zip(net.backbone.native, features, strict=True)]
        torch.testing.assert_close(logits, [*own, net.backbone.head(last)])


def test_a_network_of_several_scales_learns_in_equilibrium_with_its_own_heads():
    backbone = build("msdnet[blocks=3,base=1,step=1]", 32)
    own = list(backbone.native)
    net = Network(backbone, FineTuning(exits="joint", equilibrium=True)).train()
    assert list(net.backbone.native) == own
    logits = net(images(4, 32))
    loss(logits, torch.arange(4), net.config).backward()
    assert len(logits) == 3 and all(p.grad is not None for p in net.parameters())


def test_groups_have_the_rates_and_decays_of_their_kind():
    net = network(lr=0.1, trunk_rate=0.5, weight_decay=0.3)
    groups = {(g["lr"], g["weight_decay"]): g["params"] for g in net.groups()}
    assert set(groups) == {(0.05, 0.3), (0.05, 0.0), (0.1, 0.3), (0.1, 0.0)}
    assert sum(map(len, groups.values())) == len(list(net.parameters()))
    assert all(p.dim() > 1 for (_, decay), held in groups.items() for p in held if decay)
    assert {id(p) for p in groups[0.1, 0.3]} == {id(m.weight) for m in [*net.backbone.native, net.backbone.head]}
