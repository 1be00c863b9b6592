"""Brawler as a compiled strategy of the replay: `brawler`, first-class, from the cache on disk.

Event by event it does what the pod's kernel does with a `slipstream.strategies.brawler.strategy.Brawler`: the same
arithmetic (belief, pace, sizing), the same order of things. `slipstream.simulation.tick.kernel_on_tape` drives the
kernel itself over the same exchange; a test holds their requests equal, one by one.
"""

from __future__ import annotations

from typing import Any

from numba import njit

from slipstream.lob.replay import hook as replay
from slipstream.lob.replay.rows import BEST, FUNDING, TRADE
from slipstream.strategies.brawler.belief import OFF, UNSEEN, anchored, compared, conditions, is_stopped, is_warm
from slipstream.strategies.brawler.pace import UNTOLD, pace_on, price_factor
from slipstream.strategies.brawler.plain import edition
from slipstream.strategies.brawler.portfolio import size_factor
from slipstream.strategies.brawler.quote import Situation
from slipstream.strategies.brawler.replayed.gate import left
from slipstream.strategies.brawler.replayed.layout import DESK_DTYPE, RESTING, WORDS
from slipstream.strategies.brawler.replayed.quoter import refused, rest, work
from slipstream.strategies.brawler.sizing import BOTH, REDUCE, Stock, wish
from slipstream.strategies.brawler.switches import UNCHANGED, level, turn

FEED, RESPONSE, START, TIMER = replay.FEED, replay.RESPONSE, replay.START, replay.TIMER
ACCEPTED, MODIFIED, FILLED, PART_FILLED = replay.ACCEPTED, replay.MODIFIED, replay.FILLED, replay.PART_FILLED
CANCELLED, REDUCE_CANCELLED, TOO_LATE = replay.CANCELLED, replay.REDUCE_CANCELLED, replay.TOO_LATE
WOULD_TRADE = replay.WOULD_TRADE
_price, _wake = replay.price, replay.wake


@njit(cache=False)
def inventory(sim: Any, coin: Any) -> float:
    """What we hold and what is held elsewhere, lots."""
    return float(sim.position[coin.market] + coin.elsewhere)


@njit(cache=False)
def _newest(lane: Any) -> Any:
    return lane.newer if lane.newer.live != 0 else lane.older


@njit(cache=False)
def _mode(coin: Any, halt: bool, reduce: bool) -> int:
    if halt or is_stopped(coin.belief) or not is_warm(coin.belief):
        return OFF
    return REDUCE if reduce or coin.belief.stock_switch.is_open != 0 else BOTH


@njit(cache=False)
def _wanted(sim: Any, desk: Any, coin: Any, mode: int, size: float, price: float) -> bool:
    """Work out what should rest; True if it is not what was asked for last."""
    bid_tick, bid_lots, ask_tick, ask_lots, reduce_only = 0, 0, 0, 0, 0
    if mode != OFF:
        held, bid, ask = inventory(sim, coin), _newest(coin.lanes[0]), _newest(coin.lanes[1])
        now = Situation(
            coin.belief.cex_mid,
            coin.belief.basis.value if coin.belief.basis.seen != 0 else 0.0,
            coin.belief.window.sigma,
            held / coin.lots_per_coin,
            coin.told_bid,
            coin.told_ask,
            bid.tick if bid.live != 0 else 0,
            ask.tick if ask.live != 0 else 0,
            left(bid) / coin.lots_per_coin,
            left(ask) / coin.lots_per_coin,
            coin.request_cost * price,
        )
        stock = Stock(
            mode,
            coin.order,
            coin.most,
            size,
            held,
            held,
            float(sim.position[coin.market]),
            float(bid.lots) if bid.live != 0 else 0.0,
            float(left(bid)),
            float(ask.lots) if ask.live != 0 else 0.0,
            float(left(ask)),
        )
        _, found = wish(coin.terms, now, stock)
        bid_tick, bid_lots, ask_tick, ask_lots = found.bid_tick, found.bid_lots, found.ask_tick, found.ask_lots
        reduce_only = 1 if found.reduce_only else 0
    bids, asks = coin.lanes[0], coin.lanes[1]
    other_bid = bids.wish_tick != bid_tick or bids.wish_lots != bid_lots
    other_ask = asks.wish_tick != ask_tick or asks.wish_lots != ask_lots
    if coin.is_wanted == 0:
        if bid_lots == 0 and ask_lots == 0:
            return False
    elif not (other_bid or other_ask) and coin.reduce_only == reduce_only and coin.mode == mode:
        return False
    bids.wish_tick, bids.wish_lots = bid_tick, bid_lots
    asks.wish_tick, asks.wish_lots = ask_tick, ask_lots
    coin.reduce_only, coin.mode, coin.is_wanted = reduce_only, mode, 1
    desk.pace.debt += (1.0 if other_bid else 0.0) + (1.0 if other_ask else 0.0)
    return True


@njit(cache=False)
def _usage(sim: Any, desk: Any) -> float:
    """Gross exposure over the portfolio's cap."""
    total = 0.0
    for number in range(desk.n_coins):
        coin = desk.coins[number]
        held = inventory(sim, coin)
        if held != 0.0:
            price = coin.belief.cex_mid if coin.belief.cex_mid > 0.0 else coin.belief.local_mid
            if price <= 0.0:
                return float("inf")
            total += abs(held / coin.lots_per_coin) * price
    return float(total / desk.gross_cap)


@njit(cache=False)
def _look(sim: Any, desk: Any, coin: Any) -> None:
    """Look at every condition of a symbol."""
    belief, now = coin.belief, desk.now_ns
    home, cex, market, peg, stock = conditions(belief, abs(inventory(sim, coin)) / coin.most, now)
    turn(belief.home_switch, home, now)
    turn(belief.cex_switch, cex, now)
    if market != UNSEEN:
        turn(belief.market_switch, market, now)
        turn(belief.peg_switch, peg, now)
    turn(belief.stock_switch, stock, now)


@njit(cache=False)
def decide(sim: Any, desk: Any, only: int, first: int) -> None:
    """Look at one symbol (``only`` -1: at all), ask for its quotes, and send what they take; ``first`` is worked on
    in any case (-1: none), before the others."""
    now = desk.now_ns
    pace_on(desk.pace, now, UNTOLD)
    desk.usage = _usage(sim, desk)
    changed = turn(desk.halt_switch, level(desk.usage, desk.halt_ratio, desk.resume_ratio), now)
    other = turn(desk.reduce_switch, level(desk.usage, desk.reduce_ratio, desk.resume_ratio), now)
    if changed != UNCHANGED or other != UNCHANGED:
        only = -1
    size = size_factor(desk.usage, desk.taper_start, desk.taper_floor)
    for number in range(desk.n_coins):
        if only < 0 or number == only:
            coin = desk.coins[number]
            _look(sim, desk, coin)
            mode = _mode(coin, desk.halt_switch.is_open != 0, desk.reduce_switch.is_open != 0)
            if _wanted(sim, desk, coin, mode, size, price_factor(desk.pace.debt)):
                coin.is_due = 1
    if first >= 0:
        desk.coins[first].is_due = 0
        work(sim, desk, first)
    for number in range(desk.n_coins):
        if desk.coins[number].is_due != 0:
            desk.coins[number].is_due = 0
            work(sim, desk, number)


@njit(cache=False)
def arm(sim: Any, desk: Any) -> None:
    """The next look at the conditions, should nothing else be heard."""
    if desk.now_ns >= desk.next_check_ns:
        desk.next_check_ns = desk.now_ns + desk.check_ns
        desk.check_at = desk.next_check_ns
        _wake(sim, desk.check_at)


@njit(cache=False)
def _own_at(lane: Any, tick: int, resting: bool) -> int:
    """Lots of ours at a price: all that live, or only those known to rest."""
    older, newer = lane.older, lane.newer
    lots = 0
    if older.live != 0 and older.tick == tick and (not resting or older.state == RESTING):
        lots += left(older)
    if newer.live != 0 and newer.tick == tick and (not resting or newer.state == RESTING):
        lots += left(newer)
    return lots


@njit(cache=False)
def _touch(lane: Any, side: int, tick: int, lots: int) -> tuple[int, int]:
    """The best price of a side with our own resting orders in it; tick -1: none."""
    best = tick
    for age in range(2):
        entry = lane.older if age == 0 else lane.newer
        if entry.live != 0 and entry.state == RESTING and (best < 0 or (entry.tick - best) * (1 - 2 * side) > 0):
            best = entry.tick
    if best < 0:
        return -1, 0
    return best, (lots if best == tick else 0) + _own_at(lane, best, True)


@njit(cache=False)
def _others(sim: Any, coin: Any, side: int, told: int, told_lots: int, tick: int, lots: int) -> float:
    """The best price of a side that is not ours alone; 0 if it is not known."""
    lane = coin.lanes[side]
    own = _own_at(lane, told, False)
    if own == 0 or told_lots > own:
        return float(_price(sim, coin.market, told))
    if tick < 0 or tick == told:
        return 0.0
    own = _own_at(lane, tick, False)
    return 0.0 if own > 0 and lots <= own else float(_price(sim, coin.market, tick))


@njit(cache=False)
def _home(sim: Any, desk: Any, number: int) -> None:
    """News of the market that we trade in."""
    coin = desk.coins[number]
    quote = sim.quotes[coin.market]
    if sim.kind == FUNDING:
        if sim.position[coin.market] != 0:
            decide(sim, desk, -1, -1)
            arm(sim, desk)
        return
    desk.now_ns = max(desk.now_ns, sim.now_ns)
    alive = min(quote.event_ns, sim.now_ns)
    belief = coin.belief
    belief.home_ns = max(belief.home_ns, alive)
    if sim.kind == TRADE:
        arm(sim, desk)
        return
    coin.fresh_ns = max(coin.fresh_ns, alive)
    bid, bid_lots = _touch(coin.lanes[0], 0, quote.bid_tick, quote.bid_lots)
    ask, ask_lots = _touch(coin.lanes[1], 1, quote.ask_tick, quote.ask_lots)
    same = coin.told_bid_tick == bid and coin.told_bid_lots == bid_lots
    same = same and coin.told_ask_tick == ask and coin.told_ask_lots == ask_lots
    if not same or sim.kind == BEST:
        coin.told_bid_tick, coin.told_bid_lots = bid, bid_lots
        coin.told_ask_tick, coin.told_ask_lots = ask, ask_lots
        coin.told_bid = _price(sim, coin.market, bid) if bid >= 0 else 0.0
        coin.told_ask = _price(sim, coin.market, ask) if ask >= 0 else 0.0
        if bid >= 0 and ask >= 0:
            others_bid = _others(sim, coin, 0, bid, bid_lots, quote.bid_tick, quote.bid_lots)
            others_ask = _others(sim, coin, 1, ask, ask_lots, quote.ask_tick, quote.ask_lots)
            known = others_bid > 0.0 and others_ask > 0.0
            belief.local_mid = (others_bid + others_ask) / 2.0 if known else 0.0
            compared(belief, desk.now_ns)
        decide(sim, desk, number, -1)
    arm(sim, desk)


@njit(cache=False)
def _anchor(sim: Any, desk: Any, number: int) -> None:
    """News of the market that the prices come from."""
    coin, quote = desk.coins[number], sim.quotes[sim.market]
    if sim.kind == FUNDING:
        return
    desk.now_ns = max(desk.now_ns, sim.now_ns)
    belief = coin.belief
    belief.cex_ns = max(belief.cex_ns, min(quote.event_ns, sim.now_ns))
    if sim.kind != TRADE:
        if quote.bid_tick >= 0 and quote.ask_tick >= 0:
            mid = (_price(sim, sim.market, quote.bid_tick) + _price(sim, sim.market, quote.ask_tick)) / 2.0
            ring = sim.memory[coin.ring : coin.ring + belief.window.size]
            anchored(belief, ring, mid, quote.event_ns)
            compared(belief, desk.now_ns)
        decide(sim, desk, number, -1)
    arm(sim, desk)


@njit(cache=False)
def _answered(sim: Any, desk: Any, number: int) -> None:
    decide(sim, desk, -1, number)
    arm(sim, desk)


@njit(cache=False)
def _filled(sim: Any, desk: Any, number: int, entry: Any) -> None:
    """A fill; one that ends its order although lots are missing (it was cut) is followed by the order's end."""
    entry.filled += sim.lots
    desk.coins[number].last_px = _price(sim, sim.market, sim.tick)
    cut = sim.outcome == FILLED and entry.filled < entry.lots
    if entry.filled >= entry.lots:
        entry.live = 0
    _answered(sim, desk, number)
    if cut:
        entry.live = 0
        _answered(sim, desk, number)


@njit(cache=False)
def _rejected(sim: Any, desk: Any, number: int, side: int, replaced: bool) -> None:
    """The new order was refused; what it was to replace is gone, too."""
    lane = desk.coins[number].lanes[side]
    lane.newer.live = 0
    late = sim.outcome == TOO_LATE
    refused(desk, lane, side, lane.newer.tick, sim.outcome == WOULD_TRADE, late and replaced)
    _answered(sim, desk, number)
    if replaced and lane.older.live != 0:
        lane.older.live = 0
        _answered(sim, desk, number)


@njit(cache=False)
def _response(sim: Any, desk: Any, number: int) -> None:
    """An answer to one of our requests, or a fill."""
    side = 0 if sim.side > 0 else 1
    lane = desk.coins[number].lanes[side]
    older, newer = lane.older, lane.newer
    is_newer = newer.live != 0 and newer.slot == sim.slot
    is_older = older.live != 0 and older.slot == sim.slot
    if sim.outcome == ACCEPTED or sim.outcome == MODIFIED:
        if is_newer:
            rest(sim, lane)
        _answered(sim, desk, number)
        if sim.outcome == MODIFIED and is_older:
            older.live = 0
            _answered(sim, desk, number)
    elif sim.outcome == FILLED or sim.outcome == PART_FILLED:
        if is_older:
            _filled(sim, desk, number, older)
        elif is_newer:
            _filled(sim, desk, number, newer)
    elif sim.outcome == CANCELLED or sim.outcome == REDUCE_CANCELLED:
        if is_older:
            older.live = 0
        elif is_newer:
            newer.live = 0
        _answered(sim, desk, number)
    elif is_newer and newer.state != RESTING:
        _rejected(sim, desk, number, side, older.slot == sim.slot)
    else:
        _answered(sim, desk, number)


@njit(cache=False)
def _timer(sim: Any, desk: Any) -> None:
    """The times that were asked for: the look at the conditions, then the kernel's own."""
    if 0 < desk.check_at <= sim.now_ns:
        desk.check_at = 0
        desk.now_ns = max(desk.now_ns, sim.now_ns)
        decide(sim, desk, -1, -1)
        arm(sim, desk)
    if desk.tick_at <= sim.now_ns:
        desk.now_ns = max(desk.now_ns, sim.now_ns)
        desk.tick_at = desk.now_ns + desk.tick_ns
        _wake(sim, desk.tick_at)
        for place in range(desk.n_coins):
            work(sim, desk, desk.by_name[place])


def _compiled(number: int) -> Any:
    """The hook, compiled anew with every edition of Brawler's sources."""

    def brawler(sim: Any) -> None:
        _ = number
        desk = sim.memory[0:WORDS].view(DESK_DTYPE)[0]
        if sim.event == FEED:
            coin = desk.coin_of[sim.market]
            if coin >= 0:
                if desk.is_home[sim.market] != 0:
                    _home(sim, desk, coin)
                else:
                    _anchor(sim, desk, coin)
        elif sim.event == RESPONSE:
            _response(sim, desk, desk.coin_of[sim.market])
        elif sim.event == TIMER:
            _timer(sim, desk)
        elif sim.event == START:
            desk.now_ns = sim.now_ns
            desk.tick_at = sim.now_ns + desk.tick_ns
            _wake(sim, desk.tick_at)
            decide(sim, desk, -1, -1)
            arm(sim, desk)

    return replay.strategy(brawler)


brawler: Any = _compiled(edition())
