"""Weight files: found, read without running code, fitted strictly, and asked what they have seen."""

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from bench.backbones.staged import Origin
from bench.backbones.weights import find_weights, fit_head, load_strictly, locate, origin_of, read_checkpoint, seeded
from bench.errors import UserError

FAMILY = Origin(frozenset({"imagenet"}), None)


def test_folders_are_searched_in_order(tmp_path, monkeypatch):
    given, shared = tmp_path / "given", tmp_path / "shared"
    for folder in (given / "weights", shared / "weights"):
        folder.mkdir(parents=True)
    monkeypatch.setenv("BENCH_DATA", str(shared))
    assert find_weights(["a.pth"], given) is None
    order = [shared / "weights", shared, given / "weights", given]  # from last to first
    for folder in order:
        (folder / "a.pth").touch()
        assert find_weights(["none.pth", "a.pth"], given) == folder / "a.pth"
    assert find_weights(["a.pth"], None) == shared / "a.pth"


def test_a_named_path_must_exist(tmp_path):
    with pytest.raises(UserError, match="There is no weight file"):
        locate(str(tmp_path / "no.pth"), [], None)


@pytest.mark.parametrize("wrap", [None, "state_dict_ema", "state_dict", "model", "net"])
def test_state_dicts_are_unwrapped(tmp_path, wrap):
    state = {"module.a": torch.ones(2), "b": torch.zeros(1)}
    torch.save({wrap: state, "epoch": 3} if wrap else state, tmp_path / "x.pth")
    assert set(read_checkpoint(tmp_path / "x.pth")) == {"a", "b"}


def test_safetensors_are_read(tmp_path):
    save_file({"a": torch.ones(2)}, tmp_path / "x.safetensors")
    assert torch.equal(read_checkpoint(tmp_path / "x.safetensors")["a"], torch.ones(2))


class Touch:
    """Unpickling it would leave a file behind."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_code_in_a_checkpoint_does_not_run(tmp_path):
    trace = tmp_path / "trace"
    torch.save({"state_dict": {"a": torch.ones(1)}, "args": Touch(trace)}, tmp_path / "x.pth")
    with pytest.raises(UserError, match="cannot be read as a checkpoint"):
        read_checkpoint(tmp_path / "x.pth")
    (tmp_path / "y.pth").write_bytes(pickle.dumps(Touch(trace), protocol=2))
    with pytest.raises(UserError):
        read_checkpoint(tmp_path / "y.pth")
    assert not trace.exists()


@pytest.mark.parametrize("name", ["x.pth", "x.safetensors"])
def test_broken_files_are_a_sentence(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x00garbage" * 9)
    with pytest.raises(UserError, match="cannot be read as a checkpoint"):
        read_checkpoint(tmp_path / name)


def test_other_contents_are_no_state_dict(tmp_path):
    torch.save({"epoch": 3, "loss": [1.0]}, tmp_path / "x.pth")
    with pytest.raises(UserError, match="does not contain a state dict"):
        read_checkpoint(tmp_path / "x.pth")


def test_strict_loading_names_what_is_wrong():
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    state = net.state_dict()
    del state["1.num_batches_tracked"]
    load_strictly(net, state, "f")
    with pytest.raises(UserError, match=r"'f' do not fit this architecture: 0\.bias is \(4,\) instead of \(3,\)"):
        load_strictly(net, state | {"0.bias": torch.ones(4)}, "f")
    with pytest.raises(UserError, match=r"1\.running_mean is missing; x is unknown"):
        load_strictly(net, {k: v for k, v in state.items() if k != "1.running_mean"} | {"x": torch.ones(1)}, "f")


@pytest.mark.parametrize(
    ("file", "classes", "options", "seen", "head_for"),
    [
        ("cifar10_t2t-vit-7_94.95.pth", 10, {}, {"cifar10"}, "cifar10"),
        ("resnet20_cifar10.safetensors", 10, {}, {"cifar10"}, "cifar10"),
        ("cifar100_t2t-vit-14_88.4.pth", 100, {}, {"cifar100"}, "cifar100"),
        ("cifar100LT_t2t-vit-7_81.56.pth", 100, {}, {"cifar100"}, "cifar100"),
        ("cifar100-lt_x.pth", 100, {}, {"cifar100"}, "cifar100"),
        ("71.7_T2T_ViT_7.pth.tar", 1000, {}, {"imagenet"}, "imagenet"),
        ("tuned.pth", 10, {"seen": "svhn"}, {"svhn"}, "svhn"),
        ("tuned.pth", 10, {"seen": "imagenet+svhn"}, {"imagenet", "svhn"}, "svhn"),
        ("tuned.pth", 10, {"seen": "cifar10+svhn"}, {"cifar10", "svhn"}, None),
        ("tuned.pth", 10, {"seen": "cifar10+svhn", "head_for": "svhn"}, {"cifar10", "svhn"}, "svhn"),
        ("cifar10_x.pth", 10, {"seen": "nothing"}, set(), None),
        ("clip.safetensors", None, {}, {"imagenet"}, None),
        ("clip_cifar10.safetensors", None, {}, {"cifar10"}, None),
    ],
)
def test_what_weights_have_seen(file, classes, options, seen, head_for):
    assert origin_of(Path(file), classes=classes, options=options, family=FAMILY) == Origin(frozenset(seen), head_for)


@pytest.mark.parametrize("file", ["tuned.pth", "mycifar10.pth", "cifar1000.pth"])
def test_nothing_else_is_guessed(file):
    with pytest.raises(UserError, match=r"\[seen=cifar10\]"):
        origin_of(Path(file), classes=10, options={}, family=FAMILY)


def test_heads_are_kept_replaced_or_asked_for():
    own, origin = nn.Linear(4, 10), Origin(frozenset({"cifar10"}), "cifar10")
    assert fit_head(own, 4, None, origin, "net") == (own, origin)
    assert fit_head(own, 4, 10, origin, "net") == (own, origin)
    fresh, changed = fit_head(own, 4, 7, origin, "net")
    assert (fresh.out_features, changed) == (7, Origin(frozenset({"cifar10"}), None))
    assert torch.equal(fresh.weight, fit_head(None, 4, 7, origin, "net")[0].weight)
    with pytest.raises(UserError, match="net has no classifier of its own"):
        fit_head(None, 4, None, origin, "net")


def test_seeded_draws_repeat():
    assert torch.equal(seeded(lambda: torch.rand(3)), seeded(lambda: torch.rand(3)))
    assert not torch.equal(seeded(lambda: torch.rand(3)), seeded(lambda: torch.rand(3), seed=1))
