"""`bench finetune`: live progress, a folder that a run takes, and sentences for mistakes."""

from __future__ import annotations

import os
import signal
import time

import pytest
import torch
from safetensors.torch import load_file

WORDS = [
    *("finetune", "--dataset", "digits", "--backbone", "cifar_resnet20[exits='2,5']", "--weights", "random"),
    *("--exits", "joint", "--image-size", "8", "--limit", "60", "--batch-size", "8", "--workers", "0"),
]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--exits", "joind"], "Did you mean"),
        (["--exit-weights", "1,a"], "is not a list of numbers, such as 1,1,2"),
        (["--epochs", "0"], "epochs 0 is not valid"),
        (["--lr", "0"], "lr 0 is not valid"),
    ],
)
def test_mistakes_are_sentences(bench, tmp_path, words, says):
    done = bench(*WORDS, "-o", str(tmp_path / "a"), *words)
    assert done.returncode == 2 and says in done.stderr and "Traceback" not in done.stderr


@pytest.mark.slow
def test_killed_it_goes_on_and_ends_with_the_same_weights(bench, start, tmp_path):
    command = [*WORDS, "--epochs", "6", "-o"]
    whole = bench(*command, "whole")
    assert whole.returncode == 0, whole.stderr
    assert "epoch 6:" in whole.stdout and "bench run --backbone whole" in whole.stdout
    child = start(*command, "cut")
    while not (tmp_path / "cut" / "checkpoint.pt").exists():
        assert child.poll() is None
        time.sleep(0.02)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert not (tmp_path / "cut" / "network.json").exists()
    again = bench(*command, "cut")
    assert again.returncode == 0 and "epoch 1:" not in again.stdout
    one, other = (load_file(tmp_path / name / "network.safetensors") for name in ("whole", "cut"))
    assert all(torch.equal(value, other[name]) for name, value in one.items())
