"""A pod's own kernel on the replay's exchange: the same events, gate and quoter as in life, nothing simulated twice.

The replay is paused at everything that is heard (`slipstream.lob.replay.replay.Replay` without a hook). What woke it
becomes the kernel's events, and what the kernel commands becomes requests on the same exchange:

- a BEST row, or a change of the best prices, is a Bbo; any other change of depth only says that the feed lives
  (L2Book); a trade is a Trade; a funding row a FundingPayment, if something is held.
- The best prices of a market that we trade in are the tape's with our own orders among them, as a venue tells them:
  those that rest by what is known here. Where we are alone at the touch, an L2Book with the next level comes first.
- Acceptance is an Ack, a refusal a Reject, the end of an order a Closed, a fill a Fill. A Modify changes the order,
  which keeps its slot; where one of old and new is reduce-only and the other not, it is a cancel and a new order.
- One request about an order is under way at a time: a cancel of one that is still to be answered is sent then.
- Time is what the replay says; timers wake it. Nothing fails and nobody leases: one session, from the first row on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from slipstream.execution.kernel import Kernel
from slipstream.lob.replay.record import (
    ACCEPTED,
    ALO,
    CANCELLED,
    FEED,
    GTC,
    IOC,
    MODIFIED,
    NO_LIQUIDITY,
    PART_FILLED,
    REDUCE_CANCELLED,
    RESPONSE,
    START,
    TOO_LATE,
    WOULD_TRADE,
)
from slipstream.lob.replay.replay import Outcome, Replay
from slipstream.lob.replay.rows import BEST, FUNDING, RATE_UNIT, TRADE
from slipstream.model.commands import Cancel, Command, Modify, Place, Query, Report, SetTimer
from slipstream.model.errors import ConfigError
from slipstream.model.events import (
    AccountState,
    Ack,
    Bbo,
    CancelReject,
    Closed,
    Event,
    Fill,
    FundingPayment,
    L2Book,
    Reconnect,
    Reject,
    Timer,
    Trade,
)
from slipstream.model.grid import price_of_tick
from slipstream.model.instrument import Instrument, Side
from slipstream.model.order import Order, OrderState, Tif
from slipstream.simulation.tick.looks import Diary
from slipstream.simulation.tick.slots import Slots

HOME = "hl"
FEEDS = (HOME, "hl.user", "binance")
ZERO = Decimal(0)
LOOKED = 256  # fills of the log that are looked at: the exchange may be that far ahead of us
NOTHING = (-1, 0, -1, 0)  # a market without prices
_TIF = {Tif.GTC: GTC, Tif.IOC: IOC, Tif.ALO: ALO}
_WORDS = {
    WOULD_TRADE: "Post only order would have immediately matched",
    TOO_LATE: "Cannot modify canceled or filled order",
    NO_LIQUIDITY: "Order could not immediately match against any resting orders.",
}
Rows = npt.NDArray[np.void]


class Listing(msgspec.Struct, frozen=True):
    """A market of the run: whose prices they are, and the perp if it is one that we trade in."""

    venue: str
    coin: str
    instrument: Instrument | None = None


class TapeKernel:
    """A kernel that has not begun, and a paused replay. ``events`` counts what the kernel heard; a ``diary`` writes
    down what it saw and asked for.

    ``aside`` is what the kernel hears besides the tape, by time: feeds, budgets, leases, halts, the account. Without
    it the feeds are up and the account is flat from the first row on.
    """

    def __init__(
        self,
        kernel: Kernel,
        replay: Replay,
        markets: Sequence[Listing],
        capital: Decimal,
        diary: Diary | None = None,
        aside: Sequence[tuple[int, Event]] | None = None,
    ) -> None:
        if not replay.sim["pause"]:
            raise ConfigError("kernel on a tape: the replay has a hook of its own; make it without one")
        self.kernel, self.replay, self.markets = kernel, replay, tuple(markets)
        self.fills: list[Fill] = []
        self.reports: list[Report] = []
        self.events = 0
        self._homes: Mapping[str, int] = {one.coin: m for m, one in enumerate(markets) if one.instrument is not None}
        self._capital, self._diary = capital, diary
        self._aside = None if aside is None else deque(sorted(aside, key=lambda one: one[0]))
        self._slots = Slots()
        self._owed: set[int] = set()  # slots to be cancelled when the request under way has been answered
        self._timers: dict[str, int] = {}
        self._told: dict[int, tuple[int, int, int, int]] = {}
        self._fees = [0.0] * len(markets)
        self._cash = [0.0] * len(markets)
        self._funding = [0.0] * len(markets)
        self._trades = 0

    def run(self, chunks: Iterable[Rows]) -> Outcome:
        """Feed a whole tape, chunk by chunk, and let arrive what is in flight."""
        for rows in chunks:
            while self.replay.advance(rows):
                self.wake()
        while self.replay.advance(None):
            self.wake()
        return self.replay.finish()

    def wake(self) -> None:
        """Let the kernel handle what woke the paused run."""
        sim = self.replay.sim
        event, now = int(sim["event"]), int(sim["now_ns"])
        if event != START:
            self._told_aside(now)
        if event == FEED:
            self._heard(sim, int(sim["market"]), now)
        elif event == RESPONSE:
            for one in self._answer(sim, int(sim["market"]), now):
                self._step(one)
        elif event == START:
            perps = [one.instrument for one in self.markets if one.instrument is not None]
            first = now if not self._aside else min(now, self._aside[0][0])
            self._obey(self.kernel.begin(1, perps, first))
            if self._aside is None:
                for feed in FEEDS:
                    self._step(Reconnect(feed, now))
                self._step(AccountState(self._capital, self._capital, (), (), now))
            else:
                self._told_aside(now)
        else:
            for name in sorted(name for name, at in self._timers.items() if at <= now):
                del self._timers[name]
                self._step(Timer(name, now))

    def _told_aside(self, now: int) -> None:
        """Tell what is due of it, and be woken for the next."""
        while self._aside and self._aside[0][0] <= now:
            self._step(self._aside.popleft()[1])
        if self._aside:
            self.replay.wake(self._aside[0][0])

    def _step(self, event: Event) -> None:
        self.events += 1
        if isinstance(event, Fill):
            self.fills.append(event)
        self._obey(self.kernel.step(event) if self._diary is None else self._diary.step(self.kernel, event))

    # -- public data ------------------------------------------------------------------------------------------------

    def _price(self, market: int, tick: int) -> float:
        grid = self.replay.sim["grids"][market]
        if grid["decimals"] < 0:
            return float(tick * grid["tick_size"])
        return float(price_of_tick(tick, int(grid["decimals"])))

    def _heard(self, sim: Any, market: int, now: int) -> None:
        listing, kind = self.markets[market], int(sim["kind"])
        quote = sim["quotes"][market]
        event_ns = int(quote["event_ns"])
        lot = float(sim["grids"][market]["lot_size"])
        if kind == FUNDING:
            self._paid(sim, market, now)
            return
        if kind == TRADE:
            self._trades += 1
            side = Side.BUY if sim["side"] > 0 else Side.SELL
            px, sz = self._price(market, int(sim["tick"])), int(sim["lots"]) * lot
            self._step(Trade(listing.venue, listing.coin, px, sz, side, self._trades, event_ns, now))
            return
        tape = tuple(int(quote[name]) for name in ("bid_tick", "bid_lots", "ask_tick", "ask_lots"))
        own = self.kernel.desk.orders.live(listing.coin) if listing.instrument is not None else []
        orders = [working.order for working in own]
        bid, bid_lots = self._touch(listing, orders, Side.BUY, tape[0], tape[1])
        ask, ask_lots = self._touch(listing, orders, Side.SELL, tape[2], tape[3])
        told = (bid, bid_lots, ask, ask_lots)
        new = kind == BEST or self._told.get(market, NOTHING) != told
        bids = tuple((self._price(market, at), lots * lot) for at, lots in ((bid, bid_lots), tape[:2]) if at >= 0)
        asks = tuple((self._price(market, at), lots * lot) for at, lots in ((ask, ask_lots), tape[2:]) if at >= 0)
        alone = self._alone(listing, orders, Side.BUY, bid, bid_lots)
        if not new or alone or self._alone(listing, orders, Side.SELL, ask, ask_lots):
            self._step(L2Book(listing.venue, listing.coin, bids, asks, event_ns, now))
        if new:
            self._told[market] = told
            best_bid, best_ask = bids[0] if bid >= 0 else (0.0, 0.0), asks[0] if ask >= 0 else (0.0, 0.0)
            self._step(Bbo(listing.venue, listing.coin, *best_bid, *best_ask, event_ns, now))

    @staticmethod
    def _lots(listing: Listing, orders: Sequence[Order], side: Side, tick: int | None) -> dict[int, int]:
        """Our lots by tick, of orders known to rest (``tick`` None) or of all that live at one tick."""
        perp, out = listing.instrument, dict[int, int]()
        for order in orders:
            rests = order.state in (OrderState.OPEN, OrderState.PARTIAL)
            if perp is not None and order.side is side and (rests or tick is not None):
                at = perp.to_tick(order.px)
                if tick is None or at == tick:
                    out[at] = out.get(at, 0) + perp.to_lots(order.remaining)
        return out

    def _touch(self, listing: Listing, orders: Sequence[Order], side: Side, tick: int, lots: int) -> tuple[int, int]:
        """The best price of a side with our own resting orders in it; tick -1: none."""
        ours = self._lots(listing, orders, side, None)
        best = max((t for t in (*ours, tick) if t >= 0), key=lambda t: t * side.sign, default=-1)
        return best, (lots if best == tick and best >= 0 else 0) + ours.get(best, 0)

    def _alone(self, listing: Listing, orders: Sequence[Order], side: Side, tick: int, lots: int) -> bool:
        """Whether the strategy will take the touch for ours alone, and look at the book for the next price."""
        held = self._lots(listing, orders, side, tick).get(tick, 0)
        return held > 0 and lots <= held

    def _paid(self, sim: Any, market: int, now: int) -> None:
        perp, held = self.markets[market].instrument, int(sim["position"][market])
        total = float(sim["known_funding"][market])
        paid, self._funding[market] = total - self._funding[market], total
        if perp is not None and held:
            rate = Decimal(int(sim["lots"])) / RATE_UNIT
            self._step(FundingPayment(perp.coin, Decimal(repr(paid)), perp.from_lots(held), rate, now))

    # -- answers ----------------------------------------------------------------------------------------------------

    def _answer(self, sim: Any, market: int, now: int) -> list[Event]:
        """What an answer of the exchange, or a fill, is to the kernel."""
        slot, outcome = int(sim["slot"]), int(sim["outcome"])
        held = self._slots.held(slot)
        if outcome in (ACCEPTED, MODIFIED):
            new = self._slots.take(slot)
            if slot in self._owed:
                self._owed.discard(slot)
                self.replay.cancel(slot)
            acked: list[Event] = [Ack(new.cloid, new.oid, now)]
            return acked if outcome == ACCEPTED else [*acked, self._end(slot, "canceled", now)]
        if int(sim["lots"]):
            return self._filling(sim, market, slot, now)
        if outcome in (CANCELLED, REDUCE_CANCELLED):
            return [self._end(slot, "reduceOnlyCanceled" if outcome == REDUCE_CANCELLED else "canceled", now)]
        if not held or held[-1].rests:
            cloid = held[0].cloid if held else self._slots.last(slot)
            return [CancelReject(cloid, "Order was never placed, already canceled, or filled.", now)]
        self._owed.discard(slot)
        out: list[Event] = [Reject(self._slots.end(slot, -1).cloid, _WORDS.get(outcome, f"refused ({outcome})"), now)]
        if held:  # what it was to replace is gone with it
            out.append(self._end(slot, "canceled", now))
        return out

    def _end(self, slot: int, status: str, now: int) -> Closed:
        """The oldest order of a slot rests no more."""
        old = self._slots.end(slot, 0)
        working = self.kernel.desk.orders.get(old.cloid)
        return Closed(old.cloid, old.oid, status, now, working.order.filled if working is not None else ZERO)

    def _filling(self, sim: Any, market: int, slot: int, now: int) -> list[Event]:
        """A fill, and the end of an order that it leaves unfilled: an Ioc's, or one that was cut to the position."""
        perp, side = self.markets[market].instrument, Side.BUY if sim["side"] > 0 else Side.SELL
        assert perp is not None
        held, sz = self._slots.held(slot)[0], perp.from_lots(int(sim["lots"]))
        fees, cash = float(sim["known_fees"][market]), float(sim["known_cash"][market])
        fee, self._fees[market] = fees - self._fees[market], fees
        paid, self._cash[market] = cash - self._cash[market], cash
        crossed = not held.rests
        oid = self._slots.take(slot).oid if crossed else held.oid
        px = Decimal(repr(abs(paid))) / sz if crossed else perp.from_tick(int(sim["tick"]))
        self._trades += 1
        fee_usd = Decimal(repr(fee))
        ns = _dated(sim, slot, now)
        out: list[Event] = [Fill(perp.coin, side, px, sz, fee_usd, self._trades, oid, ns, held.cloid, crossed)]
        if int(sim["outcome"]) != PART_FILLED:
            working = self.kernel.desk.orders.get(held.cloid)
            total = sz if working is None else working.order.filled + sz
            self._slots.end(slot, 0)
            if working is not None and total < working.order.sz:
                out.append(Closed(held.cloid, oid, "canceled", now, total))
        return out

    # -- commands ---------------------------------------------------------------------------------------------------

    def _obey(self, commands: Sequence[Command]) -> None:
        for command in commands:
            if isinstance(command, SetTimer):
                self._timers[command.name] = command.at_ns
                if not self.replay.wake(command.at_ns):
                    raise ConfigError(f"kernel on a tape: more timers than a replay keeps, with {command.name}")
            elif isinstance(command, Report):
                self.reports.append(command)
            elif isinstance(command, Place):
                self._place(command)
            elif isinstance(command, Modify):
                self._modify(command)
            elif isinstance(command, Cancel):
                self._cancel(command.cloid)
            elif isinstance(command, Query):
                self._query(command)

    def _perp(self, coin: str) -> tuple[int, Instrument]:
        market = self._homes[coin]
        perp = self.markets[market].instrument
        assert perp is not None
        return market, perp

    def _place(self, place: Place) -> None:
        market, perp = self._perp(place.coin)
        slot = self.replay.place(
            market,
            place.side.sign,
            perp.to_tick(place.px),
            perp.to_lots(place.sz),
            _TIF[place.tif],
            place.reduce_only,
        )
        if slot < 0:
            raise ConfigError(f"kernel on a tape: the exchange has no room for {place}")
        self._slots.put(slot, place.cloid)

    def _modify(self, modify: Modify) -> None:
        _, perp = self._perp(modify.new.coin)
        old = self.kernel.desk.orders.get(modify.cloid)
        if old is None or old.order.reduce_only != modify.new.reduce_only:
            self._cancel(modify.cloid)
            self._place(modify.new)
            return
        slot = self._slots.of(modify.cloid)
        if not self.replay.modify(slot, perp.to_tick(modify.new.px), perp.to_lots(modify.new.sz)):
            raise ConfigError(f"kernel on a tape: the exchange cannot change {modify.cloid} now")
        self._slots.put(slot, modify.new.cloid)

    def _cancel(self, cloid: str) -> None:
        slot = self._slots.of(cloid)
        if not self.replay.cancel(slot):
            self._owed.add(slot)

    def _query(self, query: Query) -> None:
        """Nothing is lost in a replay: only an answer that takes longer than the kernel's patience is asked about."""
        raise ConfigError(
            f"kernel on a tape: no answer about {query.cloid} within pending_timeout_ns "
            f"({self.kernel.desk.config.pending_timeout_ns / 1e9:g} s); the order delays are longer than that"
        )


def _dated(sim: Any, slot: int, now: int) -> int:
    """The exchange's time of the fill that was heard just now: fills are dated by the venue. Else our own time."""
    log = sim["fills"][: int(sim["n_fills"])][-LOOKED:]
    same = np.flatnonzero((log["slot"] == slot) & (log["local_ns"] == now))
    return int(log["exch_ns"][same[0]]) if same.size else now
