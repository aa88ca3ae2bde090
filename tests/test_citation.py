"""The citation file agrees with the package."""

from __future__ import annotations

import tomllib

import yaml

from tests.helpers.paths import ROOT


def test_the_citation_names_the_package_s_version_and_licence():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert (cited["version"], cited["license"]) == (project["version"], project["license"])
    assert {"cff-version", "message", "title", "authors"} <= set(cited)
