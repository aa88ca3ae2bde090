"""Open a feature bank and return what a run needs: the method's task, the held-out splits, the frozen head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from bench.bank import probe
from bench.bank.manifest import REMEDY, Manifest
from bench.bank.plan import NATIVE, Plan, array_file
from bench.bank.store import checked, list_banks, mark_used
from bench.bank.streamed import RESIDENT, StreamedData
from bench.errors import BankError, UserError
from bench.method import ExitData, NativeHead, NoTrain, Task


@dataclass(frozen=True)
class Bank:
    """A verified bank. Splits are train, pool (val and cal, halved by the run's seed) and test; K exits, C classes."""

    path: Path
    manifest: Manifest

    @classmethod
    def open(cls, path: Path | str) -> Bank:
        """Open and verify the bank in a folder; raise BankError naming the file that is wrong.

        All checksums are compared the first time; within a process a bank whose files did not change is not read again.
        """
        path = Path(path)
        manifest = checked(path)
        mark_used(path)
        return cls(path, manifest)

    @property
    def digest(self) -> str:
        """The digest of everything that decides the contents."""
        return self.manifest.digest

    @property
    def identity(self) -> dict[str, Any]:
        """What a record says of the bank."""
        return self.manifest.identity

    @property
    def num_exits(self) -> int:
        """K, the frozen head included."""
        return len(self.manifest.exit_names)

    def features(self, split: str, exit_: int, view: int = 0) -> np.ndarray:
        """Memory-map one exit's features [N, D_k]; the last exit's are the final features."""
        if split not in self.manifest.sizes:
            raise UserError(f"A bank has no split '{split}'. Valid: {', '.join(self.manifest.sizes)}.")
        if not 0 <= view <= (self.manifest.views if split == "train" else 0):
            raise UserError(f"{self.path.name} has no view {view} of {split}. Build it with `--views {max(view, 1)}`.")
        return self._mapped(split, exit_, view, "r")

    def labels(self, split: str) -> np.ndarray:
        """Labels [N] of a split."""
        return np.load(self.path / f"{split}.labels.npy")

    def rows(self, split: str) -> np.ndarray:
        """Dataset rows [N] of a split, as stored in the copy of the dataset that the bank was made from."""
        return np.load(self.path / "rows.npz")[f"{split}_rows"]

    def keys(self, split: str) -> np.ndarray:
        """Image keys [N] of a split; unlike rows they name the same images in any copy of the dataset."""
        return np.load(self.path / "rows.npz")[f"{split}_keys"]

    def exit_data(
        self,
        split: str,
        rows: np.ndarray | Sequence[int] | None = None,
        *,
        head: int,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
        view: int = 0,
    ) -> ExitData:
        """Load a split, or some rows of it, as a policy sees it; `head` is the frozen head's candidate.

        dtype: of the features; logits have single precision at least. A whole split of more than RESIDENT bytes in
        float32 stays on disk unless it is for a GPU.
        """
        weight, bias = self._candidate(head)
        if self._stays_on_disk(split, rows, device):
            arrays = [self._mapped(split, k, view, "c") for k in range(self.num_exits)]
            return StreamedData(arrays, (weight, bias), torch.from_numpy(self.labels(split)))
        *features, final = (self._load(split, k, view, rows, device, dtype) for k in range(self.num_exits))
        labels = torch.from_numpy(self.labels(split) if rows is None else self.labels(split)[np.asarray(rows)])
        logits = torch.nn.functional.linear(final.float(), weight.to(device), bias.to(device))
        return ExitData(tuple(features), logits.to(torch.promote_types(dtype, torch.float32)), labels.to(device))

    def head_choice(self, seed: int) -> int:
        """Choose the frozen head's candidate: the lowest NLL on this seed's val half, ties to the stronger penalty."""
        weights, biases, _ = _heads(self.path)
        if len(weights) == 1:
            return 0
        val = np.sort(self.halves(seed)[0])
        losses = probe.losses(self.features("pool", self.num_exits - 1), val, self.labels("pool"), weights, biases)
        return losses.index(min(losses))

    def final_head(self, seed: int) -> tuple[Tensor, Tensor]:
        """Give the frozen head of a seed: weight [C, D] and bias [C]."""
        return self._candidate(self.head_choice(seed))

    def halves(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Positions in the pool of this seed's val and cal."""
        from bench import protocol

        val, cal = protocol.halves(self.labels("pool"), seed)
        return np.asarray(val), np.asarray(cal)

    def native(self, device: str | torch.device = "cpu") -> tuple[NativeHead, ...] | None:
        """Give the network's own heads of the intermediate exits, None if the bank has none."""
        if NATIVE not in self.manifest.files:
            return None
        held = {name: value.to(device).float() for name, value in load_file(self.path / NATIVE).items()}
        pairs = ((held.get(f"weight{k}"), held.get(f"bias{k}")) for k in range(self.num_exits - 1))
        return tuple(None if weight is None or bias is None else (weight, bias) for weight, bias in pairs)

    def task(self, seed: int, device: str | torch.device = "cpu") -> Task:
        """Make what a method may see: train and this seed's val."""
        head, (val, _) = self.head_choice(seed), self.halves(seed)
        return Task(
            train=self._train(head, device),
            val=self.exit_data("pool", val, head=head, device=device),
            macs=self.manifest.macs,
            num_classes=self.manifest.num_classes,
            seed=seed,
            device=torch.device(device),
            native=self.native(device),
        )

    def _train(self, head: int, device: str | torch.device) -> ExitData:
        return self.exit_data("train", head=head, device=device) if self.manifest.sizes["train"] else NoTrain()

    def held_out(self, seed: int, device: str | torch.device = "cpu") -> tuple[ExitData, ExitData]:
        """Load what no method sees: this seed's cal, and test; of a bank larger than memory in half precision."""
        head, (_, cal) = self.head_choice(seed), self.halves(seed)
        large = self.manifest.dtype == "float16" and self._stays_on_disk("train", None, device)
        dtype = torch.float16 if large else torch.float32
        return (
            self.exit_data("pool", cal, head=head, device=device, dtype=dtype),
            self.exit_data("test", head=head, device=device, dtype=dtype),
        )

    def _mapped(self, split: str, exit_: int, view: int, mode: Literal["r", "c"]) -> np.memmap:
        return np.load(self.path / array_file(split, view, exit_, self.num_exits), mmap_mode=mode)

    def _stays_on_disk(self, split: str, rows: object, device: str | torch.device) -> bool:
        numbers = self.manifest.sizes.get(split, 0) * (sum(self.manifest.feature_dims) + self.manifest.final_dim)
        return rows is None and torch.device(device).type == "cpu" and 4 * numbers > RESIDENT

    def _load(
        self,
        split: str,
        exit_: int,
        view: int,
        rows: np.ndarray | Sequence[int] | None,
        device: str | torch.device,
        dtype: torch.dtype,
    ) -> Tensor:
        mapped = self.features(split, exit_, view)
        part = np.array(mapped) if rows is None else mapped[np.asarray(rows)]
        return torch.from_numpy(part).to(device).to(dtype)

    def _candidate(self, head: int) -> tuple[Tensor, Tensor]:
        weights, biases, _ = _heads(self.path)
        if not 0 <= head < len(weights):
            raise UserError(f"{self.path.name} has no candidate head {head}. Valid: 0 to {len(weights) - 1}.")
        return weights[head], biases[head]


def with_digest(digest: str, root: Path | None = None) -> Bank | None:
    """Open the bank with this digest in a folder of banks, by default the user's; None if it is not there."""
    found = (bank for bank in list_banks(root) if bank.manifest and bank.manifest.digest == digest)
    return next((Bank.open(bank.path) for bank in found), None)


def open_for(plan: Plan, path: Path) -> Bank:
    """Open a bank; raise BankError if it is not the planned one."""
    bank = Bank.open(path)
    if bank.digest != plan.digest:
        raise BankError(f"{path} contains another bank (digest {bank.digest} instead of {plan.digest}). {REMEDY}")
    return bank


@cache
def _heads(path: Path) -> tuple[Tensor, Tensor, Tensor]:
    """Candidate heads of a bank: weight [R, C, D], bias [R, C], l2 [R]."""
    stored = load_file(path / "head.safetensors")
    weight, bias, l2 = (stored.get(name) for name in ("weight", "bias", "l2"))
    if weight is None or bias is None or l2 is None:
        raise BankError(f"{path / 'head.safetensors'} lacks weight, bias or l2. {REMEDY}")
    return weight.float(), bias.float(), l2
