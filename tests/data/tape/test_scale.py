"""Prices and sizes as whole numbers: the house's grid, and linear ones."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipstream.data.tape.fault import TapeError
from slipstream.data.tape.scale import MAX_LOTS, Grid, Market, to_lots
from slipstream.model.grid import price_of_tick
from slipstream.model.instrument import Instrument


@given(st.integers(0, 6), st.integers(1, 900_000))
def test_hyperliquids_grid_is_the_models(decimals: int, tick: int) -> None:
    grid = Grid(decimals=decimals)
    instrument = Instrument("X", 0, 6 - decimals, 10)
    price = instrument.from_tick(tick)
    assert grid.price(tick) == price
    ticks, wrong = grid.ticks(np.array([float(price), price_of_tick(tick, decimals)]))
    assert ticks.tolist() == [tick, tick] and not wrong.any()
    assert grid.near(float(price) * (1 + 1e-9)) == tick


@given(st.sampled_from(["0.1", "0.5", "0.00001", "25", "0.01"]), st.integers(1, 10**6))
def test_linear_grids(tick_size: str, tick: int) -> None:
    grid = Grid(tick_size=tick_size)
    price = float(tick * Decimal(tick_size))
    ticks, wrong = grid.ticks(np.array([price, price + float(tick_size) / 3]))
    assert ticks[0] == tick and wrong.tolist() == [False, True]
    assert float(grid.prices(ticks[:1])[0]) == price


def test_what_is_no_price_and_no_size() -> None:
    bad = np.array([0.0, -1.0, np.nan, np.inf, 1e30, 100001.5])
    assert Grid(decimals=1).ticks(bad)[1].all()
    assert Grid(tick_size="0.1").ticks(np.array([0.0, -1.0, np.nan, np.inf, 1e30, 0.25]))[1].all()
    lots, wrong = to_lots(np.array([0.0, 0.003, 0.0005, -1.0, np.nan, 1e300, MAX_LOTS * 1.0]), Decimal("0.001"))
    assert lots.tolist() == [0, 3, 0, 0, 0, 0, 0] and wrong.tolist() == [False, False, *[True] * 5]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Grid(),
        lambda: Grid(tick_size="0.1", decimals=2),
        lambda: Grid(tick_size="a"),
        lambda: Grid(tick_size="-1"),
        lambda: Grid(decimals=40),
        lambda: Market(venue="hl", coin="../x", grid=Grid(decimals=1), lot="1"),
        lambda: Market(venue="hl", coin="BTC", grid=Grid(decimals=1), lot="0"),
        lambda: Grid(decimals=1).near(float("nan")),
    ],
)
def test_what_cannot_be_is_refused(make: object) -> None:
    with pytest.raises(TapeError):
        make()  # type: ignore[operator]
