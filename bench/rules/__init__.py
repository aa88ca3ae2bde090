"""Exit rules on given heads: policies, scores, and the thresholds, rates and mixtures that meet a budget on val."""

from bench.rules.policies import (
    HeadsPolicy,
    ThresholdPolicy,
    exit_fractions,
    many_thresholds,
    one_threshold,
    quota_policies,
    rule_fractions,
    shared_heads,
    too_small,
)
from bench.rules.scores import Pointwise, Score, energy, margin, max_probability, negative_entropy

__all__ = [
    "HeadsPolicy",
    "Pointwise",
    "Score",
    "ThresholdPolicy",
    "energy",
    "exit_fractions",
    "many_thresholds",
    "margin",
    "max_probability",
    "negative_entropy",
    "one_threshold",
    "quota_policies",
    "rule_fractions",
    "shared_heads",
    "too_small",
]
