"""`from_stages`: what it makes of a list of modules, and what it says when something does not fit."""

import pytest
import torch
from torch import nn

from bench.backbones.stages import from_stages
from bench.costs import backbone_macs
from bench.errors import UserError

GIVEN = {"image_size": 8, "mean": (0.5,) * 3, "std": (0.5,) * 3, "seen": ()}


def cnn(**options):
    """Two convolutions with an exit in between."""
    torch.manual_seed(0)
    stages = [nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 5, 3, 2, 1)]
    return from_stages(stages, **{"head": nn.Linear(5, 10), **GIVEN, **options})


class Patches(nn.Module):
    """Images to a class token and four patches."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.token = nn.Conv2d(3, 6, 4, 4), nn.Parameter(torch.randn(1, 1, 6))

    def tokens(self, images):
        return torch.cat([self.token.expand(len(images), -1, -1), self.embed(images).flatten(2).mT], 1)

    forward = tokens


def images(n=3):
    return torch.randn(n, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def test_exits_see_the_mean_of_each_map_and_the_last_is_the_head():
    b = cnn(seen="imagenet+svhn", head_for="svhn")
    features, logits = b.exits(images())
    first = b.trunk.stages[0](images())
    assert torch.allclose(features[0], first.mean((2, 3)), atol=1e-6)
    assert torch.allclose(logits, b.head(b.trunk.stages[1](first).mean((2, 3))), atol=1e-6)
    assert (b.feature_dims, b.final_dim, b.num_exits, b.num_classes) == ((4,), 5, 2, 10)
    assert (b.seen, b.head_for, b.mean, b.interpolation) == ({"imagenet", "svhn"}, "svhn", (0.5,) * 3, "bilinear")
    assert not any(p.requires_grad for p in b.parameters())
    assert backbone_macs(b, 8) == (4 * 4 * 4 * 27, 4 * 4 * 4 * 27 + 2 * 2 * 5 * 36 + 50)


@pytest.mark.parametrize("start", ["module", "method"])
@pytest.mark.parametrize("pool", ["token", "mean"])
def test_tokens_are_normalised_and_pooled(start, pool):
    patches, norm, blocks = Patches(), nn.LayerNorm(6), [nn.Linear(6, 6), nn.Linear(6, 6)]
    step = patches if start == "module" else patches.tokens
    b = from_stages(blocks, start=step, norm=norm, pool=pool, head=nn.Linear(6, 3), **GIVEN)
    state = norm(blocks[0](patches(images())))
    expected = state[:, 0] if pool == "token" else state.mean(1)
    assert torch.allclose(b.exits(images())[0][0], expected, atol=1e-6)
    assert not patches.token.requires_grad and backbone_macs(b, 8)[0] == 4 * 6 * 48 + 5 * 36


def test_a_function_may_pool_and_exits_may_be_placed():
    stages = [nn.Conv2d(3, 4, 3, 1, 1), nn.Conv2d(4, 4, 3, 1, 1), nn.Conv2d(4, 4, 3, 1, 1)]
    b = from_stages(stages, head=nn.Linear(4, 2), pool=lambda s: s.amax((2, 3)), exits="1", **GIVEN)
    assert b.exit_names == ("block 1", "head")
    assert torch.equal(b.exits(images())[0][0], stages[1](stages[0](images())).amax((2, 3)))


def test_native_heads_are_kept_and_must_fit():
    head = nn.Linear(4, 10)
    assert list(cnn(native=[head]).native) == [head]
    with pytest.raises(UserError, match="one for each of the 1 intermediate exits, from 4 features to 10 classes"):
        cnn(native=[nn.Linear(5, 10)])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"seen": None}, "does not say which datasets its weights have seen, which decides the data split"),
        ({"head": nn.Linear(7, 10)}, "reads 7 features, but 5 come out of its last stage"),
        ({"head": nn.Conv2d(5, 10, 1)}, "is Conv2d, not an nn.Linear"),
        ({"std": (0.5, 0.5, 0.0)}, "three numbers each, and std above 0"),
        ({"mean": (0.5,)}, "three numbers each"),
        ({"pool": "max"}, "'max' is not valid for `pool` of the network. Valid: mean, token, or a function"),
        ({"pool": lambda s: s}, r"`pool` of the network returns [1, 4, 4, 4] after stage 0 (Conv2d)"),
        ({"pool": lambda s: UNSEEN(s).mean((2, 3))}, "a function that uses 'UNSEEN', whose weights"),
        ({"exits": "7"}, "0 to 1"),
        ({"start": nn.Conv2d(3, 2, 1)}, "stage 0 (Conv2d) of the network cannot read [1, 2, 8, 8]: Given groups=1"),
        ({"start": nn.LSTM(8, 8)}, "start of the network"),
    ],
)
def test_mistakes_are_sentences(options, says):
    with pytest.raises(UserError) as error:
        cnn(**options)
    assert says in str(error.value)


UNSEEN = nn.Conv2d(5, 5, 1)


@pytest.mark.parametrize(
    ("stages", "says"),
    [
        ([], "Give a list of at least one module"),
        (nn.Linear(3, 3), "are Linear. Give a list"),
        ([torch.relu], "A stage of the network is builtin_function_or_method, not an nn.Module"),
        ([nn.LSTM(8, 8)], "stage 0 (LSTM) of the network"),
        ([nn.Flatten(0)], "stage 0 (Flatten) of the network returns [192]. It must return one tensor"),
    ],
)
def test_stages_that_are_none_are_named(stages, says):
    with pytest.raises(UserError) as error:
        from_stages(stages, head=nn.Linear(5, 10), **GIVEN)
    assert says in str(error.value)


class Reads(nn.Module):
    def forward(self, x):
        return x.mean((2, 3)) * x.sum().item()


def test_a_network_that_reads_numbers_is_told_apart_from_one_that_cannot_run():
    with pytest.raises(UserError, match=r"runs on real images, but not on PyTorch's meta device, .*Tensor.item"):
        from_stages([Reads()], head=nn.Linear(3, 10), **GIVEN)
