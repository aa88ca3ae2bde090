"""A family of separate networks, small to large, as one backbone: every exit is a network of its own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Unpack

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from bench.backbones.staged import Options, Origin, Preprocessing, StagedBackbone, Tuned
from bench.errors import UserError

MEMBER = re.compile(r"(?P<spec>.+?)(?:@(?P<size>\d+))?$", re.DOTALL)
EXAMPLE = "cascade:cifar_resnet20+cifar_resnet56, or cascade:efficientnet_lite0@64+efficientnet_lite0@128"


@dataclass(frozen=True)
class Answered:
    """N images, and the final features [N, D] of the last member that ran on them."""

    images: Tensor
    features: Tensor | None = None

    def __len__(self) -> int:
        """Return N."""
        return len(self.images)

    def __getitem__(self, rows: slice | Tensor) -> Answered:
        """Return the state of some images: a slice, a boolean mask or indices, as for a tensor."""
        return Answered(self.images[rows], None if self.features is None else self.features[rows])


class Member(nn.Module):
    """One network of a cascade, which reads the images at its own size and with its own normalisation."""

    scale: Tensor
    shift: Tensor

    def __init__(self, network: StagedBackbone, of: Preprocessing) -> None:
        super().__init__()
        self.network = network
        mean, std, own, spread = (
            torch.tensor(values).view(1, 3, 1, 1) for values in (of.mean, of.std, network.mean, network.std)
        )
        self.register_buffer("scale", std / spread)
        self.register_buffer("shift", (mean - own) / spread)

    def forward(self, state: Answered) -> Answered:
        x, size = state.images, self.network.image_size
        if x.shape[-1] != size:
            mode = self.network.interpolation
            x = interpolate(x, size=(size, size), mode=mode, antialias=True, align_corners=False)
        return Answered(state.images, self.network.features(x * self.scale + self.shift)[-1])


class Cascade(StagedBackbone):
    """The members run one after the other, each from the images; their costs add up."""

    def start(self, images: Tensor) -> Answered:  # type: ignore[override]
        return Answered(images)

    def feature(self, k: int, state: Answered) -> Tensor:  # type: ignore[override]
        assert state.features is not None
        return state.features


def cascade(argument: str | None = None, **options: Unpack[Options]) -> StagedBackbone:
    """Separate networks as exits, small to large: `cascade:NAME+NAME`, `@SIZE` for its pixels.

    Exit k runs member k from the images, so the costs of all members so far add up. Members whose own heads predict
    the classes keep them (`heads=native`); the others get the heads of a recipe. Images are stored at the largest
    member's size. A member without a size uses its default for the dataset (`bench.backbones.for_images`).
    """
    from bench import backbones

    parts = parts_of(argument or "")
    if len(parts) < 2:
        raise UserError(f"A cascade needs at least two members: {EXAMPLE}.")
    if options.get("exits") is not None:
        raise UserError("The exits of a cascade are its members. Leave --exits out.")
    shared = {key: options.get(key) for key in ("num_classes", "weights", "data_dir")}
    members = []
    for spec, size in parts:
        default = options.get("image_size") or backbones.default_image_size(spec, 32)
        members.append(backbones.load(spec, image_size=size or default, **shared))  # type: ignore[arg-type]
    largest = max(members, key=lambda network: network.image_size)
    looks = Preprocessing(largest.mean, largest.std, largest.interpolation)
    known = {network.head_for for network in members}
    origin = Origin(
        frozenset[str]().union(*(network.seen for network in members)), known.pop() if len(known) == 1 else None
    )
    trunk = nn.ModuleList(Member(network, looks) for network in members)
    heads = [_take_head(network) for network in members]
    found = Cascade(
        name=f"cascade:{argument}",
        trunk=trunk,
        blocks=list(trunk),
        head=heads[-1],
        positions=range(len(members) - 1),
        image_size=largest.image_size,
        preprocessing=looks,
        origin=origin,
        native=heads[:-1] if origin.head_for else (),
    )
    found.tuned = _tuned(members)
    if code := "+".join(network.code for network in members if network.code):
        found.identify(found.name, code)
    return found


def sized(native: int, argument: str | None) -> str:
    """Return the members, each with its `@SIZE`: as given, otherwise its default for images of `native` pixels."""
    from bench import backbones

    members = [(spec, size or backbones.default_image_size(spec, native)) for spec, size in parts_of(argument or "")]
    return "+".join(spec if size is None else f"{spec}@{size}" for spec, size in members)


cascade.sized = sized  # type: ignore[attr-defined]
cascade.default_image_size = lambda native, argument: None  # type: ignore[attr-defined]  # members decide


def _tuned(members: Sequence[StagedBackbone]) -> Tuned | None:
    """Return the dataset that members were tuned on, if it is a single one, and what they had seen before."""
    known = {replace(network.tuned, before=frozenset()) for network in members if network.tuned}
    if len(known) != 1:
        return None
    before = (network.tuned.before if network.tuned else network.seen for network in members)
    return replace(known.pop(), before=frozenset[str]().union(*before))


def _take_head(network: StagedBackbone) -> nn.Linear:
    """Remove a member's own head and return it; its heads of intermediate exits are dropped."""
    head, network.native = network.head, nn.ModuleList().eval()
    network.head = nn.Identity().eval()  # type: ignore[assignment]
    return head


def parts_of(argument: str) -> Sequence[tuple[str, int | None]]:
    """Split a cascade's argument at the plus signs outside brackets into specs and sizes."""
    pieces, depth, start = [], 0, 0
    for i, c in enumerate(argument):
        depth += (c == "[") - (c == "]")
        if c == "+" and depth == 0:
            pieces.append(argument[start:i])
            start = i + 1
    pieces.append(argument[start:])
    found = []
    for piece in pieces:
        match = MEMBER.fullmatch(piece.strip())
        if match is None:
            raise UserError(f"'cascade:{argument}' has a member without a name. Write it as in {EXAMPLE}.")
        found.append((match["spec"], None if match["size"] is None else int(match["size"])))
    return found
