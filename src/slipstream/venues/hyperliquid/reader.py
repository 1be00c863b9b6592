"""One account read by its address alone: no key, nothing but looks. Streams tell at once, sweeps find what they missed.

Every part says up to which venue time it is known. The venue speaks of a block before it speaks of a later one, so the
newest time heard on a connection (of a market stream that ticks steadily) says how far its account streams have come. A
sweep that finds fills the stream never brought shows that the stream is frozen, and the connection is made anew. What a
stream alone has told may lack what it lost: ``swept_ns`` says up to when fills were confirmed by a sweep, `doubt` asks
for one at once, and where no sweep succeeds for long the stream's word no longer counts.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from slipstream.model.errors import Retry, VenueRejected
from slipstream.model.events import Fill, FundingPayment
from slipstream.venues.hyperliquid import wire
from slipstream.venues.hyperliquid.account import FUNDING_PAGE, OVERLAP_MS, PAGE, Seen
from slipstream.venues.hyperliquid.chain import in_order
from slipstream.venues.hyperliquid.rest import Rest
from slipstream.venues.hyperliquid.stream import Stream

MS = wire.MS
LATE = 3.0  # times the usual pause without a sweep, after which the streams alone are not believed
ASKED = 25  # orders that one sweep asks the venue about
CALM = 60.0  # seconds without doubt after which the next one is answered at once
CHANNELS = ("userFills", "userFundings", "orderUpdates", "clearinghouseState", "openOrders")


class StateData(msgspec.Struct, rename="camel"):
    """`clearinghouseState` over the WebSocket."""

    clearinghouse_state: wire.Clearinghouse


class OrdersData(msgspec.Struct):
    """`openOrders` over the WebSocket."""

    orders: list[wire.WireOrder]


class FundingEvent(msgspec.Struct, rename="camel"):
    """One row of `userFundings`."""

    time: int
    coin: str
    usdc: Decimal
    szi: Decimal
    funding_rate: Decimal


class FundingsData(msgspec.Struct, rename="camel"):
    """`userFundings`."""

    fundings: list[FundingEvent]
    is_snapshot: bool = False


class Tick(msgspec.Struct):
    """Any market message that bears the venue's time, ms."""

    time: int


class MidsData(msgspec.Struct):
    """`allMids`."""

    mids: dict[str, Decimal]


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an account; times are venue ns, 0: not yet. What is new since the last look comes once.

    ``mids`` are the venue's mid prices. ``error``: the last thing that went wrong while it still does.
    """

    equity: Decimal
    state_ns: int
    positions: dict[str, Decimal]
    entries: dict[str, Decimal]
    orders_ns: int
    orders: tuple[wire.WireOrder, ...]
    fills_ns: int
    swept_ns: int
    fills: tuple[Fill, ...]
    fundings: tuple[FundingPayment, ...]
    updates_ns: int
    updates_since_ns: int
    updates: tuple[wire.OrderUpdate, ...]
    mids: dict[str, Decimal]
    mids_ns: int
    requests_used: int | None
    error: str


class AccountReader:
    """See the module. ``clock`` tells venue ns; ``since_ms``: where the first sweep begins.

    ``pulse_coin``: whose market streams tell the time; ``behind_ns``: how far the account streams may trail them, venue
    time. ``sweep_every`` and ``stale_after`` are wall seconds.
    """

    def __init__(
        self,
        rest: Rest,
        url: str,
        address: str,
        clock: Callable[[], int],
        *,
        since_ms: int = 0,
        pulse_coin: str = "BTC",
        behind_ns: int = 100 * MS,
        sweep_every: float = 8.0,
        stale_after: float = 4.0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rest = rest
        self.address = address
        self._clock = clock
        self._sweep_every = sweep_every
        self._stale_after = stale_after
        self._now = now
        subscriptions: list[dict[str, Any]] = [{"type": kind, "user": address} for kind in CHANNELS]
        subscriptions += [{"type": "allMids"}, *({"type": kind, "coin": pulse_coin} for kind in ("bbo", "l2Book"))]
        self._behind_ns = behind_ns
        self._stream = Stream(
            url,
            subscriptions,
            on_open=self._opened,
            on_frame=self._frame,
            on_close=self._closed,
            now=now,
            max_pause=4.0,
        )
        self._seen, self._paid, self._named = Seen(), Seen(), Seen()
        self._fills_ms = self._fundings_ms = since_ms
        self._fills: list[Fill] = []
        self._fundings: list[FundingPayment] = []
        self._updates: list[wire.OrderUpdate] = []
        self._state: wire.Clearinghouse | None = None
        self._orders: tuple[wire.WireOrder, ...] = ()
        self._orders_ns = self._fills_ns = self._since_ns = 0
        self._venue_ns = self._swept_ns = 0
        self._swept_at = now()
        self._doubted = asyncio.Event()
        self._doubted_at, self._patience = -CALM, 0.0
        self._mids: dict[str, Decimal] = {}
        self._mids_ns = 0
        self._used: int | None = None
        self._up = False
        self._swept = False
        self._vain = False
        self._heard_at = now()
        self.error = "not connected yet"

    @property
    def connections(self) -> int:
        """How many connections were made."""
        return self._stream.connections

    @property
    def known_ns(self) -> int:
        """Up to which venue time fills and orders are known; 0 before the account was read whole."""
        return min(self._fills_ns, self._orders_ns) if self._swept else 0

    async def run(self) -> None:
        """Read until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._stream.run())
            group.create_task(self._sweep())

    def begin_at(self, ns: int) -> None:
        """What happened up to a venue time is known: the first sweeps begin there. Before `run`."""
        self._fills_ms = self._fundings_ms = ns // MS

    def doubt(self) -> None:
        """Confirm the fills by a sweep now: what was read does not fit what somebody says. Repeats are spaced out."""
        now = self._now()
        if now - self._doubted_at > CALM:
            self._patience = 0.0
        if now - self._doubted_at >= self._patience:
            self._patience = min(self._sweep_every, max(0.5, 2.0 * self._patience))
            self._doubted_at = now
            self._doubted.set()

    def look(self) -> Look | None:
        """Everything known, and what is new since the last look. None until the account was read whole once."""
        if self._state is None or not self._swept:
            return None
        if self._up and self._now() - self._heard_at > self._stale_after:
            self._heard_at = self._now()
            self._stream.drop("clearinghouseState is silent")
        state = self._state
        fills, self._fills = tuple(self._fills), []
        fundings, self._fundings = tuple(self._fundings), []
        updates, self._updates = tuple(self._updates), []
        held = [row.position for row in state.asset_positions]
        state_ns = state.time * MS
        return Look(
            equity=state.margin_summary.account_value,
            state_ns=state_ns,
            positions={p.coin: p.szi for p in held},
            entries={p.coin: p.entry_px for p in held if p.entry_px is not None},
            orders_ns=self._orders_ns,
            orders=self._orders,
            fills_ns=self._fills_ns,
            swept_ns=self._swept_ns,
            fills=fills,
            fundings=fundings,
            updates_ns=self._fills_ns if self._up else 0,
            updates_since_ns=self._since_ns,
            updates=updates,
            mids=dict(self._mids),
            mids_ns=self._mids_ns,
            requests_used=self._used,
            error=self.error,
        )

    # the stream

    async def _opened(self) -> None:
        await self.refresh()
        self._since_ns = self._clock()
        self._heard_at = self._now()
        self._up = True
        self.error = ""

    def _closed(self, reason: str) -> None:
        self._up = False
        self.error = reason

    def _frame(self, frame: wire.Frame) -> None:
        try:
            self._take(frame)
        except (msgspec.DecodeError, ValueError) as error:
            self._stream.drop(f"a {frame.channel} message that cannot be read: {error}")

    def _take(self, frame: wire.Frame) -> None:
        channel = frame.channel
        if channel == "userFills":
            data = wire.read_data(frame, wire.FillsData)
            if not data.is_snapshot:
                self._give(data.fills)
        elif channel == "userFundings":
            for row in wire.read_data(frame, FundingsData).fundings:
                self._pay(row.coin, row.usdc, row.szi, row.funding_rate, row.time)
        elif channel == "orderUpdates":
            self._name(wire.read_data(frame, list[wire.OrderUpdate]))
        elif channel == "clearinghouseState":
            self._told(wire.read_data(frame, StateData).clearinghouse_state)
        elif channel == "openOrders":
            self._list(wire.read_data(frame, OrdersData).orders)
        elif channel in ("bbo", "l2Book"):
            self._tick(wire.read_data(frame, Tick).time * MS)
        elif channel == "allMids":
            mids = wire.read_data(frame, MidsData).mids
            self._mids, self._mids_ns = mids, max(self._mids_ns + 1, self._clock())

    def _told(self, state: wire.Clearinghouse) -> None:
        self._heard_at = self._now()
        if self._state is None or state.time >= self._state.time:
            self._state = state
            self._tick(state.time * MS)

    def _tick(self, ns: int) -> None:
        """The venue's time on this connection: what it said of its account well before has been heard."""
        if self._up:
            self._venue_ns = max(self._venue_ns, ns)
            if self._now() - self._swept_at <= LATE * self._sweep_every:
                self._fills_ns = max(self._fills_ns, ns - self._behind_ns)
            self._orders_ns = max(self._orders_ns, ns - self._behind_ns)

    def _name(self, updates: list[wire.OrderUpdate]) -> None:
        self._updates.extend(updates)
        for update in updates:
            self._named.add((update.order.oid,))

    def _list(self, rows: list[wire.WireOrder]) -> None:
        for row in rows:
            self._named.add((row.oid,))
        self._orders = tuple(row for row in rows if not row.is_trigger)

    def _give(self, rows: list[wire.WireFill]) -> int:
        brought = 0
        for row in in_order(rows):
            if self._seen.add((row.tid, row.oid)):
                self._fills.append(wire.to_fill(row))
                brought += 1
        return brought

    def _pay(self, coin: str, usdc: Decimal, szi: Decimal, rate: Decimal, at_ms: int) -> None:
        if self._paid.add((coin, at_ms)):
            self._fundings.append(FundingPayment(coin, usdc, szi, rate, at_ms * MS))

    # sweeps

    async def refresh(self) -> None:
        """Read the account whole by REST. Raises Retry or VenueRejected."""
        state = await self._rest.info("clearinghouseState", wire.Clearinghouse, user=self.address)
        self._venue_ns = max(self._venue_ns, state.time * MS)
        await self.sweep_fills()
        await self.sweep_fundings()
        orders = await self._rest.info("frontendOpenOrders", list[wire.WireOrder], user=self.address)
        if self._state is None or state.time >= self._state.time:
            self._state = state
        self._fills_ns = max(self._fills_ns, state.time * MS)
        self._list(orders)
        self._orders_ns = max(self._orders_ns, state.time * MS)
        self._swept = True

    async def sweep_fills(self) -> int:
        """Fetch every fill since the last sweep; how many the stream had not brought."""
        start, brought = max(0, self._fills_ms - OVERLAP_MS), 0
        told_ns = self._venue_ns - self._behind_ns  # the answer is given later than this was heard
        while True:
            body = {"user": self.address, "startTime": start, "aggregateByTime": False}
            rows = await self._rest.info("userFillsByTime", list[wire.WireFill], **body)
            await self._ask_for_orders(rows)
            brought += self._give(rows)
            newest = max((row.time for row in rows), default=start)
            self._fills_ms = max(self._fills_ms, newest)
            if len(rows) < PAGE or newest == start:
                self._swept_ns, self._swept_at = max(self._swept_ns, told_ns), self._now()
                return brought
            start = newest

    async def _ask_for_orders(self, rows: list[wire.WireFill]) -> None:
        """When orders were placed that came and went while nobody listened: a fill alone does not tell."""
        if not self._swept:
            return  # before the first reading the past is as it is
        fresh = {
            row.oid: None for row in rows if (row.tid, row.oid) not in self._seen and (row.oid,) not in self._named
        }
        for oid in list(fresh)[:ASKED]:
            try:
                answer = await self._rest.info("orderStatus", wire.OrderStatus, user=self.address, oid=oid)
            except (Retry, VenueRejected):
                return
            if answer.order is not None:
                self._name([answer.order])

    async def sweep_fundings(self) -> None:
        """Fetch funding rows since the last sweep."""
        start = self._fundings_ms
        while True:
            rows = await self._rest.info("userFunding", list[wire.FundingRow], user=self.address, startTime=start)
            for row in sorted(rows, key=lambda r: r.time):
                delta = row.delta
                self._pay(delta.coin, delta.usdc, delta.szi, delta.funding_rate, row.time)
            newest = max((row.time for row in rows), default=start)
            self._fundings_ms = max(self._fundings_ms, newest)
            if len(rows) < FUNDING_PAGE or newest == start:
                return
            start = newest

    async def _sweep(self) -> None:
        """Look for what the streams missed; while they are down, this is all there is."""
        turn = 0
        while True:
            await self._rest_or_doubt(self._sweep_every if self._up else min(2.0, self._sweep_every))
            turn += 1
            try:
                if not self._up:
                    await self.refresh()
                    continue
                brought = await self.sweep_fills()
                if brought and self._vain:
                    self._stream.drop(f"{brought} fills came by sweep alone, twice in a row: userFills is frozen")
                self._vain = brought > 0
                if turn % 4 == 0:
                    await self.sweep_fundings()
                    self._used = (
                        await self._rest.info("userRateLimit", wire.RateLimit, user=self.address)
                    ).n_requests_used
            except (Retry, VenueRejected) as error:
                self.error = str(error)

    async def _rest_or_doubt(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._doubted.wait()
        except TimeoutError:
            return
        self._doubted.clear()
