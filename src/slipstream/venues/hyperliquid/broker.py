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

from slipstream.model.commands import Command
from slipstream.model.errors import ConfigError, NotConnected, Retry, SecretError, VenueRejected
from slipstream.model.events import Disconnect, Event, Reconnect
from slipstream.model.instrument import Instrument
from slipstream.model.ports import Clock
from slipstream.venues.hyperliquid import wire
from slipstream.venues.hyperliquid.account import Account, check_owner
from slipstream.venues.hyperliquid.entry import OrderEntry
from slipstream.venues.hyperliquid.freshness import Freshness
from slipstream.venues.hyperliquid.limits import Weights
from slipstream.venues.hyperliquid.nonce import Nonces
from slipstream.venues.hyperliquid.rest import Rest
from slipstream.venues.hyperliquid.signing import MAINNET_SOURCE, TESTNET_SOURCE, Signer
from slipstream.venues.hyperliquid.stream import Stream

MAINNET_HOST = "api.hyperliquid.xyz"
FEED, USER_FEED = "hl", "hl.user"
DAY_MS = 86_400_000
FILL_GRACE = 0.5  # seconds between an update that speaks of a fill and the fill
_VECTOR_KEY = "0x" + "0123456789" * 6 + "0123"
_VECTOR_R = 0xD65369825A9DF5D80099E513CCE430311D7D26DDF477F5B3A33D2806B100D78E


class BrokerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Where and for whom to trade. Times are wall seconds unless they end in ``_ns`` (venue time).

    ``account`` is the address traded for (the key's own where empty); ``vault`` a sub-account or vault of it.
    ``nonce_file`` belongs to the key. ``stale_ns``: a market stream silent for longer is given up and made anew.
    ``since_ns``: fills and funding are read from here on (default: a day back); a pod passes its journal's last time.
    ``ip_weight``: this process's share of the 1,200 request weight a minute that one IP address has.
    ``prefixes``: on an account that others trade too, the starts of the cloids whose events are delivered, and
    reduce-only is not asked of the venue, which would hold it against everybody's position: the gate holds it to ours.
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
    since_ns: int | None = None
    ip_weight: int = 1_200
    books: bool = True
    trades: bool = False
    prefixes: tuple[str, ...] = ()


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
        self._weights = Weights(time.monotonic, options.ip_weight)
        self._instruments: dict[str, Instrument] = {}
        self._tasks: list[asyncio.Task[Any]] = []
        self._session: aiohttp.ClientSession | None = None
        self._nonces: Nonces | None = None
        self._stream: Stream | None = None
        self._account: Account | None = None
        self._entry: OrderEntry | None = None
        self._fresh = Freshness(options.coins, options.stale_ns, books=options.books)
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
        since = state.time - DAY_MS if options.since_ns is None else options.since_ns // wire.MS
        self._account = Account(self._rest, self.address, self._deliver, since)
        self._entry = OrderEntry(
            self._rest,
            self._signer,
            self._nonces,
            self._instruments,
            address=self.address,
            source=self._source,
            vault=options.vault,
            deliver=self._deliver,
            shared=bool(options.prefixes),
            fail=self._events.put_nowait,
            now_ns=self._clock.now,
        )
        self._stream = Stream(
            options.url,
            self._subscriptions(),
            on_open=self._opened,
            on_frame=self._frame,
            on_close=self._closed,
            now=time.monotonic,
        )
        for work in (self._stream.run(), self._sweep(), self._chase(), self._watch()):
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
        if self._entry is not None:
            await self._entry.close()
        if self._session is not None:
            await self._session.close()
        if self._nonces is not None:
            self._nonces.close()
            self._nonces = None

    # the market and the account, as events

    async def _opened(self) -> None:
        self._fresh.begin(self._clock.now())
        await self._reconcile()
        assert self._account is not None
        await self._account.budget(self._clock.now())
        now = self._clock.now()
        self._up = True
        self._events.put_nowait(Reconnect(FEED, now))
        self._events.put_nowait(Reconnect(USER_FEED, now))

    def _closed(self, reason: str) -> None:
        # said for every failed try too: whoever starts while the venue is away must know
        self._up = False
        now = self._clock.now()
        self._events.put_nowait(Disconnect(FEED, reason, now))
        self._events.put_nowait(Disconnect(USER_FEED, reason, now))

    def _deliver(self, event: Event) -> None:
        """Pass an account event on, unless it is about somebody else's order on a shared account."""
        cloid = getattr(event, "cloid", None)
        if cloid is None or not self._options.prefixes or cloid.startswith(self._options.prefixes):
            self._events.put_nowait(event)

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
            event = bbo = wire.to_bbo(wire.read_data(frame, wire.BboData), recv)
            self._fresh.bbo(bbo)
        elif channel == "l2Book":
            event = book = wire.to_book(wire.read_data(frame, wire.BookData), recv)
            self._fresh.book(book)
        elif channel == "trades":
            for row in wire.read_data(frame, list[wire.TradeData]):
                self._events.put_nowait(wire.to_trade(row, recv))
            return
        elif channel == "activeAssetCtx":
            event = wire.to_context(wire.read_data(frame, wire.ContextData), self._newest_ns or recv, recv)
            self._events.put_nowait(event)
            return
        elif channel == "userFills":
            data = wire.read_data(frame, wire.FillsData)
            assert self._account is not None
            # the snapshot is history: the sweep that follows every connection brings what is new of it
            if not data.is_snapshot:
                self._account.streamed(data.fills)
            return
        elif channel == "orderUpdates":
            assert self._entry is not None
            for update in wire.read_data(frame, list[wire.OrderUpdate]):
                self._entry.streamed(update)
                self._claimed(update)
            return
        else:
            return
        self._newest_ns = max(self._newest_ns, event.event_ns)
        self._events.put_nowait(event)

    def _claimed(self, update: wire.OrderUpdate) -> None:
        """Remember how much of an order the venue calls filled: those fills must come."""
        assert self._account is not None
        order = update.order
        total = order.orig_sz if update.status == "filled" else order.orig_sz - order.sz
        if total > 0 and not update.status.endswith("Rejected"):
            self._account.owing.claimed(order.oid, total, time.monotonic())

    async def _chase(self) -> None:
        """Fetch fills that updates spoke of and the stream has not brought; a stream that owes is frozen."""
        while True:
            await asyncio.sleep(FILL_GRACE / 2)
            if not self._up or self._account is None or self._stream is None:
                continue
            if self._account.owing.is_late(time.monotonic(), FILL_GRACE):
                try:
                    if await self._account.sweep_fills():
                        self._stream.drop("fills that order updates spoke of came by sweep alone: userFills is frozen")
                except (Retry, VenueRejected):
                    continue

    async def _watch(self) -> None:
        """Give a connection up when one of its market streams has fallen silent while others speak, or all have."""
        while True:
            await asyncio.sleep(1.0)
            if not self._up or self._stream is None:
                continue
            now = self._clock.now()
            late = self._fresh.late(now)
            if late is not None:
                self._fresh.begin(now)
                self._stream.drop(f"stream {late} is stale")

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
        """Send Place, Modify, Cancel and Query commands. Answers come as events, later ones too."""
        if self._entry is None:
            raise NotConnected("the connector was not started")
        await self._entry.send(commands)
