from __future__ import annotations

import math
from functools import cache

import pytest
import torch
from bench.methods.risk_control.levels import BOUND_OF_LOSS, boldest, exit_losses, promised
from scipy.stats import binom

DELTA = 0.1
SPLITS = 200


def counted(*totals: int, n: int) -> torch.Tensor:
    """Return 0/1 losses [P, n] with these totals."""
    return (torch.arange(n) < torch.tensor(totals)[:, None]).double()


# --- losses ---------------------------------------------------------------------------------------------------------


def test_losses_by_hand():
    p = torch.tensor([[[0.7, 0.3], [0.2, 0.8]], [[0.6, 0.4], [0.9, 0.1]]])  # two samples, two exits
    labels = torch.tensor([0, 0])
    gap, same = (exit_losses(kind, p.log(), labels) for kind in ("prediction_gap", "consistency"))
    assert gap.tolist() == [[-1, 0], [0, 0]]
    assert same.tolist() == [[1, 0], [0, 0]]
    brier, top = (exit_losses(kind, p.log(), labels) for kind in ("brier_gap", "brier_gap_top"))
    assert brier[:, 0].tolist() == pytest.approx([0.18 - 1.28, 0.32 - 0.02])
    assert top[:, 0].tolist() == pytest.approx([0.98 - 0.08, 0.32 - 0.02])  # the last exit says class 1, class 0
    assert not brier[:, 1].any() and not top[:, 1].any()


def test_label_free_losses_read_no_labels():
    logits = torch.randn(50, 4, 5, generator=torch.Generator().manual_seed(0))
    labels = [torch.zeros(50, dtype=torch.int64), torch.full((50,), 3)]
    for kind in ("consistency", "brier_gap_top"):
        assert torch.equal(*(exit_losses(kind, logits, y) for y in labels))
    assert not torch.equal(*(exit_losses("brier_gap", logits, y) for y in labels))


@pytest.mark.parametrize("kind", BOUND_OF_LOSS)
def test_losses_stay_within_their_bound(kind):
    logits = 1e4 * torch.randn(300, 3, 4, generator=torch.Generator().manual_seed(1))
    losses = exit_losses(kind, logits, torch.zeros(300, dtype=torch.int64))
    assert losses.isfinite().all() and losses.max() == BOUND_OF_LOSS[kind]


# --- levels by hand ---------------------------------------------------------------------------------------------------


def test_ltt_stops_before_the_first_failure_and_not_on_it():
    losses, epsilon = counted(0, 0, 2, 3, 9, n=50), 0.1
    p = [float(binom.cdf(total, 50, epsilon)) for total in (0, 0, 2, 3, 9)]
    assert p[1] < DELTA and p[2] > DELTA  # .0052 is rejected, .1117 is not
    first_failing = next(i for i, value in enumerate(p) if value > DELTA)
    chosen = int(boldest(promised("ltt", losses, 1.0, DELTA), epsilon))
    assert chosen == first_failing - 1 == 1  # the original returns first_failing, whose risk was not certified


def test_ltt_does_not_jump_over_a_failure():
    losses = counted(0, 0, 20, 0, n=50)
    assert int(boldest(promised("ltt", losses, 1.0, DELTA), 0.1)) == 1
    assert int(boldest(promised("naive", losses, 1.0, DELTA), 0.1)) == 3


def test_levels_of_zero_one_losses_invert_the_binomial_p_value():
    levels = promised("ltt", counted(0, 0, 3, 50, n=50), 1.0, DELTA)
    assert float(levels[0]) == 0  # the full model loses nothing
    assert float(levels[1]) == pytest.approx(1 - DELTA ** (1 / 50))  # (1-ε)^50 = δ
    assert float(binom.cdf(3, 50, float(levels[2]))) == pytest.approx(DELTA)
    assert float(levels[3]) == 1


def test_levels_of_other_losses_invert_the_hoeffding_bentkus_p_value():
    losses = torch.full((2, 80), 0.15, dtype=torch.float64)
    level = float(promised("ltt", losses, 1.0, DELTA)[1])

    def p_value(epsilon: float) -> float:
        kl = 0.15 * math.log(0.15 / epsilon) + 0.85 * math.log(0.85 / (1 - epsilon))
        return min(math.exp(-80 * kl), math.e * float(binom.cdf(12, 80, epsilon)))

    assert p_value(level) <= DELTA * (1 + 1e-9) and p_value(level - 1e-6) > DELTA


def test_gains_count_as_zero_in_ltt_and_bounds_scale():
    losses = torch.stack([torch.zeros(40), torch.cat([-torch.ones(20), torch.full((20,), 0.3)])]).double()
    assert torch.equal(promised("ltt", losses, 2.0), promised("ltt", losses.clamp_min(0), 2.0))
    assert float(promised("ltt", 2 * losses, 2.0)[1]) == pytest.approx(2 * float(promised("ltt", losses, 1.0)[1]))


def test_crc_by_hand():
    losses = counted(0, 1, 3, 4, n=19)
    levels = promised("crc", losses, 1.0)
    assert levels.tolist() == pytest.approx([0, 2 / 20, 4 / 20, 5 / 20])
    for epsilon, index in ((0.04, 0), (0.1, 1), (0.19, 1), (0.2, 2), (0.9, 3)):
        by_formula = [(t <= (20 * epsilon - 1) + 1e-9) for t in (1, 3, 4)]  # R̂ <= ((n+1)ε - B)/n, times n
        assert int(boldest(levels, epsilon + 1e-12)) == index == sum(by_formula)


def test_crc_takes_the_running_maximum_of_each_sample_from_the_safe_end():
    losses = torch.tensor([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, -1]], dtype=torch.float64)
    assert promised("crc", losses, 1.0).tolist() == pytest.approx([0, 2 / 4, 3 / 4, 3 / 4])
    assert (losses.sum(1) + 1).div(4).tolist() == [0.25, 0.5, 0.5, 0.0]  # what the mean alone would have allowed


def test_wsr_agrees_with_its_definition_written_as_a_loop():
    x = torch.rand(60, generator=torch.Generator().manual_seed(3), dtype=torch.float64) ** 3
    level = float(promised("ucb_wsr", torch.stack([torch.zeros(60).double(), x]), 1.0, DELTA)[1])

    def wealth(risk: float) -> float:
        total, squares, log_wealth, best, variance = 0.5, 0.25, 0.0, -math.inf, 0.25
        for i, value in enumerate(x.tolist(), 1):
            bet = min(1.0, math.sqrt(2 * math.log(1 / DELTA) / (60 * variance)))
            log_wealth += math.log(1 - bet * (value - risk))
            best = max(best, log_wealth)
            total += value
            squares += (value - total / (i + 1)) ** 2
            variance = squares / (i + 1)
        return best

    assert wealth(level) == pytest.approx(math.log(1 / DELTA), abs=1e-6)
    assert float(x.mean()) < level < 0.6


def test_naive_takes_the_mean_loss_as_it_is():
    losses = torch.tensor([[0, 0, 0, 0], [1, 0, 0, 0], [1, 1, 0, 0], [1, -1, -1, 0]], dtype=torch.float64)
    assert promised("naive", losses, 1.0).tolist() == [0, 0.25, 0.5, -0.25]
    assert int(boldest(promised("naive", losses[:3], 1.0), 0.25)) == 1


@pytest.mark.parametrize("kind", ["naive", "crc", "ltt", "ucb_wsr"])
@pytest.mark.parametrize("n", [0, 1, 2])
def test_few_samples_promise_little(kind, n):
    levels = promised(kind, torch.ones(3, n, dtype=torch.float64), 1.0, DELTA)
    assert levels.isfinite().all()
    assert int(boldest(levels, 0.3)) == 0


# --- promises kept over resplits --------------------------------------------------------------------------------------


def population(kind: str) -> torch.Tensor:
    """Return losses [P, M] of a population, whose risk rises along the thresholds; for gaps, it falls at times."""
    g = torch.Generator().manual_seed(7)
    size, steps = 20_000, 12
    hard = torch.rand(size, generator=g).double()
    reach = torch.linspace(0, 0.6, steps).double()[:, None]
    lost = (hard < reach).double()
    if kind == "zero_one":
        return lost
    if kind == "gap":  # samples that only an early exit gets right
        won = ((hard > 0.9) & (torch.arange(steps)[:, None] % 5 < 2)).double()
        return lost - won * (reach > 0)
    return lost * torch.rand(size, generator=g).double().clamp_min(0.05) * 2  # in [0, 2]


CASES = [("zero_one", 1.0), ("gap", 1.0), ("brier", 2.0)]


@cache
def chosen_risks(control: str, kind: str, bound: float, epsilon: float, n: int) -> torch.Tensor:
    losses = population(kind)
    truth = losses.mean(1)
    rows = torch.randint(losses.shape[1], (SPLITS, n), generator=torch.Generator().manual_seed(11))
    calibration = losses[:, rows].transpose(0, 1)  # [SPLITS, P, n]
    return truth[boldest(promised(control, calibration, bound, DELTA), epsilon)]


@pytest.mark.parametrize("n", [100, 250])
@pytest.mark.parametrize("kind,bound", CASES)
@pytest.mark.parametrize("control", ["ltt", "ucb_wsr"])
def test_the_risk_exceeds_epsilon_no_more_often_than_delta(control, kind, bound, n):
    epsilon = 0.1 * bound
    violations = (chosen_risks(control, kind, bound, epsilon, n) > epsilon).double().mean()
    assert violations <= DELTA + 3 * math.sqrt(DELTA * (1 - DELTA) / SPLITS)


@pytest.mark.parametrize("control", ["ltt", "ucb_wsr"])
def test_control_is_not_bought_by_never_leaving(control):
    assert chosen_risks(control, "zero_one", 1.0, 0.1, 250).mean() > 0.03


@pytest.mark.parametrize("n", [100, 250])
@pytest.mark.parametrize("kind,bound", CASES)
def test_crc_keeps_the_mean_risk(kind, bound, n):
    epsilon = 0.1 * bound
    risks = chosen_risks("crc", kind, bound, epsilon, n)
    assert risks.mean() <= epsilon + 3 * risks.std() / math.sqrt(SPLITS)
    if kind != "gap":  # whose running maximum is cautious
        assert risks.mean() > 0.3 * epsilon


@pytest.mark.parametrize("kind,bound", CASES)
def test_the_naive_choice_breaks_what_the_others_keep(kind, bound):
    epsilon = 0.1 * bound
    assert (chosen_risks("naive", kind, bound, epsilon, 100) > epsilon).double().mean() > DELTA + 3 * math.sqrt(
        DELTA * (1 - DELTA) / SPLITS
    )


def test_ltt_spends_the_delta_it_is_given():
    g = torch.Generator().manual_seed(4)
    losses = torch.zeros(2000, 2, 250)
    losses[:, 1] = (torch.rand(2000, 250, generator=g) < 0.101).float()  # just above ε
    violations = (boldest(promised("ltt", losses.double(), 1.0, DELTA), 0.1) == 1).double().mean()
    assert 0.5 * DELTA < violations <= DELTA + 3 * math.sqrt(DELTA * (1 - DELTA) / 2000)


def test_the_mean_alone_would_break_crc_where_losses_are_not_monotone():
    g = torch.Generator().manual_seed(5)
    n, steps, epsilon = 30, 400, 0.3
    losses = (torch.rand(SPLITS, steps, n, generator=g) < 0.45).double()  # every early threshold has risk .45
    unrepaired = (losses.mean(-1) <= ((n + 1) * epsilon - 1) / n).any(-1)  # the last index that satisfies the bound
    repaired = boldest(promised("crc", losses, 1.0), epsilon) > 0
    assert 0.45 * unrepaired.double().mean() > epsilon + 0.05
    assert 0.45 * repaired.double().mean() < epsilon


def test_ltt_one_step_too_far_breaks_its_promise():
    n, epsilon = 100, 0.1  # the risk jumps from 0 to .15 at the fourth threshold
    g = torch.Generator().manual_seed(2)
    losses = torch.cat([torch.zeros(SPLITS, 3, n), (torch.rand(SPLITS, 3, n, generator=g) < 0.15).double()], 1)
    chosen = boldest(promised("ltt", losses.double(), 1.0, DELTA), epsilon)
    assert (chosen > 2).double().mean() <= DELTA
    assert (chosen + 1 > 2).double().mean() > 0.9
