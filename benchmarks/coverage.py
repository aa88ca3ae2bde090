"""Simulate settings with known accuracies; print the coverage and the type-I errors of the bootstrap.

    python benchmarks/coverage.py [--simulations 600] [--seeds 3 6 10]

Method m answers sample i correctly at cost j and seed s if a latent normal is positive:

    level_mj + seeds·a_ms + pools·v_ms + √shared·b_i + √common·h_mi + √(1 - shared - common)·e_msi > 0

b: difficulty of sample i for all methods; h: difficulty for method m at all seeds; e: chance; a: effect of a seed on a
whole run; v: effect of its val, whose ten parts are drawn from the 20 parts of a fixed pool (v1) or from 100 parts
(v2). The true accuracy is Φ(level / √(1 + seeds² + pools²)).
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from bench.stats.bands import band
from bench.stats.bootstrap import Draws, estimates, plain_deviations
from bench.stats.compare import compare, holm
from bench.stats.pools import COMMON, FIXED, pool_variance
from bench.stats.ranks import ranks
from bench.stats.resample import BootstrapConfig, sample_means


@dataclass(frozen=True)
class World:
    """Components of the noise, on the latent scale."""

    seeds: float = 0.0  # sd of a seed's effect on a whole run
    shared: float = 0.5  # variance of a sample's difficulty, the same for all methods and seeds
    common: float = 0.2  # variance of a sample's difficulty for one method, the same for its seeds
    levels: tuple[float, ...] = (0.0, 0.15, 0.3, 0.45, 0.55, 0.62, 0.66, 0.68)
    samples: int = 1000
    pools: float = 0.0  # sd of a val's effect on a whole run
    version: str = ""  # of the protocol, which determines how much the vals of seeds overlap
    counted: bool = True  # whether intervals include pools

    def val(self, seeds: int, methods: int, rng: np.random.Generator) -> np.ndarray:
        """Return the effect of each seed's val on each method [S, M]."""
        if not self.pools:
            return np.zeros((seeds, methods))
        parts = rng.standard_normal((round(PARTS / COMMON.get(self.version, FIXED)), methods))
        drawn = [parts[rng.permutation(len(parts))[:PARTS]].sum(0) for _ in range(seeds)]
        return self.pools * np.stack(drawn) / np.sqrt(PARTS)

    def truth(self) -> np.ndarray:
        """Return the true accuracy at every level."""
        return stats.norm.cdf(np.array(self.levels) / np.sqrt(1 + self.seeds**2 + self.pools**2))


WORLDS = {
    "test samples dominate": World(seeds=0.003),
    "balanced": World(seeds=0.04),
    "seeds dominate": World(seeds=0.2),
    "seeds disagree on samples": World(seeds=0.003, shared=0.1, common=0.0),
}
PARTS = 10
POOLS = {
    "one pool, halved": World(seeds=0.05, pools=0.05, version="v1"),
    "one pool, halved; seeds alone counted": World(seeds=0.05, pools=0.05, version="v1", counted=False),
    "pools drawn": World(seeds=0.05, pools=0.05, version="v2"),
    "pools drawn; seeds alone counted": World(seeds=0.05, pools=0.05, version="v2", counted=False),
}
BOOTSTRAP = BootstrapConfig(draws=2000, sample_draws=400)


def simulate(
    world: World, methods: int, seeds: int, rng: np.random.Generator, bootstrap: BootstrapConfig, tag: str
) -> tuple[np.ndarray, Draws]:
    """Return values [1+R, S, M, J] of one simulated setting, and the bootstrap draws that all methods share."""
    n, levels = world.samples, np.array(world.levels)
    shared = np.sqrt(world.shared) * rng.standard_normal((n, 1, 1))
    own = np.sqrt(world.common) * rng.standard_normal((n, 1, methods))
    chance = np.sqrt(1 - world.shared - world.common) * rng.standard_normal((n, seeds, methods))
    latent = shared + own + chance + world.seeds * rng.standard_normal((1, seeds, methods))
    latent += world.val(seeds, methods, rng)
    right = (latent[..., None] + levels > 0).astype(np.float32)
    means = sample_means([right.reshape(n, -1)], bootstrap, tag)[0]
    full = right.mean(0, dtype=np.float64).reshape(1, -1)
    values = np.concatenate([full, means]).reshape(-1, seeds, methods, len(levels))
    pools = pool_variance(world.version) if world.pools and world.counted else 0.0
    return values, Draws.make(range(seeds), bootstrap, tag, pools)


def coverage(
    world: World,
    seeds: int,
    simulations: int,
    bootstrap: BootstrapConfig = BOOTSTRAP,
    plain: int = 400,
    stream: int = 0,
) -> dict[str, float]:
    """Return the share of simulations in which intervals and bands contain the true value.

    plain: simulations for which the literal two-level bootstrap, which is slow, is computed too. stream: random stream.
    """
    rng = np.random.default_rng(seeds + 10_000 * stream)
    truth = world.truth()
    hits = {"interval": 0.0, "difference": 0.0, "plain": 0.0, "plain difference": 0.0, "band": 0, "band difference": 0}
    for i in range(simulations):
        values, draws = simulate(world, 2, seeds, rng, bootstrap, f"{i}")
        middle = len(truth) // 2
        for name, curve, target in (
            ("", values[:, :, 0], truth),
            (" difference", values[:, :, 1] - values[:, :, 0], np.zeros(len(truth))),
        ):
            one = estimates(curve[..., middle : middle + 1], range(seeds), draws)[0]
            hits[name.strip() or "interval"] += one.low <= target[middle] <= one.high
            deviation, se = draws.deviations(curve, range(seeds), several=True)
            found = band(world.levels, curve[0].mean(0), deviation, se)
            hits[f"band{name}"] += bool(((np.array(found.low) <= target) & (target <= np.array(found.high))).all())
            if i < plain:
                low, high = np.quantile(plain_deviations(curve[..., [middle]], bootstrap, f"{i}"), [0.025, 0.975])
                value = curve[0, :, middle].mean()
                hits[f"plain{name}"] += (
                    (value + low <= target[middle] <= value + high) * simulations / min(simulations, plain)
                )
    return {name: count / simulations for name, count in hits.items()}


def errors(
    world: World, methods: int, seeds: int, simulations: int, bootstrap: BootstrapConfig = BOOTSTRAP
) -> dict[str, float]:
    """Return the family-wise error of the comparison table and of ranks, for methods of equal accuracy."""
    rng = np.random.default_rng(1000 + seeds)
    one = replace(world, levels=(0.3,))
    wrong = {"holm": 0, "single": 0.0, "sign flip with holm": 0, "ranks": 0}
    for i in range(simulations):
        values, draws = simulate(one, methods, seeds, rng, bootstrap, f"{i}")
        named = {f"m{m:02d}": values[:, :, m, 0] for m in range(methods)}
        table = compare(named, "m00", range(seeds), draws)
        if table[0].p is not None:
            wrong["holm"] += any(c.p_holm <= 0.05 for c in table)
            wrong["single"] += np.mean([c.p <= 0.05 for c in table])
            wrong["sign flip with holm"] += bool((holm([c.p_signflip for c in table]) <= 0.05).any())
        wrong["ranks"] += any(r.first > 1 or r.last < methods for r in ranks(named, range(seeds), draws).values())
    return {name: count / simulations for name, count in wrong.items()}


def main() -> None:
    """Print coverage and errors for each source of noise and number of seeds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=600)
    parser.add_argument("--seeds", type=int, nargs="+", default=[3, 6, 10])
    parser.add_argument("--methods", type=int, default=15)
    chosen = parser.parse_args()
    for name, world in (WORLDS | POOLS).items():
        for seeds in chosen.seeds:
            start = time.perf_counter()
            found = coverage(world, seeds, chosen.simulations)
            words = ", ".join(f"{key} {100 * share:.1f} %" for key, share in found.items())
            print(f"coverage, {name}, {seeds} seeds: {words} ({time.perf_counter() - start:.0f} s)", flush=True)
    for name, world in (WORLDS | POOLS).items():
        for seeds in chosen.seeds:
            start = time.perf_counter()
            found = errors(world, chosen.methods, seeds, chosen.simulations)
            words = ", ".join(f"{key} {100 * share:.1f} %" for key, share in found.items())
            print(f"error, {name}, {seeds} seeds: {words} ({time.perf_counter() - start:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
