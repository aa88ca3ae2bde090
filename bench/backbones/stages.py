"""Build a backbone from the list of a network's stages: the shortest way to add your own."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from bench.backbones.placement import place
from bench.backbones.staged import Origin, Preprocessing, StagedBackbone
from bench.errors import UserError

Step = Callable[[Tensor], Tensor]
Pool = Literal["mean", "token"] | Step


def from_stages(
    stages: Sequence[nn.Module],
    *,
    head: nn.Linear,
    image_size: int,
    mean: Sequence[float],
    std: Sequence[float],
    seen: Iterable[str] | None = None,
    head_for: str | None = None,
    start: Step | None = None,
    norm: Step | None = None,
    pool: Pool = "mean",
    native: Sequence[nn.Linear] = (),
    whole: nn.Module | None = None,
    interpolation: str = "bilinear",
    exits: str | None = None,
    name: str = "the network",
) -> StagedBackbone:
    """Return a frozen backbone whose stages run in order, with an exit after each; the last exit is `head`.

    stages: each takes what the one before returns, a tensor with the batch first; the first takes normalised images
        [N, 3, image_size, image_size], or what `start` returns for them. Layers between the last stage and `pool`
        belong to the last stage.
    head: the network's own classifier, on what `pool` returns after the last stage.
    mean, std, interpolation: how images were standardised per channel (of values in [0, 1]) and resized in training.
    seen: the datasets whose training images the weights have seen, pretraining included; () for none. It decides the
        data split. head_for: the dataset whose classes `head` predicts, if any.
    norm: runs before pooling at every exit, such as the last LayerNorm of a transformer.
    pool: "mean" (over the positions of a map [N, D, H, W] or over tokens [N, T, D]), "token" (the first token), or a
        function from the state to features [N, D_k].
    native: the network's own linear heads of its K-1 intermediate exits, on what `pool` returns.
    whole: the network as it is used without exits, images to logits; `bench check-backbone` compares the two.
    exits: after which stages exits are placed, as in `--exits`; by default after each.
    Steps with weights must be modules or methods of modules. Raises UserError if arguments do not fit together.
    """
    if seen is None:
        raise UserError(
            f"{name} does not say which datasets its weights have seen, which decides the data split. Give from_stages "
            "seen=('cifar10',), seen=('imagenet', 'svhn'), or seen=() for weights that have seen no public dataset."
        )
    steps = {"start": start, "norm": norm, "pool": POOLS.get(pool, pool) if isinstance(pool, str) else pool}
    _check(stages, head, mean, std, steps, name)
    parts = _Parts(stages, steps).requires_grad_(False).eval()
    width = _rehearse(parts, image_size, name)
    if width != head.in_features:
        raise UserError(
            f"The head of {name} reads {head.in_features} features, but {width} come out of its last stage and `pool`. "
            "Put what is between them into the last stage, or change `pool`."
        )
    backbone = _Listed(
        name=name,
        trunk=parts,
        blocks=list(stages),
        head=head,
        positions=place(exits, owner=name, blocks=len(stages), default="blocks"),
        image_size=image_size,
        preprocessing=Preprocessing(_three(mean), _three(std), interpolation),
        origin=Origin(frozenset(_names(seen)), head_for),
        native=native,
    )
    backbone.without_exits = () if whole is None else (whole.requires_grad_(False).eval(),)
    widths = backbone.feature_dims
    if native and [(h.in_features, h.out_features) for h in native] != [(w, head.out_features) for w in widths]:
        raise UserError(
            f"The native heads of {name} do not fit: give one for each of the {len(widths)} intermediate exits, "
            f"from {', '.join(map(str, widths))} features to {head.out_features} classes."
        )
    return backbone


def _mean(state: Tensor) -> Tensor:
    if state.dim() == 2:
        return state
    return state.mean(1) if state.dim() == 3 else state.flatten(2).mean(2)


def _token(state: Tensor) -> Tensor:
    return state[:, 0]


POOLS: dict[str, Step] = {"mean": _mean, "token": _token}


class _Parts(nn.Module):
    """All parts of a network from stages, so that all of it is frozen, moved, counted and in the digest."""

    def __init__(self, stages: Sequence[nn.Module], steps: dict[str, Any]) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.start, self.norm, self.pool = steps["start"], steps["norm"], steps["pool"]
        held = (step.__self__ for step in steps.values() if inspect.ismethod(step))
        self.owners = nn.ModuleList(owner for owner in held if isinstance(owner, nn.Module))


class _Listed(StagedBackbone):
    """Exits see the pooled state after each stage."""

    trunk: _Parts
    without_exits: tuple[nn.Module, ...] = ()  # one or none; a tuple keeps it from being registered as a submodule

    @property
    def whole(self) -> nn.Module | None:
        """The network as it is used without exits, with the same weights."""
        return self.without_exits[0] if self.without_exits else None

    def start(self, images: Tensor) -> Tensor:
        return images if self.trunk.start is None else self.trunk.start(images)

    def pool(self, state: Tensor) -> Tensor:
        return self.trunk.pool(state if self.trunk.norm is None else self.trunk.norm(state))

    def final(self, state: Tensor) -> Tensor:
        return self.pool(state)


def _check(
    stages: Any, head: Any, mean: Sequence[float], std: Sequence[float], steps: dict[str, Any], name: str
) -> None:
    """Raise UserError for arguments that can never work."""
    if not isinstance(stages, Sequence | nn.ModuleList | nn.Sequential) or not len(stages):
        raise UserError(f"The stages of {name} are {type(stages).__name__}. Give a list of at least one module.")
    if odd := [type(s).__name__ for s in stages if not isinstance(s, nn.Module)]:
        raise UserError(f"A stage of {name} is {odd[0]}, not an nn.Module. Wrap it in one.")
    if not isinstance(head, nn.Linear):
        raise UserError(
            f"The head of {name} is {type(head).__name__}, not an nn.Linear. Give the last linear layer, and put what "
            "precedes it into the last stage."
        )
    if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
        raise UserError(f"mean and std of {name} must be three numbers each, and std above 0: one per colour channel.")
    for key, step in steps.items():
        if step is not None and not callable(step):
            raise UserError(f"'{step}' is not valid for `{key}` of {name}. Valid: {', '.join(POOLS)}, or a function.")
        if inspect.isfunction(step):
            used = inspect.getclosurevars(step)
            held = [n for n, v in {**used.globals, **used.nonlocals}.items() if isinstance(v, nn.Module | Tensor)]
            if held:
                raise UserError(
                    f"`{key}` of {name} is a function that uses '{held[0]}', whose weights would be neither frozen nor "
                    "counted. Give a module, or a method of one."
                )


@torch.no_grad()
def _rehearse(parts: _Parts, image_size: int, name: str) -> int:
    """Run one black image through the stages; return the width of the last features. UserError names the bad stage."""
    state = torch.zeros(1, 3, image_size, image_size)
    width = 0
    named = [(f"stage {k} ({type(s).__name__})", s) for k, s in enumerate(parts.stages)]
    for title, step in [("start", parts.start), *named] if parts.start is not None else named:
        state = _take(title, step, state, name)
        if not title.startswith("stage"):
            continue
        features = state if parts.norm is None else _take("norm", parts.norm, state, name)
        features = _take("pool", parts.pool, features, name)
        if features.dim() != 2:
            raise UserError(
                f"`pool` of {name} returns {list(features.shape)} after {title}, but a head reads [N, D]. "
                "Give from_stages a `pool` that returns one row of features per image."
            )
        width = features.shape[1]
    return width


def _take(title: str, step: Step, state: Tensor, name: str) -> Tensor:
    try:
        found = step(state)
    except (RuntimeError, AssertionError, ValueError, IndexError, TypeError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(
            f"{title} of {name} cannot read {list(state.shape)}: {reason}. "
            "Each stage must take what the one before returns; `image_size` is the side of the images."
        ) from error
    if not isinstance(found, Tensor) or found.dim() < 2 or len(found) != 1:
        what = list(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise UserError(f"{title} of {name} returns {what}. It must return one tensor with the batch first.")
    return found


def _names(seen: Iterable[str]) -> Iterable[str]:
    """Return dataset names; also accepts the text of the bracket `[seen=imagenet+svhn]`."""
    if isinstance(seen, str):
        return () if seen == "nothing" else (n.strip() for n in seen.split("+"))
    return seen


def _three(values: Sequence[float]) -> tuple[float, float, float]:
    a, b, c = (float(v) for v in values)
    return a, b, c
