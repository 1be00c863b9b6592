"""Brawler in one symbol: estimates, kill switches, and the quote that should rest now."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum

from slipstream.execution.strategy import View
from slipstream.model.errors import InvalidOrder
from slipstream.model.events import AssetContext, Bbo, L2Book, Trade
from slipstream.model.instrument import Instrument, Side
from slipstream.model.intents import Quote
from slipstream.model.mandate import TradingState
from slipstream.strategies.brawler.config import MILLI, SECOND, BrawlerConfig, Quoting
from slipstream.strategies.brawler.estimate import Ema, Volatility
from slipstream.strategies.brawler.quote import Decision, Situation, Terms, compiled_quote
from slipstream.strategies.brawler.sizing import Side as SidePlan
from slipstream.strategies.brawler.sizing import plan_side
from slipstream.strategies.brawler.switches import Finding, Patience, Switch, above
from slipstream.strategies.brawler.touch import others_mid

HOME, CEX = "hl", "binance"
FEEDS = {HOME: ("hl", "hl.user"), CEX: ("binance",)}
ZERO = Decimal(0)


class Mode(Enum):
    """What a symbol may quote."""

    OFF = "off"
    REDUCE = "reduce"
    BOTH = "both"


class Maker:
    """The market in one symbol. Fed with events, asked for a quote."""

    def __init__(self, terms: Quoting, config: BrawlerConfig, patience: Patience, elsewhere: Decimal) -> None:
        switches = config.kill_switch
        self.terms = terms
        self.coin = terms.symbol
        self.elsewhere = elsewhere
        self._kill = switches
        self._max_lag = {HOME: switches.hl_max_lag_ms * MILLI, CEX: switches.cex_max_lag_ms * MILLI}
        self.basis = Ema(int(terms.basis_halflife_s * SECOND))
        self.volatility = Volatility(terms.sigma_window, terms.sigma_interval_ms * MILLI, self._max_lag[CEX])
        self.feeds = {HOME: Switch("hl feed", patience), CEX: Switch("binance feed", patience)}
        self.market = Switch("volatility", patience)
        self.peg = Switch("basis", patience)
        self.stock = Switch("inventory", patience)
        self._heard: dict[str, int] = {}  # newest proof of life by venue: the older of event and receive time
        self._cex_mid = 0.0
        self.local_mid = 0.0  # without our own quotes
        self.touch = (0.0, 0.0)
        self.decision: Decision | None = None
        self.last: Quote | None = None

    # -- market data ------------------------------------------------------------------------------------------------

    def fold(self, event: Bbo | L2Book | Trade | AssetContext, view: View) -> None:
        """Take public data of this symbol."""
        if event.venue not in FEEDS:
            return
        alive = min(event.event_ns, event.recv_ns)
        self._heard[event.venue] = max(self._heard.get(event.venue, 0), alive)
        if not isinstance(event, Bbo) or not event.mid > 0.0:
            return
        if event.venue == CEX:
            self._cex_mid = event.mid
            self.volatility.add(event.mid, event.event_ns)
        else:
            self.touch = (event.bid_px, event.ask_px)
            self.local_mid = others_mid(event, view.book(HOME, self.coin), view.orders(self.coin))
        if self._cex_mid > 0.0 and self.local_mid > 0.0 and self._is_fresh(view.now_ns):
            # two venues' clocks differ: what compares them goes by our own
            self.basis.add(self.local_mid - self._cex_mid, event.recv_ns)

    def _is_fresh(self, now_ns: int) -> bool:
        return all(now_ns - self._heard.get(venue, 0) <= lag for venue, lag in self._max_lag.items())

    @property
    def is_warm(self) -> bool:
        """Whether enough was seen to quote: a sixth of the sigma window and half a half-life of the basis."""
        enough = self.volatility.count >= self.samples_needed
        seen = self.basis.value is not None and self.basis.age_ns >= int(self.terms.basis_halflife_s * SECOND) // 2
        return enough and seen and self._cex_mid > 0.0

    @property
    def samples_needed(self) -> int:
        """Returns in the sigma window before the first quote."""
        return max(10, self.terms.sigma_window // 6)

    @property
    def price(self) -> float | None:
        """A price to value inventory with: the anchor's, else the local one."""
        return self._cex_mid or self.local_mid or None

    @property
    def basis_bps(self) -> float:
        """The smoothed basis in basis points of the anchor; 0 before any."""
        return (self.basis.value or 0.0) / self._cex_mid * 1e4 if self._cex_mid > 0.0 else 0.0

    def inventory(self, view: View) -> Decimal:
        """What we hold, plus what is held elsewhere."""
        return view.position(self.coin) + self.elsewhere

    # -- kill switches ----------------------------------------------------------------------------------------------

    def look(self, view: View, down: dict[str, str]) -> list[tuple[Switch, bool]]:
        """Look at every condition; the switches that changed and whether each suspended."""
        now = view.now_ns
        found: list[tuple[Switch, Finding, str]] = []
        for venue, switch in self.feeds.items():
            found.append((switch, *self._feed(venue, now, down)))
        if self.is_warm:
            found.append((self.market, *self._swing()))
            found.append((self.peg, *self._depeg()))
        found.append((self.stock, *self._loaded(view)))
        changes = []
        for switch, finding, detail in found:
            changed = switch.look(finding, detail, now)
            if changed is not None:
                changes.append((switch, changed))
        return changes

    def _feed(self, venue: str, now: int, down: dict[str, str]) -> tuple[Finding, str]:
        for feed in FEEDS[venue]:
            if feed in down:
                return Finding.BAD, f"{feed} is disconnected: {down[feed]}"
        heard, limit = self._heard.get(venue), self._max_lag[venue]
        if heard is None:  # still to come at a start; nothing is quoted before it is warm
            return Finding.BETWEEN, ""
        lag = now - heard
        return above(lag, limit + 1, limit), f"{venue} is {lag / 1e9:.2f} s behind (limit {limit / 1e9:.2f} s)"

    def _swing(self) -> tuple[Finding, str]:
        sigma, limit = self.volatility.sigma, self.terms.max_volatility
        detail = f"sigma {sigma:.6f} is above {limit:g}"
        return above(sigma, limit, limit * self._kill.volatility_resume_ratio), detail

    def _depeg(self) -> tuple[Finding, str]:
        average = self.basis.value or 0.0
        now = self.local_mid - self._cex_mid if self.local_mid > 0.0 else average
        off, level = abs(now - average) / self._cex_mid, abs(average) / self._cex_mid
        terms, ratio = self.terms, self._kill.basis_resume_ratio
        findings = (
            above(off, terms.max_basis_deviation, terms.max_basis_deviation * ratio),
            above(level, self._kill.max_basis, self._kill.max_basis * ratio),
        )
        worst = max(findings, key=lambda finding: finding.value)
        return worst, (
            f"basis {now / self._cex_mid * 1e4:.1f} bp is {off * 1e4:.1f} bp from its average "
            f"(limits: {terms.max_basis_deviation * 1e4:g} from the average, {self._kill.max_basis * 1e4:g} in all)"
        )

    def _loaded(self, view: View) -> tuple[Finding, str]:
        share = float(abs(self.inventory(view)) / self.terms.max_inventory)
        detail = f"{self.inventory(view)} is {share:.0%} of max_inventory {self.terms.max_inventory}"
        return above(share, self._kill.inventory_ratio, self._kill.inventory_resume_ratio), detail

    @property
    def suspensions(self) -> list[Switch]:
        """The switches that are open."""
        return [s for s in (*self.feeds.values(), self.market, self.peg, self.stock) if s.is_open]

    def mode(self, view: View, *, reduce: bool, halt: bool) -> Mode:
        """What may be quoted, given the portfolio's word."""
        stopped = halt or any(s.is_open for s in (*self.feeds.values(), self.market, self.peg))
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
            fresh = Quote(self.coin, None, None, reason="suspended")
        else:
            fresh = self._fresh(view, instrument, mode, size, price)
        if fresh == self.last or (self.last is None and fresh.bid is None and fresh.ask is None):
            return None
        self.last = fresh
        return fresh

    def _fresh(self, view: View, instrument: Instrument, mode: Mode, size: float, price: float) -> Quote:
        inventory, position = self.inventory(view), view.position(self.coin)
        orders = view.orders(self.coin)
        resting = {side: next((o for o in reversed(orders) if o.side is side), None) for side in Side}
        ticks = {side: _tick(instrument, order.px) if order is not None else 0 for side, order in resting.items()}
        sizes = {side: float(order.remaining) if order is not None else 0.0 for side, order in resting.items()}
        bbo = view.bbo(HOME, self.coin)
        decision = self.decide(
            Situation(
                cex_mid=self._cex_mid,
                basis=self.basis.value or 0.0,
                sigma=self.volatility.sigma,
                inventory=float(inventory),
                best_bid=bbo.bid_px if bbo is not None else 0.0,
                best_ask=bbo.ask_px if bbo is not None else 0.0,
                bid_tick=ticks[Side.BUY],
                ask_tick=ticks[Side.SELL],
                bid_size=sizes[Side.BUY],
                ask_size=sizes[Side.SELL],
                request_cost=self.terms.request_cost_usd * price,
            ),
            instrument.price_decimals,
        )
        self.decision = decision
        plans = {
            Side.BUY: SidePlan(Side.BUY, decision.bid_tick, decision.move_bid, resting[Side.BUY]),
            Side.SELL: SidePlan(Side.SELL, decision.ask_tick, decision.move_ask, resting[Side.SELL]),
        }
        target = self.terms.order_size * Decimal(repr(size))
        if mode is Mode.BOTH:
            room = {side: max(self.terms.max_inventory - inventory * side.sign, ZERO) for side in Side}
            bid, ask = (plan_side(instrument, plans[s], min(target, room[s]), room[s]) for s in (Side.BUY, Side.SELL))
            return Quote(self.coin, bid, ask)
        held = position if view.trading_state is TradingState.REDUCING else inventory
        side = Side.SELL if held > 0 else Side.BUY
        reduce_only = position * side.sign < 0 and abs(position) >= min(self.terms.order_size, abs(held))
        most = min(self.terms.order_size, abs(held))
        wanted = plan_side(instrument, plans[side], most, most, closes=reduce_only and most == abs(position))
        bid, ask = (wanted, None) if side is Side.BUY else (None, wanted)
        return Quote(self.coin, bid, ask, reduce_only=reduce_only, reason="reduce")

    def warm_up(self) -> None:
        """Have the arithmetic compiled before the first price that matters."""
        self.decide(Situation(100.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0, 0, 0.0, 0.0, 0.0), 2)

    def decide(self, situation: Situation, decimals: int) -> Decision:
        """Run the compiled arithmetic."""
        terms = self.terms
        out: Decision = compiled_quote(
            Terms(
                base_spread=terms.base_spread,
                k=terms.k,
                skew=terms.skew,
                fee=terms.maker_fee,
                max_inventory=float(terms.max_inventory),
                tick_size=float(terms.tick_size),
                tolerance=terms.quote_reprice_tolerance_ticks,
                horizon=terms.requote_horizon_s * 1000.0 / terms.sigma_interval_ms,
                decimals=decimals,
            ),
            situation,
        )
        return out


def _tick(instrument: Instrument, px: Decimal) -> int:
    try:
        return instrument.to_tick(px)
    except InvalidOrder:
        return 0  # not a price of today's grid: the quote is to be replaced
