"""Estimates: against direct computation, on irregular times, across gaps, and through a snapshot."""

import itertools
import json
import math
import random
import statistics

import pytest

from slipstream.strategies.brawler.estimate import Ema, Volatility

SECOND = 1_000_000_000


def test_ema_forgets_half_per_halflife() -> None:
    ema = Ema(10 * SECOND)
    ema.add(4.0, SECOND)
    ema.add(0.0, 11 * SECOND)
    assert ema.value == pytest.approx(2.0)
    ema.add(0.0, 31 * SECOND)
    assert ema.value == pytest.approx(0.5)
    assert ema.age_ns == 30 * SECOND


def test_ema_does_not_depend_on_how_often_it_is_told() -> None:
    often, seldom = Ema(5 * SECOND), Ema(5 * SECOND)
    for ema in (often, seldom):
        ema.add(1.0, 0)
    for step in range(1, 101):
        often.add(3.0, step * SECOND // 10)
    seldom.add(3.0, 10 * SECOND)
    assert often.value == pytest.approx(seldom.value)


def test_ema_ignores_what_is_not_newer() -> None:
    ema = Ema(SECOND)
    ema.add(1.0, 5)
    ema.add(9.0, 5)
    ema.add(9.0, 4)
    assert ema.value == 1.0


def test_volatility_is_the_deviation_of_grid_returns() -> None:
    """Events at random times; the reference samples the last price before each whole second."""
    rng = random.Random(3)
    volatility = Volatility(50, SECOND, 30 * SECOND)
    ns, price = 10 * SECOND + 1, 100.0
    tape = []
    for _ in range(2000):
        tape.append((ns, price))
        volatility.add(price, ns)
        ns += int(rng.expovariate(4.0) * SECOND) + 1
        price *= math.exp(rng.gauss(0.0, 3e-4))
    last = tape[-1][0] // SECOND
    grid = [next(p for t, p in reversed(tape) if t < cell * SECOND) for cell in range(last - 50, last + 1)]
    returns = [math.log(b / a) for a, b in itertools.pairwise(grid)]
    assert volatility.count == 50
    assert volatility.sigma == pytest.approx(statistics.stdev(returns), rel=1e-9)


def test_a_still_price_has_no_volatility_and_a_gap_is_not_filled() -> None:
    volatility = Volatility(20, SECOND, 2 * SECOND)
    for second in range(30):
        volatility.add(100.0, second * SECOND)
    assert volatility.sigma == 0.0
    volatility.add(150.0, 29 * SECOND + 5 * SECOND)  # beyond the gap: the jump is no return
    volatility.add(150.0, 35 * SECOND)
    assert volatility.sigma == 0.0
    assert volatility.count == 20


def test_a_silence_longer_than_the_window_empties_it() -> None:
    volatility = Volatility(20, SECOND, 2 * SECOND)
    for second in range(30):
        volatility.add(100.0 + second % 3, second * SECOND)
    volatility.add(100.0, 60 * SECOND)
    assert (volatility.count, volatility.sigma) == (0, 0.0)


def test_snapshots_continue() -> None:
    rng = random.Random(5)
    one, ema = Volatility(40, SECOND, 10 * SECOND), Ema(8 * SECOND)
    tape = [(i * SECOND // 3, 100.0 + rng.gauss(0.0, 0.1)) for i in range(600)]
    for ns, price in tape[:300]:
        one.add(price, ns)
        ema.add(price, ns)
    two, again = Volatility(40, SECOND, 10 * SECOND), Ema(8 * SECOND)
    two.load(json.loads(json.dumps(one.dump())))
    again.load(json.loads(json.dumps(ema.dump())))
    assert two.sigma == one.sigma
    for ns, price in tape[300:]:
        for volatility in (one, two):
            volatility.add(price, ns)
        ema.add(price, ns)
        again.add(price, ns)
    assert (two.sigma, two.count, again.value) == (one.sigma, one.count, ema.value)


@pytest.mark.parametrize(
    "damage",
    [
        {"interval_ns": 5},
        {"returns": ["x"]},
        {"returns": [float("nan")]},
        {"returns": 3},
        {"price": None},
        {"sample": 0.0},
        {"cell": "x"},
        {"ns": 1.5},
    ],
)
def test_a_damaged_snapshot_starts_afresh(damage: dict[str, object]) -> None:
    volatility = Volatility(40, SECOND, 10 * SECOND)
    good = {"interval_ns": SECOND, "returns": [0.001, -0.001], "price": 5.0, "ns": 7, "sample": 5.0, "cell": 0}
    volatility.load(good | damage)
    assert (volatility.count, volatility.sigma) == (0, 0.0)
    volatility.add(5.0, SECOND)
    assert volatility.count == 0
