"""Print how much a parameter search changes conformal coverage, if the images that it used are cal for other seeds.

Candidates that differ by noise only are searched as in `bench tune`: images of several val halves choose the best one,
and reserved images decide whether it is kept. Then each of three policies (the defaults, the best on the images
that chose, what the search keeps) is calibrated on the cal half of another seed, and its coverage is measured on fresh
images at a nominal 95 %. Prints one line per policy and pool size. Run: python benchmarks/tuning_leak.py
"""

from __future__ import annotations

import argparse

import numpy as np

TRIALS, SEEDS, DECIDERS, FRESH = 20, 3, 5, 20_000
EASY = 1.4  # mean margin of the true class, in standard deviations over images: about 9 % errors
OWN = 0.3  # sd of each candidate's noise, in the same units: two candidates disagree on about 5 % of images


def once(rng: np.random.Generator, pool: int) -> dict[str, float]:
    """Search once; return the coverage of each policy, and whether a candidate was kept."""
    margin = EASY - rng.normal(size=pool + FRESH) - OWN * rng.normal(size=(TRIALS, pool + FRESH))
    right = margin > 0
    back = np.zeros(pool, dtype=bool)
    back[rng.permutation(pool)[: pool // 3]] = True
    vals = [rng.permutation(pool)[: pool // 2] for _ in range(SEEDS + DECIDERS)]
    best = int(np.sum([right[:, val[~back[val]]].mean(1) for val in vals[:SEEDS]], axis=0).argmax())
    weight = np.bincount(np.concatenate([val[back[val]] for val in vals[SEEDS:]]), minlength=pool)
    gain = (right[best, :pool].astype(float) - right[0, :pool])[weight > 0]
    share = weight[weight > 0] / weight.sum()
    mean = float(share @ gain)
    noise = float(np.sqrt(share**2 @ (gain - mean) ** 2))
    kept = best if mean - 1.96 * noise > 0 else 0
    cal = rng.permutation(pool)[pool // 2 :]
    rank = int(np.ceil((len(cal) + 1) * 0.95)) - 1
    covered = {
        name: float((-margin[k, pool:] <= np.sort(-margin[k, cal])[rank]).mean())
        for name, k in (("defaults", 0), ("best where it was chosen", best), ("kept", kept))
    }
    return covered | {"a candidate is kept": float(kept != 0)}


def main() -> None:
    """Print coverages in percent with their standard errors."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=400)
    repeats = parser.parse_args().repeats
    for pool in (1000, 5000, 10_000):
        rng = np.random.default_rng(0)
        found = [once(rng, pool) for _ in range(repeats)]
        for name in found[0]:
            values = 100 * np.array([one[name] for one in found])
            print(f"pool {pool:6d}  {name:25s} {values.mean():6.2f} ± {values.std() / repeats**0.5:.2f} %")


if __name__ == "__main__":
    main()
