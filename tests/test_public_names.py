from __future__ import annotations

import importlib
import inspect
import re

import pytest

from tests.helpers.paths import ROOT

LISTED = re.findall(r"^    (bench\.[\w.]+)\(([^)]*)\)", (ROOT / "docs" / "design.md").read_text(), re.MULTILINE)


def test_the_design_lists_public_names():
    assert len(LISTED) >= 10


@pytest.mark.parametrize(("name", "arguments"), LISTED)
def test_a_public_name_keeps_its_parameters(name, arguments):
    module, _, attribute = name.rpartition(".")
    parameters = list(inspect.signature(getattr(importlib.import_module(module), attribute)).parameters)
    listed = [re.split(r"[=\[:]", word)[0].strip() for word in re.sub(r"\[[^]]*\]", "", arguments).split(",")]
    named = [word for word in listed if word != "*"]
    assert [p for p in parameters if p in named] == named
