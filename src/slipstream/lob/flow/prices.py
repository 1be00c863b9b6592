"""Ticks and prices of a market's grid: the venue's five-figure one, or a linear one."""

from __future__ import annotations

from typing import Any

from numba import njit

from slipstream.model import grid

tick_of_units = njit(cache=True)(grid.tick_of_units)
units_of_tick = njit(cache=True)(grid.units_of_tick)


@njit(cache=True)
def price(s: Any, tick: int) -> float:
    """The price of a tick; ``s`` has ``decimals`` and ``tick_size``."""
    return tick * s.tick_size if s.decimals < 0 else units_of_tick(tick, s.decimals) / 10.0**s.decimals


@njit(cache=True)
def fractional_tick(s: Any, px: float) -> float:
    """The place of any price on the grid, between ticks too."""
    if s.decimals < 0:
        return px / s.tick_size
    units = px * 10.0**s.decimals
    tick = tick_of_units(int(units), s.decimals)
    low = units_of_tick(tick, s.decimals)
    return tick + (units - low) / (units_of_tick(tick + 1, s.decimals) - low)
