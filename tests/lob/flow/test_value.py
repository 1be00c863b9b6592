"""The value's regimes, variances and what coins share."""

from __future__ import annotations

import math

import numpy as np
import pytest

from slipstream.lob.flow.record import VALUE_DTYPE
from slipstream.lob.flow.value import begin_all, stationary_share, stay_probability, walk_into
from slipstream.simulation.market.terms import Value, write_value

SECOND = 1_000_000_000
STAYS = (40.0, 10.0)


def walked(
    value: Value, coins: int, steps: int, step_ns: int, seed: int = 5
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    values = np.zeros(coins, VALUE_DTYPE)
    for i in range(coins):
        write_value(values[i], value, seed, i)
    begin_all(values, 0)
    leader, basis = np.empty((coins, steps)), np.empty((coins, steps))
    regimes = np.empty(steps)
    one, two = np.empty((coins, 1)), np.empty((coins, 1))
    for k in range(steps):
        walk_into(values, 1, step_ns, one, two)
        leader[:, k], basis[:, k], regimes[k] = one[:, 0], two[:, 0], values["regime"][0]
    return leader, basis, regimes


def test_regimes_are_a_markov_chain_in_continuous_time() -> None:
    steps = 60_000
    _, _, regimes = walked(Value(px=1.0, regime_seconds=STAYS), 1, steps, SECOND)
    calm = regimes == 0
    share = stationary_share(STAYS)
    assert share == 0.8
    # the chain forgets within tau = 1 / (1/40 + 1/10) = 8 s: 2 tau seconds are one independent look
    error = math.sqrt(share * (1.0 - share) / (steps / 16.0))
    assert abs(calm.mean() - share) < 4.0 * error
    for lag in (1, 5, 20):
        seen = calm[lag:][calm[:-lag]].mean()
        assert abs(seen - stay_probability(STAYS, float(lag))) < 4.0 * error, lag
    assert stay_probability(STAYS, 0.0) == 1.0


def test_variance_is_that_of_the_regimes_however_long_the_steps_are() -> None:
    terms = Value(px=100.0, volatility=1e-4, regime_seconds=STAYS, regime_volatility=(0.5, 2.0))
    expected = 1e-8 * (0.8 * 0.25 + 0.2 * 4.0)
    for step, steps in ((SECOND, 60_000), (30 * SECOND, 4_000)):
        leader, _, _ = walked(terms, 1, steps, step)
        moves = np.diff(leader[0])
        assert moves.var() / (step / 1e9) == pytest.approx(expected, rel=0.15)


def test_coins_share_the_factor_and_the_regime_but_not_their_own_moves() -> None:
    terms = Value(px=10.0, volatility=1e-4, factor_volatility=2e-4)
    leader, _, _ = walked(terms, 3, 20_000, SECOND)
    moves = np.diff(leader, axis=1)
    correlation = np.corrcoef(moves)
    assert correlation[0, 1] == pytest.approx(0.8, abs=0.02)  # 4 / (1 + 4)
    assert correlation[0, 2] == pytest.approx(0.8, abs=0.02)
    assert moves.std() == pytest.approx(math.sqrt(5.0) * 1e-4, rel=0.03)


def test_the_basis_reverts() -> None:
    terms = Value(px=10.0, basis_mean=3e-4, basis_sd=1e-4, basis_seconds=20.0)
    _, basis, _ = walked(terms, 1, 40_000, SECOND)
    assert basis.mean() == pytest.approx(3e-4, abs=4.0 * 1e-4 / math.sqrt(40_000 / 40.0))
    assert basis.std() == pytest.approx(1e-4, rel=0.1)
    assert np.corrcoef(basis[0, :-20], basis[0, 20:])[0, 1] == pytest.approx(math.exp(-1.0), abs=0.06)
