"""The price grid: every legal price of a perp, numbered.

Hyperliquid has no static tick: a price is legal with at most five significant figures and at most
``decimals = 6 - size_decimals`` decimals, and integers are always legal. The legal prices of one perp
therefore form an increasing sequence; the *tick* of a price is its place in it (tick 1 is
``10**-decimals``). Ticks are what books hold and what "a distance in ticks" means.

With ``n = px * 10**decimals``: below 10**5 every n is legal; above, decade k (n in [10**(4+k), 10**(5+k)))
steps by 10**k, until the step is one whole unit of price, where it stays.

The functions use only arithmetic that Numba compiles: callers on hot paths wrap them in ``numba.njit``.
"""

from __future__ import annotations

FREE = 100_000  # below this many smallest units every price has at most five figures
DECADE = 90_000  # five-figure mantissas in one decade


def tick_of_units(units: int, decimals: int) -> int:
    """The tick of the highest legal price at or below ``units`` (prices in 10**-decimals)."""
    if units < FREE or decimals == 0:
        return units
    k = 1
    step = 10
    while k < decimals and units >= FREE * step:
        k += 1
        step *= 10
    return FREE + (k - 1) * DECADE + units // step - 10_000


def units_of_tick(tick: int, decimals: int) -> int:
    """The price of a tick in units of 10**-decimals; inverse of `tick_of_units` on legal prices."""
    if tick < FREE or decimals == 0:
        return tick
    k = (tick - FREE) // DECADE + 1
    if k > decimals:
        k = decimals
    step = 1
    for _ in range(k):
        step *= 10
    return (tick - FREE - (k - 1) * DECADE + 10_000) * step


def price_of_tick(tick: int, decimals: int) -> float:
    """The price of a tick as a float (exact to the nearest double of its decimal value)."""
    return units_of_tick(tick, decimals) / 10.0**decimals


def floor_tick(px: float, decimals: int) -> int:
    """The tick of the highest legal price at or below ``px``; a float within 1e-9 of a price is that price."""
    units = px * 10.0**decimals
    return tick_of_units(int(units * (1.0 + 1e-12) + 1e-9), decimals)


def ceil_tick(px: float, decimals: int) -> int:
    """The tick of the lowest legal price at or above ``px``; a float within 1e-9 of a price is that price."""
    tick = floor_tick(px, decimals)
    units = px * 10.0**decimals
    if units - units_of_tick(tick, decimals) > units * 1e-12 + 1e-9:
        return tick + 1
    return tick
