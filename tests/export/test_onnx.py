"""ONNX files of a policy decide as torch does, or the command says that there are none."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from bench import load_policy
from bench.config import RunConfig
from bench.errors import UserError
from bench.export import onnx
from bench.export.request import export_policy
from tests.export.conftest import ONE


def test_without_the_packages_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"needs onnx, onnxscript, onnxruntime\. .*exitbench\[onnx\]"):
        onnx.check_installed()


def exported(tmp_path, method: str) -> list[str]:
    for name in onnx.NEEDED:
        pytest.importorskip(name)
    config = RunConfig(**{**ONE, "methods": [method], "budgets": [0.8]}, output=tmp_path / "runs")
    return export_policy(config, tmp_path / "policy", onnx=True)


@pytest.mark.slow
@pytest.mark.usefixtures("operators_once")
@pytest.mark.parametrize("method", ["jeidnn[epochs=2,points=4]", "ztw[heads=ztw[epochs=1]]", "patient_confident"])
def test_the_files_decide_as_torch_does(small_bank, tmp_path, digits, method):
    told = exported(tmp_path, method)
    assert any("of 64 test samples leave at the same exit as with torch" in line for line in told)
    from bench.export.runner import OnnxPolicy

    images = digits[1](np.arange(200))
    known, files = load_policy(tmp_path / "policy"), OnnxPolicy(tmp_path / "policy")
    inputs = known.prepare(list(images))
    logits, exits = files.run(inputs.numpy())
    torch_says = known.outcomes(inputs)
    same = exits == torch_says.exit_index.numpy()
    assert same.mean() > 0.98 and len(np.unique(exits)) > 1
    np.testing.assert_allclose(logits[same], torch_says.logits.numpy()[same], rtol=1e-3, atol=1e-3)
    predictions, exits = files([Image.fromarray(image) for image in images], batch_size=33)
    assert (exits == known(images)[1].numpy()).mean() > 0.9 and predictions.dtype == exits.dtype == np.int64
    assert [len(part) for part in files([])] == [0, 0]
    Image.fromarray(images[0]).save(tmp_path / "one.png")
    command = [sys.executable, tmp_path / "policy" / onnx.RUNNER, tmp_path / "one.png"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert f"one.png: {known.classes[predictions[0]]} (exit {exits[0]}" in done.stdout, done.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("operators_once")
@pytest.mark.parametrize(
    ("method", "says"), [("beem", "its stage 0"), ("jeidnn[preset=paper,epochs=2,points=4]", "its stage")]
)
def test_a_policy_that_onnx_lacks_is_refused_and_nothing_is_written(small_bank, tmp_path, method, says):
    with pytest.raises(UserError, match=says):
        exported(tmp_path, method)
    assert [path.name for path in (tmp_path / "policy").iterdir() if path.suffix] == []
