"""Run the ONNX files of an exported policy: `python run_onnx.py IMAGE…`. Needs only NumPy, Pillow and onnxruntime.

policy = OnnxPolicy("policy")
predictions, exits = policy([image, …])
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image


class OnnxPolicy:
    """An early-exit classifier: one ONNX file per stage, each with its head and its decision."""

    def __init__(self, folder: str | Path, providers: Sequence[str] = ("CPUExecutionProvider",)) -> None:
        facts = json.loads((Path(folder) / "policy.json").read_text(encoding="utf-8"))
        self.classes, self.exit_names, self.transform = facts["classes"], facts["exits"], facts["transform"]
        paths = [Path(folder) / f"stage_{k}.onnx" for k in range(len(self.exit_names))]
        self.stages = [onnxruntime.InferenceSession(path, providers=list(providers)) for path in paths]

    def __call__(self, images: Sequence[Image.Image], batch_size: int = 64) -> tuple[np.ndarray, np.ndarray]:
        """Classify Pillow images of any size; return predictions and exits, int64 [N]."""
        predictions, exits = np.zeros(len(images), np.int64), np.zeros(len(images), np.int64)
        for start in range(0, len(images), batch_size):
            part = slice(start, start + batch_size)
            logits, exits[part] = self.run(np.stack([self.prepare(image) for image in images[part]]))
            predictions[part] = logits.argmax(-1)
        return predictions, exits

    def prepare(self, image: Image.Image) -> np.ndarray:
        """Return the centre square of an image, resized and normalised: float32 [3, size, size]."""
        side, size = min(image.size), self.transform["size"]
        left, top = (image.width - side) // 2, (image.height - side) // 2
        how = Image.Resampling[self.transform["interpolation"].upper()]
        square = image.convert("RGB").crop((left, top, left + side, top + side)).resize((size, size), how)
        mean, std = np.float32(self.transform["mean"]), np.float32(self.transform["std"])
        return ((np.asarray(square, np.float32) / 255 - mean) / std).transpose(2, 0, 1)

    def run(self, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the logits [N, C] and the exits [N] of normalised images [N, 3, size, size]."""
        alive, values = np.arange(len(inputs)), [inputs]
        exits, left_with = np.zeros(len(inputs), np.int64), None
        for k, stage in enumerate(self.stages):
            names = [given.name for given in stage.get_inputs()]
            *values, stop = stage.run(None, dict(zip(names, values, strict=True)))
            answer = values[-1][:, k]
            left_with = np.zeros((len(inputs), answer.shape[1]), answer.dtype) if left_with is None else left_with
            left_with[alive[stop]], exits[alive[stop]] = answer[stop], k
            alive, values = alive[~stop], [value[~stop] for value in values]
            if not len(alive):
                break
        assert left_with is not None
        return left_with, exits


if __name__ == "__main__":
    policy = OnnxPolicy(Path(__file__).parent)
    names = sys.argv[1:]
    for name, prediction, k in zip(names, *policy([Image.open(name) for name in names]), strict=True):
        print(f"{name}: {policy.classes[prediction]} (exit {k}, {policy.exit_names[k]})")
