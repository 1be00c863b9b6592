"""The kernel's quoter for a compiled Brawler: what rests is made equal to what is wanted, one request at a time.

`slipstream.execution.quoter` is the rule. An order that replaces another is a change of it, unless one of the two is
reduce-only and the other is not: then the old is cancelled and a new one placed in the same moment.
"""

from __future__ import annotations

from typing import Any

from numba import njit

from slipstream.lob.replay import hook
from slipstream.strategies.brawler.replayed.gate import PASSED, blocked, left, refusal, spend
from slipstream.strategies.brawler.replayed.layout import OWED, PENDING, RESTING

_place, _modify, _cancel = hook.place, hook.modify, hook.cancel
ALO = hook.ALO


@njit(cache=False)
def sign_of(side: int) -> int:
    """+1 for bids (0), -1 for asks (1)."""
    return 1 - 2 * side


@njit(cache=False)
def is_settled(entry: Any) -> bool:
    """Whether an order rests and nothing is under way about it."""
    return entry.live != 0 and entry.state == RESTING and entry.cancelling == 0


@njit(cache=False)
def withdraw(sim: Any, desk: Any, entry: Any) -> None:
    """Ask for an order's end, unless that is under way; while a request about it is, as soon as that is answered."""
    if entry.live == 0 or entry.cancelling != 0:
        return
    entry.cancelling = 1 if _cancel(sim, entry.slot) else OWED
    spend(desk)


@njit(cache=False)
def rest(sim: Any, lane: Any) -> None:
    """The newest order of a side was taken."""
    lane.newer.state = RESTING
    lane.refusals = 0
    if lane.newer.cancelling == OWED and _cancel(sim, lane.newer.slot):
        lane.newer.cancelling = 1


@njit(cache=False)
def keeps(entry: Any, tick: int, lots: int, reduce_only: int) -> bool:
    """Whether a resting order is as good as the wanted one; requests are scarce, and so is a place in the queue."""
    if entry.tick != tick or (reduce_only != 0 and entry.reduce_only == 0):
        return False
    rest = left(entry)
    return rest == lots or (entry.lots == lots and 2 * rest >= lots)


@njit(cache=False)
def _begin(desk: Any, entry: Any, slot: int, tick: int, lots: int, reduce_only: int) -> None:
    entry.live = 1
    entry.slot = slot
    entry.state = PENDING
    entry.tick = tick
    entry.lots = lots
    entry.filled = 0
    entry.cancelling = 0
    entry.reduce_only = reduce_only
    desk.seq += 1
    entry.seq = desk.seq


@njit(cache=False)
def _step_back(lane: Any) -> None:
    """What rested becomes the older order, which is to end."""
    old = lane.newer
    lane.older.live = old.live
    lane.older.slot = old.slot
    lane.older.state = old.state
    lane.older.tick = old.tick
    lane.older.lots = old.lots
    lane.older.filled = old.filled
    lane.older.reduce_only = old.reduce_only
    lane.older.seq = old.seq
    lane.older.cancelling = 1


@njit(cache=False)
def _send(sim: Any, desk: Any, number: int, side: int, tick: int, lots: int) -> None:
    """Place or change, if the gate lets it; what rests instead and may not be changed is to go."""
    coin = desk.coins[number]
    lane = coin.lanes[side]
    old = lane.newer
    reduce_only = coin.reduce_only
    if refusal(sim, desk, number, side, tick, lots, reduce_only, left(old)) != PASSED:
        withdraw(sim, desk, old)
        return
    if old.live == 0:
        slot = _place(sim, coin.market, sign_of(side), tick, lots, ALO, reduce_only != 0)
    elif old.reduce_only == reduce_only:
        slot = old.slot if _modify(sim, old.slot, tick, lots) else -1
        _step_back(lane)
    else:
        desk.faults += 0 if _cancel(sim, old.slot) else 1
        slot = _place(sim, coin.market, sign_of(side), tick, lots, ALO, reduce_only != 0)
        _step_back(lane)
    if slot < 0:
        desk.faults += 1
    _begin(desk, lane.newer, slot, tick, lots, reduce_only)
    spend(desk)


@njit(cache=False)
def _work_side(sim: Any, desk: Any, number: int, side: int) -> None:
    coin = desk.coins[number]
    lane = coin.lanes[side]
    if lane.wish_lots == 0:
        withdraw(sim, desk, lane.older)
        withdraw(sim, desk, lane.newer)
        return
    tick = lane.wish_tick
    if lane.refusals > 0:
        if lane.until_ns > desk.now_ns and tick == lane.wanted_tick:
            return
        if lane.until_ns != 0:
            lane.refusals = 0
        elif lane.limit_tick > 0 and (tick - lane.limit_tick) * sign_of(side) > 0:
            tick = lane.limit_tick
    waits = lane.older.live != 0 or (lane.newer.live != 0 and not is_settled(lane.newer))
    if not waits and (lane.newer.live == 0 or not keeps(lane.newer, tick, lane.wish_lots, coin.reduce_only)):
        _send(sim, desk, number, side, tick, lane.wish_lots)


@njit(cache=False)
def _pull(sim: Any, desk: Any, coin: Any) -> None:
    """Cancel the quotes of a symbol, oldest first; what is wanted stays wanted."""
    for _ in range(4):
        first = coin.lanes[0].older
        found = False
        for side in range(2):
            for age in range(2):
                entry = coin.lanes[side].older if age == 0 else coin.lanes[side].newer
                if entry.live != 0 and entry.cancelling == 0 and (not found or entry.seq < first.seq):
                    first = entry
                    found = True
        if not found:
            return
        withdraw(sim, desk, first)


@njit(cache=False)
def work(sim: Any, desk: Any, number: int) -> None:
    """Send what brings both sides of a symbol nearer to what is wanted."""
    coin = desk.coins[number]
    if coin.is_wanted == 0:
        return
    if blocked(desk, coin):
        _pull(sim, desk, coin)
        return
    _work_side(sim, desk, number, 0)
    _work_side(sim, desk, number, 1)


@njit(cache=False)
def refused(desk: Any, lane: Any, side: int, tick: int, crossed: bool, lost_race: bool) -> None:
    """The venue refused an order: how far out the next one must be, or until when the side rests."""
    lane.refusals += 1
    lane.limit_tick = 0
    lane.until_ns = desk.now_ns + desk.reject_backoff_ns
    if crossed and lane.refusals <= desk.alo_retries:
        lane.limit_tick = max(1, tick - sign_of(side))
        lane.until_ns = 0
    elif lost_race and lane.refusals <= desk.alo_retries:
        lane.until_ns = 0
    lane.wanted_tick = lane.wish_tick if lane.wish_lots > 0 else tick
