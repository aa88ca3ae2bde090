"""Reading ahead: order, how far, and threads of torch."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from bench.bank.build import _jobs
from bench.bank.plan import Plan
from bench.bank.stream import Job, ahead, read
from tests.helpers.banks import FakeBackbone, FakeImages, splits


@pytest.mark.parametrize("threads", [1, 4])
def test_order_is_kept_and_few_results_wait(threads: int) -> None:
    started, lock = [], threading.Lock()

    def work(item: int) -> int:
        with lock:
            started.append(item)
        time.sleep(0.002 * (item % 3))
        return item * item

    for taken, result in enumerate(ahead(work, range(30), threads), start=1):
        assert result == (taken - 1) ** 2
        assert len(started) <= taken + threads + 1
    assert sorted(started) == list(range(30))


def test_several_threads_use_one_core_each_and_leave_torch_as_it_was() -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        assert set(ahead(lambda _: torch.get_num_threads(), range(8), 4)) == {1}
        assert torch.get_num_threads() == 3
        assert list(ahead(lambda _: torch.get_num_threads(), range(1))) == [3]
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("threads", [1, 4])
def test_an_error_reaches_the_consumer_at_its_place(threads: int) -> None:
    def work(item: int) -> int:
        if item == 3:
            raise ValueError("image 3")
        return item

    seen = []
    with pytest.raises(ValueError, match="image 3"):
        seen.extend(ahead(work, range(9), threads))
    assert len(list(ahead(work, range(3), threads))) == 3


@pytest.mark.parametrize("sides", [(12,), (9, 12), (40,)])
def test_an_accelerator_is_given_the_inputs_that_a_cpu_prepares(sides: tuple[int, ...]) -> None:
    images = FakeImages.random(40, sides=sides)
    plan, cpu = Plan(images, FakeBackbone(), splits(images), views=1), torch.device("cpu")
    job = Job("train", np.argsort(plan.rows["train"])[:10])
    prepared, sent = read(plan, job, cpu), read(plan, job, torch.device("xpu"))
    assert prepared.squares is None and (sent.squares is not None) == (sides == (12,))
    for view in (0, 1):
        assert torch.equal(prepared.view(plan, view, cpu), sent.view(plan, view, cpu))


def test_texts_of_like_length_share_a_batch() -> None:
    tokens = np.array([9, 2, 5, 2, 30, 3])
    plan = SimpleNamespace(
        modality="text", rows=("train", "pool", "test"), lengths=lambda split, positions: tokens[positions]
    )
    partial = SimpleNamespace(pending=lambda split: np.array([0, 1, 2, 3, 4, 5] if split == "train" else []))
    jobs = list(_jobs(plan, partial, 2))
    assert [job.positions.tolist() for job in jobs] == [[1, 3], [5, 2], [0, 4]]
    plan.modality = "image"
    assert [job.positions.tolist() for job in _jobs(plan, partial, 2)] == [[0, 1], [2, 3], [4, 5]]
