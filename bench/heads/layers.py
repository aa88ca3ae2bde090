"""The layers of fitted heads, and the same layers in training: those of all exits as one batched product."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from bench.errors import UserError
from bench.method import ExitData
from bench.recipe import Heads, linear_macs

CHUNK = 1 << 16  # rows read at once when all are needed


class LayerHeads(Heads):
    """A separate layer, linear or a small MLP, at every intermediate exit; it sees the exit's raw features."""

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, k: int, features: Tensor, previous: Sequence[Tensor]) -> Tensor:
        return self.layers[k](features) if k < len(self.layers) else features

    def macs(self, k: int) -> int:
        return layer_macs(self.layers[k]) if k < len(self.layers) else 0


class LinearHeads(LayerHeads):
    """Linear(D_k → C) at every intermediate exit; the input's standardisation is folded into weight and bias."""

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        super().__init__(layers)
        self.sizes = [(layer.in_features, layer.out_features) for layer in layers]


def layer_macs(layer: nn.Module) -> int:
    """Return the MACs of all linear layers in a module, each run once."""
    return sum(linear_macs(m.in_features, m.out_features) for m in layer.modules() if isinstance(m, nn.Linear))


def standardiser(features: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation [D] of features [N, D]; a constant feature keeps the scale 1."""
    std, mean = torch.std_mean(features, dim=0, correction=0)
    return mean, torch.where(std > 1e-6, std, torch.ones_like(std))


def scales(data: ExitData) -> list[tuple[Tensor, Tensor]]:
    """Return the `standardiser` of every intermediate exit's features."""
    if not data.on_disk:
        return [standardiser(x) for x in data.features]
    return [_streamed_scale(data, k) for k in range(len(data.features))]


def _streamed_scale(data: ExitData, k: int) -> tuple[Tensor, Tensor]:
    sums = torch.zeros(2, data.features[k].shape[1], dtype=torch.float64)
    for start in range(0, len(data), CHUNK):
        x = data.batch(k, slice(start, start + CHUNK)).double()
        sums += torch.stack([x.sum(0), x.square().sum(0)])
    mean, squares = sums / len(data)
    std = (squares - mean.square()).clamp_min(0).sqrt()
    return mean.float(), torch.where(std > 1e-6, std, torch.ones_like(std)).float()


class StandardisedRows:
    """The standardised features of a group of exits for a split on disk, computed for the requested rows."""

    def __init__(self, data: ExitData, group: Sequence[int], scale: Sequence[tuple[Tensor, Tensor]]) -> None:
        self.data, self.group, self.scale = data, group, scale

    def index_select(self, dim: int, rows: Tensor) -> Tensor:
        """Return some rows [B, g, D]."""
        made = [(self.data.batch(k, rows) - mean) / std for k, (mean, std) in zip(self.group, self.scale, strict=True)]
        return torch.stack(made, 1)

    def transpose(self, *axes: int) -> Tensor:
        """Raise UserError: all rows at once do not fit into memory."""
        raise UserError(
            "These heads need all features of the train split in memory at once, which is too small for them. Train "
            "them on fewer images (--limit), or use plain heads, which read theirs batch by batch."
        )


def fold(weight: Tensor, bias: Tensor, mean: Tensor, std: Tensor) -> nn.Linear:
    """Turn weight [D, C] and bias [C] on standardised inputs into a linear layer on raw ones."""
    layer = nn.Linear(weight.shape[0], weight.shape[1], device=weight.device)
    with torch.no_grad():
        layer.weight.copy_((weight / std[:, None]).T)
        layer.bias.copy_(bias - (mean / std) @ weight)
    return layer.requires_grad_(False)


class Net:
    """The heads of E >= 1 exits in training: Linear(D_k → C) each, or Linear → ReLU → Linear with `width` hidden units.

    Exits of equal D_k share one weight [g, D, H], so that a step is one batched product for all of them; H is the
    width, or C without hidden units. `parameters` are leaves whose first axis is over exits; `exit_of[i]` names the
    exits of parameter i, and `fan_in[i]` is the number of inputs of its layer.
    """

    def __init__(self, train: ExitData, classes: int, width: int, generator: torch.Generator) -> None:
        self.width, self.generator = width, generator
        self.scale = scales(train)
        dims = [x.shape[1] for x in train.features]
        self.groups = [[k for k, d in enumerate(dims) if d == size] for size in dict.fromkeys(dims)]
        order = torch.tensor([k for group in self.groups for k in group], device=generator.device)
        self.place = None if bool((order.diff() > 0).all()) else order.argsort()
        self.parameters: list[Tensor] = []
        self.exit_of: list[Tensor] = []
        self.fan_in: list[int] = []
        hidden = width or classes
        drawn = [self.normal(d, hidden, scale=(2 / d) ** 0.5 if width else 0.01) for d in dims]
        for group in self.groups:
            self.add(torch.stack([drawn[k] for k in group]), group, dims[group[0]])
            self.add(drawn[0].new_zeros(len(group), 1, hidden), group, dims[group[0]])
        if width:
            self.add(self.normal(len(dims), width, classes, scale=0.01), range(len(dims)), width)
            self.add(drawn[0].new_zeros(len(dims), 1, classes), range(len(dims)), width)

    @property
    def exits(self) -> int:
        """E, the number of exits with a head to train."""
        return len(self.scale)

    def normal(self, *shape: int, scale: float) -> Tensor:
        """Draw a tensor of that shape from N(0, scale²)."""
        return torch.randn(*shape, generator=self.generator, device=self.generator.device) * scale

    def add(self, value: Tensor, exits: Sequence[int], inputs: int) -> None:
        """Add the parameter `value`; its first axis is over these exits, and its layers have `inputs` inputs."""
        self.parameters.append(value.requires_grad_())
        self.fan_in.append(inputs)
        self.exit_of.append(torch.tensor(list(exits), dtype=torch.int64, device=value.device))

    def inputs(self, data: ExitData) -> list[Any]:
        """Return a split's standardised features [N, g, D] per group of exits; `StandardisedRows` if it is on disk."""
        if data.on_disk:
            return [StandardisedRows(data, group, [self.scale[k] for k in group]) for group in self.groups]
        result = []
        for group in self.groups:
            stacked = torch.empty(
                len(data), len(group), data.features[group[0]].shape[1], device=data.final_logits.device
            )
            for i, k in enumerate(group):
                mean, std = self.scale[k]
                torch.div(data.features[k] - mean, std, out=stacked[:, i])
            result.append(stacked)
        return result

    def __call__(self, inputs: Sequence[Tensor], parameters: Sequence[Tensor] | None = None) -> Tensor:
        """Return the logits [E, B, C] for inputs [B, g, D] per group, with other parameters if given."""
        values = self.parameters if parameters is None else parameters
        return self.last(self.first(inputs, values), values)

    def first(self, inputs: Sequence[Tensor], values: Sequence[Tensor]) -> Tensor:
        """Return the outputs of the first layers, [E, B, H]."""
        parts = [torch.baddbmm(values[2 * i + 1], x.transpose(0, 1), values[2 * i]) for i, x in enumerate(inputs)]
        outputs = parts[0] if len(parts) == 1 else torch.cat(parts)
        return outputs if self.place is None else outputs[self.place]

    def last(self, hidden: Tensor, values: Sequence[Tensor], exits: slice = slice(None)) -> Tensor:
        """Return the logits [e, B, C] of some exits from the outputs of their first layers, [e, B, H]."""
        if not self.width:
            return hidden
        i = 2 * len(self.groups)
        return torch.baddbmm(values[i + 1][exits], hidden.relu(), values[i][exits])

    @torch.no_grad()
    def differentiate(self, inputs: Sequence[Tensor], gradient: Callable[[Tensor], Tensor]) -> None:
        """Set every leaf's gradient; `gradient` returns that of the logits [E, B, C]."""
        hidden = self.first(inputs, self.parameters)
        self.backward(inputs, hidden, gradient(self.last(hidden, self.parameters)))

    def backward(self, inputs: Sequence[Tensor], hidden: Tensor, gradient: Tensor) -> Tensor:
        """Set the leaves' gradients from the outputs of the first layers and the gradient of the logits [E, B, C].

        Returns the gradient of the outputs of the first layers [E, B, H].
        """
        if self.width:
            i = 2 * len(self.groups)
            weight, bias = self.parameters[i : i + 2]
            weight.grad, bias.grad = hidden.relu().mT.bmm(gradient), gradient.sum(1, keepdim=True)
            gradient = gradient.bmm(weight.detach().mT) * (hidden > 0)
        for i, (group, x) in enumerate(zip(self.groups, inputs, strict=True)):
            own = gradient[group[0] : group[-1] + 1] if group[-1] - group[0] < len(group) else gradient[group]
            self.parameters[2 * i].grad = x.transpose(0, 1).mT.bmm(own)
            self.parameters[2 * i + 1].grad = own.sum(1, keepdim=True)
        return gradient

    def layers(self, values: Sequence[Tensor]) -> list[nn.Module]:
        """Return the layer of every exit, on raw features."""
        return [self._layer(k, values) for k in range(self.exits)]

    def _layer(self, k: int, values: Sequence[Tensor]) -> nn.Module:
        first = fold(*self.first_layer(k, values))
        if not self.width:
            return first
        i = 2 * len(self.groups)
        weight, bias = values[i][k], values[i + 1][k, 0]
        return nn.Sequential(
            first, nn.ReLU(), fold(weight, bias, weight.new_zeros(self.width), weight.new_ones(self.width))
        )

    def first_layer(self, k: int, values: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return weight [D, H] and bias [H] of exit k's first layer, and the mean and deviation [D] of its inputs."""
        i = next(i for i, group in enumerate(self.groups) if k in group)
        j = self.groups[i].index(k)
        return values[2 * i][j], values[2 * i + 1][j, 0], *self.scale[k]

    def heads(self, values: Sequence[Tensor]) -> LayerHeads:
        """Return these exits' layers as heads; linear ones as LinearHeads."""
        layers = self.layers(values)
        linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
        return LayerHeads(layers) if self.width else LinearHeads(linear)
