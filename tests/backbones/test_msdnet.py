"""MSDNet against the public code's outputs, a recursion written anew, and MACs counted by hand."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional
from torch.testing import assert_close

from bench import backbones
from bench.backbones.msdnet_layers import MSDNet, Shape
from bench.costs import backbone_macs
from bench.errors import UserError
from bench.inference import execute, simulate
from bench.method import ExitData, Task
from bench.trials.plan import load_methods
from tests.helpers.backbones import images
from tests.helpers.banks import FakeImages, build, splits
from tests.helpers.paths import GOLDEN

OFFICIAL = {  # name of the golden array and the configuration that made it
    "even": Shape(blocks=7),
    "lin_grow": Shape(stepmode="lin_grow", base=1, step=1),
    "plain": Shape(growth=4, channels=8, bottleneck=False),
}
SMALL = Shape(blocks=2, base=1, step=1)
SHAPES = [*OFFICIAL.values(), Shape(), SMALL, Shape(blocks=4, base=2, growth=5, channels=7)]


def spec(shape: Shape) -> str:
    return f"msdnet[{','.join(f'{k}={v}' for k, v in vars(shape).items())}]"


def redrawn(shape: Shape, classes: int = 10) -> dict[str, torch.Tensor]:
    """Weights drawn key by key in sorted order: any name or shape unlike the public code's changes all after it."""
    rng, state = np.random.default_rng(14), {}
    for key, value in sorted(MSDNet(shape, classes).state_dict().items()):
        if key.endswith("num_batches_tracked"):
            state[key] = torch.tensor(0)
            continue
        a = rng.standard_normal(value.shape).astype(np.float32)
        if key.endswith("running_var"):
            a = 0.5 + np.abs(a)
        elif a.ndim == 1:
            a = key.endswith("weight") + 0.2 * a
        else:
            a = a * np.sqrt(2 / math.prod(a.shape[1:]))
        state[key] = torch.from_numpy(np.asarray(a, dtype=np.float32))
    return state


def checkpoint(folder, state):
    """Save a state dict as the public training code does, from inside DataParallel."""
    path = folder / "model_best.pth.tar"
    path.parent.mkdir(exist_ok=True)
    content = {"epoch": 299, "arch": "msdnet", "best_prec1": 93.5, "optimizer": {"state": {}, "param_groups": []}}
    torch.save(content | {"state_dict": {f"module.{k}": v for k, v in state.items()}}, path)
    return path


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return checkpoint(tmp_path_factory.mktemp("weights") / "cifar10", redrawn(SMALL))


@torch.no_grad()
def all_logits(backbone, batch):
    heads = [*backbone.native, backbone.head]
    return torch.stack([head(feature) for head, feature in zip(heads, backbone.features(batch), strict=True)])


def units(x, state, key, stride=1):
    """Convolutions with batch norm and ReLU; the last one has the stride."""
    places = [i for i in (0, 3) if f"{key}.net.{i}.weight" in state]
    for i in places:
        weight = state[f"{key}.net.{i}.weight"]
        x = functional.conv2d(x, weight, stride=stride if i == places[-1] else 1, padding=weight.shape[-1] // 2)
        mean, var, scale, shift = (
            state[f"{key}.net.{i + 1}.{n}"] for n in ("running_mean", "running_var", "weight", "bias")
        )
        x = functional.batch_norm(x, mean, var, scale, shift).relu()
    return x


def reference(shape, state, x):
    """The recursion of the paper: x_s of layer l+1 joins x_s of layer l, a strided map of x_(s-1) and a map of x_s."""
    maps, out, part = [], [], math.ceil(sum(layers(shape)) / 3)
    for s in range(3):
        maps.append(units(maps[-1] if maps else x, state, f"blocks.0.0.layers.{s}", stride=1 if s == 0 else 2))
    number = 0
    for block, count in enumerate(layers(shape)):
        place = 1 if block == 0 else 0
        for _ in range(count):
            number += 1
            drops = number > 1 and (number - 1) % part == 0
            new = []
            for s in range(drops, len(maps)):
                key = f"blocks.{block}.{place}.layers.{s - drops}"
                down = [units(maps[s - 1], state, f"{key}.conv_down", stride=2)] if s else []
                new.append(torch.cat([maps[s], *down, units(maps[s], state, f"{key}.conv_normal")], 1))
            maps, place = new, place + 1
            if drops:
                maps = [units(m, state, f"blocks.{block}.{place}.m.{s}") for s, m in enumerate(maps)]
                place += 1
        seen = maps[-1]
        for i in (0, 1):
            seen = units(seen, state, f"classifier.{block}.m.{i}", stride=2)
        linear = (state[f"classifier.{block}.linear.{n}"] for n in ("weight", "bias"))
        out.append(functional.linear(functional.avg_pool2d(seen, 2).flatten(1), *linear))
    return torch.stack(out)


def layers(shape):
    later = range(1, shape.blocks)
    return [shape.base, *(shape.step * i + 1 if shape.stepmode == "lin_grow" else shape.step for i in later)]


def closed_form(shape, classes):
    """MACs up to every exit, all classifiers on the way run up to their pooled features."""
    sides, factors = (32, 16, 8), (1, 2, 4)
    conv = lambda side, inputs, outputs, kernel: side**2 * inputs * outputs * kernel**2  # noqa: E731
    wide = [shape.channels * f for f in factors]
    total = sum(conv(sides[s], [3, *wide][s], wide[s], 3) for s in range(3))
    width, number, finest, exits = shape.channels, 0, 0, []
    part = math.ceil(sum(layers(shape)) / 3)

    def grow(scale, side, new):
        """New channels of a map of `scale`, computed on `side` pixels behind the stride."""
        inputs = width * factors[scale]
        if not shape.bottleneck:
            return conv(side, inputs, new, 3)
        inner = min(inputs, factors[scale] * new)
        return conv(sides[scale], inputs, inner, 1) + conv(side, inner, new, 3)

    for count in layers(shape):
        for _ in range(count):
            number += 1
            drops = number > 1 and (number - 1) % part == 0
            for s in range(finest + drops, 3):
                new = shape.growth * factors[s]
                if s == finest:
                    total += grow(s, sides[s], new)
                else:
                    total += grow(s - 1, sides[s], new // 2) + grow(s, sides[s], new // 2)
            width += shape.growth
            if drops:
                finest += 1
                kept = width // 2
                total += sum(conv(sides[s], width * factors[s], kept * factors[s], 1) for s in range(finest, 3))
                width = kept
        total += conv(4, width * 4, 128, 3) + conv(2, 128, 128, 3)
        exits.append(total)
    exits[-1] += 128 * classes
    return exits


@pytest.mark.parametrize("name", OFFICIAL)
def test_a_checkpoint_gives_the_logits_of_the_public_code(name, tmp_path):
    path = checkpoint(tmp_path / "cifar10", redrawn(OFFICIAL[name]))
    backbone = backbones.load(spec(OFFICIAL[name]), weights=path, num_classes=10)
    batch = torch.from_numpy(np.random.default_rng(5).standard_normal((4, 3, 32, 32)).astype(np.float32))
    expected = torch.from_numpy(np.load(GOLDEN / "msdnet_network.npz")[name])
    assert expected.std() > 0.5
    assert_close(all_logits(backbone, batch), expected, rtol=0, atol=1e-4)
    assert_close(backbone(batch), expected[-1], rtol=0, atol=1e-4)


@pytest.mark.parametrize("shape", SHAPES, ids=spec)
def test_logits_are_those_of_the_papers_recursion(shape, tmp_path):
    state = redrawn(shape, 7)
    backbone = backbones.load(spec(shape)[:-1] + ",seen=nothing]", weights=checkpoint(tmp_path, state))
    assert_close(all_logits(backbone, images(3, 32)), reference(shape, state, images(3, 32)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", SHAPES, ids=spec)
def test_macs_are_those_of_the_closed_form(shape):
    counted = backbone_macs(backbones.load(spec(shape), weights="random", num_classes=10), 32)
    assert list(counted) == closed_form(shape, 10)
    assert list(counted) == sorted(set(counted)) and len(counted) == shape.blocks


def test_default_exits_have_a_head_of_their_own():
    backbone = backbones.load("msdnet", weights="random", num_classes=10)
    assert backbone.exit_names == ("block 0", "block 1", "block 2", "block 3", "head")
    assert [h.out_features for h in backbone.native] == [10] * 4 and backbone.feature_dims == (128,) * 4
    assert not any(key.endswith("linear.weight") for key in backbone.trunk.state_dict())  # each held once


def test_fewer_exits_run_fewer_classifiers_and_answer_alike():
    every, few = (backbones.load("msdnet", weights="random", num_classes=10, exits=e) for e in (None, "0,2"))
    inputs = [c.m[0].net[0].in_channels for c in every.trunk.classifier]
    skipped = [4**2 * inputs[k] * 128 * 9 + 2**2 * 128 * 128 * 9 for k in (1, 3)]
    full = backbone_macs(every, 32)
    assert backbone_macs(few, 32) == (full[0], full[2] - skipped[0], full[4] - sum(skipped))
    assert_close(all_logits(few, images(2, 32)), all_logits(every, images(2, 32))[[0, 2, 4]])
    assert few.exit_names == ("block 0", "block 2", "head")


def test_what_a_file_has_seen_decides_normalisation_and_heads(tmp_path):
    name = spec(SMALL)
    ten = checkpoint(tmp_path / "cifar10", redrawn(SMALL))
    backbone = backbones.load(name, weights=ten, num_classes=10)
    assert (backbone.seen, backbone.head_for, backbone.mean[0]) == ({"cifar10"}, "cifar10", 0.4914)
    hundred = checkpoint(tmp_path / "cifar100", redrawn(SMALL, 100))
    backbone = backbones.load(name, weights=hundred)
    assert (backbone.head_for, backbone.num_classes, len(backbone.native)) == ("cifar100", 100, 1)
    assert (backbone.mean, backbone.std) == ((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761))
    other = backbones.load(name, weights=hundred, num_classes=10)
    assert (other.num_classes, other.head_for, other.seen, len(other.native)) == (10, None, {"cifar100"}, 0)
    with pytest.raises(UserError, match="does not say what it was trained on"):
        backbones.load(name, weights=checkpoint(tmp_path / "mine", redrawn(SMALL)))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("msdnet[base=1,step=1,blocks=3]", "is missing"),
        ("msdnet[base=2,step=1,blocks=2]", "as in msdnet[blocks=7,base=4,step=2,stepmode=even,"),
        ("msdnet[base=1,step=1,blocks=2,growth=12]", " instead of "),
        ("msdnet[base=1,step=1,blocks=2,bottleneck=off]", "do not fit this architecture"),
        ("msdnet[blocks=1]", "'1' is not a valid value for parameter 'blocks' of 'msdnet'"),
        ("msdnet[stepmode=odd]", "should be 'even' or 'lin_grow'"),
        ("msdnet[exits=4]", "puts an exit after the last block"),
        ("msdnet[weights=none]", "Give a checkpoint with --weights PATH"),
    ],
)
def test_mistakes_are_sentences(name, says, small):
    with pytest.raises(UserError) as error:
        backbones.load(name, weights=None if "weights" in name else small)
    assert says in str(error.value)


def test_a_name_says_how_the_network_differs_from_the_default():
    assert backbones.load("msdnet[blocks=5]", weights="random").name == "msdnet"
    assert backbones.load("msdnet[growth=4,blocks=3]", weights="random").name == "msdnet[blocks=3,growth=4]"
    assert backbones.default_image_size("msdnet", 224) == 32


def test_trains_through_its_five_parts():
    """Gradients reach every parameter from the heads, batch norm in training mode."""
    backbone = backbones.load("msdnet[blocks=3,base=1,step=1]", weights="random", num_classes=10)
    backbone.requires_grad_(True)
    backbone.trunk.train()
    state, loss = backbone.start(images(4, 32)), torch.zeros(())
    for k, head in enumerate([*backbone.native, backbone.head]):
        state = backbone.stage(k, state)
        loss = loss + functional.cross_entropy(head(backbone.feature(k, state)), torch.arange(4))
    loss.backward()
    assert all(p.grad is not None and p.grad.any() for p in backbone.parameters())


def test_stopping_early_for_real_on_its_own_heads_is_what_was_simulated(tmp_path):
    shape = Shape(blocks=4, base=1, step=1)
    backbone = backbones.load(spec(shape), weights=checkpoint(tmp_path / "cifar10", redrawn(shape)), num_classes=10)
    features, logits = backbone.exits(images(80, 32))
    labels, macs = torch.arange(80) % 10, backbone_macs(backbone, 32)
    val, data = (ExitData(tuple(f[r] for f in features), logits[r], labels[r]) for r in (slice(40), slice(40, 80)))
    own = tuple((h.weight, h.bias) for h in backbone.native)
    task = Task(val, val, macs, 10, 0, torch.device("cpu"), native=own)
    batch = images(80, 32)[40:]
    for policy in load_methods(["msdnet_thresh[heads=native]"])[0].fit(task, [0.6, 0.8]):
        simulated, executed = simulate(policy, data, macs), execute(policy, backbone, batch, data.labels, macs)
        assert torch.equal(simulated.exit_index, executed.exit_index) and simulated.exit_index.unique().numel() > 1
        assert torch.equal(simulated.macs, executed.macs)
        assert_close(simulated.logits, executed.logits, atol=1e-4, rtol=1e-4)


def test_a_bank_holds_its_features_and_its_heads(tmp_path):
    shape = Shape(blocks=3, base=1, step=1)
    dataset = FakeImages.random(24)
    path = checkpoint(tmp_path / "weights", redrawn(shape, 3))
    backbone = backbones.load(f"{spec(shape)[:-1]},seen=nothing,head_for=fake]", weights=path, image_size=16)
    bank = build(dataset, backbone, splits(dataset), root=tmp_path)
    task = bank.task(0)
    assert [f.shape for f in task.train.features] == [(12, 128)] * 2 and task.macs == backbone_macs(backbone, 16)
    assert all(torch.equal(w, h.weight) for (w, _), h in zip(task.native, backbone.native, strict=True))
