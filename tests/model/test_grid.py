"""The price grid: every legal price has one number, in order, and Numba computes the same ones."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from slipstream.model import grid
from slipstream.model.instrument import Instrument

SIZE_DECIMALS = st.integers(0, 6)
TICKS = st.integers(1, 900_000)


def perp(size_decimals: int) -> Instrument:
    return Instrument("X", 0, size_decimals, 10)


@given(SIZE_DECIMALS, TICKS)
def test_ticks_and_prices_are_one_to_one_and_in_order(size_decimals: int, tick: int) -> None:
    instrument = perp(size_decimals)
    px = instrument.from_tick(tick)
    assert instrument.is_legal_price(px)
    assert instrument.to_tick(px) == tick
    following = instrument.from_tick(tick + 1)
    assert following - px == instrument.tick_size(px), "no legal price lies between neighbours"


@given(SIZE_DECIMALS, st.decimals("0.000001", "900000", places=8))
def test_floor_and_ceiling_are_the_instruments(size_decimals: int, px: Decimal) -> None:
    instrument = perp(size_decimals)
    decimals = instrument.price_decimals
    if px < Decimal(2).scaleb(-decimals):
        return
    low, high = (instrument.to_tick(instrument.quantise(px, mode)) for mode in (ROUND_FLOOR, ROUND_CEILING))
    # floats within 1e-9 of a price are that price: prices so near a neighbour may go either way
    near = {instrument.to_tick(instrument.quantise(px * (1 + Decimal(e)), ROUND_FLOOR)) for e in ("-3e-12", "3e-12")}
    if len(near) == 1 and instrument.from_tick(low) != px:
        assert grid.floor_tick(float(px), decimals) == low
        assert grid.ceil_tick(float(px), decimals) == high


@given(SIZE_DECIMALS, TICKS)
def test_the_float_of_a_price_is_that_price(size_decimals: int, tick: int) -> None:
    decimals = perp(size_decimals).price_decimals
    px = grid.price_of_tick(tick, decimals)
    assert px == float(perp(size_decimals).from_tick(tick))
    assert grid.floor_tick(px, decimals) == grid.ceil_tick(px, decimals) == tick


def test_numba_computes_the_same() -> None:
    of_units, units_of = njit(grid.tick_of_units), njit(grid.units_of_tick)
    for decimals in range(7):
        for tick in [*range(1, 200), *range(99_990, 100_020), *range(189_990, 190_020), 279_999, 280_000, 640_001]:
            units = grid.units_of_tick(tick, decimals)
            assert units_of(tick, decimals) == units
            assert of_units(units, decimals) == grid.tick_of_units(units, decimals) == tick


@pytest.mark.parametrize(
    ("size_decimals", "px", "tick"),
    [(5, "97901", "1"), (5, "9790.1", "0.1"), (5, "123456", "1"), (2, "204.17", "0.01"), (0, "0.009823", "0.000001")],
)
def test_spacing_follows_the_magnitude(size_decimals: int, px: str, tick: str) -> None:
    assert perp(size_decimals).tick_size(Decimal(px)) == Decimal(tick)
