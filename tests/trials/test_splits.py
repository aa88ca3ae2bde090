from __future__ import annotations

import pytest

from bench.plugins import registry
from bench.rules import ThresholdPolicy
from bench.trials.plan import REFERENCES, load_methods
from bench.trials.run import run_trial
from bench.trials.splits import KEPT, HeadsAnswers, OwnAnswers, SeedSplits

CONFIGURED = ["eefp[heads=boosted]", "pcee[heads=calibrated]", "jeidnn[preset=released,epochs=3,points=4]"]


def facts(results):
    """All that depends on numbers: not timings, not the time of day."""
    return [r.model_dump(exclude={"timings", "created"}) for r, _ in results]


@pytest.mark.slow
@pytest.mark.parametrize("name", [REFERENCES, *registry.plugins("methods"), *CONFIGURED])
def test_sharing_the_answers_of_heads_changes_no_bit(trial_of, splits, monkeypatch, name):
    shared = facts(run_trial(trial_of(name, budgets=(0.5, 0.8)), splits, {}))
    monkeypatch.setattr(SeedSplits, "answers_for", lambda self, policy, among: OwnAnswers(self.splits))
    alone = facts(run_trial(trial_of(name, budgets=(0.5, 0.8)), splits, {}))
    assert shared == alone


class Doubled(ThresholdPolicy):
    def combine(self, k, logits):
        return 2 * super().combine(k, logits)


def test_policies_on_the_same_heads_share_answers_and_one_that_changes_them_does_not(splits):
    methods = load_methods(["global_thresh", "margin_thresh"])
    first, second = (m.fit(splits.task, (0.6, 0.9)) for m in methods)
    held = [splits.answers_for(policy, policies) for policies in (first, second) for policy in policies]
    assert isinstance(held[0], HeadsAnswers) and all(other is held[0] for other in held)
    assert held[0].splits["test"].logits.shape == (300, 5, 6)
    changed = Doubled(first[0].heads, first[0].score, first[0].thresholds, 6)
    assert isinstance(splits.answers_for(changed, [changed, changed]), OwnAnswers)


def test_answers_of_few_sets_of_heads_are_held(splits):
    recipes = ("plain", "boosted", "distilled")
    policies = [load_methods([f"global_thresh[heads={r}]"])[0].fit(splits.task, (0.9,))[0] for r in recipes]
    held = [splits.answers_for(policy, [policy]) for policy in policies]
    assert all(held) and len(splits._answers) == KEPT
    assert splits.answers_for(policies[-1], []) is held[-1]
