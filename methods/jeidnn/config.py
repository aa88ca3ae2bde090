"""JEI-DNN's options: the presets of the paper, its released code and our corrections, and which options go together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from bench.methods.jeidnn.gates import Reading
from bench.methods.jeidnn.targets import Scheme

from bench.plugins.params import tunable

PRESETS: dict[str, dict[str, Any]] = {
    "ours": {
        "solver": "newton",
        "im_loss": "uniform",
        "scheme": "remaining",
        "cost": "macs",
        "pos_weight": "none",
        "reading": "cumulative",
    },
    "paper": {
        "solver": "sgd",
        "im_loss": "expected",
        "scheme": "subsequent",
        "cost": "layers",
        "pos_weight": "cumulative",
        "reading": "clipped",
    },
    "released": {
        "solver": "sgd",
        "im_loss": "uniform",
        "scheme": "subsequent",
        "cost": "macs",
        "pos_weight": "released",
        "reading": "clipped",
        "phases": "restart",
        "warmup": "dynamic",
        "warmup_epochs": 6,
    },
}
COMMON = {"phases": "continue", "warmup": "fixed", "warmup_epochs": 4}  # of solver=sgd, unless a preset sets them


@dataclass(frozen=True)
class JEIDNNConfig:
    """A preset, and options that override it one by one (None: as in the preset).

    - solver: `sgd` alternates between gates and heads; `newton` solves the gates on given `heads`.
    - im_loss, of the heads, needs `sgd` if it depends on the gates: `uniform`, the mean of CE_l; `expected`, Σ_l
      P_l·CE_l with P detached; `single`, CE where the sample leaves (nothing if that is the last exit).
    - objective, R_l of the targets' l* = argmin_l R_l + λ·c_l: `ce`, the cross-entropy in nats; `zeroOne`, -1[right];
      `prob`, -p_max·1[right]. `cost`, c_l: the share of the MACs (heads and gates counted), or (l+1)/L for `layers`.
    - scheme, the targets of the gates: `subsequent`, 1[l >= l*] (paper, released); `only`, 1[l = l*];
      `ignore_subsequent`, the same with gates l > l* left out of the loss. `remaining` (ours) asks whether leaving here
      is at least as good as at every later exit: `subsequent` teaches the gates after l* to leave even where later
      exits are better.
    - pos_weight: `bench.methods.jeidnn.targets.positive_weight`.
    - reading: `bench.methods.jeidnn.gates.Gates`. `single` is the original's other exit model; its decisions are those
      of `clipped`, but it has no P for `im_loss=expected`.
    - decision: `deterministic`, or `prob`, which leaves at random by the exit probabilities, with a coin that each
      sample carries (`bench.rules.mixing.coin`). The original's `frac`, a quantile of the batch, is left out, because a
      sample's exit would depend on the other samples of its batch.
    - gate_data: the split that `newton` fits gates on; `sgd` trains on train.
    - phases, warmup, warmup_epochs, epochs, batch_size, lr: the schedule of `sgd` (`bench.methods.jeidnn.bilevel`).
    - points: of the coarse λ grid, λ = ∞ not counted.
    """

    preset: Literal["ours", "paper", "released"] = "ours"
    solver: Literal["newton", "sgd"] | None = None
    im_loss: Literal["uniform", "expected", "single"] | None = None
    objective: Literal["ce", "zeroOne", "prob"] = tunable("ce")
    scheme: Scheme | None = None
    cost: Literal["macs", "layers"] | None = tunable(None)
    pos_weight: Literal["none", "cumulative", "released", "global"] | None = tunable(None)
    reading: Reading | None = None
    decision: Literal["deterministic", "prob"] = "deterministic"
    phases: Literal["continue", "restart"] | None = None
    warmup: Literal["fixed", "dynamic"] | None = None
    warmup_epochs: int | None = None
    gate_data: Literal["val", "train"] = tunable("val")
    heads: str = "plain"
    epochs: int = tunable(15, 5, 60)
    batch_size: int = 64
    lr: float = tunable(0.01, 1e-3, 0.1, log=True)
    points: int = 24

    def __post_init__(self) -> None:
        if self.points < 2:
            raise ValueError(f"points={self.points} must be at least 2, a grid of λ")
        if min(self.epochs, self.batch_size) < 1 or self.option("warmup_epochs") < 0 or not self.lr > 0:
            raise ValueError("epochs and batch_size must be at least 1, warmup_epochs at least 0, and lr above 0")
        solver, im_loss, reading = (self.option(name) for name in ("solver", "im_loss", "reading"))
        if solver == "newton" and im_loss != "uniform":
            raise ValueError(f"im_loss={im_loss} trains the heads with the gates, which only solver=sgd does")
        if solver == "sgd" and self.heads != "plain":
            raise ValueError(f"solver=sgd trains linear heads of its own; heads={self.heads} needs solver=newton")
        if reading == "single" and im_loss == "expected":
            raise ValueError("im_loss=expected weights heads by exit probabilities, which reading=single does not have")
        self._check_scheme(self.option("scheme"), reading)

    def _check_scheme(self, scheme: Scheme, reading: Reading) -> None:
        if scheme == "remaining" and (reading != "cumulative" or self.decision == "prob"):
            raise ValueError(
                "scheme=remaining teaches a gate whether to leave once a sample is there; give reading=cumulative "
                "and decision=deterministic, or scheme=subsequent"
            )
        if scheme in ("subsequent", "remaining"):
            return
        if reading == "cumulative":
            raise ValueError(
                f"scheme={scheme} teaches a gate to leave at the best exit alone, reading=cumulative reads it as "
                "'there or before'; give reading=clipped"
            )
        if self.option("pos_weight") == "cumulative":
            raise ValueError(
                f"pos_weight=cumulative counts the positives of scheme=subsequent; with scheme={scheme} give "
                "pos_weight=released, global or none"
            )

    def option(self, name: str) -> Any:
        """Return an option as it was given, otherwise the preset's value."""
        given = getattr(self, name)
        return (COMMON | PRESETS[self.preset])[name] if given is None else given
