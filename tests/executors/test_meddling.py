"""No method changes another one's numbers: what it touched is put back, and its own trial fails with the reason."""

from __future__ import annotations

import os
import random
import warnings

import numpy as np
import pytest
import torch

from bench.executors import serial
from bench.executors.worker import Worker
from bench.plugins import registry
from bench.plugins.files import load_file
from bench.system.surroundings import _callables, _process, _repaired
from bench.trials.guard import outside
from tests.helpers import meddling
from tests.helpers.paths import ROOT
from tests.helpers.trials import by_title, outcome

MEDDLING = ROOT / "tests" / "helpers" / "meddling.py"


@pytest.fixture(scope="module", autouse=True)
def _loaded():
    before = {kind: dict(known) for kind, known in registry._files.items()}
    load_file(MEDDLING)
    yield
    registry._files.update(before)


@pytest.fixture(scope="module")
def neighbour():
    """A worker, and what its trial of another method gave before any meddler ran."""
    return {}


@pytest.mark.parametrize("deed", sorted(meddling.DEEDS))
def test_what_a_method_touches_fails_it_and_changes_no_neighbour(work, settings, neighbour, deed):
    (bank, bad), (_, good) = work(f"meddler[deed={deed}]", "global_thresh", budgets=(0.9,))
    worker = neighbour.setdefault("worker", Worker(settings()))
    if "clean" not in neighbour:
        neighbour["clean"] = outcome(worker.run(bank, good))
    process = _process()
    ((record, kept),) = worker.run(bank, bad)
    assert record.status == "failed" and kept is None
    assert record.reason.startswith("it changed what all methods share: ")
    assert _process() == process
    assert outcome(worker.run(bank, good)) == neighbour["clean"]


def test_what_any_method_may_use_is_put_back_without_a_word(work, settings):
    ((bank, trial),) = work("harmless", budgets=(0.9,))
    torch.manual_seed(5)
    expected, filters = torch.rand(1), list(warnings.filters)
    drawn = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    torch.manual_seed(5)
    ((record, _),) = Worker(settings()).run(bank, trial)
    assert record.status == "ok"
    assert torch.equal(torch.rand(1), expected)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == drawn  # noqa: NPY002
    assert list(warnings.filters) == filters and "HARMLESS" not in os.environ
    assert not torch.overrides._len_torch_function_stack()  # a default device, even the usual one, slows every call


def test_an_optimiser_may_be_used_for_the_first_time_and_not_be_patched():
    class Mine(torch.optim.SGD):
        """An optimiser that nobody has used, with a step of its own, as those of torch have."""

        def step(self, closure=None):
            return super().step(closure)

    class Heir(Mine):
        """One that inherits its step."""

    code = {(kind, key): value for kind in (Mine, Heir) for key, value in _callables(vars(kind))}
    code |= {(torch.optim, kind.__name__): kind for kind in (Mine, Heir)}
    for kind in (Mine, Heir):
        kind.__module__ = "torch.optim.made_up"
        setattr(torch.optim, kind.__name__, kind)
    try:
        for kind in (Mine, Heir):
            kind([torch.ones(1, requires_grad=True)], lr=0.1)
        assert _repaired(code) == []
        for kind in (Mine, Heir):
            kind.step = lambda self, closure=None: None
        assert sorted(_repaired(code)) == ["Heir.step", "Mine.step"]
        assert "step" not in vars(Heir) and Mine.step is code[Mine, "step"]
    finally:
        del torch.optim.Mine, torch.optim.Heir


def test_methods_of_others_are_told_from_those_of_exitbench(work):
    ((_, own),) = work("pcee[heads=calibrated]", budgets=(0.9,))
    ((_, other),) = work("harmless", budgets=(0.9,))
    assert [outside(t.method, t.config) for t in (own, other)] == [False, True]


@pytest.mark.slow
def test_each_method_of_others_runs_in_a_process_of_its_own(work, settings):
    deeds = ("writes_shared_heads", "patches_the_optimiser")
    trials = work("global_thresh", *(f"meddler[deed={deed}]" for deed in deeds), "harmless", "ztw", budgets=(0.9,))
    own = [(bank, trial) for bank, trial in trials if not outside(trial.method, trial.config)]
    expected = by_title(serial.run(own, settings()))
    found = by_title(serial.run(trials, settings(), plugins=[MEDDLING]))
    assert {title: found[title] for title in expected} == expected
    statuses = [status for title in found.keys() - expected.keys() for _, status, *_ in found[title]]
    assert sorted(statuses) == ["failed", "failed", "ok"]
