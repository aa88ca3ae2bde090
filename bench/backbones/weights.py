"""Find weight files, read them, and load them strictly."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from bench.backbones.staged import Options, Origin
from bench.errors import UserError
from bench.system.paths import user_path
from bench.system.public_data import trained_on
from bench.system.recall import watch

RANDOM = "random"
SUFFIXES = (".safetensors", ".pth", ".pth.tar", ".pt", ".bin")
_WRAPPERS = ("state_dict_ema", "state_dict", "model", "net")  # first match is used: averaged before raw

T = TypeVar("T")


def find_weights(names: Sequence[str], data_dir: Path | None) -> Path | None:
    """Return the first file of these names in data_dir, data_dir/weights, $BENCH_DATA or $BENCH_DATA/weights."""
    roots = [user_path(root) for root in (data_dir, os.environ.get("BENCH_DATA")) if root]
    places = [folder / name for root in roots for folder in (root, root / "weights") for name in names]
    watch(*places)
    return next((place for place in places if place.is_file()), None)


def locate(weights: str | None, names: Sequence[str], data_dir: Path | None) -> Path | None:
    """Return the file that the user gave, else the first of `names` found; UserError for a path that is not a file."""
    if weights is None:
        return find_weights(names, data_dir)
    path = user_path(weights)
    watch(path)
    if not path.is_file():
        raise UserError(f"There is no weight file '{path}'. Give the path of a checkpoint, or 'random'.")
    return path


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Return the state dict of a safetensors or PyTorch file, unwrapped, without `module.` prefixes."""
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            content: Any = load_file(path)
        else:
            with torch.serialization.safe_globals(_harmless()):
                content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file may raise anything
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise UserError(f"'{path}' cannot be read as a checkpoint: {reason}. Download or save it again.") from error
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
            break
    if not isinstance(content, Mapping) or not content or not all(isinstance(v, Tensor) for v in content.values()):
        raise UserError(f"'{path}' does not contain a state dict, neither directly nor under {', '.join(_WRAPPERS)}.")
    return {str(key).removeprefix("module."): value for key, value in content.items()}


def _harmless() -> list[Any]:
    """Return the harmless types in checkpoints of common training loops: parsed arguments and NumPy numbers."""
    import numpy as np

    scalar = np.float64(0).__reduce__()[0]
    kinds = [np.dtype, *(type(np.dtype(t)) for t in ("float32", "float64", "int64"))]
    return [
        argparse.Namespace,
        *kinds,
        (scalar, "numpy.core.multiarray.scalar"),
        (scalar, "numpy._core.multiarray.scalar"),
    ]


def load_strictly(model: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Load a state dict whose names and shapes all fit; raise UserError with the first that do not.

    Batch norm's `num_batches_tracked`, which inference does not use, may be missing.
    """
    own = {k: v for k, v in model.state_dict().items() if k in state or not k.endswith("num_batches_tracked")}
    wrong = [
        *(f"{k} is missing" for k in own if k not in state),
        *(f"{k} is unknown" for k in state if k not in own),
        *(
            f"{k} is {tuple(state[k].shape)} instead of {tuple(v.shape)}"
            for k, v in own.items()
            if k in state and state[k].shape != v.shape
        ),
    ]
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise UserError(f"The weights in '{source}' do not fit this architecture: {'; '.join(wrong[:3])}{more}.")
    model.load_state_dict(dict(state), strict=False)


def origin_of(path: Path, *, classes: int | None, options: Options, family: Origin) -> Origin:
    """Return what the weights of a file have seen and what their head of `classes` classes predicts (None: no head).

    In this order: the option `seen` (names joined by '+', or 'nothing'); a dataset's name in the path, as in
    `cifar10_t2t-vit-7_94.95.pth`, `svhn/best.pth` or `mae_vit_base.pth` (`bench.system.public_data`); 1,000
    classes mean ImageNet; no head means what the family's own weights have seen. Otherwise raises UserError.
    The head predicts `head_for` if that is given, otherwise the one dataset that was found, not counting ImageNet.
    """
    seen, head_for = options.get("seen"), options.get("head_for")
    named = trained_on(*path.absolute().parts)
    if seen is not None:
        names = frozenset() if seen == "nothing" else frozenset(n.strip() for n in seen.split("+"))
    elif named:
        names = named
    elif classes is None:
        return family
    elif classes == 1000:
        names = frozenset({"imagenet"})
    else:
        raise UserError(
            f"'{path.name}' does not say what it was trained on, which decides the data split. "
            "Add a parameter: [seen=cifar10], [seen=imagenet+svhn], or [seen=nothing] for no dataset of this benchmark."
        )
    last = sorted(names - {"imagenet"}) or sorted(names)
    return Origin(names, None if classes is None else head_for or (last[0] if len(last) == 1 else None))


def fit_head(
    head: nn.Linear | None, width: int, num_classes: int | None, origin: Origin, owner: str
) -> tuple[nn.Linear, Origin]:
    """Return a head of the right size and its origin: the given head if it fits, else a fresh one (fixed seed)."""
    if num_classes is None and head is None:
        raise UserError(f"{owner} has no classifier of its own. Give the number of classes of its head (num_classes).")
    if head is not None and num_classes in (None, head.out_features):
        return head, origin
    assert num_classes is not None
    return _fresh_head(width, num_classes), Origin(origin.seen)


def _fresh_head(width: int, classes: int) -> nn.Linear:
    """Return a linear layer initialised from a fixed seed."""
    return seeded(lambda: nn.Linear(width, classes))


def seeded(build: Callable[[], T], seed: int = 0) -> T:
    """Return the result of a random `build` under a fixed seed; the caller's random state is not changed."""
    with _fixed_seed(seed):
        return build()


@contextmanager
def _fixed_seed(seed: int) -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
