"""What holds for every family: stages in a row are the network, samples may drop out, nothing trains."""

import copy

import pytest
import torch
from torch.testing import assert_close

from tests.helpers.backbones import FAMILIES, IDS, build, images, in_one_go


def tensors(state):
    """The tensors of a state: itself, or the maps of all scales."""
    return getattr(state, "scales", (state,))


TIMM = [f for f in FAMILIES if f[2]]


@pytest.fixture(scope="module", params=FAMILIES, ids=IDS)
def family(request):
    name, size, _ = request.param
    return build(name, size)


@pytest.mark.parametrize(("name", "size", "arch"), TIMM, ids=[f[0] for f in TIMM])
def test_stages_in_a_row_equal_timms_own_forward(name, size, arch):
    backbone, batch = build(name, size), images(3, size)
    with torch.no_grad():
        logits = backbone.exits(batch)[1]
    expected = in_one_go(backbone, arch, batch)
    assert expected.std() > 1e-4
    assert_close(logits, expected, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_samples_that_drop_out_leave_the_rest_as_in_a_full_run(family):
    batch = images(5, family.image_size)
    full = family.features(batch)
    rows, state = torch.arange(5), family.start(batch)
    drops = {0: 3, family.num_exits - 2: 0}  # position in the batch that leaves at this exit
    for k in range(family.num_exits):
        state = family.stage(k, state)
        assert len(state) == len(rows)
        assert_close(family.feature(k, state), full[k][rows], rtol=1e-4, atol=1e-5)
        if k in drops:
            stay = torch.arange(len(rows)) != drops[k]
            rows, state = rows[stay], state[stay]
    assert len(rows) == 3


@torch.no_grad()
def test_stage_leaves_its_input_as_it_was(family):
    state = family.start(images(2, family.image_size))
    for k in range(family.num_exits):
        before = copy.deepcopy(state)
        after = family.stage(k, state)
        assert all(torch.equal(a, b) for a, b in zip(tensors(state), tensors(before), strict=True))
        state = after


@torch.no_grad()
def test_outputs_repeat_and_do_not_depend_on_the_batch(family):
    batch = images(4, family.image_size)
    features, logits = family.exits(batch)
    again = family.exits(batch)
    assert all(torch.equal(a, b) for a, b in zip([*features, logits], [*again[0], again[1]], strict=True))
    single = [family.exits(batch[i : i + 1]) for i in range(4)]
    for k, f in enumerate(features):
        assert_close(torch.cat([s[0][k] for s in single]), f, rtol=1e-5, atol=1e-5)
    assert_close(torch.cat([s[1] for s in single]), logits, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_declared_widths_and_names_are_the_real_ones(family):
    features, logits = family.exits(images(2, family.image_size))
    assert tuple(f.shape for f in features) == tuple((2, d) for d in family.feature_dims)
    assert len(features) == family.num_exits - 1 == len(family.exit_names) - 1
    assert logits.shape == (2, family.num_classes) == (2, 10)
    assert family.final_dim == family.head.in_features
    assert family.exit_names[-1] == "head" and len(set(family.exit_names)) == family.num_exits
    assert torch.equal(family(images(2, family.image_size)), logits)


def test_frozen_whatever_one_asks(family):
    assert family.train() is family
    assert not any(m.training for m in family.modules())
    assert not any(p.requires_grad for p in family.parameters())
    assert family.seen == frozenset() and family.head_for is None


def test_digest_names_weights_and_exits():
    a, b = build("cifar_resnet20", 32), build("cifar_resnet20", 32)
    assert a.weights_digest == b.weights_digest
    assert build("cifar_resnet20", 32, exits="2,5").weights_digest != a.weights_digest
    assert build("cifar_resnet20", 32, num_classes=11).weights_digest != a.weights_digest
    from bench.backbones.staged import digest

    state = a.state_dict()
    changed = {**state, "head.bias": state["head.bias"] + torch.eye(10)[3] * 1e-6}
    assert digest("x", state) != digest("x", changed)
    assert digest("x", state) == digest("x", dict(reversed(state.items())))


def test_random_weights_leave_the_callers_random_state_alone():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    build("resnet18", 64)
    assert torch.equal(torch.rand(2), expected)


def test_an_image_too_small_is_a_sentence():
    from bench.errors import UserError

    with pytest.raises(UserError, match=r"patches of 16 pixels; 40 is not a multiple of 16\. Try --image-size 32"):
        build("t2t_vit_7", 40)
    with pytest.raises(UserError, match=r"patches of 16 pixels; 40 is not a multiple of 16\. Try --image-size 32"):
        build("deit_tiny", 40)
