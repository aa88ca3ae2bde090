"""What decides between a winner and the defaults, above all that noise does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch

from bench.method import Method, Policy
from bench.plugins.params import tunable
from bench.tune import compare, serial
from bench.tune.compare import Duel, interval, scores
from bench.tune.objective import Played
from bench.tune.search import Budget, Search


def duel(rng, rows: np.ndarray, gain: float, noise: float = 0.0) -> Duel:
    """Two methods of one cost that are right on 80 % of images, the second on `gain` more, by coins of their own."""
    half = np.full(len(rows), 0.5)
    shift = noise * rng.normal()
    right = [(rng.random(len(rows)) < p).astype(float) for p in (0.8, 0.8 + gain + shift)]
    return Duel(rows, [Played(0.5, half, right[0])], [Played(0.5, half, right[1])])


def test_scores_are_those_of_the_objective():
    rng = np.random.default_rng(0)
    found = duel(rng, np.arange(50), 0.1)
    assert scores(found, 0.5, 0.5) == (found.defaults[0].right.mean(), found.best[0].right.mean())


def test_the_interval_holds_the_difference_and_is_the_same_twice():
    rng = np.random.default_rng(1)
    duels = [duel(rng, rng.permutation(400)[:200], 0.1) for _ in range(4)]
    low, high = interval(duels, 0.5, 0.5)
    mean = np.mean([np.subtract(*scores(d, 0.5, 0.5)[::-1]) for d in duels])
    assert low < mean < high and (low, high) == interval(duels, 0.5, 0.5)
    assert interval([Duel(d.rows, d.defaults, d.defaults) for d in duels], 0.5, 0.5) == (0.0, 0.0)


def test_more_seeds_on_the_same_images_do_not_make_image_noise_vanish():
    rng = np.random.default_rng(2)
    one = duel(rng, np.arange(100), 0.0)
    (low, high), (low_nine, high_nine) = interval([one], 0.5, 0.5), interval([one] * 9, 0.5, 0.5)
    assert high_nine - low_nine == pytest.approx(high - low, rel=0.15)


@pytest.mark.slow
def test_methods_that_differ_by_chance_alone_are_told_apart_as_often_as_chance_has_it(monkeypatch):
    monkeypatch.setattr(compare, "DRAWS", 300)
    rng, above = np.random.default_rng(3), 0
    for _ in range(60):
        seeds = [duel(rng, rng.permutation(160)[:80], 0.0) for _ in range(5)]
        above += interval(seeds, 0.5, 0.5)[0] > 0
    assert above <= 5  # 2.5 % of 60 are 1.5; six or more have a chance of 0.4 %


def test_a_real_gain_is_found():
    rng = np.random.default_rng(4)
    seeds = [duel(rng, rng.permutation(800)[:400], 0.1) for _ in range(5)]
    assert interval(seeds, 0.5, 0.5)[0] > 0


@dataclass(frozen=True)
class NoiseConfig:
    """A parameter that means nothing, and one that draws all of it anew."""

    salt: int = tunable(500, 0, 1000)
    world: int = 0


class Guess(Policy):
    """Leave at the first exit with an answer that is as good as a draw by lot, but the same for the same image."""

    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight)

    def head(self, k, features, previous):
        return torch.sin(features @ self.weight.T) if k == 0 else previous[0]

    def leave(self, k, logits):
        return torch.ones(len(logits), dtype=torch.bool)

    def macs(self, k):
        return 0


class Noise(Method):
    """Pure noise: another guess for every salt."""

    name: ClassVar[str] = "noise"
    Config: ClassVar[type] = NoiseConfig

    def fit(self, task, budgets: Sequence[float]):
        seed = 1_000_003 * self.config.world + self.config.salt
        shape = (task.num_classes, task.train.features[0].shape[1])
        policy = Guess(torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 1000)
        return [policy for _ in budgets]


@pytest.mark.slow
def test_a_search_over_pure_noise_keeps_its_defaults(bank, tmp_path, monkeypatch, run_all):
    """The winner nearly always looks better where it was chosen; where it was not, hardly ever."""
    monkeypatch.setattr(compare, "DRAWS", 300)
    monkeypatch.setattr(serial, "outside", lambda method, config: False)  # a child could not import it
    kept = []
    for world in range(15):
        budget = Budget(8, (0, 1), (0.6, 1.0), search_seed=world)
        search = Search(bank, Noise(NoiseConfig(world=world)), budget, tmp_path / "tuned")
        run_all(search)
        kept.append(search.result())
        if world < 5:
            scores = [row.mean for row in search.history]
            assert 0.03 < min(scores) < max(scores) < 0.25  # ten classes
    flattered = [t for t in kept if t.decision is not None]
    assert len(flattered) >= 10
    assert sum(t.kept == "tuned" for t in kept) <= 2  # 2.5 % each: three or more have a chance of 0.6 %
    ahead = [t.decision.difference > 0 for t in flattered]
    assert 0.2 < sum(ahead) / len(ahead) < 0.8  # on unseen images nobody is better
