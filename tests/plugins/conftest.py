"""Plugin files and packages as their authors have them; the registry is left as it was found."""

from __future__ import annotations

import sys

import pytest

from bench.plugins import registry
from bench.system import installed


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

    def forget() -> None:
        for known in (registry._installed, installed.entries, installed._all):
            known.cache_clear()

    def lay(name: str, module: str, source: str, *, attribute: str = "M") -> None:
        info = site / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[bench.methods]\n{name} = {module}:{attribute}\n")
        (site / f"{module}.py").write_text(source)
        laid.append(module)
        forget()

    yield lay
    forget()
    for module in laid:
        sys.modules.pop(module, None)
