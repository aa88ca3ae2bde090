"""A policy as ONNX files, one per stage: the blocks up to an exit, its head, and the decision to stop there."""

from __future__ import annotations

import importlib.util
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.errors import UserError

if TYPE_CHECKING:
    from bench.backbones.staged import StagedBackbone
    from bench.export.loaded import LoadedPolicy
    from bench.method import Policy

RUNNER = "run_onnx.py"
NEEDED = ("onnx", "onnxscript", "onnxruntime")
INPUTS, OUTPUTS = ("state", "logits", "answers"), ("next_state", "next_logits", "next_answers", "stop")
CLOSE = 1e-3  # of the largest logit
AGREE = 0.95  # of the images must leave at the same exit; rounding may move an image that is at a threshold


class Stage(nn.Module):
    """Stage k: from the state, and the logits and answers [N, k, C] of earlier exits, to its own and a stop mask."""

    def __init__(self, policy: Policy, backbone: StagedBackbone, k: int) -> None:
        super().__init__()
        self.policy, self.backbone, self.k = policy, backbone, k

    def forward(self, state: Tensor, *before: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the next state, logits and answers [N, k+1, C], and stop [N] bool."""
        k, backbone = self.k, self.backbone
        last = k == backbone.num_exits - 1
        state = backbone.stage(k, state if k else backbone.start(state))
        features = backbone.feature(k, state)
        seen = backbone.head(features) if last else features
        own = self.policy.head(k, seen, before[0].unbind(1) if before else ())[:, None]
        logits = torch.cat([before[0], own], 1) if before else own
        answer = self.policy.combine(k, logits)[:, None]
        answers = torch.cat([before[1], answer], 1) if before else answer
        stop = torch.ones_like(answer[:, 0, 0], dtype=torch.bool) if last else self.policy.leave(k, answers)
        return state, logits, answers, stop


def check_installed() -> None:
    """Raise UserError if a package that ONNX files need is missing."""
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        raise UserError(f"--onnx needs {', '.join(missing)}. Install them: pip install 'exitbench[onnx]'.")


def write_onnx(folder: Path, loaded: LoadedPolicy, images: Sequence[np.ndarray]) -> str:
    """Write stage_0.onnx … and their runner, run them on some images, and return a sentence on how they agree.

    Raises UserError if the policy computes what ONNX cannot, or if the files' answers differ from torch's.
    """
    inputs = loaded.prepare(images)
    _export(folder, loaded, inputs)
    (folder / RUNNER).write_text(Path(__file__).with_name("runner.py").read_text())
    from bench.export.runner import OnnxPolicy

    logits, exits = OnnxPolicy(folder).run(inputs.numpy())
    known = loaded.outcomes(inputs)
    same = exits == known.exit_index.numpy()
    answers = known.logits.numpy()
    off = np.abs(logits - answers)[same].max(initial=0) / max(float(np.abs(answers).max()), 1e-9)
    if same.mean() < AGREE or off > CLOSE:
        raise UserError(
            f"The ONNX files of {loaded.contents.method} differ from torch: {int(same.sum())} of {len(same)} test "
            f"samples leave at the same exit, and logits differ by {off:.1e} of the largest. Export it without --onnx."
        )
    return f"With the ONNX files, {int(same.sum())} of {len(same)} test samples leave at the same exit as with torch."


@torch.no_grad()
def _export(folder: Path, loaded: LoadedPolicy, inputs: Tensor) -> None:
    from bench.export.operators import TRANSLATIONS

    values: tuple[Tensor, ...] = (inputs,)
    for k in range(loaded.backbone.num_exits):
        stage = Stage(loaded.policy, loaded.backbone, k).eval()
        *found, _ = stage(*values)
        if not isinstance(found[0], Tensor):
            raise UserError(
                f"{loaded.backbone.name} cannot be written as ONNX: its state between exits is not one tensor. "
                "Export the policy without --onnx."
            )
        batch = ({0: torch.export.Dim("images", min=1)},) * len(values)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                made: Any = torch.onnx.export(
                    stage,
                    values,
                    input_names=INPUTS[: len(values)],
                    output_names=OUTPUTS,
                    dynamic_shapes=(batch[0], batch[1:]) if k else batch,
                    custom_translation_table=TRANSLATIONS,
                    dynamo=True,
                    verbose=False,
                )
                made.save(folder / f"stage_{k}.onnx", external_data=False)
        except Exception as error:  # the exporter raises many kinds
            reason = re.sub(r"\x1b\[\d*m", "", str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
            raise UserError(
                f"{loaded.contents.method} cannot be written as ONNX: its stage {k} needs an operation that the format "
                f"or its exporter lacks ({reason}). Export it without --onnx."
            ) from None
        if made.model.graph.inputs[0].shape[0] == len(inputs):
            raise UserError(
                f"{loaded.contents.method} cannot be written as ONNX: its decision at exit {k} fixes the number of "
                "images. Export it without --onnx."
            )
        values = tuple(found)
