"""Overfitting: what noise gives, what a real winner gives, and the same by counting one split at a time."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest

from slipstream.core.stats.overfitting import blocks_for, probability_of_overfitting


def slowly(returns: np.ndarray, blocks: int) -> tuple[float, float]:
    """PBO and mean logit by the definition, split by split."""
    parts, logits = np.array_split(np.arange(len(returns)), blocks), []
    for chosen in combinations(range(blocks), blocks // 2):
        inside = np.concatenate([parts[k] for k in chosen])
        outside = np.concatenate([parts[k] for k in range(blocks) if k not in chosen])
        ratios = [returns[rows].mean(axis=0) / returns[rows].std(axis=0) for rows in (inside, outside)]
        rank = int((ratios[1] <= ratios[1][ratios[0].argmax()]).sum())
        logits.append(math.log(rank / (returns.shape[1] + 1 - rank)))
    return float(np.mean(np.array(logits) <= 0.0)), float(np.mean(logits))


@pytest.mark.parametrize(("periods", "trials", "blocks"), [(48, 5, 6), (90, 9, 8), (64, 2, 4)])
def test_it_is_the_definition(periods: int, trials: int, blocks: int) -> None:
    returns = np.random.default_rng(periods).normal(0.002, 0.01, (periods, trials))
    if periods % blocks == 0:
        found = probability_of_overfitting(returns, blocks)
        assert (found.probability, found.mean_logit) == pytest.approx(slowly(returns, blocks))
    found = probability_of_overfitting(returns + 5.0, blocks)  # far from zero the squares must not cancel
    assert len(found.logits) == math.comb(blocks, blocks // 2)


def test_noise_overfits_half_of_the_time() -> None:
    rng = np.random.default_rng(1)
    found = [probability_of_overfitting(rng.normal(0.0, 1.0, (80, 10)), 8).probability for _ in range(150)]
    assert abs(np.mean(found) - 0.49) < 4 * 0.21 / math.sqrt(150)


def test_a_real_winner_does_not() -> None:
    returns = np.random.default_rng(2).normal(0.0, 0.01, (400, 30))
    returns[:, 7] += 0.008
    found = probability_of_overfitting(returns)
    assert found.probability == 0.0 and found.loss == 0.0


def test_trials_that_never_trade_rank_as_zero() -> None:
    returns = np.random.default_rng(3).normal(-0.01, 0.01, (64, 3))
    returns[:, 1] = 0.0
    found = probability_of_overfitting(returns, 4)
    assert found.probability == 0.0  # doing nothing beats losing in every half
    same = probability_of_overfitting(np.zeros((64, 4)), 4)
    assert same.logits == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("returns", "blocks", "says"),
    [
        (np.zeros(5), 2, "matrix|columns"),
        (np.zeros((40, 1)), 2, "2 trials"),
        (np.where(np.eye(40, 3, -4) > 0, np.nan, 0.0), 2, "trial 0 has no finite return at period 4"),
        (np.zeros((40, 3)), 3, "even number"),
        (np.zeros((40, 3)), 22, "even number"),
        (np.zeros((7, 3)), 4, "too few"),
    ],
)
def test_what_cannot_be_split_is_refused(returns: np.ndarray, blocks: int, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        probability_of_overfitting(returns, blocks)


def test_blocks_leave_enough_in_each() -> None:
    assert [blocks_for(n) for n in (8, 15, 16, 63, 64, 10_000)] == [2, 2, 4, 14, 16, 16]
    with pytest.raises(ValueError, match="too few"):
        blocks_for(7)
