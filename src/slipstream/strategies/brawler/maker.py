"""Brawler in one symbol: estimates, kill switches, and the quote that should rest now."""

from __future__ import annotations

from decimal import Decimal
from enum import IntEnum

from slipstream.execution.strategy import View
from slipstream.model.errors import InvalidOrder
from slipstream.model.events import AssetContext, Bbo, L2Book, Trade
from slipstream.model.instrument import Instrument, Side
from slipstream.model.intents import Quote, QuoteSide
from slipstream.model.mandate import TradingState
from slipstream.strategies.brawler import belief, sizing
from slipstream.strategies.brawler.config import MILLI, SECOND, BrawlerConfig, Quoting
from slipstream.strategies.brawler.estimate import Ema, Volatility
from slipstream.strategies.brawler.quote import Decision, Situation, Terms
from slipstream.strategies.brawler.sizing import Stock, Wish, compiled_wish
from slipstream.strategies.brawler.switches import Finding, Patience, Switch
from slipstream.strategies.brawler.touch import others_mid

HOME, CEX = "hl", "binance"
FEEDS = {HOME: ("hl", "hl.user"), CEX: ("binance",)}


class Mode(IntEnum):
    """What a symbol may quote."""

    OFF = belief.OFF
    REDUCE = sizing.REDUCE
    BOTH = sizing.BOTH


class Maker:
    """The market in one symbol. Fed with events, asked for a quote."""

    def __init__(self, terms: Quoting, config: BrawlerConfig, patience: Patience, elsewhere: Decimal) -> None:
        switches = config.kill_switch
        self.terms = terms
        self.coin = terms.symbol
        self.elsewhere = elsewhere
        self._kill = switches
        self.basis = Ema(int(terms.basis_halflife_s * SECOND))
        self.volatility = Volatility(
            terms.sigma_window, terms.sigma_interval_ms * MILLI, switches.cex_max_lag_ms * MILLI
        )
        self.feeds = {HOME: Switch("hl feed", patience), CEX: Switch("binance feed", patience)}
        self.market = Switch("volatility", patience)
        self.peg = Switch("basis", patience)
        self.stock = Switch("inventory", patience)
        self.belief = belief.believing(terms, switches)
        self.belief.basis, self.belief.window = self.basis.state, self.volatility.state
        self.belief.home_switch, self.belief.cex_switch = self.feeds[HOME].state, self.feeds[CEX].state
        self.belief.market_switch, self.belief.peg_switch = self.market.state, self.peg.state
        self.belief.stock_switch = self.stock.state
        self.touch = (0.0, 0.0)
        self.decision: Decision | None = None
        self.seen: tuple[Mode, Situation | None, Stock | None] = (Mode.OFF, None, None)  # of the last decision
        self.last: Quote | None = None

    # -- market data ------------------------------------------------------------------------------------------------

    def fold(self, event: Bbo | L2Book | Trade | AssetContext, view: View) -> None:
        """Take public data of this symbol."""
        state = self.belief
        alive = min(event.event_ns, event.recv_ns)
        if event.venue == HOME:
            state.home_ns = max(state.home_ns, alive)
        elif event.venue == CEX:
            state.cex_ns = max(state.cex_ns, alive)
        else:
            return
        if not isinstance(event, Bbo) or not event.mid > 0.0:
            return
        if event.venue == CEX:
            belief.anchored(state, self.volatility.ring, event.mid, event.event_ns)
        else:
            self.touch = (event.bid_px, event.ask_px)
            state.local_mid = others_mid(event, view.book(HOME, self.coin), view.orders(self.coin))
        belief.compared(state, view.now_ns)

    @property
    def local_mid(self) -> float:
        """The middle of the local market without our own quotes; 0 if there is none."""
        return float(self.belief.local_mid)

    @property
    def is_warm(self) -> bool:
        """Whether enough was seen to quote: a sixth of the sigma window and half a half-life of the basis."""
        return belief.is_warm(self.belief)

    @property
    def samples_needed(self) -> int:
        """Returns in the sigma window before the first quote."""
        return int(self.belief.samples_needed)

    @property
    def price(self) -> float | None:
        """A price to value inventory with: the anchor's, else the local one."""
        return self.belief.cex_mid or self.local_mid or None

    @property
    def basis_bps(self) -> float:
        """The smoothed basis in basis points of the anchor; 0 before any."""
        mid = self.belief.cex_mid
        return (self.basis.value or 0.0) / mid * 1e4 if mid > 0.0 else 0.0

    def inventory(self, view: View) -> Decimal:
        """What we hold, plus what is held elsewhere."""
        return view.position(self.coin) + self.elsewhere

    # -- kill switches ----------------------------------------------------------------------------------------------

    def look(self, view: View, down: dict[str, str]) -> list[tuple[Switch, bool]]:
        """Look at every condition; the switches that changed and whether each suspended."""
        now = view.now_ns
        share = float(abs(self.inventory(view)) / self.terms.max_inventory)
        found = list(belief.conditions(self.belief, share, now))
        lost = [next((feed for feed in feeds if feed in down), None) for feeds in FEEDS.values()]
        for place, feed in enumerate(lost):
            if feed is not None:
                found[place] = Finding.BAD
        changes = []
        for place, switch in enumerate((*self.feeds.values(), self.market, self.peg, self.stock)):
            if found[place] == belief.UNSEEN:
                continue
            changed = switch.look(Finding(found[place]), "", now)
            if changed is not None:
                changes.append((switch, changed))
            if changed:
                feed = lost[place] if place < len(lost) else None
                told = f"{feed} is disconnected: {down[feed]}" if feed is not None else None
                switch.detail = told or self._detail(switch, view)
        return changes

    def _detail(self, switch: Switch, view: View) -> str:
        """Why a switch opened, for people."""
        state = self.belief
        if switch is self.market:
            return f"sigma {self.volatility.sigma:.6f} is above {self.terms.max_volatility:g}"
        if switch is self.peg:
            now, off, _ = belief.depeg(state)
            return (
                f"basis {now / state.cex_mid * 1e4:.1f} bp is {off * 1e4:.1f} bp from its average "
                f"(limits: {self.terms.max_basis_deviation * 1e4:g} from the average, "
                f"{self._kill.max_basis * 1e4:g} in all)"
            )
        if switch is self.stock:
            share = abs(self.inventory(view)) / self.terms.max_inventory
            return f"{self.inventory(view)} is {share:.0%} of max_inventory {self.terms.max_inventory}"
        home = switch is self.feeds[HOME]
        lag = view.now_ns - (state.home_ns if home else state.cex_ns)
        limit = state.home_lag if home else state.cex_lag
        return f"{HOME if home else CEX} is {lag / 1e9:.2f} s behind (limit {limit / 1e9:.2f} s)"

    @property
    def suspensions(self) -> list[Switch]:
        """The switches that are open."""
        return [s for s in (*self.feeds.values(), self.market, self.peg, self.stock) if s.is_open]

    def mode(self, view: View, *, reduce: bool, halt: bool) -> Mode:
        """What may be quoted, given the portfolio's word."""
        stopped = halt or belief.is_stopped(self.belief)
        if stopped or not self.is_warm or view.trading_state is TradingState.HALTED:
            return Mode.OFF
        if reduce or self.stock.is_open or view.trading_state is TradingState.REDUCING:
            return Mode.REDUCE
        return Mode.BOTH

    # -- quoting ----------------------------------------------------------------------------------------------------

    def quote(self, view: View, mode: Mode, *, size: float, price: float) -> Quote | None:
        """The quote that should rest, if it differs from the last one asked for.

        ``size`` scales the order size, ``price`` the price of a request.
        """
        instrument = view.instruments.get(self.coin)
        if mode is Mode.OFF or instrument is None:
            self.seen = (Mode.OFF, None, None)
            fresh = Quote(self.coin, None, None, reason="suspended")
        else:
            fresh = self._fresh(view, instrument, mode, size, price)
        if fresh == self.last or (self.last is None and fresh.bid is None and fresh.ask is None):
            return None
        self.last = fresh
        return fresh

    def _fresh(self, view: View, instrument: Instrument, mode: Mode, size: float, price: float) -> Quote:
        inventory, position = self.inventory(view), view.position(self.coin)
        ticks, sizes, left = {}, {}, {}
        for side in Side:
            order = next((o for o in reversed(view.orders(self.coin)) if o.side is side), None)
            ticks[side] = _tick(instrument, order.px) if order is not None else 0
            sizes[side] = order.sz if order is not None else Decimal(0)
            left[side] = order.remaining if order is not None else Decimal(0)
        bbo = view.bbo(HOME, self.coin)
        situation = Situation(
            cex_mid=self.belief.cex_mid,
            basis=self.basis.value or 0.0,
            sigma=self.volatility.sigma,
            inventory=float(inventory),
            best_bid=bbo.bid_px if bbo is not None else 0.0,
            best_ask=bbo.ask_px if bbo is not None else 0.0,
            bid_tick=ticks[Side.BUY],
            ask_tick=ticks[Side.SELL],
            bid_size=float(left[Side.BUY]),
            ask_size=float(left[Side.SELL]),
            request_cost=self.terms.request_cost_usd * price,
        )

        def lots(amount: Decimal) -> float:
            return float(amount.scaleb(instrument.size_decimals))

        stock = Stock(
            mode=int(mode),
            order=lots(self.terms.order_size),
            most=lots(self.terms.max_inventory),
            factor=size,
            inventory=lots(inventory),
            held=lots(position if view.trading_state is TradingState.REDUCING else inventory),
            position=lots(position),
            bid_size=lots(sizes[Side.BUY]),
            bid_left=lots(left[Side.BUY]),
            ask_size=lots(sizes[Side.SELL]),
            ask_left=lots(left[Side.SELL]),
        )
        self.seen = (mode, situation, stock)
        self.decision, wish = self.wish(situation, stock, instrument.price_decimals)
        bid = _side(instrument, wish.bid_tick, wish.bid_lots)
        ask = _side(instrument, wish.ask_tick, wish.ask_lots)
        reason = "reduce" if mode is Mode.REDUCE else ""
        return Quote(self.coin, bid, ask, reduce_only=wish.reduce_only, reason=reason)

    def warm_up(self) -> None:
        """Have the arithmetic compiled before the first price that matters."""
        nothing = Stock(Mode.BOTH.value, *(0.0,) * (len(Stock._fields) - 1))
        self.wish(Situation(100.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0, 0, 0.0, 0.0, 0.0), nothing, 2)

    def wish(self, situation: Situation, stock: Stock, decimals: int) -> tuple[Decision, Wish]:
        """Run the compiled arithmetic."""
        out: tuple[Decision, Wish] = compiled_wish(terms_of(self.terms, decimals), situation, stock)
        return out


def terms_of(terms: Quoting, decimals: int) -> Terms:
    """The configured terms of a symbol whose prices have at most so many decimals."""
    return Terms(
        base_spread=terms.base_spread,
        k=terms.k,
        skew=terms.skew,
        fee=terms.maker_fee,
        max_inventory=float(terms.max_inventory),
        tick_size=float(terms.tick_size),
        tolerance=terms.quote_reprice_tolerance_ticks,
        horizon=terms.requote_horizon_s * 1000.0 / terms.sigma_interval_ms,
        decimals=decimals,
    )


def _side(instrument: Instrument, tick: int, lots: int) -> QuoteSide | None:
    return QuoteSide(instrument.from_tick(tick), instrument.from_lots(lots)) if lots > 0 else None


def _tick(instrument: Instrument, px: Decimal) -> int:
    try:
        return instrument.to_tick(px)
    except InvalidOrder:
        return 0  # not a price of today's grid: the quote is to be replaced
