"""`bench show`: the leaderboard in the terminal, with the numbers of the report."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys

import pytest

from bench.cli import show
from bench.report import make
from bench.report.build import build
from bench.report.request import request_of
from bench.stats.resample import BootstrapConfig
from tests.helpers.paths import ROOT
from tests.helpers.records import at, records, write

QUICK = BootstrapConfig(60, 20)
LONG = "jeidnn[preset=paper,lambda_points=40,heads=boosted]"
GRID = {"samples": 40, "seeds": range(6), "budgets": [0.3, 0.5, 1.0], "methods": ["jeidnn", "msdnet_thresh", LONG]}
SETTINGS = ("cifar100lt/efficientnet_lite0", "cifar100lt/resnet18", "svhn/resnet18")
NUMBER = re.compile(r"^[+−]?\d+\.\d\d \[[+−]?\d+\.\d\d, [+−]?\d+\.\d\d\]$|^[+−]?\d+\.\d\d( [▲▼])?$|^[–∞]$")


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    """Draw little, in a cache of this test."""
    monkeypatch.setattr(make, "BootstrapConfig", lambda: QUICK)
    monkeypatch.setattr("bench.report.context.summarise", lambda data, _: _summarise(data, QUICK))
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))


def _summarise(data, bootstrap):
    from bench.stats.summary import summarise

    return summarise(data, bootstrap)
