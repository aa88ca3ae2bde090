"""Small reports for the tests of figures."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd

from bench.report.condense import summarised
from bench.report.context import cell_reports
from bench.report.summary import report_of
from bench.stats.resample import BootstrapConfig
from tests.helpers.records import records

QUICK = BootstrapConfig(draws=200, sample_draws=50)
ALWAYS = [
    "gain",
    "accuracy",
    "comparison",
    "ece",
    "inefficiency",
    "coverage",
    "exits",
    "exit_calibration",
    "depth",
    "reliability",
]
MANY = [f"method_{i}" for i in range(8)] + ["jeidnn", "msdnet_thresh"]


def report(held=None, **known):
    return overall(records(**known) if held is None else held)


def one_cell(held=None, **known):
    return cell_reports(records(**known) if held is None else held, QUICK)[0]


def overall(held, bootstrap=QUICK):
    return report_of(map(summarised, cell_reports(held, bootstrap)), bootstrap)


def told(figure):
    return " ".join(t.get_text() for t in figure.texts)


def data_of(file):
    return pd.read_csv(io.BytesIO(file.files[f"{file.name}.csv"]))


def drawn(axes, marker):
    lines = [line for line in axes.lines if line.get_marker() == marker and line.get_linestyle() == "None"]
    return np.concatenate([np.array(line.get_xydata()) for line in lines]) if lines else np.empty((0, 2))
