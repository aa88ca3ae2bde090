"""A split that stays on disk gives what the same split in memory gives."""

from __future__ import annotations

import pytest
import torch

from bench import heads
from bench.bank import bank as module
from bench.errors import UserError
from bench.plugins import registry

BUDGETS = (0.5, 0.8, 1.0)


@pytest.fixture
def tasks(small_bank, monkeypatch):
    """The task of a seed in memory, and with its train split on disk."""
    resident = small_bank.task(0)
    monkeypatch.setattr(module, "RESIDENT", 4 * sum(x.numel() for x in resident.train.features))
    return resident, small_bank.task(0)


def test_batches_are_those_of_a_split_in_memory(tasks):
    resident, on_disk = (task.train for task in tasks)
    assert on_disk.on_disk and not resident.on_disk and not tasks[1].val.on_disk
    assert on_disk.features[0].dtype == torch.float16 and on_disk.batch(0, slice(2)).dtype == torch.float32
    rows = torch.tensor([5, 3, 3, 700])
    for k in range(resident.num_exits):
        assert torch.equal(on_disk.batch(k, slice(10, 20)), resident.batch(k, slice(10, 20)))
        assert torch.equal(on_disk.batch(k, rows), resident.batch(k, rows))
    assert torch.equal(on_disk.final_logits, resident.final_logits)
    assert torch.equal(on_disk.inputs(0).float(), resident.inputs(0))
    assert on_disk.tensors().keys() == resident.tensors().keys()


@pytest.mark.parametrize(
    "recipe",
    ["plain", "plain[width=8]", "boosted", "calibrated", "l2w", "cosee", "lens", "class_means", "prior_adjusted"],
)
def test_heads_learn_the_same_from_disk(tasks, recipe):
    resident, on_disk = (heads.fit(recipe, task).logits(task.val).softmax(-1) for task in tasks)
    torch.testing.assert_close(on_disk, resident, atol=0.02, rtol=0)


@pytest.mark.parametrize("name", ["msdnet_thresh", "jeidnn", "pcee", "learned_exit"])
def test_methods_fit_from_disk(tasks, name):
    method = registry.load("methods", name)
    for one, other in zip(*(method().fit(task, BUDGETS) for task in tasks), strict=True):
        assert type(one) is type(other)


def test_what_no_method_sees_is_held_in_half_precision_and_answers_the_same(tasks, small_bank, monkeypatch):
    halves = small_bank.held_out(0)
    monkeypatch.setattr(module, "RESIDENT", 1 << 40)
    whole = small_bank.held_out(0)
    fitted = heads.fit("plain", tasks[0])
    for half, full in zip(halves, whole, strict=True):
        assert half.features[0].dtype == torch.float16 and half.final_logits.dtype == torch.float32
        assert torch.equal(fitted.logits(half), fitted.logits(full))


def test_heads_that_need_everything_at_once_say_so(tasks):
    with pytest.raises(UserError, match="all features of the train split in memory"):
        heads.fit("ztw[epochs=1]", tasks[1])


def test_what_is_written_to_a_split_on_disk_stays_with_the_reader(tasks, small_bank):
    before = torch.from_numpy(small_bank.features("train", 0)[0].copy())
    tasks[1].train.features[0][0] = 7
    assert torch.equal(torch.from_numpy(small_bank.features("train", 0)[0].copy()), before)
