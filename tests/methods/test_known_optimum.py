"""Every built-in method on banks whose best rule is known: each solves those that its information is enough for."""

from __future__ import annotations

import pytest

from bench.inference import simulate
from bench.method import Infeasible
from bench.plugins import registry
from bench.trials.plan import load_methods
from tests.helpers.optimum_banks import BANKS

ALL = frozenset(BANKS)
SOLVES = {
    "anytime_poe": set(),  # answers of its own: early, doubtful exits have a say in all later ones
    "beem": {"miscalibrated", "agreement"},
    "boostednet": set(),  # answers of its own
    "caching": {"visible"},
    "class_means": {"visible", "futile", "miscalibrated"},
    "cosee": {"futile", "miscalibrated"},  # heads of their own; the energy of early exits starts low
    "diff_prob": ALL,
    "eefp": ALL,
    "eenet": {"visible"},
    "eero": {"visible", "miscalibrated"},
    "energy_thresh": {"visible"},
    "entropy_thresh": {"visible"},
    "global_thresh": {"visible"},
    "js_divergence": {"miscalibrated", "agreement"},  # nobody leaves at exit 1
    "jeidnn": {"visible", "futile", "miscalibrated"},
    "l2w_den": set(),  # quotas, as msdnet_thresh
    "learned_exit": {"visible", "futile", "miscalibrated"},
    "lookahead": ALL,
    "margin_thresh": {"visible", "futile"},
    "mie_lap": set(),  # linear heads only, which these banks do not have
    "msdnet_thresh": set(),  # geometric quotas do not fit these exits
    "optimal_stopping": ALL,
    "palbert": ALL,
    "patience": {"agreement"},
    "patient_confident": {"miscalibrated"},
    "pcee": {"visible", "miscalibrated"},
    "per_class_thresh": {"visible"},
    "risk_control": {"visible"},
    "voting": {"agreement"},
    "ztw": {"visible"},
}
BLIND = {  # a max-probability threshold lacks the information that the other banks are made of
    "futile": ("global_thresh", "entropy_thresh"),
    "miscalibrated": ("global_thresh", "margin_thresh"),
    "agreement": ("global_thresh", "pcee"),
}


@pytest.fixture(scope="module")
def banks():
    return {name: (bank, bank.task(), bank.data(2000, 9)) for name, bank in BANKS.items()}


def reached(method: str, bank, task, test) -> float:
    """The accuracy on test at the bank's budget, 0 if that is infeasible."""
    policy = load_methods([method])[0].fit(task, [bank.budget])[0]
    if isinstance(policy, Infeasible):
        return 0.0
    played = simulate(policy, test, task.macs)
    assert float(played.macs.double().mean()) / task.macs[-1] < bank.budget + 0.03
    return float((played.logits.argmax(-1) == played.labels).double().mean())


@pytest.mark.parametrize(("method", "name"), [(m, n) for m, names in SOLVES.items() for n in sorted(names)])
def test_a_method_solves_the_bank(banks, method, name):
    bank, task, test = banks[name]
    assert reached(method, bank, task, test) >= bank.accuracy


@pytest.mark.parametrize(("name", "method"), [(n, m) for n, methods in BLIND.items() for m in methods])
def test_a_method_without_the_information_cannot(banks, method, name):
    bank, task, test = banks[name]
    assert reached(method, bank, task, test) < bank.accuracy - 0.015


def test_every_built_in_method_is_listed():
    assert SOLVES.keys() == {n for n, p in registry.plugins("methods").items() if p.distribution == "exitbench"}
