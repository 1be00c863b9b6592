"""Mark and oracle prices, mids, and the impact prices behind the premium.

Source: the venue's docs, "Robust price indices": mark = median of oracle + 150 s EMA of (mid - oracle); the median of
best bid, best ask and last trade; and the perp mid of other exchanges. EMA: num <- num e^(-dt/tau) + x dt, den alike.
"""

from __future__ import annotations

from decimal import Decimal
from math import exp

from slipstream.model.grid import floor_tick, price_of_tick
from slipstream.model.instrument import Instrument
from slipstream.venues.emulator.exchange.contract import CoinContext
from slipstream.venues.emulator.exchange.floor import Floor
from slipstream.venues.emulator.exchange.matching import tick_price
from slipstream.venues.emulator.state import ZERO


def median3(a: float, b: float, c: float) -> float:
    """The middle of three."""
    return max(min(a, b), min(max(a, b), c))


def nearest_price(px: float, decimals: int) -> Decimal:
    """The legal price nearest to a positive float."""
    tick = max(1, floor_tick(px, decimals))
    if px - price_of_tick(tick, decimals) > price_of_tick(tick + 1, decimals) - px:
        tick += 1
    return tick_price(tick, decimals)


def start_context(floor: Floor, instrument: Instrument) -> CoinContext:
    """First prices of a coin, before any block."""
    coin = instrument.coin
    oracle = floor.market.oracle(coin)
    mark = nearest_price(float(oracle), instrument.price_decimals)
    context = CoinContext(coin, mark, oracle, basis_ns=floor.now_ns)
    floor.contexts[coin] = context
    update_mid(floor, instrument, context)
    return context


def update_mid(floor: Floor, instrument: Instrument, context: CoinContext) -> tuple[int, int]:
    """Refresh the mid; the best ticks (-1 for an empty side)."""
    book = floor.books[context.coin]
    bid, ask = book.best_bid(), book.best_ask()
    if bid >= 0 and ask >= 0:
        decimals = instrument.price_decimals
        context.mid = (tick_price(bid, decimals) + tick_price(ask, decimals)) / 2
    else:
        context.mid = None
    return bid, ask


def update_mark(floor: Floor, instrument: Instrument) -> None:
    """Refresh oracle, mid and mark of one coin. With an empty side only oracle and the other venues count."""
    context = floor.contexts[instrument.coin]
    market = floor.market
    context.oracle = market.oracle(instrument.coin)
    oracle = float(context.oracle)
    cex = float(market.cex_mid(instrument.coin))
    update_mid(floor, instrument, context)
    decimals = instrument.price_decimals
    if context.mid is None:
        context.mark = nearest_price((oracle + cex) / 2, decimals)
        return
    mid = float(context.mid)
    seconds = (floor.now_ns - context.basis_ns) / 1e9
    context.basis_ns = floor.now_ns
    decay = exp(-seconds / floor.settings.mark_ema_s)
    context.basis_num = context.basis_num * decay + (mid - oracle) * seconds
    context.basis_den = context.basis_den * decay + seconds
    basis = context.basis_num / context.basis_den if context.basis_den > 0 else mid - oracle
    book = floor.books[instrument.coin]
    bid, ask = price_of_tick(book.best_bid(), decimals), price_of_tick(book.best_ask(), decimals)
    last = float(context.last) if context.last is not None else mid
    context.mark = nearest_price(median3(oracle + basis, median3(bid, ask, last), cex), decimals)


def impact_price(floor: Floor, instrument: Instrument, side: int, usd: Decimal) -> Decimal | None:
    """Average price of taking ``usd`` of notional out of one side (+1: the bids); None if it is empty.

    A side with less than that gives the average of all it has.
    """
    ticks, lots, _ = floor.books[instrument.coin].depth(side, 64)
    left, size = float(usd), 0.0
    spent = 0.0
    unit = 10.0**-instrument.size_decimals
    for tick, quantity in zip(ticks.tolist(), lots.tolist(), strict=True):
        px = price_of_tick(tick, instrument.price_decimals)
        take = min(quantity * unit, left / px)
        size += take
        spent += take * px
        left -= take * px
        if left <= 1e-9:
            break
    if size == 0.0:
        return None
    decimals = instrument.price_decimals
    return Decimal(spent / size).quantize(Decimal(1).scaleb(-min(6, decimals + 1)))


def update_open_interest(floor: Floor, coin: str) -> None:
    """Open interest: the background's own and the larger side of the users'."""
    longs = shorts = ZERO
    for user in floor.positions.get(coin, ()):
        szi = floor.accounts[user].positions[coin].szi
        if szi > 0:
            longs += szi
        else:
            shorts -= szi
    floor.contexts[coin].open_interest = floor.market.open_interest(coin) + max(longs, shorts)
