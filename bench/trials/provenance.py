"""Provenance of records: versions, hardware and git revision. It contains no host, user or path names."""

from __future__ import annotations

import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PATIENCE = 10.0  # seconds that git may take
PACKAGES = ("exitbench", "torch", "torchvision", "timm", "numpy", "scikit-learn", "mapie")


@cache
def provenance(device: str, threads: int) -> dict[str, Any]:
    """Return package versions, processor and device model, thread count, and git revision with its dirty flag."""
    return {
        "packages": {name: _version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu(),
        "device": _device(device),
        "threads": threads,
        **_git(),
    }


def made_with() -> dict[str, Any]:
    """Return the package versions and the git revision that computed scores."""
    names = ("exitbench", "numpy", "scipy", "scikit-learn", "mapie")
    return {"packages": {name: _version(name) for name in names}, **_git()}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _device(name: str) -> str:
    if not name.startswith("cuda"):
        return name
    import torch

    return torch.cuda.get_device_name(name)


def _git() -> dict[str, Any]:
    root = Path(__file__).resolve().parents[2]
    if not (root / "pyproject.toml").exists():
        return {"git_sha": None, "git_dirty": None}
    try:
        sha = _run(root, "rev-parse", "HEAD")
        return {"git_sha": sha, "git_dirty": bool(_run(root, "status", "--porcelain", "--", "bench", "methods"))}
    except (OSError, subprocess.SubprocessError):  # no git, another owner, or a network disk that is slow
        return {"git_sha": None, "git_dirty": None}


def _run(root: Path, *words: str) -> str:
    command = ["git", "--no-optional-locks", "-C", str(root), *words]
    found = subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=PATIENCE)
    return found.stdout.decode(errors="replace").strip()
