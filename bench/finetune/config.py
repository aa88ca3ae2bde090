"""The training recipe of a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self, get_args

from bench.errors import UserError, nearest
from bench.inputs import Modality

Exits = Literal["none", "joint", "frozen"]
Optimiser = Literal["adamw", "sgd"]
# For texts. A pretrained encoder learns at 5e-5, as BERT's authors fine-tune it (Devlin et al. 2019); new heads faster.
TEXTS: dict[str, Any] = {
    **{"epochs": 5, "batch_size": 32, "lr": 1e-3, "trunk_rate": 0.05, "weight_decay": 0.01, "warmup": 0.1},
    **{"augment": 0, "flip": False},
}


@dataclass(frozen=True)
class FineTuning:
    """The training recipe. Its defaults are for images.

    Rates decay along a cosine after a linear warm-up; weights are averaged at every step (EMA).

    exits: 'none' trains the network with its last head alone; 'joint' with a linear head at every exit as well, whose
    losses are added (deep supervision: BranchyNet, shallow-deep networks, MSDNet); 'frozen' trains such heads, and the
    last one, on a frozen trunk. A last head that was already tuned on this dataset is frozen, too.
    exit_weights: weights of the losses of the K exits, the last one included; None: all 1.
    equilibrium: scale gradients where a head branches off, so that the trunk's do not grow with the number of later
    heads (Li et al., ICCV 2019).
    distil: weight of the distillation of every exit from the last one's answer, at `temperature` (Hinton et al. 2015).
    """

    exits: Exits = "none"
    epochs: int = 10
    batch_size: int = 64
    optimiser: Optimiser = "adamw"
    lr: float = 2e-3
    trunk_rate: float = 0.25  # the trunk's rate relative to the heads'
    weight_decay: float = 0.05  # of matrices and filters; biases and norms have none
    momentum: float = 0.9  # of SGD
    warmup: float = 0.05  # share of the steps
    smoothing: float = 0.1  # of the labels
    augment: int = 9  # magnitude of RandAugment, of 30; 0 leaves it out
    flip: bool = True
    ema: float = 0.999
    exit_weights: tuple[float, ...] | None = None
    equilibrium: bool = False
    distil: float = 0.0
    temperature: float = 3.0
    val_share: float = 0.1  # of the train split, held out to choose the epoch
    seed: int = 0

    @classmethod
    def suited(cls, modality: Modality, given: Mapping[str, Any], *, from_random: bool = False) -> Self:
        """Return a recipe for images or texts: the given values, and the modality's defaults for the rest.

        from_random: the trunk has random weights, and uses the heads' rate. Raises UserError for values that are not
        valid, and for augmentation of texts.
        """
        defaults = TEXTS if modality == "text" else {}
        if modality == "text" and (wrong := [f"--{key}" for key in ("augment", "flip") if given.get(key)]):
            raise UserError(f"{' and '.join(wrong)}: only images can be augmented. Leave it out for texts.")
        return cls(**{**defaults, **({"trunk_rate": 1.0} if from_random else {}), **given})

    def __post_init__(self) -> None:
        for name, kind in (("exits", Exits), ("optimiser", Optimiser)):
            value = getattr(self, name)
            if value not in get_args(kind):
                valid = get_args(kind)
                problem = f"'{value}' is not a valid value for {name}."
                raise UserError(f"{problem}{nearest(value, valid)} Valid: {', '.join(valid)}.")
        bounds: dict[str, tuple[float, float]] = {
            "epochs": (1, 100_000),
            "batch_size": (2, 1 << 20),
            "lr": (1e-9, 1e3),
            "trunk_rate": (0, 1e3),
            "weight_decay": (0, 1e3),
            "momentum": (0, 0.9999),
            "warmup": (0, 0.9),
            "smoothing": (0, 0.99),
            "augment": (0, 30),
            "ema": (0, 0.999999),
            "distil": (0, 1e3),
            "temperature": (0.1, 100),
            "val_share": (0.001, 0.5),
            "seed": (0, 2**31),
        }
        for name, (low, high) in bounds.items():
            if not low <= getattr(self, name) <= high:
                raise UserError(f"{name} {getattr(self, name):g} is not valid. Give a value from {low:g} to {high:g}.")
        if self.exits == "none" and (self.exit_weights or self.equilibrium or self.distil):
            raise UserError("Exit weights, equilibrium and distillation need heads at the exits. Give --exits joint.")
        if self.exit_weights is not None and (min(self.exit_weights) < 0 or not sum(self.exit_weights)):
            raise UserError("Exit weights cannot be negative, and at least one must be above zero.")

    def as_json(self) -> dict[str, Any]:
        """Return all settings."""
        return asdict(self) | {"exit_weights": None if self.exit_weights is None else list(self.exit_weights)}
