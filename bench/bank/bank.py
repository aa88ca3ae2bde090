"""Open a feature bank and return what a run needs: the method's task, the held-out splits, the frozen head."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import Tensor

from bench.bank import probe
from bench.bank.manifest import REMEDY, Manifest
from bench.bank.plan import NATIVE, Plan, array_file
from bench.bank.store import checked, list_banks, mark_used
from bench.bank.streamed import RESIDENT, StreamedData, gathered
from bench.errors import BankError, UserError
from bench.method import ExitData, NativeHead, NoTrain, Task
from bench.system.cache import cache_dir
from bench.system.files import write_atomic


class Roles(NamedTuple):
    """Rows of a bank's splits for one seed."""

    train: np.ndarray | None  # rows of the train split; None: all
    held: str  # the split that contains val and cal
    val: np.ndarray
    cal: np.ndarray


@dataclass(frozen=True)
class Bank:
    """A verified bank of K exits and C classes. Its splits are train, pool and test.

    Each seed splits the pool into val and cal. A bank of protocol v2 has no pool: each seed draws one from train.
    """

    path: Path
    manifest: Manifest

    @classmethod
    def open(cls, path: Path | str) -> Bank:
        """Open and verify the bank in a folder; raise BankError naming the file that is wrong.

        Checksums are compared when a process first opens a bank, and again only if its files have changed.
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
        """The description of the bank in a record."""
        return self.manifest.identity

    @property
    def num_exits(self) -> int:
        """K, the frozen head included."""
        return len(self.manifest.exit_names)

    def features(self, split: str, exit_: int, view: int = 0) -> np.ndarray:
        """Memory-map one exit's features [N, D_k]; for the last exit, the final features."""
        if split not in self.manifest.sizes:
            raise UserError(f"A bank has no split '{split}'. Valid: {', '.join(self.manifest.sizes)}.")
        if not 0 <= view <= (self.manifest.views if split == "train" else 0):
            raise UserError(f"{self.path.name} has no view {view} of {split}. Build it with `--views {max(view, 1)}`.")
        return self._mapped(split, exit_, view, "r")

    def labels(self, split: str) -> np.ndarray:
        """Return the labels [N] of a split."""
        return np.load(self.path / f"{split}.labels.npy")

    def rows(self, split: str) -> np.ndarray:
        """Return the dataset rows [N] of a split, in the copy of the dataset that the bank was made from."""
        return np.load(self.path / "rows.npz")[f"{split}_rows"]

    def keys(self, split: str) -> np.ndarray:
        """Return the sample keys [N] of a split; unlike rows, they identify samples in any copy of the dataset."""
        return np.load(self.path / "rows.npz")[f"{split}_keys"]

    def exit_data(
        self,
        split: str,
        rows: np.ndarray | Sequence[int] | None = None,
        *,
        head: tuple[Tensor, Tensor],
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
        view: int = 0,
    ) -> ExitData:
        """Load a split, or some rows of it, as a policy sees it; `head` is the last exit's (`final_head`).

        dtype: of the features; logits are float32 or wider.
        """
        weight, bias = head
        *features, final = (self._load(split, k, view, rows, device, dtype) for k in range(self.num_exits))
        labels = torch.from_numpy(self.labels(split) if rows is None else self.labels(split)[np.asarray(rows)])
        logits = torch.nn.functional.linear(final.float(), weight.to(device), bias.to(device))
        return ExitData(tuple(features), logits.to(torch.promote_types(dtype, torch.float32)), labels.to(device))

    def roles(self, seed: int) -> Roles:
        """Return the rows of train, val and cal for a seed."""
        from bench import protocol

        if not self.manifest.pool_class_counts:
            return Roles(None, "pool", *protocol.halves(self.labels("pool"), seed))
        labels, counts = self.labels("train"), (self.manifest.pool_class_counts, self.manifest.train_class_counts)
        train, pool = protocol.draw(labels, self.keys("train"), *counts, seed)
        val, cal = protocol.halves(labels[pool], seed)
        return Roles(train, "train", pool[val], pool[cal])

    def final_head(self, seed: int) -> tuple[Tensor, Tensor]:
        """Return the frozen head of a seed, weight [C, D] and bias [C].

        Of the candidates fitted on train, this is the one with the lowest NLL on the seed's val; ties go to the
        stronger penalty. In a bank of protocol v2, candidates are fitted on the seed's own train split.
        """
        weights, biases, l2 = _heads(self.path)
        if len(weights) == 1:
            return weights[0], biases[0]
        roles = self.roles(seed)
        if len(weights):
            return self._chosen(roles, weights, biases)
        stored = cache_dir("probes") / f"{self.digest}-{seed}.safetensors"
        with contextlib.suppress(Exception):  # missing or damaged: it is fitted again
            held = load_file(stored)
            return held["weight"], held["bias"]
        final = self.features("train", self.num_exits - 1)[roles.train]
        fitted = probe.fit(final, self.labels("train")[roles.train], self.manifest.num_classes, l2.tolist())
        weight, bias = self._chosen(roles, *fitted)
        with contextlib.suppress(OSError):
            stored.parent.mkdir(parents=True, exist_ok=True)
            content = save({"weight": weight.contiguous(), "bias": bias.contiguous()})
            write_atomic(stored, lambda file: file.write(content))
        return weight, bias

    def _chosen(self, roles: Roles, weights: Tensor, biases: Tensor) -> tuple[Tensor, Tensor]:
        final, labels = self.features(roles.held, self.num_exits - 1), self.labels(roles.held)
        losses = probe.losses(final, roles.val, labels, weights, biases)
        best = losses.index(min(losses))
        return weights[best].clone(), biases[best].clone()

    def native(self, device: str | torch.device = "cpu") -> tuple[NativeHead, ...] | None:
        """Return the network's own heads of the intermediate exits; None if the bank has none."""
        if NATIVE not in self.manifest.files:
            return None
        held = {name: value.to(device).float() for name, value in load_file(self.path / NATIVE).items()}
        pairs = ((held.get(f"weight{k}"), held.get(f"bias{k}")) for k in range(self.num_exits - 1))
        return tuple(None if weight is None or bias is None else (weight, bias) for weight, bias in pairs)

    def task(self, seed: int, device: str | torch.device = "cpu") -> Task:
        """Return the task, which contains all that a method may see: this seed's train and val.

        A train split of more than RESIDENT bytes in float32 stays on disk unless it is for a GPU.
        """
        head, roles = self.final_head(seed), self.roles(seed)
        return Task(
            train=self._train(roles.train, head, device),
            val=self.exit_data(roles.held, roles.val, head=head, device=device),
            macs=self.manifest.macs,
            num_classes=self.manifest.num_classes,
            seed=seed,
            device=torch.device(device),
            native=self.native(device),
        )

    def _train(self, rows: np.ndarray | None, head: tuple[Tensor, Tensor], device: str | torch.device) -> ExitData:
        if not self.manifest.sizes["train"]:
            return NoTrain()
        if not self._stays_on_disk(device):
            return self.exit_data("train", rows, head=head, device=device)
        labels = self.labels("train")
        arrays = [self._mapped("train", k, 0, "c") for k in range(self.num_exits)]
        if rows is not None:
            arrays, labels = [gathered(array, rows, self.path.parent) for array in arrays], labels[rows]
        return StreamedData(arrays, head, torch.from_numpy(labels))

    def held_out(self, seed: int, device: str | torch.device = "cpu") -> tuple[ExitData, ExitData]:
        """Load what no method sees: this seed's cal, and test; in half precision if the bank exceeds memory."""
        head, roles = self.final_head(seed), self.roles(seed)
        large = self.manifest.dtype == "float16" and self._stays_on_disk(device)
        dtype = torch.float16 if large else torch.float32
        return (
            self.exit_data(roles.held, roles.cal, head=head, device=device, dtype=dtype),
            self.exit_data("test", head=head, device=device, dtype=dtype),
        )

    def _mapped(self, split: str, exit_: int, view: int, mode: Literal["r", "c"]) -> np.memmap:
        return np.load(self.path / array_file(split, view, exit_, self.num_exits), mmap_mode=mode)

    def _stays_on_disk(self, device: str | torch.device) -> bool:
        """Return whether a seed's train split stays on disk."""
        numbers = sum(self.manifest.train_class_counts) * (sum(self.manifest.feature_dims) + self.manifest.final_dim)
        return torch.device(device).type == "cpu" and 4 * numbers > RESIDENT

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


def with_digest(digest: str, root: Path | None = None) -> Bank | None:
    """Open the bank with this digest in a folder of banks (default: the user's); None if there is none."""
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
    """Return a bank's candidate heads: weight [R, C, D], bias [R, C], l2 [R]; R = 0 if every seed fits its own."""
    stored = load_file(path / "head.safetensors")
    weight, bias, l2 = (stored.get(name) for name in ("weight", "bias", "l2"))
    if weight is None or bias is None or l2 is None:
        raise BankError(f"{path / 'head.safetensors'} lacks weight, bias or l2. {REMEDY}")
    return weight.float(), bias.float(), l2
