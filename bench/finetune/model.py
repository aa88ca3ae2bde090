"""A backbone in training: its exits' logits, and the loss of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, kl_div

if TYPE_CHECKING:
    from bench.backbones.staged import StagedBackbone
    from bench.finetune.config import FineTuning


class Network(nn.Module):
    """A trainable staged backbone, with a linear head at every intermediate exit unless `exits` is 'none'."""

    def __init__(self, backbone: StagedBackbone, config: FineTuning, keep_head: bool = False) -> None:
        """Take a backbone; with 'frozen', `keep_head` freezes its own head too."""
        super().__init__()
        self.backbone, self.config = backbone, config
        if config.exits == "none":
            backbone.native = nn.ModuleList()
        elif not len(backbone.native):
            classes = backbone.head.out_features
            backbone.native = nn.ModuleList(nn.Linear(width, classes) for width in backbone.feature_dims)
        backbone.requires_grad_(True)
        if config.exits == "frozen":
            backbone.trunk.requires_grad_(False)
            backbone.head.requires_grad_(not keep_head)  # a third-party trunk may contain it

    def train(self, mode: bool = True) -> Network:
        """Set the mode of the trunk unless it is frozen; heads are linear and have no modes."""
        self.training = mode
        self.backbone.trunk.train(mode and self.config.exits != "frozen")
        return self

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the logits [B, C] of every exit that has a head, the last one's last."""
        net = self.backbone
        last = net.num_exits - 1
        state, found = net.start(images), []
        for k in range(net.num_exits):
            state = net.stage(k, state)
            if k == last:
                found.append(net.head(net.feature(k, state)))
            elif len(net.native):
                ahead = last - k  # heads after this one
                branch = scaled(state, 1 / (ahead + 1)) if self.config.equilibrium else state
                found.append(net.native[k](net.feature(k, branch)))
                state = scaled(state, ahead / (ahead + 1)) if self.config.equilibrium else state
        return found

    def groups(self) -> list[dict[str, Any]]:
        """Return groups of parameters for an optimiser: trunk and heads, with and without decay, and their rates."""
        config = self.config
        trunk = {id(p) for p in self.backbone.trunk.parameters()} - {id(p) for p in self.backbone.head.parameters()}
        parts: dict[tuple[float, float], list[nn.Parameter]] = {}
        for p in self.parameters():
            if p.requires_grad:
                rate = config.lr * (config.trunk_rate if id(p) in trunk else 1)
                parts.setdefault((rate, config.weight_decay if p.dim() > 1 else 0.0), []).append(p)
        return [{"params": held, "lr": rate, "weight_decay": decay} for (rate, decay), held in parts.items()]


def loss(logits: Sequence[Tensor], labels: Tensor, config: FineTuning) -> Tensor:
    """Return the weighted sum of the exits' cross-entropies (nats), and of their distillation from the last exit."""
    weights = config.exit_weights or (1.0,) * len(logits)
    parts = [
        w * cross_entropy(z.float(), labels, label_smoothing=config.smoothing)
        for w, z in zip(weights, logits, strict=True)
    ]
    if config.distil:
        t = config.temperature
        teacher = (logits[-1].detach().float() / t).log_softmax(-1)
        parts += [
            config.distil
            * t
            * t
            * kl_div((z.float() / t).log_softmax(-1), teacher, reduction="batchmean", log_target=True)
            for z in logits[:-1]
        ]
    return torch.stack(parts).sum()


def scaled(state: Any, factor: float) -> Any:
    """Return a state whose gradient is scaled by a factor in the backward pass; states of several maps have `map`."""
    if not isinstance(state, Tensor):
        return state.map(lambda part: scaled(part, factor))
    return _Scale.apply(state, factor)  # type: ignore[no-untyped-call]


class _Scale(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: float) -> Tensor:  # type: ignore[override]
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return gradient * ctx.factor, None
