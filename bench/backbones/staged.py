"""The interface of every backbone: K exits, a state passed from exit to exit, frozen weights."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypedDict, TypeVar

import torch
from torch import Tensor, nn

from bench.backbones.placement import EMBEDDINGS
from bench.errors import UserError
from bench.inputs import Modality, Preparation
from bench.inputs.images import Transform

if TYPE_CHECKING:
    from bench.backbones.pooling import Pooling

M = TypeVar("M", bound=nn.Module)
F = TypeVar("F", bound=Callable[..., Any])


class Options(TypedDict, total=False):
    """Options that `bench.backbones.load` passes to every builder; the last two come from a spec's brackets."""

    num_classes: int | None
    image_size: int | None
    weights: str | None
    exits: str | None
    data_dir: Path | None
    seen: str | None
    head_for: str | None


@dataclass(frozen=True)
class Preprocessing:
    """How images are prepared: resized (antialiased), in [0, 1], then standardised per channel."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str  # 'bilinear' | 'bicubic'


@dataclass(frozen=True)
class Origin:
    """What weights were trained on: the datasets whose training set they have seen, and the one their head predicts."""

    seen: frozenset[str] = frozenset()
    head_for: str | None = None


@dataclass(frozen=True)
class Tuned:
    """The dataset and protocol whose train split a network was fine-tuned on, and nothing else."""

    dataset: str
    digest: str
    protocol: str
    before: frozenset[str]  # datasets that the network it started from had seen
    class_names: tuple[str, ...]  # in the order of its heads


class StagedBackbone(nn.Module):
    """A frozen backbone of K exits. A subclass defines `start`, `pool` and `final`; blocks run in order in between.

    The state is a tensor with the batch first, or an object that contains several. For either, `state[mask]` drops
    samples and `len(state)` counts them. Always in eval mode.
    """

    modality: ClassVar[Modality] = "image"

    def __init__(
        self,
        *,
        name: str,
        trunk: nn.Module,
        blocks: Sequence[nn.Module],
        head: nn.Linear,
        positions: Sequence[int],
        image_size: int,
        preprocessing: Preprocessing | None,
        origin: Origin,
        native: Sequence[nn.Linear] = (),
        pooling: Pooling | None = None,
    ) -> None:
        """Take a trunk cut into blocks; `native` are the network's own heads of intermediate exits, if it has any.

        pooling: how tokens are pooled for heads; None is the family's default. preprocessing: None for texts.
        """
        super().__init__()
        self.name = name
        self.trunk = trunk
        self.pooling = pooling
        self.head = head
        self.native = nn.ModuleList(native)  # on what `pool` returns, K-1 of them or none
        self.positions = tuple(positions)  # 0-based indices of the blocks before the intermediate exits
        self.exit_names = (*("embeddings" if p == EMBEDDINGS else f"block {p}" for p in self.positions), "head")
        self.image_size = image_size  # side in pixels; for texts the maximum number of tokens
        if preprocessing is not None:
            self.mean, self.std = preprocessing.mean, preprocessing.std
            self.interpolation = preprocessing.interpolation
        self.seen, self.head_for = origin.seen, origin.head_for
        self.own_last = origin.head_for is not None  # the last exit keeps its own head's pooling, whatever `pooling`
        bounds = (0, *(p + 1 for p in self.positions), len(blocks))
        self._stages = tuple(tuple(blocks[a:b]) for a, b in pairwise(bounds))
        self.tuned: Tuned | None = None
        self.files: tuple[Path, ...] = ()  # needed besides the weights to build it again
        self.code = ""  # digest of third-party code that decides what is computed
        super().train(False)
        self.feature_dims, self.final_dim = self._dims()
        self._freeze()

    def _freeze(self) -> None:
        self.requires_grad_(False)
        super().train(False)
        code = f"|{self.code}" if self.code else ""
        self.weights_digest = digest(f"{self.name}|{self.positions}{code}", self.state_dict())

    def identify(self, name: str, code: str) -> None:
        """Set the name, and the digest of code that is part of the identity, as the weights are."""
        self.name, self.code = name, code
        self._freeze()

    def refill(
        self,
        state: dict[str, Tensor],
        *,
        name: str,
        preprocessing: Preprocessing | None,
        origin: Origin,
        tuned: Tuned,
        native: Sequence[nn.Linear],
    ) -> None:
        """Load a network that was trained from this one; raise RuntimeError if the weights do not fit."""
        self.native = nn.ModuleList(native)
        self.load_state_dict(state)
        if preprocessing is not None:
            self.mean, self.std = preprocessing.mean, preprocessing.std
            self.interpolation = preprocessing.interpolation
        self.name, self.seen, self.head_for, self.tuned = name, origin.seen, origin.head_for, tuned
        self._freeze()

    def replace_head(self, head: nn.Linear) -> None:
        """Replace the head by one for other classes, and drop the network's own heads of the intermediate exits."""
        self.head, self.native = head, nn.ModuleList()
        self._freeze()

    @property
    def num_exits(self) -> int:
        """K, including the backbone's own head."""
        return len(self._stages)

    @property
    def num_classes(self) -> int:
        """C, the classes of the backbone's own head."""
        return self.head.out_features

    def preparation(self) -> Preparation:
        """Return how inputs are prepared for `start`."""
        return Transform.of(self)

    def example(self, size: int, device: str | torch.device = "cpu") -> Tensor:
        """Return a blank input of one sample: an image [1, 3, size, size], or a text of `size` tokens [1, size, 2]."""
        return torch.zeros(1, 3, size, size, device=device)

    def noise(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw random inputs: images [count, 3, H, W], or texts of various lengths [count, T, 2]."""
        return torch.randn(count, 3, self.image_size, self.image_size, generator=generator)

    def start(self, images: Tensor) -> Tensor:
        """Return the state before the first stage from normalised images [N, 3, H, W]."""
        raise NotImplementedError

    def pool(self, state: Tensor) -> Tensor:
        """Return what an intermediate exit's head sees, [N, D_k]."""
        raise NotImplementedError

    def final(self, state: Tensor) -> Tensor:
        """Return what the backbone's own head sees, [N, final_dim], from the state after the last block."""
        raise NotImplementedError

    def stage(self, k: int, state: Tensor) -> Tensor:
        """Return the state at exit k from that at exit k-1, which is not modified."""
        for block in self._stages[k]:
            state = block(state)
        return state

    def feature(self, k: int, state: Tensor) -> Tensor:
        """Return what exit k's head sees: [N, D_k], or [N, final_dim] for the last exit."""
        return self.final(state) if k == self.num_exits - 1 else self.pool(state)

    def features(self, images: Tensor) -> list[Tensor]:
        """Return the features of all K exits of normalised images [N, 3, H, W]."""
        state, found = self.start(images), []
        for k in range(self.num_exits):
            state = self.stage(k, state)
            found.append(self.feature(k, state))
        return found

    def exits(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return the K-1 intermediate features [N, D_k] and the logits [N, C] of the backbone's own head."""
        *intermediate, last = self.features(images)
        return intermediate, self.head(last)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits [N, C] of the backbone's own head."""
        return self.exits(images)[1]

    def train(self, mode: bool = True) -> Self:
        """Return the backbone unchanged: a frozen one stays in eval mode."""
        return self

    def _dims(self) -> tuple[tuple[int, ...], int]:
        """Return the widths of the features, from a forward pass on shapes alone."""
        try:
            with torch.no_grad():
                found = on_meta(self).features(self.example(self.image_size, "meta"))
        except Exception as error:  # a network may raise anything
            reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
            if self._runs_for_real():
                raise UserError(
                    f"{self.name} runs on real images, but not on PyTorch's meta device, where its MACs are counted "
                    f"({reason}). Create tensors on the input's device, register constant ones as buffers, and do not "
                    "read values with .item(), .tolist() or .numpy()."
                ) from error
            if not isinstance(error, RuntimeError | AssertionError | ValueError):
                raise
            unit = "images of {} pixels" if self.modality == "image" else "texts of {} tokens"
            raise UserError(
                f"{self.name} cannot read {unit.format(self.image_size)} ({reason}). Give another --image-size."
            ) from error
        widths = tuple(f.shape[1] for f in found)
        return widths[:-1], widths[-1]

    def _runs_for_real(self) -> bool:
        try:
            with torch.no_grad():
                self.features(self.example(self.image_size))
        except Exception:  # the error on shapes alone is the one reported
            return False
        return True


def on_meta(module: M) -> M:
    """Return a copy of a module on the meta device: it has shapes but no values."""
    memo: dict[int, Any] = {}
    for parameter in module.parameters():
        memo[id(parameter)] = nn.Parameter(torch.empty_like(parameter, device="meta"), requires_grad=False)
    for buffer in module.buffers():
        memo[id(buffer)] = torch.empty_like(buffer, device="meta")
    return copy.deepcopy(module, memo)


def digest(prefix: str, state: dict[str, Tensor]) -> str:
    """Return a hex digest of a prefix and the names, types, shapes and bytes of the tensors, sorted by name."""
    import xxhash

    total = xxhash.xxh3_128(prefix.encode())
    for key in sorted(state):
        tensor = state[key].detach().cpu().contiguous()
        total.update(f"|{key}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


def image_sizes(small: int, large: int) -> Callable[[F], F]:
    """Return a decorator that sets a builder's default input side: `small` for images up to 64 px, else `large`."""

    def attach(builder: F) -> F:
        builder.default_image_size = lambda native: small if native <= 64 else large  # type: ignore[attr-defined]
        return builder

    return attach
