"""The exported policies of a setting that its page offers for download."""

from __future__ import annotations

import json
from dataclasses import dataclass

from bench.report.context import CellReport
from bench.report.networks import network_folder
from bench.report.policies import Policy
from bench.report.site.commands import FOLDER
from bench.report.site.names import setting_policy
from bench.report.site.words import percent
from bench.system.text import file_size


@dataclass(frozen=True)
class Offer:
    """A policy to download: its path within the site, what it is, and the line of Python that loads it."""

    path: str
    name: str
    size: str
    about: str
    python: str


def offers(report: CellReport) -> list[Offer]:
    """Return the policies of a setting, by budget."""
    return [_offer(report, policy) for policy in report.policies]


def _offer(report: CellReport, policy: Policy) -> Offer:
    facts, name = policy.facts, policy.path.name
    words = [
        f"accuracy on test {percent(facts.test.accuracy, 2)}",
        f"cost {percent(facts.test.macs_fraction)} of MACs",
        f"seed {facts.seed}",
        "with the weights of the network" if policy.whole else "without the weights of the network",
    ]
    return Offer(
        setting_policy(report.folder, name),
        f"{facts.method}, budget {facts.budget:g}",
        file_size(policy.bytes),
        ", ".join(words),
        _python(report, policy),
    )


def _python(report: CellReport, policy: Policy) -> str:
    """Return the line that loads a policy; it names the network if its weights are not the pretrained ones."""
    network = ""
    if not policy.whole and policy.facts.backbone.weights is not None:
        network = f", backbone={json.dumps(network_folder(report.cell) or FOLDER)}"
    return f"policy = bench.load_policy({json.dumps(policy.path.name)}{network})"
