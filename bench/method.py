"""The contract between the harness and an early-exit method: Task in, one Policy per budget out.

Exits are numbered 0 … K-1; the last, K-1, is the backbone's own frozen head. N samples, C classes, D_k features.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from bench.errors import NeedsTrain

NativeHead = tuple[Tensor, Tensor] | None  # weight [C, D_k] and bias [C]; None where the features are the logits


@dataclass(frozen=True)
class ExitData:
    """One split through the frozen backbone."""

    features: tuple[Tensor, ...]  # K-1 tensors [N, D_k]: what the head of intermediate exit k sees
    final_logits: Tensor  # [N, C]: the backbone's own frozen head, which is exit K-1
    labels: Tensor  # [N] int64
    on_disk: ClassVar[bool] = False  # True: features are memory-mapped in the bank's dtype; read them with `batch`

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def num_exits(self) -> int:
        """K, the backbone's own head included."""
        return len(self.features) + 1

    def inputs(self, k: int) -> Tensor:
        """Return the input of `Policy.head(k, …)`: exit k's features [N, D_k], or the frozen head's logits [N, C]."""
        return self.features[k] if k < len(self.features) else self.final_logits

    def batch(self, k: int, rows: slice | Tensor) -> Tensor:
        """Return some rows of `inputs(k)` in at least float32; of a split on disk only these rows are read."""
        found = self.inputs(k)[rows]
        return found.float() if found.dtype == torch.float16 else found

    def tensors(self) -> dict[str, Tensor]:
        """Return all tensors by name."""
        features = {f"the features of exit {k}": x for k, x in enumerate(self.features)}
        final = {} if self.on_disk else {"the final logits": self.final_logits}
        return {**features, **final, "the labels": self.labels}


class NoTrain(ExitData):
    """The missing train split of a bank of imported logits; reading it raises NeedsTrain."""

    def __init__(self) -> None:
        """Store nothing."""

    def _missing(self) -> Any:
        raise NeedsTrain(
            "This bank has no train split, but the method or its heads need one. Use heads=native and a rule that "
            "uses only val, or import the logits of train as well."
        )

    features = final_logits = labels = property(_missing)  # type: ignore[assignment]

    def tensors(self) -> dict[str, Tensor]:
        return {}


@dataclass(frozen=True)
class Task:
    """Everything a method may see: train and val, never cal or test."""

    train: ExitData
    val: ExitData
    macs: tuple[int, ...]  # of the backbone up to each exit [K], with its frozen head, without other heads and gates
    num_classes: int
    seed: int
    device: torch.device
    shared_cache: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)  # shared by methods of a task
    native: tuple[NativeHead, ...] | None = None  # the network's own heads of the K-1 intermediate exits, if it has any

    @property
    def num_exits(self) -> int:
        """K, the backbone's own head included."""
        return len(self.macs)


class Policy(nn.Module):
    """A fitted early-exit classifier at one operating point. Subclasses define heads for k < K-1 and `leave`.

    At exit k: `head` computes logits, `combine` may mix them with those of earlier exits, `leave` decides.
    """

    note: str = ""  # a limit of the method that a reader of the record should know, e.g. "unreachable: …"

    def head(self, k: int, features: Tensor, previous: Sequence[Tensor]) -> Tensor:
        """Return the logits [N, C] of exit k from its features [N, D_k] and the logits of exits < k.

        For the last exit `features` is the frozen head's logits; the default returns them unchanged.
        """
        return features

    def combine(self, k: int, logits: Tensor) -> Tensor:
        """Return exit k's answer, logits [N, C], from the heads' logits [N, k+1, C] of exits 0 … k.

        The default is its own head's logits. An ensemble of exits mixes logits here; heads still receive each other's
        unmixed logits.
        """
        return logits[:, k]

    def leave(self, k: int, logits: Tensor) -> Tensor:
        """Return which samples stop at exit k < K-1: bool [N] from the answers [N, k+1, C] of exits 0 … k."""
        raise NotImplementedError(f"{type(self).__name__} must define leave(k, logits).")

    def macs(self, k: int) -> int:
        """Return the multiply-accumulates per sample that exit k itself adds: its head, its mixing and its gate."""
        raise NotImplementedError(f"{type(self).__name__} must define macs(k).")


@dataclass(frozen=True)
class Infeasible:
    """The answer to a budget that a method cannot meet. Return it; do not raise it."""

    reason: str  # one sentence, stored in the record

    def __str__(self) -> str:
        return self.reason


Family = Literal["confidence", "agreement", "calibrated", "learned", "ensemble", "heads", "risk", "joint"]
Basis = Literal["checked against the authors' code", "from the paper", "assumed in part", "our own"]


@dataclass(frozen=True)
class Fidelity:
    """Where a method comes from, and how closely its implementation follows that source.

    Families: rules on an exit's own confidence, on the agreement of exits, on calibrated confidence, learned gates or
    schedules, ensembles of exits, rules on heads trained for them, risk control, gates trained jointly with heads.
    """

    title: str  # the expanded name of the method or its paper
    authors: str
    venue: str
    year: int
    link: str  # arXiv, DOI or the proceedings' page; empty only for what is our own
    family: Family
    basis: Basis
    detail: str  # what was compared with the authors' code, or which part is assumed

    @property
    def citation(self) -> str:
        """Return the source in one line."""
        return f"{self.title}. {self.authors}. {self.venue}, {self.year}. {self.link}".strip()


class Method(ABC):
    """A configured early-exit method, which fits policies; `config` is an instance of `Config`.

    Stored records are identified by the method's `version`, not by its code, so code can be refactored without running
    anything again. Raise the version when numbers may change. The default of 1 applies only to exitbench's own methods;
    any other method without a version of its own is identified by its code, so it runs again after every edit.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    fidelity: ClassVar[Fidelity | None] = None  # its source; `bench check` demands one
    Config: ClassVar[type]  # frozen dataclass: defaults, and the ranges that a search may use in each field's metadata

    def __init__(self, config: Any = None) -> None:
        self.config = self.Config() if config is None else config

    @abstractmethod
    def fit(self, task: Task, budgets: Sequence[float]) -> Sequence[Policy | Infeasible]:
        """Return one policy per budget, in the order given (cheapest first).

        A budget is a fraction of the plain backbone's MACs, `task.macs[-1]`. A policy for budget b costs at most b on
        `task.val`, including its heads and gates; if none does, return an `Infeasible` in its place.
        """
