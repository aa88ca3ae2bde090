from __future__ import annotations

import pytest

from bench.check import run
from bench.plugins import registry

pytestmark = pytest.mark.slow

NAMES = [name for name, plugin in registry.plugins("methods").items() if plugin.distribution == "exitbench"]


@pytest.mark.parametrize("name", NAMES)
def test_a_built_in_method_passes_every_check(name):
    problems = {r.name: r.message for r in run(name) if not r.passed}
    assert not problems
