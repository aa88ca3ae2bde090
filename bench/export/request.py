"""Export a policy with the settings of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bench.config import resolve_device
from bench.errors import UserError
from bench.plugins.files import load_files
from bench.system.text import file_size
from bench.trials.plan import load_methods

if TYPE_CHECKING:
    from bench.bank.source import Progress
    from bench.config import RunConfig


def export_policy(
    config: RunConfig,
    output: Path,
    *,
    with_backbone: bool = True,
    onnx: bool = False,
    progress: Progress | None = None,
) -> list[str]:
    """Fit the first method of a run at its first budget and seed, write it, and return the messages for the user.

    output: a folder, or the name of a .zip. Raises UserError if it cannot be exported; `output` is then left as it was.
    """
    from bench.bank.source import Request, Source
    from bench.export.fitted import compare, fit
    from bench.export.onnx import check_installed
    from bench.export.write import check_target, write
    from bench.export.zipped import to_fill

    if onnx:
        check_installed()
    load_files(config.plugin)
    device = resolve_device(config.device)
    (method,) = load_methods(config.methods[:1])
    check_target(output)
    request = Request.of(config, config.dataset[0], config.backbone[0])
    if request.precision != "float32":
        raise UserError(f"A policy from a bank in {request.precision} cannot be exported. Use --precision float32.")
    source = Source(request)
    if onnx and source.plan.modality == "text":
        raise UserError("ONNX files are written for policies on images. Export a policy on texts without --onnx.")
    bank = source.ensure(device, progress)
    fitted = fit(bank, method, config.budgets[0], config.seeds[0], device=device, threads=config.threads)
    record, sentence = compare(fitted, bank, config.output)
    plan = source.plan
    with to_fill(output) as folder:
        told = write(folder, fitted, bank, plan, request, record=record, with_backbone=with_backbone, onnx=onnx)
    held = output.iterdir() if output.is_dir() else [output]
    size = sum(path.stat().st_size for path in held if path.is_file())
    return [*told, sentence, f"Policy: {output.resolve()} ({file_size(size)})"]
