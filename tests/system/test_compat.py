"""torchvision beside a torch that its operators were not built for, and beside one that they were."""

import subprocess
import sys

import pytest

BROKEN = """
import torch
torch.library.register_fake("torchvision::nms")(lambda dets, scores, iou: dets)
"""
WORKING = "answer = 42\n"
OTHER = "raise RuntimeError('CUDA driver is too old')\n"


def run(tmp_path, init, code):
    """Run code in a fresh interpreter in which torchvision is a package with this __init__."""
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text(init)
    start = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); "
    return subprocess.run([sys.executable, "-c", start + code], capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_missing_operators_are_declared_once_and_stay(tmp_path):
    code = (
        "from bench.system.compat import ensure_torchvision; import gc, torch; a = ensure_torchvision(); gc.collect(); "
        "assert ensure_torchvision() is a; "
        "print(torch.ops.torchvision.nms.default._schema, torch.ops.torchvision.qnms.default._schema)"
    )
    done = run(tmp_path, BROKEN, code)
    assert done.returncode == 0, done.stderr
    assert "torchvision::nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor" in done.stdout
    assert "torchvision::qnms" in done.stdout


@pytest.mark.slow
def test_a_working_torchvision_is_left_alone(tmp_path):
    code = (
        "from bench.system.compat import ensure_torchvision; import torch; assert ensure_torchvision().answer == 42; "
        "assert not hasattr(torch.ops.torchvision, 'nms'); print('alone')"
    )
    done = run(tmp_path, WORKING, code)
    assert done.stdout == "alone\n", done.stderr


def test_other_failures_are_not_hidden(tmp_path):
    done = run(tmp_path, OTHER, "from bench.system.compat import ensure_torchvision; ensure_torchvision()")
    assert done.returncode == 1 and "CUDA driver is too old" in done.stderr


@pytest.mark.slow
def test_timm_and_the_real_torchvision_import_here():
    code = (
        "from bench.system.compat import import_timm; t = import_timm(); import torchvision.ops; "
        "from torchvision.transforms.v2 import functional; print(t.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "timm\n", done.stderr
