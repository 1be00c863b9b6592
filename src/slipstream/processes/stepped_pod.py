"""A pod's kernel on the emulated exchange in this process, block by block in simulated time: no network, no wall clock.

- A block is 100 ms of venue time. A command that the kernel gives after a block is carried out in the next one, by the
  exchange's own matching engine, in the queue behind what rested before it.
- Answers, fills, prices and funding reach the kernel at the end of their block; timers fall due there.
- The reference exchange's best prices come with the same block: it leads by what the market process gives it.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from slipstream.execution.kernel import Kernel
from slipstream.execution.settings import SECOND, KernelConfig
from slipstream.execution.strategy import Strategy
from slipstream.model.commands import Cancel, Command, Modify, Place, Query, Report, SetTimer
from slipstream.model.events import (
    AccountState,
    Ack,
    AssetContext,
    Bbo,
    Budget,
    CancelReject,
    Closed,
    Event,
    Fill,
    FundingPayment,
    Position,
    Reconnect,
    Reject,
    Timer,
)
from slipstream.model.instrument import plain
from slipstream.model.order import Order, OrderState, Tif
from slipstream.venues.emulator.depth import best
from slipstream.venues.emulator.exchange import margin, queries
from slipstream.venues.emulator.state import Block, FillRecord, Status
from slipstream.venues.emulator.venue import BLOCK_NS, Venue

USER = "0x" + "5a" * 20
ZERO = Decimal(0)
Sent = Place | Modify | Cancel


class SteppedPod:
    """A kernel, its exchange, and what passes between them. Fills, funding and reports gather as they come."""

    def __init__(
        self, strategy: Strategy, settings: KernelConfig, venue: Venue, coins: Sequence[str], capital: Decimal
    ) -> None:
        self.venue, self.exchange = venue, venue.exchange
        self.coins = tuple(coins)
        self._symbols = {symbol.coin: symbol for symbol in venue.feed.symbols.values()}
        self.kernel = Kernel(strategy, (), settings, strategy.slug, 1)
        self.now = self.exchange.now_ns
        self.fills: list[Fill] = []
        self.funding: list[FundingPayment] = []
        self.reports: list[Report] = []
        self.requests = 0
        self._queue: list[Event] = []
        self._timers: dict[str, int] = {}
        self._nonce = 0  # of the last request, ms: every request has one of its own
        self._filled: dict[str, Decimal] = {}
        self._last: dict[tuple[str, str], tuple[float, ...]] = {}
        self.exchange.deposit(USER, capital)
        self._start(1)

    def _start(self, run: int) -> None:
        """Set a kernel going that has not begun: connected, and told of the account."""
        self.obey(self.kernel.begin(run, list(self.exchange.instruments.values()), self.now))
        self._connect()

    def _connect(self) -> None:
        for feed in ("hl", "hl.user", "binance"):
            self._feed(Reconnect(feed, self.now))
        self._feed(self.account())

    def account(self) -> AccountState:
        """The account as the venue has it, read whole."""
        account = self.exchange.accounts[USER]
        resting = tuple(
            Order(
                cloid=one.cloid,
                coin=one.coin,
                side=one.side,
                px=one.limit_px,
                sz=one.orig_sz,
                tif=Tif(one.tif),
                reduce_only=one.reduce_only,
                state=OrderState.OPEN,
                oid=one.oid,
                filled=one.orig_sz - one.sz,
            )
            for one in account.open_orders.values()
            if one.cloid is not None
        )
        held = tuple(Position(coin, one.szi, one.entry_px) for coin, one in account.positions.items() if one.szi)
        return AccountState(self.equity, self.equity, held, resting, self.now)

    @property
    def equity(self) -> Decimal:
        """What the account is worth at the venue's marks, USD."""
        return margin.account_value(self.exchange.floor, self.exchange.accounts[USER])

    def exposures(self) -> list[Decimal]:
        """Signed notionals of the open positions at the venue's marks, USD."""
        held = self.exchange.accounts[USER].positions.values()
        return [position.szi * self.exchange.contexts[position.coin].mark for position in held]

    def run(self, seconds: float, block_ns: int = BLOCK_NS) -> None:
        """Let blocks pass; longer ones cost less and show less of the market."""
        for _ in range(round(seconds * SECOND) // block_ns):
            self.now += block_ns
            self._hear(self.exchange.step(self.now, self.now // 1_000_000))
            for coin in self.coins:
                self._prices(coin)
            self._news()
            queue, self._queue = self._queue, []
            for event in queue:
                self._feed(event)
            for name in sorted(name for name, at in self._timers.items() if at <= self.now):
                del self._timers[name]
                self._feed(Timer(name, self.now))

    def _news(self) -> None:
        """What else is told at the end of a block."""

    def _prices(self, coin: str) -> None:
        """New best prices of both exchanges, and once a second the old ones and the context."""
        leader = self.venue.feed.best(self._symbols[coin])
        anchor = (float(leader.bid), float(leader.bid_qty), float(leader.ask), float(leader.ask_qty))
        sides = best(self.exchange.books[coin], self.exchange.instruments[coin])
        local = tuple(float(x) for side in sides for x in ((side["px"], side["sz"]) if side else (0.0, 0.0)))
        beat = self.now % SECOND == 0
        both: tuple[tuple[str, tuple[float, ...]], ...] = (("binance", anchor), ("hl", local))
        for venue, prices in both:
            if self._last.get((venue, coin)) != prices or beat:
                self._last[venue, coin] = prices
                bid_px, bid_sz, ask_px, ask_sz = prices
                self._queue.append(Bbo(venue, coin, bid_px, bid_sz, ask_px, ask_sz, self.now, self.now))
        if beat:
            context = self.exchange.contexts[coin]
            mark, oracle = float(context.mark), float(context.oracle)
            rate, interest = float(context.funding), float(context.open_interest)
            self._queue.append(AssetContext("hl", coin, mark, oracle, rate, interest, self.now, self.now))
            if self.now % (60 * SECOND) == 0 and coin == self.coins[0]:
                limit = queries.rate_limit(self.exchange, USER)
                self._queue.append(Budget(limit.used, limit.cap, self.now))

    def _feed(self, event: Event) -> None:
        if isinstance(event, Fill):
            self.fills.append(event)
        elif isinstance(event, FundingPayment):
            self.funding.append(event)
        self.obey(self._step(event))

    def _step(self, event: Event) -> Sequence[Command]:
        return self.kernel.step(event)

    def obey(self, commands: Sequence[Command]) -> None:
        """Carry out what the kernel, or somebody in its place, commands."""
        for command in commands:
            if isinstance(command, SetTimer):
                self._timers[command.name] = command.at_ns
            elif isinstance(command, Report):
                self.reports.append(command)
            elif isinstance(command, Query):
                self._queue.append(self._fate(command))
            else:
                self._send(command)

    def _fate(self, query: Query) -> Event:
        order = queries.order_status(self.exchange, USER, query.cloid)
        if order is None:
            return Reject(query.cloid, "the venue never had this order", self.now)
        if order.status is Status.OPEN:
            return Ack(query.cloid, order.oid, self.now)
        filled = self._filled.get(query.cloid, ZERO)
        return Closed(query.cloid, order.oid, order.status.value, self.now, filled)

    def _send(self, command: Sent) -> None:
        self.requests += 1
        self._nonce = max(self._nonce + 1, self.now // 1_000_000)
        action: dict[str, Any]
        if isinstance(command, Place):
            action = {"type": "order", "orders": [self._order(command)], "grouping": "na"}
        elif isinstance(command, Modify):
            modify = {"oid": command.cloid, "order": self._order(command.new)}
            action = {"type": "batchModify", "modifies": [modify]}
        else:
            asset = self.exchange.instruments[command.coin].asset
            action = {"type": "cancelByCloid", "cancels": [{"asset": asset, "cloid": command.cloid}]}
        self.exchange.submit(
            action,
            signer=USER,
            nonce=self._nonce,
            wall_ms=self.now // 1_000_000,
            reply=lambda answer: self._answer(command, answer),
        )

    def _order(self, place: Place) -> dict[str, Any]:
        return {
            "a": self.exchange.instruments[place.coin].asset,
            "b": place.side.sign > 0,
            "p": plain(place.px),
            "s": plain(place.sz),
            "r": place.reduce_only,
            "t": {"limit": {"tif": place.tif.value}},
            "c": place.cloid,
        }

    def _answer(self, command: Sent, answer: dict[str, Any]) -> None:
        new = command.new.cloid if isinstance(command, Modify) else command.cloid
        status = (
            answer["response"]["data"]["statuses"][0] if answer["status"] == "ok" else {"error": answer["response"]}
        )
        if not isinstance(status, dict):
            return
        if "error" in status:
            if isinstance(command, Place | Modify):
                self._queue.append(Reject(new, str(status["error"]), self.now))
            if isinstance(command, Cancel | Modify):
                self._queue.append(CancelReject(command.cloid, str(status["error"]), self.now))
        elif "resting" in status:
            self._queue.append(Ack(new, status["resting"]["oid"], self.now))
        elif "filled" in status:
            total = Decimal(status["filled"]["totalSz"])
            self._queue.append(Closed(new, status["filled"]["oid"], "filled", self.now, total))

    def _hear(self, block: Block) -> None:
        """What a block did to our account."""
        for user, fill in block.fills:
            if user != USER:
                continue
            if fill.cloid is not None:
                self._filled[fill.cloid] = self._filled.get(fill.cloid, ZERO) + fill.sz
            self._queue.append(self._fill(fill))
        for user, paid in block.fundings:
            if user == USER:
                self._queue.append(FundingPayment(paid.coin, paid.usdc, paid.szi, paid.rate, paid.ns))
        for update in block.updates:
            order = update.order
            over = update.status is not Status.OPEN and not update.status.value.endswith("Rejected")
            if update.user == USER and order.cloid is not None and over:
                filled = self._filled.get(order.cloid, ZERO)
                self._queue.append(Closed(order.cloid, order.oid, update.status.value, update.ns, filled))

    @staticmethod
    def _fill(fill: FillRecord) -> Fill:
        return Fill(
            coin=fill.coin,
            side=fill.side,
            px=fill.px,
            sz=fill.sz,
            fee=fill.fee,
            tid=fill.tid,
            oid=fill.oid,
            ns=fill.ns,
            cloid=fill.cloid,
            crossed=fill.crossed,
            start_position=fill.start_position,
            closed_pnl=fill.closed_pnl,
            liquidation=fill.liquidation is not None,
        )
