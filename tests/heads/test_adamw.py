"""AdamW, Adam and the cosine of heads are those of torch.optim, to the bit, and import no compiler."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from bench.heads.adamw import AdamW


@pytest.mark.parametrize(
    ("kind", "how"),
    [
        (torch.optim.AdamW, {"fused": True}),
        (torch.optim.AdamW, {"fused": False}),
        (torch.optim.Adam, {"decoupled": False}),
    ],
)
def test_steps_are_those_of_torch(kind, how):
    start = [torch.randn(4, 3), torch.randn(2), torch.randn(5)]
    ours, theirs = ([p.clone().requires_grad_() for p in start] for _ in range(2))
    one = AdamW([(0.1, ours[:2]), (0.02, ours[2:])], 0.3, steps=6, **how)
    groups = [{"params": theirs[:2], "lr": 0.1}, {"params": theirs[2:], "lr": 0.02}]
    other = kind(groups, weight_decay=0.3, fused=how.get("fused", False))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(other, 6)
    for scale in (1.0, -2.0, 0.5, 3.0, 1.0, 0.1):
        one.step(sum((scale * p.sin()).sum() for p in ours))
        other.zero_grad()
        sum((scale * p.sin()).sum() for p in theirs).backward()
        other.step()
        schedule.step()
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
        assert [g["lr"] for g in one.param_groups] == [g["lr"] for g in other.param_groups]


def test_a_leaf_that_a_loss_does_not_use_stays():
    used, unused = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    AdamW([(0.1, [used, unused])], 0.5).step(used.sum())
    assert used.detach().tolist() != [1, 1] and unused.detach().tolist() == [1, 1]


@pytest.mark.slow
def test_training_imports_no_compiler():
    code = (
        "import sys, torch; from bench.heads.adamw import AdamW; p = torch.ones(1, requires_grad=True); "
        "AdamW([(0.1, [p])], 0.0).step(p.sum()); print('torch._dynamo' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr
