"""The digest of code: what changes it, and that authors decide when it changes."""

from __future__ import annotations

import importlib
import itertools
import sys

import pytest

from bench.trials import code
from bench.trials.accepted import accepted, current
from bench.trials.code import code_digest

NUMBERS = itertools.count()  # modules are read once per process and name
METHOD = '''"""A rule."""

from __future__ import annotations

import torch
from torch import nn

from {package}.shared import {imported}

LIMIT = 3  # how many


class Rule(nn.Module):
    """Leave early."""

    version: int = 1

    def leave(self, logits: torch.Tensor, k: int = 0) -> torch.Tensor:
        """Say who leaves."""
        found: list[int] = [{called}(x) for x in logits]
        return torch.tensor(found) > LIMIT + k
'''
SHARED = """
def double(x):
    return helper(x) * 2


def helper(x):
    return x + 1


def unused(x):
    return x - 1
"""


@pytest.fixture
def digest(tmp_path, monkeypatch):
    """Return a function that gives the digest of Rule for the files of a package, in a package of a fresh name."""
    monkeypatch.syspath_prepend(tmp_path)
    packages: list[str] = []

    def make(method: str = METHOD, imported: str = "double", called: str = "double", **modules: str) -> str:
        package = f"made_up_{next(NUMBERS)}"
        packages.append(package)
        folder = tmp_path / package
        folder.mkdir()
        text = method.replace("{package}", package).replace("{imported}", imported).replace("{called}", called)
        for name, content in {"__init__": "", "method": text, "shared": SHARED, **modules}.items():
            (folder / f"{name}.py").write_text(content.replace("{package}", package))
        importlib.invalidate_caches()
        return code_digest(importlib.import_module(f"{package}.method").Rule)

    yield make
    for name in [m for m in sys.modules if m.partition(".")[0] in packages]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""Leave early."""', '"""Leave early, or late."""'),
        ('        """Say who leaves."""\n', ""),
        ("  # how many", "  # that many"),
        ("LIMIT = 3", "LIMIT: int = 3"),
        ("x: list[int] = ", "x: list[float] = "),
        ("found: list[int] = ", "found = "),
        (" -> torch.Tensor:", ":"),
        ("k: int = 0", "k: float = 0"),
        ("\n\n\nclass", "\n\n\n\n\nclass"),
        ("LIMIT + k", "(\n            LIMIT + k\n        )"),
        ("version: int = 1", "version: int = 2"),
        ("    version: int = 1\n\n", ""),
        ("from torch import nn\n", "import torch.nn as nn\n"),
        ("import torch\n", "import math\nimport torch\n"),
        ("__all__ = []\nLIMIT", "LIMIT"),
    ],
)
def test_what_computes_the_same_has_the_same_digest(digest, old, new):
    assert digest(METHOD.replace(old, new)) == digest()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("LIMIT = 3", "LIMIT = 4"),
        ("LIMIT + k", "LIMIT - k"),
        ("k: int = 0", "k: int = 1"),
        ("(nn.Module)", "(nn.Identity)"),
        ("    def leave", "    @torch.no_grad()\n    def leave"),
        ("\n\nclass", "\nLIMIT += 1\n\nclass"),
        ("\n\nclass", "\ntorch.get_num_threads()\n\nclass"),
        ("torch.tensor(", "torch.as_tensor("),
    ],
)
def test_what_computes_something_else_has_another_digest(digest, old, new):
    assert old in METHOD
    assert digest(METHOD.replace(old, new)) != digest()


def test_moving_definitions_between_modules_changes_no_digest(digest):
    helper = "\ndef helper(x):\n    return x + 1\n"
    moved = SHARED.replace(helper, "")
    assert moved != SHARED
    expected = digest()
    assert digest(shared="from {package}.deep import helper\n" + moved, deep=helper) == expected
    assert (
        digest(shared="from {package} import deep\n" + moved.replace("helper(", "deep.helper("), deep=helper)
        == expected
    )
    assert digest(shared="from .deep import *\n" + moved, deep=helper) == expected
    assert digest(shared="from {package}.deep import double", deep=SHARED) == expected  # re-exported
    everything = SHARED + METHOD.partition("imported}\n")[2].replace("{called}", "double")
    assert digest("import torch\nfrom torch import nn\n" + everything) == expected


def test_the_way_something_is_imported_changes_no_digest(digest):
    expected = digest()
    assert digest(imported="double as twice", called="twice") == expected
    assert (
        digest(METHOD.replace("from {package}.shared import", "from {package} import"), "shared", "shared.double")
        == expected
    )
    assert digest(METHOD.replace("from {package}.shared", "from .shared")) == expected


def test_what_is_referred_to_counts_and_what_is_not_does_not(digest):
    expected = digest()
    assert digest(shared=SHARED.replace("x - 1", "x - 2")) == expected
    assert digest(shared=SHARED.replace("x + 1", "x + 2")) != expected
    assert digest(imported="double, unused") == expected
    through_a_name = SHARED.replace("return helper(x)", "return globals()['helper'](x)")
    assert digest(shared=through_a_name) != digest(shared=through_a_name.replace("x + 1", "x + 2"))


def test_a_local_name_is_not_one_of_the_module(digest):
    local = SHARED.replace("helper(x) * 2", "[unused for unused in helper(x)]")
    assert digest(shared=local) == digest(shared=local.replace("x - 1", "x - 2"))
    nested = SHARED.replace(
        "    return helper(x) * 2", "    def inner(unused):\n        return unused\n    return unused(x)"
    )
    assert digest(shared=nested) != digest(shared=nested.replace("x - 1", "x - 2"))


def test_an_edited_file_of_exitbench_counts_where_it_is_referred_to(monkeypatch):
    from bench.methods.global_thresh import GlobalThreshold
    from bench.methods.jeidnn import JEIDNN

    before = code_digest(GlobalThreshold), code_digest(JEIDNN)
    read = code.read

    def edited(path):
        return (
            read(path).replace("logspace(-2.5", "logspace(-2.6")
            if "jeidnn" in str(path)
            else f'"""New words."""\n{read(path)}'
        )

    monkeypatch.setattr(code, "read", edited)
    assert (code_digest(GlobalThreshold), code_digest(JEIDNN)) == before  # what runs is what was read first
    code_digest.cache_clear()
    code._code.cache_clear()
    try:
        assert code_digest(GlobalThreshold) == before[0] and code_digest(JEIDNN) != before[1]
    finally:
        code_digest.cache_clear()
        code._code.cache_clear()


def test_authors_decide_when_code_changes():
    undecided = [str(made_by) for made_by in current() if made_by not in accepted()]
    assert not undecided, (
        "This code changed and its version did not. If a number may have changed, raise `version` in its class (for a "
        "reference: in VERSIONS) and add the new line to methods/digests.txt; if no number can have changed, add the "
        "line alone. `python -m bench.trials.accepted` adds:\n" + "\n".join(undecided)
    )
