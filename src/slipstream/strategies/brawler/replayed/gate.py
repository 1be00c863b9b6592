"""The kernel's gate for a compiled Brawler: why an order must not be sent. Floats of USD where the pod has decimals.

`slipstream.execution.gate` is the rule; this is the part of it that a replay can meet (no mandates, no lost feeds), in
the same order, since the bucket of requests is only touched by what passes the rest.
"""

from __future__ import annotations

from typing import Any

from numba import njit
from numba.extending import register_jitable

from slipstream.execution.budget import refilled
from slipstream.model.grid import units_of_tick
from slipstream.model.instrument import MAX_PRICE_DECIMALS
from slipstream.strategies.brawler.sizing import LEAST

USD = 10.0**MAX_PRICE_DECIMALS  # price units times lots in a dollar
PASSED, BLOCKED, DIRECTION, FAR, SMALL, LARGE, OVER_COIN, OVER_GROSS, TOO_OFTEN = 0, 1, 2, 3, 4, 5, 6, 7, 8
register_jitable(refilled)


@njit(cache=False)
def reference(coin: Any) -> float:
    """The middle of the last prices told; 0 without two sides."""
    return (coin.told_bid + coin.told_ask) / 2.0 if coin.told_bid > 0.0 and coin.told_ask > 0.0 else 0.0


@njit(cache=False)
def blocked(desk: Any, coin: Any) -> bool:
    """Whether no order at all may be placed now: no price, an old one, or a one-sided one."""
    return coin.fresh_ns == 0 or desk.now_ns - coin.fresh_ns > desk.max_age_ns or reference(coin) <= 0.0


@njit(cache=False)
def left(entry: Any) -> int:
    """What may still fill of an order, lots."""
    return int(entry.lots - entry.filled) if entry.live != 0 else 0


@njit(cache=False)
def open_lots(coin: Any, side: int) -> int:
    """Everything of a side (0 bids, 1 asks) that may still fill."""
    lane = coin.lanes[side]
    return left(lane.older) + left(lane.newer)


@njit(cache=False)
def worst(coin: Any, position: int, extra_side: int, extra: int) -> int:
    """The larger magnitude of what could be held, with another order."""
    high = position + open_lots(coin, 0) + (extra if extra_side == 0 else 0)
    low = position - open_lots(coin, 1) - (extra if extra_side == 1 else 0)
    return max(abs(low), abs(high))


@njit(cache=False)
def refill(desk: Any) -> None:
    """Let the bucket of requests fill up to now."""
    desk.tokens = refilled(desk.tokens, max(0, desk.now_ns - desk.refilled_ns), desk.rate, desk.burst)
    desk.refilled_ns = max(desk.now_ns, desk.refilled_ns)


@njit(cache=False)
def spend(desk: Any) -> None:
    """One request goes out."""
    refill(desk)
    desk.tokens = max(0.0, desk.tokens - 1.0)


@njit(cache=False)
def _direction(coin: Any, position: int, side: int, lots: int, replaced: int) -> bool:
    """Whether a reduce-only order would shrink the position, with all that rests beside it."""
    opposed = position < 0 if side == 0 else position > 0
    return opposed and lots <= abs(position) - (open_lots(coin, side) - replaced)


@njit(cache=False)
def _over_caps(sim: Any, desk: Any, number: int, side: int, lots: int) -> int:
    coin = desk.coins[number]
    position = sim.position[coin.market]
    after = worst(coin, position, side, lots)
    if after <= worst(coin, position, side, 0):
        return PASSED
    notional = after / coin.lots_per_coin * reference(coin)
    if notional > desk.coin_cap:
        return OVER_COIN
    total = notional
    for place in range(desk.n_coins):
        other = desk.coins[place]
        size = worst(other, sim.position[other.market], 0, 0)
        if place == number or size == 0:
            continue
        px = reference(other)
        px = px if px > 0.0 else other.last_px
        if px <= 0.0:
            return OVER_GROSS
        total += size / other.lots_per_coin * px
    return OVER_GROSS if total > desk.gross_limit else PASSED


@njit(cache=False)
def refusal(sim: Any, desk: Any, number: int, side: int, tick: int, lots: int, reduce_only: int, replaced: int) -> int:
    """Why an order may not be sent, or PASSED. ``replaced`` lots of its side are to be cancelled by it."""
    coin = desk.coins[number]
    if blocked(desk, coin):
        return BLOCKED
    position = sim.position[coin.market]
    if reduce_only != 0 and not _direction(coin, position, side, lots, replaced):
        return DIRECTION
    units = units_of_tick(tick, coin.terms.decimals)
    px = units / 10.0**coin.terms.decimals
    if abs(px / reference(coin) - 1.0) > desk.fat_finger:
        return FAR
    worth = units * lots
    if worth < LEAST and not (reduce_only != 0 and lots == abs(position)):
        return SMALL
    if worth > desk.max_order * USD:
        return LARGE
    found = _over_caps(sim, desk, number, side, lots)
    if found != PASSED:
        return found
    refill(desk)
    return TOO_OFTEN if desk.tokens < desk.cancel_reserve + 1 else PASSED
