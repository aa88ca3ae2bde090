"""T2T-ViT against reference numbers, and the checkpoints that it reads."""

import argparse
import json

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from bench import backbones
from bench.backbones.t2t_layers import T2TViT, resize_positions, sinusoids
from bench.errors import UserError
from tests.helpers.paths import GOLDEN


def redrawn(numbers) -> dict[str, torch.Tensor]:
    """Weights of the reference run: drawn key by key in sorted order, the performers' random features as stored."""
    rng, state = np.random.default_rng(11), {}
    for key, shape in sorted(json.loads((GOLDEN / "t2t_vit_7_keys.json").read_text())):
        a = rng.standard_normal(shape).astype(np.float32)
        if "norm" in key and key.endswith("weight"):
            a = 1 + 0.1 * a
        elif key.endswith(".w"):
            a = numbers[f"w:{key}"]
        elif a.ndim == 1:
            a = 0.05 * a
        else:
            a = a / np.sqrt(shape[-1])
        state[key] = torch.from_numpy(np.asarray(a, dtype=np.float32))
    return state


@pytest.mark.parametrize("size", [224, 32])
def test_matches_the_reference(size, tmp_path):
    numbers = np.load(GOLDEN / f"t2t_vit_7_{size}.npz")
    state = redrawn(numbers) | {"pos_embed": sinusoids((size // 16) ** 2 + 1, 256)}
    torch.save({"net": {f"module.{k}": v for k, v in state.items()}}, tmp_path / "cifar10_t2t.pth")
    backbone = backbones.load("t2t_vit_7", num_classes=10, image_size=size, weights=tmp_path / "cifar10_t2t.pth")
    batch = torch.from_numpy(np.random.default_rng(5).standard_normal((2, 3, size, size)).astype(np.float32))
    with torch.no_grad():
        *features, final = backbone.features(batch)
        logits = backbone.exits(batch)[1]
    assert_close(torch.stack(features, 1), torch.from_numpy(numbers["features"]), rtol=0, atol=1e-4)
    assert_close(final, torch.from_numpy(numbers["final"]), rtol=0, atol=1e-4)
    assert_close(logits, torch.from_numpy(numbers["logits"]), rtol=0, atol=1e-4)


def test_key_names_and_parameter_counts_are_those_of_the_public_checkpoints():
    keys = {k: tuple(s) for k, s in json.loads((GOLDEN / "t2t_vit_7_keys.json").read_text())}
    trunk = T2TViT(224, 256, 7, 2)
    own = {k: tuple(v.shape) for k, v in trunk.state_dict().items()}
    assert own.pop("pos_embed") == (1, 197, 256)
    assert own == {k: s for k, s in keys.items() if not k.startswith("head.")}
    for name, count in (("t2t_vit_7", 4_310_222), ("t2t_vit_14", 21_545_550)):
        backbone = backbones.load(name, weights="random")
        # the published counts hold every tensor of the checkpoint: fixed random features and position table too
        assert sum(p.numel() for p in backbone.parameters()) == count


@pytest.fixture(scope="module")
def checkpoint():
    """A 1,000-class state dict with the published names."""
    backbone = backbones.load("t2t_vit_7", weights="random")
    return backbone.trunk.state_dict() | {f"head.{k}": v for k, v in backbone.head.state_dict().items()}


def test_official_release_is_found_unwrapped_and_preferred_averaged(checkpoint, tmp_path):
    (tmp_path / "weights").mkdir()
    averaged = {k: v + 1 if k == "norm.bias" else v for k, v in checkpoint.items()}
    content = {"state_dict": checkpoint, "state_dict_ema": averaged, "epoch": 309, "metric": np.float64(71.7)}
    torch.save(content | {"args": argparse.Namespace(lr=1.0)}, tmp_path / "weights" / "71.7_T2T_ViT_7.pth.tar")
    backbone = backbones.load("t2t_vit_7", data_dir=tmp_path)
    assert torch.equal(backbone.trunk.norm.bias, averaged["norm.bias"])
    assert (backbone.seen, backbone.head_for, backbone.num_classes) == ({"imagenet"}, "imagenet", 1000)
    assert backbone.mean == (0.485, 0.456, 0.406)
    fewer = backbones.load("t2t_vit_7", data_dir=tmp_path, num_classes=10)
    assert (fewer.head.out_features, fewer.head_for, fewer.seen) == (10, None, {"imagenet"})


def test_fine_tuned_checkpoints_with_exit_heads_load(checkpoint, tmp_path):
    state = {k: v for k, v in checkpoint.items() if not k.startswith("head.")}
    state |= {"head.weight": torch.ones(100, 256), "head.bias": torch.zeros(100)}
    state |= {"intermediate_heads.0.weight": torch.ones(100, 256), "gates.0.linear.weight": torch.ones(1, 4)}
    path = tmp_path / "cifar100_t2t-vit-7_78.97.pth"
    torch.save({"net": state, "acc": 78.97}, path)
    backbone = backbones.load("t2t_vit_7", num_classes=100, weights=path)
    assert torch.equal(backbone.head.weight, state["head.weight"])
    assert (backbone.seen, backbone.head_for) == ({"imagenet", "cifar100"}, "cifar100")
    assert backbone.mean == (0.5071, 0.4867, 0.4408) and backbone.interpolation == "bilinear"


def test_unknown_and_missing_keys_are_errors(checkpoint, tmp_path):
    path = tmp_path / "imagenet_x.pth"
    torch.save(checkpoint | {"extra.weight": torch.ones(1)}, path)
    with pytest.raises(UserError, match=r"extra\.weight is unknown"):
        backbones.load("t2t_vit_7", weights=path)
    torch.save({k: v for k, v in checkpoint.items() if k != "norm.bias"}, path)
    with pytest.raises(UserError, match=r"norm\.bias is missing"):
        backbones.load("t2t_vit_7", weights=path)
    with pytest.raises(UserError, match="has another depth: its head reads 256 features, not 384"):
        backbones.load("t2t_vit_14", weights=path)


def test_a_file_that_does_not_say_what_it_has_seen_is_asked_about(checkpoint, tmp_path):
    path = tmp_path / "mine.pth"
    torch.save(checkpoint | {"head.weight": torch.ones(10, 256), "head.bias": torch.ones(10)}, path)
    with pytest.raises(UserError, match="does not say what it was trained on"):
        backbones.load("t2t_vit_7", weights=path)
    known = backbones.load("t2t_vit_7[seen=svhn]", weights=path)
    assert (known.seen, known.head_for, known.std) == ({"imagenet", "svhn"}, "svhn", (1.0, 1.0, 1.0))
    clean = backbones.load("t2t_vit_7[seen=nothing]", weights=path)
    assert (clean.seen, clean.head_for) == (frozenset(), None)


def test_position_table_is_resized_bicubically_and_keeps_the_class_token(checkpoint, tmp_path):
    path = tmp_path / "imagenet.pth"
    torch.save(checkpoint, path)
    small = backbones.load("t2t_vit_7", weights=path, image_size=32).trunk.pos_embed
    assert small.shape == (1, 5, 256)
    assert torch.equal(small[:, 0], checkpoint["pos_embed"][:, 0])
    assert not torch.allclose(small, sinusoids(5, 256))
    # Halving a ramp with the cubic kernel (a = -0.75) keeps it linear away from the border.
    ramp = torch.arange(8.0).repeat_interleave(8).reshape(1, 64, 1)
    resized = resize_positions(torch.cat([torch.zeros(1, 1, 1), ramp], 1), 17)[0, 1:, 0].reshape(4, 4)
    assert_close(resized[1:3, 0], torch.tensor([2.5, 4.5]))


def test_without_its_file_it_says_where_to_get_it():
    with pytest.raises(UserError, match=r"release file 81\.5_T2T_ViT_14\.pth\.tar"):
        backbones.load("t2t_vit_14")
