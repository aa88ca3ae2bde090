"""Run a policy on a split: simulated (all exits at once) or executed (really stopping early). Both return Outcomes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from bench.exits import ForwardPass
from bench.method import ExitData, Policy
from bench.recipe import BATCH, Heads

if TYPE_CHECKING:
    from bench.backbones.staged import StagedBackbone


@dataclass(frozen=True)
class Outcomes:
    """The decisions, answers and costs of one policy on one split of N samples, K exits, C classes."""

    exit_index: Tensor  # [N] int64: where each sample left
    logits: Tensor  # [N, C]: the logits it left with
    labels: Tensor  # [N] int64
    macs: Tensor  # [N] int64: cost of each sample, heads and gates on the way included
    exit_logits: Tensor | None = None  # [N, K, C]: the answers of every exit (simulated inference only)


def exit_macs(policy: Policy, backbone_macs: Sequence[int]) -> list[int]:
    """Return the cumulative MACs of leaving at each exit: the backbone up to it and every head and gate on the way."""
    total, costs = 0, []
    for k, macs in enumerate(backbone_macs):
        total += int(policy.macs(k))
        costs.append(int(macs) + total)
    return costs


@torch.no_grad()
def simulate(policy: Policy, data: ExitData, backbone_macs: Sequence[int], *, batch_size: int = BATCH) -> Outcomes:
    """Compute every exit for every sample and read off where the policy would have left."""
    policy.eval()
    logits, index = [], []
    for rows in _batches(len(data), batch_size):
        stack, taken = _all_exits(policy, [data.batch(k, rows) for k in range(data.num_exits)])
        logits.append(stack)
        index.append(taken)
    return _outcomes(policy, torch.cat(logits), torch.cat(index), data, backbone_macs)


def exit_answers(heads: Heads, data: ExitData, *, batch_size: int = BATCH) -> Tensor:
    """Return what every exit of fitted heads answers to every sample: logits [N, K, C], as `simulate` computes them."""
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
    """Return the outcomes of `simulate` for a policy whose exits answer exit_logits [N, K, C], which others share.

    gates: who would stop at each exit before the last, bool [N, K-1], if known without asking the policy.
    """
    policy.eval()
    own = type(policy).__module__.startswith("bench.")
    last = exit_logits.shape[1] - 1
    index = torch.full((len(exit_logits),), last, dtype=torch.int64, device=exit_logits.device)
    for rows in _batches(len(exit_logits), batch_size):
        for k in range(last):
            if gates is not None:
                stop = gates[rows, k]
            else:  # a plugin gets a copy: it must not reach what later exits answer
                seen = exit_logits[rows, : k + 1]
                stop = policy.leave(k, seen if own else seen.clone())
            index[rows] = torch.where(stop & (index[rows] == last), k, index[rows])
    return _outcomes(policy, exit_logits, index, data, backbone_macs)


def _outcomes(
    policy: Policy, exit_logits: Tensor, exit_index: Tensor, data: ExitData, backbone_macs: Sequence[int]
) -> Outcomes:
    left_with = exit_logits.gather(1, exit_index[:, None, None].expand(-1, 1, exit_logits.shape[-1])).squeeze(1)
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
    policy: Policy, backbone: StagedBackbone, images: Tensor, labels: Tensor, backbone_macs: Sequence[int]
) -> Outcomes:
    """Run normalised images [N, 3, H, W] stage by stage and drop each sample from the batch when it leaves."""
    policy.eval()
    count = len(images)
    alive = torch.arange(count, device=images.device)
    exit_index = torch.zeros(count, dtype=torch.int64, device=images.device)
    left_with: Tensor | None = None
    state = backbone.start(images)
    forward = ForwardPass(policy.head, policy.combine)
    for k in range(backbone.num_exits):
        state = backbone.stage(k, state)
        features = backbone.feature(k, state)
        last = k == backbone.num_exits - 1
        answer = forward.step(backbone.head(features) if last else features)
        stop = torch.ones_like(alive, dtype=torch.bool) if last else policy.leave(k, forward.answers)
        if left_with is None:
            left_with = answer.new_zeros(count, answer.shape[-1])
        exit_index[alive[stop]] = k
        left_with[alive[stop]] = answer[stop]
        alive, state = alive[~stop], state[~stop]
        forward.keep(~stop)
        if not len(alive):
            break
    assert left_with is not None
    costs = torch.tensor(exit_macs(policy, backbone_macs), device=exit_index.device)
    return Outcomes(exit_index, left_with, labels, costs[exit_index])
