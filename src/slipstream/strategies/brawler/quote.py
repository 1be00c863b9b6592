"""Brawler's arithmetic: one pure function from a situation to two quotes. ``docs/BRAWLER_SPEC.md`` derives it.

::

    fair   = cex_mid + basis
    spread = (base_spread + k * sigma) * fair                      full width, price units
    centre = fair - skew * fair * inventory / max_inventory
    bid    = floor(centre - spread / 2),  ask = ceil(centre + spread / 2)       on the tick grid, then off the touch

A resting quote is worth moving when it is further than the tolerance from its new place and the expected loss of
leaving it there exceeds the price of a request.

`quote` is plain Python; `compiled_quote` is the same function under Numba. Both use only + - * / and square roots, so
that they agree to the last bit.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from numba import njit
from numba.extending import register_jitable

from slipstream.model.grid import ceil_tick, floor_tick, price_of_tick, tick_of_units, units_of_tick

_HALF_SQRT = math.sqrt(0.5)


class Terms(NamedTuple):
    """What is configured for a symbol.

    ``base_spread``, ``skew`` and ``fee`` (the maker's) are fractions of the fair price; ``k`` counts sigmas of one
    sampling interval; ``max_inventory`` is in base coin; ``tick_size`` coarsens the venue's grid (0: the venue's own);
    ``tolerance`` is in those ticks; ``horizon`` is how long a quote is expected to rest, in sampling intervals;
    ``decimals`` is the most decimals a price may have.
    """

    base_spread: float
    k: float
    skew: float
    fee: float
    max_inventory: float
    tick_size: float
    tolerance: float
    horizon: float
    decimals: int


class Situation(NamedTuple):
    """What is the case now. Prices in USD; sizes in base coin; a touch or tick of 0 means there is none.

    ``bid_tick`` and ``ask_tick`` are the places of our resting quotes, ``request_cost`` is USD.
    """

    cex_mid: float
    basis: float
    sigma: float
    inventory: float
    best_bid: float
    best_ask: float
    bid_tick: int
    ask_tick: int
    bid_size: float
    ask_size: float
    request_cost: float


class Decision(NamedTuple):
    """Where the quotes should be, and whether each is worth a request. Losses are USD; tick 0: no legal price."""

    fair: float
    spread: float
    centre: float
    bid_tick: int
    ask_tick: int
    bid_loss: float
    ask_loss: float
    move_bid: bool
    move_ask: bool


def hit_probability(distance: float, deviation: float) -> float:
    """Chance that a driftless Brownian price, of standard deviation ``deviation`` at the end of its time, touches
    ``distance`` before.

    By reflection it is erfc(z / sqrt 2) with z = distance / deviation; erfc after Abramowitz and Stegun 7.1.27
    (error below 5e-4), which needs no library function.
    """
    if distance <= 0.0:
        return 1.0
    if deviation <= 0.0:
        return 0.0
    x = distance / deviation * _HALF_SQRT
    if x > 1e6:
        return 0.0
    below = 1.0 + x * (0.278393 + x * (0.230389 + x * (0.000972 + x * 0.078108)))
    return 1.0 / (below * below * below * below)


def passive_ticks(
    bid: float, ask: float, best_bid: float, best_ask: float, tick_size: float, decimals: int
) -> tuple[int, int]:
    """Both prices rounded away from the market onto the grid, and moved outside the other side's touch. 0: none."""
    if tick_size > 0.0:
        bid = math.floor(bid / tick_size + 1e-9) * tick_size
        ask = math.ceil(ask / tick_size - 1e-9) * tick_size
    bid_tick = floor_tick(bid, decimals) if bid > 0.0 else 0
    ask_tick = ceil_tick(ask, decimals) if ask > 0.0 else 0
    if best_ask > 0.0:
        bid_tick = min(bid_tick, ceil_tick(best_ask, decimals) - 1)
    if best_bid > 0.0 and ask_tick > 0:
        ask_tick = max(ask_tick, floor_tick(best_bid, decimals) + 1)
    return max(bid_tick, 0), ask_tick


def staying_loss(resting: float, wanted: float, edge: float, front: float, deviation: float, size: float) -> float:
    """Expected loss in USD of leaving a quote where it is, over the time that quotes are expected to rest.

    ``resting``, ``wanted`` and ``front`` are distances from the centre outwards; at ``front`` a quote is the first to
    be hit. Too near: what is given away per unit, times the chance to be hit. Too far: ``edge``, what the wanted quote
    earns per unit, times the chance to be hit that is missed.
    """
    chance = hit_probability(resting - front, deviation)
    if resting < wanted:
        return (wanted - resting) * size * chance
    return max(edge, 0.0) * size * (hit_probability(wanted - front, deviation) - chance)


def is_far(resting: float, wanted: float, tick: int, terms: Terms) -> bool:
    """Whether two prices near a tick differ by more than the tolerance."""
    step = price_of_tick(tick + 1, terms.decimals) - price_of_tick(tick, terms.decimals)
    return abs(resting - wanted) > (terms.tolerance + 1e-6) * max(step, terms.tick_size)


def quote(terms: Terms, now: Situation) -> Decision:
    """Both quotes, and whether to move the ones that rest. Inputs must be finite, ``cex_mid`` positive."""
    fair = now.cex_mid + now.basis
    spread = (terms.base_spread + terms.k * now.sigma) * fair
    centre = fair - terms.skew * fair * now.inventory / terms.max_inventory
    bid_tick, ask_tick = passive_ticks(
        centre - spread / 2.0, centre + spread / 2.0, now.best_bid, now.best_ask, terms.tick_size, terms.decimals
    )
    deviation = now.sigma * fair * math.sqrt(terms.horizon)
    fee = terms.fee * fair
    bid_loss = 0.0
    ask_loss = 0.0
    move_bid = now.bid_tick <= 0
    move_ask = now.ask_tick <= 0
    if bid_tick > 0 and now.bid_tick > 0:
        # the first to be hit: where the local touch is, or where the anchor says it is about to be
        front = min(fair, now.best_bid) if now.best_bid > 0.0 else fair
        wanted = centre - price_of_tick(bid_tick, terms.decimals)
        resting = centre - price_of_tick(now.bid_tick, terms.decimals)
        bid_loss = staying_loss(resting, wanted, wanted - fee, centre - front, deviation, now.bid_size)
        move_bid = is_far(resting, wanted, bid_tick, terms) and bid_loss > now.request_cost
    if ask_tick > 0 and now.ask_tick > 0:
        front = max(fair, now.best_ask)
        wanted = price_of_tick(ask_tick, terms.decimals) - centre
        resting = price_of_tick(now.ask_tick, terms.decimals) - centre
        ask_loss = staying_loss(resting, wanted, wanted - fee, front - centre, deviation, now.ask_size)
        move_ask = is_far(resting, wanted, ask_tick, terms) and ask_loss > now.request_cost
    return Decision(fair, spread, centre, bid_tick, ask_tick, bid_loss, ask_loss, move_bid, move_ask)


for _function in (
    units_of_tick,
    tick_of_units,
    price_of_tick,
    floor_tick,
    ceil_tick,
    hit_probability,
    passive_ticks,
    staying_loss,
    is_far,
):
    register_jitable(_function)  # stays plain Python, and may be called from compiled code

compiled_quote = njit(cache=True)(quote)
