"""Every built-in method says where it comes from, and lists show it without importing the method."""

from __future__ import annotations

import json

import pytest

from bench.check.described import sourced
from bench.check.subject import Subject
from bench.plugins import registry

BUILT_IN = {name: p for name, p in registry.plugins("methods").items() if p.distribution == "exitbench"}


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_source_is_complete_and_read_alike_from_the_file(name):
    plugin = BUILT_IN[name]
    cited = sourced(Subject(name))
    assert plugin.load().fidelity.citation == cited
    assert plugin.basis() == plugin.load().fidelity.basis


def test_what_is_not_our_own_has_an_address_and_says_what_was_compared_or_assumed():
    for name, plugin in BUILT_IN.items():
        fidelity = plugin.load().fidelity
        assert fidelity.link.startswith("https://") == (fidelity.basis != "our own"), name
        assert len(fidelity.detail.split()) > 4, name


def test_lists_show_it(bench):
    rows = {row["name"]: row for row in json.loads(bench("list", "methods", "--json").stdout)}
    assert rows["eefp"]["basis"] == "assumed in part"
    assert "[checked against the authors' code]" in bench("list", "methods").stdout
    shown = bench("list", "methods", "beem").stdout
    for words in ("Bajpai, Hanawal. ICLR, 2025. https://arxiv.org/abs/2502.00745", "Family: agreement", "ALBERT code"):
        assert words in shown
    detail = json.loads(bench("list", "methods", "pcee", "--json").stdout)
    assert detail["fidelity"]["year"] == 2024 and detail["fidelity"]["family"] == "calibrated"
    assert "fidelity" not in json.loads(bench("list", "heads", "plain", "--json").stdout)
