"""A small simulated venue over bars: the kernel that trades live runs on history, bar by bar.

A bar has three moments: its open, a look shortly after it, and its close. What the venue does:

- At the open, the look and the close the best bid and ask are the price times (1 - half spread) and (1 + half spread),
  the price being the bar's open, its open again, and its close. A coin without that bar has an empty market.
- An Ioc fills whole at the touch, moved by the impact of its size where costs are calibrated, if its limit reaches that
  price, else not at all; taker's fee, no depth.
- A post-only order that would cross is refused. One that rests fills whole at its own price, paying the maker's fee,
  once a later price or the bar's range (its open and close, where no high and low are known) goes beyond that price: a
  mere touch fills nothing, for others were there before us.
- Funding falls due at the close, on the position held then, at the mean of open and close (without a bar, the last
  price): ``-position * mean * rate``. A settlement that the source lacks is at the venue's base rate. The mean hourly
  rate of the bar is told as the coin's context, within the bar's last hour.
- Timers that are due by a moment are delivered at that moment, once each, in the order of their times and names.

Everything is exact Decimal but the public prices; the same bars give the same commands, to the byte.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

import msgspec
import numpy as np
import numpy.typing as npt

from slipstream.core.costs.model import TransactionCostModel
from slipstream.core.signals.bars import Bars
from slipstream.execution.kernel import Kernel
from slipstream.model.commands import Cancel, Command, Modify, Place, Query, Report, SetTimer
from slipstream.model.events import (
    AccountState,
    Ack,
    AssetContext,
    Bbo,
    CancelReject,
    Candle,
    Closed,
    Event,
    Fill,
    FundingPayment,
    Position,
    Reconnect,
    Reject,
    Timer,
)
from slipstream.model.instrument import Instrument, Side
from slipstream.model.order import Order, OrderState, Tif
from slipstream.simulation.vectorised import settled_rates

ZERO = Decimal(0)
MS = 1_000_000
HOUR_NS = 3_600_000_000_000
ROUNDS = 1_000  # answers to answers within one moment; more is a kernel that talks to itself


class BarTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What trading costs, as fractions of the notional, and how long after an open the pod looks again.

    ``books`` has half spread and impact (per sqrt(USD)) by coin; without it every coin has ``half_spread`` and no
    impact.
    """

    half_spread: Decimal = Decimal("0.0002")
    taker_fee: Decimal = Decimal("0.00045")
    maker_fee: Decimal = Decimal("0.00015")
    capital: Decimal = Decimal(1_000_000)
    look_ns: int = 120_000_000_000
    books: dict[str, tuple[Decimal, Decimal]] = {}

    def __post_init__(self) -> None:
        if not 0 <= self.half_spread < 1:
            raise ValueError(f"half_spread {self.half_spread} must be a fraction from 0 to below 1, such as 0.0002")
        if self.capital <= 0 or not self.capital.is_finite():
            raise ValueError(f"capital {self.capital} must be positive, in USD")
        if self.look_ns <= 0:
            raise ValueError(f"look_ns {self.look_ns} must be above 0 ns")

    def priced(self, model: TransactionCostModel, coins: Sequence[str]) -> BarTerms:
        """These terms with the costs of a model. Raises ValueError: a coin without costs, taker's fees that differ."""
        fees, spreads, impacts = (
            [Decimal(repr(float(x))) for x in part] for part in model.aligned(coins).spread_over(len(coins))
        )
        if len(set(fees)) > 1:
            raise ValueError(f"taker's fees from {min(fees)} to {max(fees)}: an account pays one to the venue")
        books = {coin: (half, root) for coin, half, root in zip(coins, spreads, impacts, strict=True)}
        return msgspec.structs.replace(self, taker_fee=fees[0], books=books)

    def of(self, coin: str) -> tuple[Decimal, Decimal]:
        """A coin's half spread and impact."""
        return self.books[coin] if self.books else (self.half_spread, ZERO)


class BarResult(msgspec.Struct, frozen=True, kw_only=True):
    """``equity`` (T,) USD at closes, ``positions`` (T, N) in coins then; sums of USD; fills and reports in order.

    ``crossed`` has half spread and impact that each fill paid beyond the middle, USD; a maker pays none.
    """

    equity: npt.NDArray[np.float64]
    positions: npt.NDArray[np.float64]
    fees: Decimal
    funding: Decimal
    volume: Decimal
    fills: tuple[Fill, ...]
    crossed: tuple[tuple[Decimal, Decimal], ...]
    reports: tuple[Report, ...]


class BarVenue:
    """Orders, positions and cash of one account. Events for the kernel gather in ``out``."""

    def __init__(self, coins: Sequence[str], terms: BarTerms) -> None:
        self.coins = tuple(coins)
        self.terms = terms
        self.now_ns = 0
        self.cash = terms.capital
        self.held = dict.fromkeys(coins, ZERO)
        self.mark: dict[str, Decimal] = {}
        self.touch: dict[str, tuple[Decimal, Decimal]] = {}
        self.resting: dict[str, Order] = {}
        self.ended: dict[str, tuple[int, str, Decimal]] = {}  # cloid: oid, status, filled
        self.fills: list[Fill] = []
        self.crossed: list[tuple[Decimal, Decimal]] = []
        self.funding = ZERO
        self.out: list[Event] = []
        self._oid = 0

    @property
    def equity(self) -> Decimal:
        """Cash and positions at the last prices."""
        return self.cash + sum((size * self.mark[coin] for coin, size in self.held.items() if size), ZERO)

    def account(self) -> AccountState:
        """The account, read whole."""
        positions = tuple(Position(coin, size, self.mark[coin]) for coin, size in self.held.items() if size)
        return AccountState(self.equity, self.equity, positions, tuple(self.resting.values()), self.now_ns)

    def price(self, coin: str, px: float) -> None:
        """A new price of a coin; NaN: nobody quotes it."""
        if not np.isfinite(px):
            self.touch.pop(coin, None)
            self.out.append(Bbo("hl", coin, 0.0, 0.0, 0.0, 0.0, self.now_ns, self.now_ns))
            return
        mid = Decimal(repr(float(px)))
        half, _ = self.terms.of(coin)
        bid, ask = mid * (1 - half), mid * (1 + half)
        self.mark[coin], self.touch[coin] = mid, (bid, ask)
        self.sweep(coin, mid, mid)
        self.out.append(Bbo("hl", coin, float(bid), 1e9, float(ask), 1e9, self.now_ns, self.now_ns))

    def sweep(self, coin: str, low: Decimal, high: Decimal) -> None:
        """Fill what rests beyond the range that was traded."""
        for order in [o for o in self.resting.values() if o.coin == coin]:
            if (order.side is Side.BUY and low < order.px) or (order.side is Side.SELL and high > order.px):
                del self.resting[order.cloid]
                self._fill(order, order.px, self.terms.maker_fee, crossed=False)

    def settle(self, coin: str, mean: float, rate: float) -> None:
        """Pay a coin's funding on the position held."""
        size = self.held[coin]
        if not size or rate == 0.0:
            return
        px = Decimal(repr(float(mean))) if np.isfinite(mean) else self.mark[coin]
        usdc = -size * px * Decimal(repr(float(rate)))
        self.cash, self.funding = self.cash + usdc, self.funding + usdc
        self.out.append(FundingPayment(coin, usdc, size, Decimal(repr(float(rate))), self.now_ns))

    def take(self, command: Place | Modify | Cancel | Query) -> None:
        """Carry out what the kernel sent."""
        if isinstance(command, Place):
            self._place(command)
        elif isinstance(command, Modify):
            self._cancel(command.cloid)
            self._place(command.new)
        elif isinstance(command, Cancel):
            self._cancel(command.cloid)
        elif command.cloid in self.resting:
            self.out.append(Ack(command.cloid, self.resting[command.cloid].oid or 0, self.now_ns))
        elif command.cloid in self.ended:
            oid, status, filled = self.ended[command.cloid]
            self.out.append(Closed(command.cloid, oid, status, self.now_ns, filled))
        else:
            self.out.append(Reject(command.cloid, "the venue never had this order", self.now_ns))

    def _place(self, place: Place) -> None:
        if place.coin not in self.touch:
            self.out.append(Reject(place.cloid, f"nobody quotes {place.coin}", self.now_ns))
            return
        bid, ask = self.touch[place.coin]
        if place.tif is Tif.ALO and (place.px >= ask if place.side is Side.BUY else place.px <= bid):
            self.out.append(Reject(place.cloid, "Post only order would have immediately matched", self.now_ns))
            return
        self._oid += 1
        self.out.append(Ack(place.cloid, self._oid, self.now_ns))
        order = Order(
            cloid=place.cloid,
            coin=place.coin,
            side=place.side,
            px=place.px,
            sz=place.sz,
            tif=place.tif,
            reduce_only=place.reduce_only,
            state=OrderState.OPEN,
            oid=self._oid,
        )
        far = self._taken_at(place)
        if place.px >= far if place.side is Side.BUY else place.px <= far:
            self._fill(order, far, self.terms.taker_fee, crossed=True)
        elif place.tif is Tif.IOC:
            self._end(order, "iocCancelRejected", ZERO)
        else:
            self.resting[place.cloid] = order

    def _taken_at(self, place: Place) -> Decimal:
        """The mean price of crossing: half spread and impact beyond the middle."""
        half, root = self.terms.of(place.coin)
        mid = self.mark[place.coin]
        return mid * (1 + place.side.sign * (half + root * (place.sz * mid).sqrt()))

    def _cancel(self, cloid: str) -> None:
        order = self.resting.pop(cloid, None)
        if order is None:
            self.out.append(CancelReject(cloid, "Order was never placed, already canceled, or filled", self.now_ns))
        else:
            self._end(order, "canceled", ZERO)

    def _end(self, order: Order, status: str, filled: Decimal) -> None:
        self.ended[order.cloid] = (order.oid or 0, status, filled)
        self.out.append(Closed(order.cloid, order.oid or 0, status, self.now_ns, filled))

    def _fill(self, order: Order, px: Decimal, rate: Decimal, *, crossed: bool) -> None:
        before, signed = self.held[order.coin], order.sz * order.side.sign
        if order.reduce_only and abs(before + signed) > abs(before):
            self._end(order, "reduceOnlyCanceled", ZERO)
            return
        fee = px * order.sz * rate
        self.cash -= signed * px + fee
        self.held[order.coin] = before + signed
        fill = Fill(
            coin=order.coin,
            side=order.side,
            px=px,
            sz=order.sz,
            fee=fee,
            tid=len(self.fills) + 1,
            oid=order.oid or 0,
            ns=self.now_ns,
            cloid=order.cloid,
            crossed=crossed,
            start_position=before,
        )
        self.fills.append(fill)
        half, root = self.terms.of(order.coin) if crossed else (ZERO, ZERO)
        usd = order.sz * self.mark[order.coin]
        self.crossed.append((usd * half, usd * root * usd.sqrt()))
        self.out.append(fill)
        self._end(order, "filled", order.sz)


class _Run:
    """A kernel and its venue, moment by moment."""

    def __init__(self, kernel: Kernel, venue: BarVenue) -> None:
        self.kernel, self.venue = kernel, venue
        self.timers: dict[str, int] = {}
        self.reports: list[Report] = []

    def obey(self, commands: Sequence[Command]) -> None:
        for command in commands:
            if isinstance(command, SetTimer):
                self.timers[command.name] = command.at_ns
            elif isinstance(command, Report):
                self.reports.append(command)
            else:
                self.venue.take(command)

    def flow(self) -> None:
        """Hand over events until nothing more comes of them."""
        rounds = 0
        while self.venue.out:
            rounds += 1
            if rounds > ROUNDS * max(1, len(self.venue.coins)):
                raise RuntimeError(f"the kernel and the venue answer each other without end at {self.venue.now_ns} ns")
            self.obey(self.kernel.step(self.venue.out.pop(0)))

    def ring(self) -> None:
        """Deliver the timers that are due, each once."""
        now = self.venue.now_ns
        for at_ns, name in sorted((at, name) for name, at in self.timers.items() if at <= now):
            if self.timers.get(name) == at_ns:
                del self.timers[name]
                self.obey(self.kernel.step(Timer(name, now)))
                self.flow()


def run_bars(
    kernel: Kernel,
    bars: Bars,
    instruments: Sequence[Instrument],
    terms: BarTerms | None = None,
    *,
    before: Callable[[int, BarVenue], Sequence[Event]] | None = None,
    after: Callable[[int, BarVenue], None] | None = None,
    venue: BarVenue | None = None,
) -> BarResult:
    """Run a kernel that has not begun over bars of coins among ``instruments``.

    ``before`` may add events to each bar's look (a mandate, a halt); ``after`` is called when a bar's look is over.
    ``venue`` is a new one of the bars' coins, with terms of its own; None makes one of ``terms``. Raises ValueError if
    an instrument is missing.
    """
    lacking = sorted(set(bars.coins) - {one.coin for one in instruments})
    if lacking:
        raise ValueError(f"bars of {lacking[0]}, but no instrument: give price and size rules of {', '.join(lacking)}")
    venue = venue or BarVenue(bars.coins, terms or BarTerms())
    run = _Run(kernel, venue)
    venue.now_ns = int(bars.opened[0]) * MS
    run.obey(kernel.begin(1, instruments, venue.now_ns))
    venue.out += [venue.account(), Reconnect("hl", venue.now_ns), Reconnect("hl.user", venue.now_ns)]
    equity, positions = np.zeros(len(bars.opened)), np.zeros(bars.close.shape)
    rates = None if bars.funding is None else settled_rates(bars)[0]
    for t in range(len(bars.opened)):
        open_ns = int(bars.opened[t]) * MS
        for ns in (open_ns, open_ns + venue.terms.look_ns):
            venue.now_ns = ns
            for j, coin in enumerate(bars.coins):
                venue.price(coin, float(bars.open[t, j]))
            if ns > open_ns and before is not None:
                venue.out += before(t, venue)
            run.flow()
            run.ring()
        if after is not None:
            after(t, venue)
        venue.now_ns = open_ns + round(bars.hours * HOUR_NS)
        _close(bars, t, venue, None if rates is None else rates[t])
        run.flow()
        run.ring()
        equity[t] = float(venue.equity)
        positions[t] = [float(venue.held[coin]) for coin in bars.coins]
    return BarResult(
        equity=equity,
        positions=positions,
        fees=sum((fill.fee for fill in venue.fills), ZERO),
        funding=venue.funding,
        volume=sum((fill.px * fill.sz for fill in venue.fills), ZERO),
        fills=tuple(venue.fills),
        crossed=tuple(venue.crossed),
        reports=tuple(run.reports),
    )


def _close(bars: Bars, t: int, venue: BarVenue, rates: npt.NDArray[np.float64] | None) -> None:
    """The end of a bar: what rested meanwhile, funding, prices, and the bar itself."""
    for j, coin in enumerate(bars.coins):
        first, last = float(bars.open[t, j]), float(bars.close[t, j])
        if np.isfinite(first) and np.isfinite(last):
            low, high = _range(bars, t, j)
            venue.sweep(coin, Decimal(repr(low)), Decimal(repr(high)))
        if rates is not None:
            venue.settle(coin, (first + last) / 2.0, float(rates[j]))
            _tell_rate(bars, t, j, venue)
    for j, coin in enumerate(bars.coins):
        venue.price(coin, float(bars.close[t, j]))
    step = round(bars.hours * HOUR_NS)
    for j, coin in enumerate(bars.coins):
        first, last, usd = float(bars.open[t, j]), float(bars.close[t, j]), float(bars.volume_usd[t, j])
        if not np.isfinite(last):
            continue
        first = first if np.isfinite(first) else last
        volume = usd / last if np.isfinite(usd) else 0.0
        low, high = _range(bars, t, j)
        event = Candle(
            "hl", coin, step, int(bars.opened[t]) * MS, first, high, low, last, volume, venue.now_ns, venue.now_ns
        )
        venue.out.append(event)


def _tell_rate(bars: Bars, t: int, j: int, venue: BarVenue) -> None:
    """What the venue said the bar's rate was, before it settled; nothing of a settlement that the source lacks."""
    assert bars.funding is not None
    last, rate = float(bars.close[t, j]), float(bars.funding[t, j]) / bars.hours
    lacking = bars.funding_gaps is not None and bars.funding_gaps[t, j] > 0
    if np.isfinite(last) and np.isfinite(rate) and not lacking:
        before = venue.now_ns - 1
        venue.out.append(AssetContext("hl", bars.coins[j], last, last, rate, 0.0, before, before))


def _range(bars: Bars, t: int, j: int) -> tuple[float, float]:
    """Lowest and highest price of a bar, as far as they are known."""
    known = [table[t, j] for table in (bars.open, bars.close, bars.high, bars.low) if table is not None]
    return float(np.nanmin(known)), float(np.nanmax(known))
