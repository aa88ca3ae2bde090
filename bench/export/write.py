"""Write a fitted policy into a folder, and load it again before anything of the folder is replaced."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import save

import bench
from bench.bank.cell import cell_of
from bench.errors import UserError
from bench.export.folder import BACKBONE, FILE, TENSORS, Contents, entry_of, is_ours
from bench.export.loaded import LoadedPolicy, load, policy_of
from bench.export.network import spec_of, weights_of
from bench.export.numbers import numbers
from bench.export.onnx import write_onnx
from bench.export.zipped import check_zip, is_zip
from bench.inference import exit_macs, simulate
from bench.system.files import OUTPUT_MARK, check_writable, write_atomic
from bench.trials.modules import describe

if TYPE_CHECKING:
    from torch import Tensor

    from bench.bank.bank import Bank
    from bench.bank.plan import Plan
    from bench.bank.source import Request
    from bench.export.fitted import Fitted

CHECKED = 64  # test samples that ONNX files are checked with


def check_target(output: Path) -> None:
    """Raise UserError if a folder or .zip contains anything but an exported policy, or cannot be written."""
    if is_zip(output):
        check_zip(output)
        check_writable(output.parent, "folder", "--output")
        return
    folder = output
    held = {path.name for path in folder.iterdir()} - {OUTPUT_MARK} if folder.is_dir() else set()
    if held and FILE not in held:
        raise UserError(
            f"'{folder}' contains '{min(held)}' and is not an exported policy. Give a new folder with --output."
        )
    check_writable(folder, "folder", "--output")


def write(
    folder: Path,
    fitted: Fitted,
    bank: Bank,
    plan: Plan,
    request: Request,
    *,
    record: str | None,
    with_backbone: bool,
    onnx: bool = False,
) -> list[str]:
    """Write a policy, load it again as a check, and return the messages for the user.

    Raises UserError if the policy contains what cannot be stored, or if it decides differently after loading.
    """
    tensors: dict[str, Tensor] = {}
    try:
        structure = describe(fitted.policy, tensors, "policy")
    except TypeError as error:
        raise UserError(
            f"{fitted.label} cannot be exported: {error}. A policy may contain numbers, text, tensors, modules, "
            "dataclasses, named functions, and lists and dictionaries of these."
        ) from None
    weight, bias = bank.final_head(fitted.point.seed)
    tensors |= {"head.weight": weight.contiguous().clone(), "head.bias": bias.contiguous().clone()}
    contents = _contents(fitted, bank, plan, request, structure, record)
    _same(fitted, policy_of(contents, tensors))
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".") as made:
        draft = Path(made)
        _save(draft / TENSORS, tensors)
        if with_backbone:
            state = {k: v.cpu().contiguous().clone() for k, v in weights_of(plan.backbone).items()}
            _save(draft / BACKBONE, state)
        entries = {path.name: entry_of(path) for path in sorted(draft.iterdir())}
        replace(contents, files=entries).write(draft)
        loaded, inputs = _reloaded(draft, request), _some_inputs(plan)
        _same_network(plan, loaded, inputs[:2])
        told = [loaded.describe()]
        if onnx:
            told.append(write_onnx(draft, loaded, inputs))
            entries = {path.name: entry_of(path) for path in sorted(draft.iterdir()) if path.name != FILE}
            replace(contents, files=entries).write(draft)
        for path in folder.iterdir():
            if is_ours(path.name):
                path.unlink()
        for name in (*entries, FILE):
            (draft / name).replace(folder / name)
    return told


def _some_inputs(plan: Plan) -> list[Any]:
    return plan.dataset.read(np.sort(plan.rows["test"][:CHECKED]))


def _contents(
    fitted: Fitted, bank: Bank, plan: Plan, request: Request, structure: dict[str, Any], record: str | None
) -> Contents:
    macs = tuple(map(int, fitted.splits.task.macs))
    return Contents(
        exitbench=bench.__version__,
        method=fitted.label,
        heads=getattr(fitted.method.config, "heads", None),
        budget=float(fitted.point.budget or 0),
        seed=fitted.point.seed,
        note=fitted.policy.note,
        setting=cell_of(bank).model_dump(mode="json"),
        record=record,
        classes=bank.manifest.class_names,
        exits=bank.manifest.exit_names,
        macs=macs,
        costs=tuple(exit_macs(fitted.policy, macs)),
        val=fitted.summary("val"),
        test=fitted.summary("test"),
        transform=plan.preparation.describe(),
        backbone=spec_of(plan, request),
        numbers=numbers(fitted.policy),
        structure=structure,
        files={},
    )


def _save(path: Path, tensors: dict[str, Tensor]) -> None:
    content = save(tensors)
    write_atomic(path, lambda file: file.write(content))


def _same(fitted: Fitted, again: Any) -> None:
    """Raise UserError if a rebuilt policy answers or decides differently on test."""
    made = simulate(again.to(fitted.splits.task.device), fitted.splits.test, fitted.splits.task.macs)
    known = simulate(fitted.policy, fitted.splits.test, fitted.splits.task.macs)
    if not torch.equal(made.exit_index, known.exit_index) or not torch.equal(made.logits, known.logits):
        raise UserError(
            f"{fitted.label} cannot be exported: rebuilt from its tensors and attributes, the policy decides "
            "differently. It must not depend on anything else."
        )


@torch.no_grad()
def _same_network(plan: Plan, loaded: LoadedPolicy, inputs: list[Any]) -> None:
    """Raise UserError if the loaded backbone computes different features."""
    prepared = loaded.prepare(inputs)
    pairs = zip(loaded.backbone.features(prepared), plan.backbone.cpu().features(prepared), strict=True)
    if not all(torch.allclose(made, known, rtol=1e-4, atol=1e-5) for made, known in pairs):
        raise UserError(
            f"{plan.backbone.name} cannot be exported: rebuilt with the same weights, it computes different features."
        )


def _reloaded(draft: Path, request: Request) -> LoadedPolicy:
    try:
        return load(draft, backbone=request.backbone, weights=request.weights, data_dir=request.data_dir)
    except UserError as error:
        advice = " Try --without-backbone." if (draft / BACKBONE).exists() else ""
        raise UserError(f"The policy cannot be loaded from what was written: {error}{advice}") from None
