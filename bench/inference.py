"""Run a policy on a split: simulated (all exits at once) or executed (really stopping early). Both return Outcomes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from bench.exits import ForwardPass, first_true
from bench.method import ExitData, Policy
from bench.recipe import BATCH, Heads

if TYPE_CHECKING:
    from bench.backbones.staged import StagedBackbone

FinalHead = tuple[Tensor, Tensor]  # weight [C, D] and bias [C]


@dataclass(frozen=True)
class Outcomes:
    """The decisions, answers and costs of one policy on one split of N samples, K exits, C classes."""

    exit_index: Tensor  # [N] int64: where each sample left
    logits: Tensor  # [N, C]: the logits it left with
    labels: Tensor  # [N] int64
    macs: Tensor  # [N] int64: cost of each sample, heads and gates on the way included
    exit_logits: Tensor | None = None  # [N, K, C]: the answers of every exit (simulated inference only)


def exit_macs(policy: Policy, backbone_macs: Sequence[int]) -> list[int]:
    """Return the MACs of leaving at each exit: those of the backbone, heads and gates up to it."""
    total, costs = 0, []
    for k, macs in enumerate(backbone_macs):
        total += int(policy.macs(k))
        costs.append(int(macs) + total)
    return costs


@torch.no_grad()
def simulate(policy: Policy, data: ExitData, backbone_macs: Sequence[int], *, batch_size: int = BATCH) -> Outcomes:
    """Return the outcomes of a policy, computed from all exits of all samples."""
    policy.eval()
    logits, index = [], []
    for rows in _batches(len(data), batch_size):
        stack, taken = _all_exits(policy, [data.batch(k, rows) for k in range(data.num_exits)])
        logits.append(stack)
        index.append(taken)
    return _outcomes(policy, torch.cat(logits), torch.cat(index), data, backbone_macs)


def exit_answers(heads: Heads, data: ExitData, *, batch_size: int = BATCH) -> Tensor:
    """Return the answers of fitted heads at all exits: logits [N, K, C], as `simulate` computes them."""
    return heads.eval().logits(data, batch_size)


@torch.no_grad()
def decide(
    policy: Policy,
    exit_logits: Tensor,
    data: ExitData,
    backbone_macs: Sequence[int],
    *,
    gates: Tensor | None = None,
    batch_size: int = BATCH,
) -> Outcomes:
    """Return the outcomes of `simulate` for a policy whose exits answer exit_logits [N, K, C], shared with others.

    gates: which samples would stop at each exit before the last, bool [N, K-1], if known without calling the policy.
    """
    policy.eval()
    own = type(policy).__module__.startswith("bench.")
    last = exit_logits.shape[1] - 1
    if gates is not None:
        return _outcomes(policy, exit_logits, first_true(gates), data, backbone_macs)
    index = torch.full((len(exit_logits),), last, dtype=torch.int64, device=exit_logits.device)
    for rows in _batches(len(exit_logits), batch_size):
        for k in range(last):
            seen = exit_logits[rows, : k + 1]
            stop = policy.leave(k, seen if own else seen.clone())  # a plugin must not see later exits
            index[rows] = torch.where(stop & (index[rows] == last), k, index[rows])
    return _outcomes(policy, exit_logits, index, data, backbone_macs)


def _outcomes(
    policy: Policy, exit_logits: Tensor, exit_index: Tensor, data: ExitData, backbone_macs: Sequence[int]
) -> Outcomes:
    left_with = exit_logits[torch.arange(len(exit_index), device=exit_index.device), exit_index]
    costs = torch.tensor(exit_macs(policy, backbone_macs), device=exit_index.device)
    return Outcomes(exit_index, left_with, data.labels, costs[exit_index], exit_logits)


def _batches(count: int, size: int) -> Iterator[slice]:
    return (slice(start, start + size) for start in range(0, count, size))


def _all_exits(policy: Policy, inputs: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return the answers of all exits [B, K, C] and the exit taken [B] for one batch of per-exit inputs."""
    last = len(inputs) - 1
    forward = ForwardPass(policy.head, policy.combine)
    taken = torch.full((len(inputs[0]),), last, dtype=torch.int64, device=inputs[0].device)
    for k, features in enumerate(inputs):
        forward.step(features)
        if k < last:
            stop = policy.leave(k, forward.answers)
            taken = torch.where(stop & (taken == last), torch.full_like(taken, k), taken)
    return forward.answers, taken


@torch.no_grad()
def execute(
    policy: Policy,
    backbone: StagedBackbone,
    images: Tensor | Iterable[Tensor],
    labels: Tensor,
    backbone_macs: Sequence[int],
    *,
    head: FinalHead | None = None,
    precision: str = "float32",
) -> Outcomes:
    """Return the outcomes of prepared inputs, or batches of them, run stage by stage; samples that leave are dropped.

    images: normalised images [N, 3, H, W], or tokens of texts [N, T, 2]. head: weight [C, D] and bias [C] of the last
    exit, in place of the backbone's own. precision: number format of the backbone's computation, float32 or bfloat16.
    Host and device are synchronised once per exit, because the host needs the number of samples that continue.
    """
    policy.eval()
    batches = [images] if isinstance(images, Tensor) else images
    parts = [execute_batch(policy, backbone, batch, head=head, precision=precision) for batch in batches]
    exit_index, left_with = (torch.cat(part) for part in zip(*parts, strict=True))
    costs = torch.tensor(exit_macs(policy, backbone_macs), device=exit_index.device)
    return Outcomes(exit_index, left_with, labels.to(exit_index.device), costs[exit_index])


def execute_batch(
    policy: Policy,
    backbone: StagedBackbone,
    images: Tensor,
    *,
    head: FinalHead | None = None,
    precision: str = "float32",
) -> tuple[Tensor, Tensor]:
    """Return the exits taken [B] and the logits left with [B, C] for one batch; see `execute`."""
    last = backbone.num_exits - 1
    alive = torch.arange(len(images), device=images.device)
    exit_index, left_with = torch.zeros_like(alive), None
    forward = ForwardPass(policy.head, policy.combine)
    with computing_in(precision, images.device):
        state = backbone.start(images)
    for k in range(last + 1):
        with computing_in(precision, images.device):
            state = backbone.stage(k, state)
            features = backbone.feature(k, state)
        features = features.to(torch.promote_types(features.dtype, torch.float32))
        answer = forward.step(final_logits(backbone, features, head) if k == last else features)
        if k < last:
            stay = (~policy.leave(k, forward.answers)).nonzero().squeeze(1)  # synchronises host and device
            if len(stay) == len(alive):
                continue  # no sample leaves, so there is nothing to store or compact
        if left_with is None:
            left_with = answer.clone()
            exit_index.fill_(k)
        else:
            left_with.index_copy_(0, alive, answer)  # later exits overwrite the rows of samples that continue
            exit_index.index_fill_(0, alive, k)
        if k == last or not len(stay):
            break
        alive, state = alive[stay], state[stay]
        forward.keep(stay)
    assert left_with is not None
    return exit_index, left_with


def final_logits(backbone: StagedBackbone, features: Tensor, head: FinalHead | None) -> Tensor:
    """Return the logits [B, C] of the last exit from its features [B, D]: of a given head, or the backbone's own."""
    return backbone.head(features) if head is None else torch.nn.functional.linear(features, *head)


def computing_in(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Return the context in which a backbone computes in float32 or bfloat16."""
    return torch.autocast(device.type, torch.bfloat16) if precision == "bfloat16" else nullcontext()
