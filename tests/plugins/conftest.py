"""Plugin files and packages as their authors have them; the registry is left as it was found."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
import torch
from typer.testing import CliRunner

from bench.cli import app
from bench.plugins import registry


@pytest.fixture(autouse=True)
def _registry_as_it_was(monkeypatch):
    monkeypatch.setattr(registry, "_files", {kind: dict(known) for kind, known in registry._files.items()})


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Lay a package of one module and one entry point where this process finds it, as pip would."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    laid: list[str] = []

    def lay(name: str, module: str, source: str, *, attribute: str = "M") -> None:
        info = site / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[bench.methods]\n{name} = {module}:{attribute}\n")
        (site / f"{module}.py").write_text(source)
        laid.append(module)
        registry._installed.cache_clear()

    yield lay
    registry._installed.cache_clear()
    for module in laid:
        sys.modules.pop(module, None)


@pytest.fixture
def cli(environment, tmp_path, monkeypatch) -> Iterator[Callable[..., SimpleNamespace]]:
    """Run `bench …` in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("BENCH_CACHE", "MPLBACKEND", "COLUMNS"):
        monkeypatch.setenv(name, environment[name])
    threads = torch.get_num_threads()

    def run(*words: object) -> SimpleNamespace:
        done = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
        return SimpleNamespace(returncode=done.exit_code, stdout=done.stdout, stderr=done.stderr)

    yield run
    torch.set_num_threads(threads)
