"""Several processes train one network together: the same batches, sums over all of them, a sentence if one is lost."""

from __future__ import annotations

import multiprocessing
import os
import signal

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from bench.errors import UserError
from bench.finetune import FineTuning, Progress, finetune
from bench.finetune.batches import Batches
from bench.finetune.images import Images
from bench.finetune.parallel import Group, devices_for, launch
from bench.inputs.images import Transform

CPU = torch.device("cpu")


def test_processes_make_parts_of_the_batch_that_one_makes():
    pixels = torch.randint(256, (20, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    config = FineTuning(batch_size=7)
    held = Images(pixels, torch.arange(20), config, Transform(8, (0.5,) * 3, (0.5,) * 3, "bilinear"))
    whole = Batches(held, config)[1, 1]
    parts = [Batches(held, config, Group(CPU, rank, 3).part)[1, 1] for rank in range(3)]
    assert [len(labels) for _, labels in parts] == [2, 2, 3]
    for one, several in zip(whole, zip(*parts, strict=True), strict=True):
        assert torch.equal(one, torch.cat(several))


def normalised(group, tell, x, y, folder):
    """Train one batch norm for two steps on a part of a batch, in training and in evaluation."""
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(3, momentum=0.3)
    norm.weight.data.normal_(), norm.bias.data.normal_()
    part = group.part(len(x))
    own = x[part].clone().requires_grad_()
    for _ in range(2):
        with group.whole_batch():
            out = norm(own)
    (out * y[part]).sum().backward()
    group.sum_gradients(norm.parameters())
    with group.whole_batch():
        evaluated = norm.eval()(own)
    held = [out, own.grad, evaluated, *(p.grad for p in norm.parameters()), *norm.buffers()]
    torch.save(held, folder / f"{group.rank}")
    if group.rank == 1:
        raise UserError(f"There are only {group.size} of us.")


def test_batch_norm_sees_the_whole_batch(tmp_path):
    g = torch.Generator().manual_seed(1)
    x, y = torch.randn(5, 3, 4, 4, generator=g) * 3 + 50, torch.randn(5, 3, 4, 4, generator=g)
    (tmp_path / "alone").mkdir()
    normalised(Group(CPU), None, x, y, tmp_path / "alone")
    with pytest.raises(UserError, match="only 2 of us"):  # what a process raises is raised
        launch(2, "cpu", normalised, (x, y, tmp_path), print)
    alone = torch.load(tmp_path / "alone" / "0")
    parts = [torch.load(tmp_path / str(rank)) for rank in range(2)]
    assert len(parts[0][0]) == 2
    for i, expected in enumerate(alone):
        found = [torch.cat([p[i] for p in parts])] if i < 3 else [p[i] for p in parts]
        for value in found:
            torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_two_devices_train_the_network_of_one_and_a_lost_process_is_a_sentence(wanted, tmp_path):
    asked = wanted(optimiser="sgd", lr=0.05, augment=5, epochs=2, batch_size=9)
    alone = finetune(asked, tmp_path / "alone", workers=0)

    def kill(done, total, value):
        if done == 8:  # in the second epoch of five steps
            os.kill(multiprocessing.active_children()[-1].pid, signal.SIGKILL)

    told: list[int] = []
    with pytest.raises(UserError, match=r"of 2 was killed \(SIGKILL\).*resumes from its last checkpoint"):
        finetune(asked, tmp_path / "two", devices=2, workers=0, progress=Progress(kill))
    assert not multiprocessing.active_children()
    folder = finetune(asked, tmp_path / "two", workers=0, progress=Progress(lambda done, *_: told.append(done)))
    assert told == [6, 7, 8, 9, 10]  # one device goes on where two stopped
    one, two = (load_file(path / "network.safetensors") for path in (alone, folder))
    for name, value in one.items():
        torch.testing.assert_close(two[name].float(), value.float(), rtol=2e-2, atol=2e-3)


@pytest.mark.parametrize(
    ("device", "asked", "says"),
    [
        ("cpu", 0, "--devices 0 is not valid"),
        ("cpu", 9, "more than the 8 samples"),
        ("cuda:0", 2, "with --device cuda:0"),
    ],
)
def test_more_devices_than_there_can_be(device, asked, says):
    with pytest.raises(UserError, match=says):
        devices_for(device, asked, 8)


def test_all_gpus_are_used_unless_one_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert [devices_for(name, None, 64) for name in ("cpu", "cuda", "cuda:1")] == [1, 4, 1]
    assert devices_for("cuda", 2, 64) == 2 and devices_for("cpu", 3, 64) == 3
    with pytest.raises(UserError, match="this machine has 4"):
        devices_for("cuda", 5, 64)
