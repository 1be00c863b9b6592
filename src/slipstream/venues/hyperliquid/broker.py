"""The connector: one account on one Hyperliquid venue as a `Broker`. Events out, commands in, nothing guessed.

Start: check the signer against a known vector, the key against the account, read instruments; connect, subscribe,
reconcile; only then say Reconnect. While a connection is down it says Disconnect, and after every new one it reconciles
first. A request without an answer is an Unknown, settled by cloid when the kernel asks.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec

from slipstream.model.commands import Cancel, Command, Modify, Place, Query
from slipstream.model.errors import ConfigError, OutcomeUnknown, Retry, SecretError, VenueRejected
from slipstream.model.events import Ack, Closed, Disconnect, Event, Reconnect, Reject, Unknown
from slipstream.model.instrument import Instrument
from slipstream.model.ports import Clock
from slipstream.venues.hyperliquid import wire
from slipstream.venues.hyperliquid.account import Account, Seen, check_owner, read_data
from slipstream.venues.hyperliquid.actions import Request, events_of, requests, signed, statuses
from slipstream.venues.hyperliquid.limits import Weights
from slipstream.venues.hyperliquid.nonce import Nonces
from slipstream.venues.hyperliquid.rest import Rest
from slipstream.venues.hyperliquid.signing import MAINNET_SOURCE, TESTNET_SOURCE, Signer
from slipstream.venues.hyperliquid.stream import Stream

MAINNET_HOST = "api.hyperliquid.xyz"
FEED, USER_FEED = "hl", "hl.user"
REJECTED = "Rejected"
_VECTOR_KEY = "0x" + "0123456789" * 6 + "0123"
_VECTOR_R = 0xD65369825A9DF5D80099E513CCE430311D7D26DDF477F5B3A33D2806B100D78E


class BrokerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Where and for whom to trade. Times are wall seconds unless they end in ``_ns`` (venue time).

    ``account`` is the address traded for (the key's own where empty); ``vault`` a sub-account or vault of it.
    ``nonce_file`` belongs to the key. ``stale_ns``: a market stream silent for longer is given up and made anew.
    """

    url: str = "http://127.0.0.1:3001"
    account: str = ""
    vault: str | None = None
    coins: tuple[str, ...] = ()
    nonce_file: Path = Path("var/nonce")
    allow_mainnet: bool = False
    timeout: float = 10.0
    sweep_every: float = 30.0
    reconcile_every: float = 60.0
    stale_ns: int = 15_000_000_000
    books: bool = True
    trades: bool = False


def source_of(url: str, allow_mainnet: bool) -> str:
    """The signing source of a venue. Raises ConfigError for mainnet unless it was asked for in so many words."""
    if urlsplit(url).hostname == MAINNET_HOST:
        if not allow_mainnet:
            raise ConfigError(f"{url} is the real venue with real money: add --mainnet if you mean it")
        return MAINNET_SOURCE
    return TESTNET_SOURCE


def check_signer() -> None:
    """Sign a known vector. Raises SecretError if this machine does not sign as the venue expects."""
    order = {"a": 1, "b": True, "p": "100", "s": "100", "r": False, "t": {"limit": {"tif": "Gtc"}}}
    action = {"type": "order", "orders": [order], "grouping": "na"}
    if Signer(_VECTOR_KEY).sign_l1(action, 0, MAINNET_SOURCE).r != _VECTOR_R:
        raise SecretError("the signer fails its self-test: do not trade with this installation")


class HyperliquidBroker:
    """See the module. ``clock`` is the venue's clock; nonces use the wall's."""

    def __init__(self, options: BrokerOptions, signer: Signer, clock: Clock) -> None:
        self._options = options
        self._signer = signer
        self._clock = clock
        self._source = source_of(options.url, options.allow_mainnet)
        self.address = (options.vault or options.account or signer.address).lower()
        self._events: asyncio.Queue[Event | BaseException] = asyncio.Queue()
        self._weights = Weights(time.monotonic)
        self._instruments: dict[str, Instrument] = {}
        self._tasks: list[asyncio.Task[Any]] = []
        self._session: aiohttp.ClientSession | None = None
        self._nonces: Nonces | None = None
        self._stream: Stream | None = None
        self._account: Account | None = None
        self._acked = Seen()
        self._heard: dict[str, int] = {}
        self._newest_ns = 0
        self._up = False
        self._swept_in_vain = False
        self._reconciling = asyncio.Lock()

    async def start(self) -> Sequence[Instrument]:
        """Check, read the instruments, begin to connect. Raises ConfigError, or Retry if the venue does not answer."""
        check_signer()
        options = self._options
        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=16, keepalive_timeout=20.0))
        self._rest = Rest(self._session, options.url, self._weights, options.timeout)
        meta = await self._rest.info("meta", wire.Meta)
        found = wire.to_instruments(meta)
        self._instruments = {i.coin: i for i in found}
        lost = [coin for coin in options.coins if coin not in self._instruments]
        if lost:
            raise ConfigError(f"{options.url} lists no perp {lost[0]!r}; it has {', '.join(sorted(self._instruments))}")
        state = await self._rest.info("clearinghouseState", wire.Clearinghouse, user=self.address)
        await check_owner(self._rest, self.address, self._signer.address)
        self._nonces = self._nonces or Nonces(options.nonce_file, lambda: time.time_ns() // 1_000_000)
        since = state.time - 86_400_000
        self._account = Account(self._rest, self.address, self._events.put_nowait, since)
        self._stream = Stream(
            options.url,
            self._subscriptions(),
            on_open=self._opened,
            on_frame=self._frame,
            on_close=self._closed,
            now=time.monotonic,
        )
        for work in (self._stream.run(), self._sweep(), self._watch()):
            task = asyncio.create_task(work)
            task.add_done_callback(self._ended)
            self._tasks.append(task)
        return found

    def _subscriptions(self) -> list[dict[str, Any]]:
        user = [{"type": kind, "user": self.address} for kind in ("orderUpdates", "userFills")]
        kinds = ["bbo", "activeAssetCtx"]
        kinds += ["l2Book"] if self._options.books else []
        kinds += ["trades"] if self._options.trades else []
        return user + [{"type": kind, "coin": coin} for coin in self._options.coins for kind in kinds]

    def _ended(self, task: asyncio.Task[Any]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self._events.put_nowait(task.exception() or RuntimeError("a task of the connector ended"))

    async def events(self) -> AsyncIterator[Event]:
        """Events in the order they were received. Raises what ended the connector, if anything did."""
        while True:
            event = await self._events.get()
            if isinstance(event, BaseException):
                raise event
            yield event

    async def close(self) -> None:
        """Leave. Nothing is cancelled on the venue."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
        if self._nonces is not None:
            self._nonces.close()
            self._nonces = None

    # the market and the account, as events

    async def _opened(self) -> None:
        await self._reconcile()
        assert self._account is not None
        await self._account.budget(self._clock.now())
        now = self._clock.now()
        self._heard = dict.fromkeys(self._heard, now)
        self._up = True
        self._events.put_nowait(Reconnect(FEED, now))
        self._events.put_nowait(Reconnect(USER_FEED, now))

    def _closed(self, reason: str) -> None:
        # said for every failed try too: whoever starts while the venue is away must know
        self._up = False
        now = self._clock.now()
        self._events.put_nowait(Disconnect(FEED, reason, now))
        self._events.put_nowait(Disconnect(USER_FEED, reason, now))

    async def _reconcile(self) -> None:
        assert self._account is not None
        async with self._reconciling:
            await self._account.reconcile()

    def _frame(self, frame: wire.Frame) -> None:
        try:
            self._take(frame)
        except (msgspec.DecodeError, ValueError) as error:
            assert self._stream is not None
            self._stream.drop(f"a {frame.channel} message that cannot be read: {error}")

    def _take(self, frame: wire.Frame) -> None:
        recv = self._clock.now()
        channel = frame.channel
        event: Event
        if channel == "bbo":
            event = wire.to_bbo(read_data(frame, wire.BboData), recv)
        elif channel == "l2Book":
            event = wire.to_book(read_data(frame, wire.BookData), recv)
        elif channel == "trades":
            for row in read_data(frame, list[wire.TradeData]):
                self._events.put_nowait(wire.to_trade(row, recv))
            return
        elif channel == "activeAssetCtx":
            event = wire.to_context(read_data(frame, wire.ContextData), self._newest_ns or recv, recv)
            self._events.put_nowait(event)
            return
        elif channel == "userFills":
            data = read_data(frame, wire.FillsData)
            assert self._account is not None
            # the snapshot is history: the sweep that follows every connection brings what is new of it
            if not data.is_snapshot:
                self._account.streamed(data.fills)
            return
        elif channel == "orderUpdates":
            for update in read_data(frame, list[wire.OrderUpdate]):
                self._updated(update)
            return
        else:
            return
        self._heard[f"{channel} {event.coin}"] = max(event.event_ns, self._heard.get(f"{channel} {event.coin}", 0))
        self._newest_ns = max(self._newest_ns, event.event_ns)
        self._events.put_nowait(event)

    def _updated(self, update: wire.OrderUpdate) -> None:
        event = event_of(update)
        if isinstance(event, Ack) and not self._acked.add((event.cloid, event.oid)):
            return
        if event is not None:
            self._events.put_nowait(event)

    async def _watch(self) -> None:
        """Give a connection up when one of its market streams has fallen silent while others speak, or all have."""
        while True:
            await asyncio.sleep(1.0)
            if not self._up or self._stream is None:
                continue
            now = self._clock.now()
            late = [
                name for name, ns in self._heard.items() if now - ns > self._options.stale_ns and self._steady(name)
            ]
            if late:
                self._heard = dict.fromkeys(self._heard, now)
                self._stream.drop(f"stream {late[0]} is stale")

    def _steady(self, name: str) -> bool:
        """Whether a stream speaks even when nothing changes: books do; a best price only when it moves."""
        channel, coin = name.split(" ", 1)
        if channel == "l2Book" or f"l2Book {coin}" not in self._heard:
            return True
        return self._heard[f"l2Book {coin}"] - self._heard[name] > self._options.stale_ns

    async def _sweep(self) -> None:
        """Fills the stream owes us, funding, the account as a whole, the budget: again and again."""
        options = self._options
        whole = time.monotonic() + options.reconcile_every
        while True:
            await asyncio.sleep(options.sweep_every)
            if not self._up or self._account is None or self._stream is None:
                continue
            try:
                brought = await self._account.sweep_fills()
                if brought and self._swept_in_vain:
                    self._stream.drop(f"{brought} fills came by sweep alone, twice in a row: the user stream is frozen")
                # once may be a fill that overtook its own frame
                self._swept_in_vain = brought > 0
                await self._account.sweep_fundings()
                if time.monotonic() >= whole:
                    whole = time.monotonic() + options.reconcile_every
                    await self._reconcile()
                    await self._account.budget(self._clock.now())
            except (Retry, VenueRejected):
                continue

    # commands

    async def send(self, commands: Sequence[Command]) -> None:
        """Send a batch: cancels, modifies, placements and reads, each kind as one request. Answers come as events."""
        by_kind: dict[type, list[Any]] = {Place: [], Modify: [], Cancel: [], Query: []}
        for command in commands:
            by_kind[type(command)].append(command)
        batches = requests(by_kind[Place], by_kind[Modify], by_kind[Cancel], self._instruments)
        work = [self._act(request) for request in batches]
        work += [self._query(query) for query in by_kind[Query]]
        await asyncio.gather(*work)

    async def _act(self, request: Request) -> None:
        if self._nonces is None:
            raise ConfigError("the connector was not started")
        try:
            body = signed(request, self._signer, self._nonces.next(), self._source, self._options.vault)
            response = await self._rest.exchange(body, len(request.commands))
        except OSError as error:
            self._refused(request, f"not sent: nonce file: {error.strerror}")
        except (Retry, VenueRejected) as error:
            self._refused(request, str(error))
        except OutcomeUnknown as error:
            self._unknown(request, str(error))
        else:
            now = self._clock.now()
            for command, status in zip(request.commands, statuses(response, len(request.commands)), strict=True):
                found = events_of(command, status, now)
                if found is None:
                    self._unknown(Request(request.action, [command]), f"an answer that cannot be read: {status}")
                for event in found or ():
                    if isinstance(event, Ack):
                        self._acked.add((event.cloid, event.oid))
                    self._events.put_nowait(event)

    def _refused(self, request: Request, reason: str) -> None:
        now = self._clock.now()
        for command in request.commands:
            for event in events_of(command, {"error": reason}, now) or ():
                self._events.put_nowait(event)

    def _unknown(self, request: Request, reason: str) -> None:
        now = self._clock.now()
        for command in request.commands:
            if isinstance(command, Modify):
                self._events.put_nowait(Unknown(command.new.cloid, reason, now))
            self._events.put_nowait(Unknown(command.cloid, reason, now))

    async def _query(self, query: Query) -> None:
        """What became of an order. Only two reads, two seconds apart, may say that it never existed."""
        for pause in (2.0, 0.0):
            try:
                answer = await self._rest.info("orderStatus", wire.OrderStatus, user=self.address, oid=query.cloid)
            except (Retry, VenueRejected):
                return  # the kernel asks again
            if answer.order is not None:
                event = event_of(answer.order)
                if event is not None:
                    self._events.put_nowait(event)
                return
            await asyncio.sleep(pause)
        self._events.put_nowait(Reject(query.cloid, "the venue does not know this order", self._clock.now()))


def event_of(update: wire.OrderUpdate) -> Event | None:
    """What an order's status means; None for an order without a cloid (not ours) or a trigger's own states."""
    order, ns = update.order, update.status_timestamp * wire.MS
    if order.cloid is None:
        return None
    if update.status == "open":
        return Ack(order.cloid, order.oid, ns)
    if update.status == "triggered":
        return None
    if update.status.endswith(REJECTED) or update.status == "rejected":
        return Reject(order.cloid, update.status, ns)
    total = order.orig_sz if update.status == "filled" else order.orig_sz - order.sz
    return Closed(order.cloid, order.oid, update.status, ns, total)
