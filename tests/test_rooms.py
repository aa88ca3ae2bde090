from __future__ import annotations

import ast

import pytest

from tests.conftest import ROOT

ROOMS = (
    "bilevel budgets costs curve exits gates heads laplace logistic method mixing params presets risk rules scheduler"
    " states surrogate"
)
ALLOWED = {f"bench.{room}" for room in ROOMS.split()}


@pytest.mark.parametrize("path", sorted((ROOT / "methods").glob("[!_]*.py")), ids=lambda p: p.stem)
def test_a_method_is_built_from_the_contract_and_pure_maths_alone(path):
    imported = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            names = [a.name for a in node.names] if node.module == "bench" else [""]
            imported |= {f"{node.module}.{n}".rstrip(".") for n in names}
        elif isinstance(node, ast.Import):
            imported |= {a.name for a in node.names}
    ours = {".".join(name.split(".")[:2]) for name in imported if name.split(".")[0] == "bench"}
    assert ours <= ALLOWED


@pytest.mark.parametrize("folder", ["bench", "methods"])
def test_no_module_grows_past_400_lines(folder):
    long = {str(p): n for p in (ROOT / folder).rglob("*.py") if (n := len(p.read_text().splitlines())) > 400}
    assert not long


@pytest.mark.parametrize("path", sorted((ROOT / "methods").glob("[!_]*.py")), ids=lambda p: p.stem)
def test_a_method_file_stays_small(path):
    assert len(path.read_text().splitlines()) <= 150
