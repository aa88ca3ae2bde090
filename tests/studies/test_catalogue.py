"""The catalogue says what the classes say."""

from __future__ import annotations

import importlib
import sys

from bench.plugins import registry
from tests.helpers.paths import ROOT

sys.path.insert(0, str(ROOT / "studies"))
catalogue = importlib.import_module("catalogue")
sys.path.remove(str(ROOT / "studies"))


def test_the_page_is_current_and_has_every_name():
    page = catalogue.PAGE.read_text(encoding="utf-8")
    assert catalogue.write(page, catalogue.tables()) == page, "python studies/catalogue.py writes it again"
    for kind in registry.KINDS:
        missing = [p.name for p in registry.plugins(kind).values() if p.own and f"\n| `{p.name}` |" not in page]
        assert missing == []
