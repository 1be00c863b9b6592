"""Hears the public streams of both venues, raw, and hands every frame on with the time of its receipt."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

import msgspec

from slipstream.data.recorder.envelope import Note
from slipstream.model.errors import ConfigError, JournalError, NotConnected
from slipstream.runtime.addresses import is_local
from slipstream.runtime.clock import ScaledClock, WallClock, venue_clock
from slipstream.runtime.config import load
from slipstream.runtime.pacing import paced
from slipstream.strategies.brawler.config import BrawlerConfig
from slipstream.venues.binance.feed import MARKET_URL, PUBLIC_URL, STREAMS, symbol_of
from slipstream.venues.binance.stream import RawStream
from slipstream.venues.hyperliquid.stream import Stream
from slipstream.venues.hyperliquid.wire import Frame

KINDS = ("books", "bbo", "trades", "contexts")
VENUES = ("hl", "binance")
HL_CHANNELS = {"books": "l2Book", "bbo": "bbo", "trades": "trades", "contexts": "activeAssetCtx"}
PUBLIC = {"books": "depth20@100ms", "bbo": "bookTicker"}  # Binance routes prices and trades apart
MARKET = {"trades": "aggTrade", "contexts": "markPrice@1s"}
HL_SUBSCRIPTIONS = 1_000  # of one address at most
SILENT = 15.0  # wall seconds without a frame after which a connection is made anew
BOOKS_SILENT = 30.0  # the same for Hyperliquid's books, which are told again and again


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What to hear, and where. ``symbols`` maps Binance's names to our coins; ``cex_url`` None is Binance itself."""

    symbols: Mapping[str, str]
    hl_url: str
    cex_url: str | None = None
    venues: tuple[str, ...] = VENUES
    kinds: Mapping[str, tuple[str, ...]]

    @property
    def coins(self) -> tuple[str, ...]:
        """Our coins."""
        return tuple(self.symbols.values())

    @property
    def names(self) -> dict[str, dict[str, str]]:
        """Per venue, its symbol -> our coin."""
        known = {"hl": {coin: coin for coin in self.coins}, "binance": dict(self.symbols)}
        return {venue: known[venue] for venue in self.venues}


class Sink(Protocol):
    """Keeps what was heard; each may raise OSError."""

    def frame(self, venue: str, recv_ns: int, raw: bytes) -> None:
        """A frame as the venue sent it."""
        ...

    def note(self, recv_ns: int, note: Note) -> None:
        """A gap of a feed begins or ends."""
        ...

    def flush(self) -> None:
        """Make everything so far survive a kill."""
        ...


def wanted_of(
    config: Path | None,
    *,
    coins: tuple[str, ...] = (),
    hl_url: str | None = None,
    cex_url: str | None = None,
    venues: tuple[str, ...] = VENUES,
    kinds: tuple[str, ...] = KINDS,
) -> Wanted:
    """What flags and Brawler's config ask for; coins that are named replace the config's. Raises ConfigError."""
    _known("--venues", venues, VENUES)
    _known("--streams", kinds, KINDS)
    found = load(config, BrawlerConfig) if config is not None else None
    listed = {entry.symbol: entry.cex_symbol for entry in found.symbols} if found is not None else {}
    chosen = coins or tuple(listed)
    if not chosen:
        raise ConfigError("no coins: name them, such as --coins BTC,ETH, or give a --config that lists symbols")
    if len(set(chosen)) != len(chosen):
        raise ConfigError(f"a coin is named twice: {','.join(chosen)}")
    hl = hl_url or (found.hl_url if found is not None else None)
    if hl is None:
        raise ConfigError("no venue: give --hl-url, or a --config that says hl_url")
    cex = cex_url or (found.cex_url if found is not None else None) or (hl if is_local(hl) else None)
    count = len(chosen) * len(kinds)
    if "hl" in venues and count > HL_SUBSCRIPTIONS:
        raise ConfigError(f"{count} subscriptions are wanted of Hyperliquid, which grants {HL_SUBSCRIPTIONS}")
    symbols = {listed.get(coin) or symbol_of(coin): coin for coin in chosen}
    return Wanted(symbols=symbols, hl_url=hl, cex_url=cex, venues=venues, kinds={"hl": kinds, "binance": kinds})


def _known(flag: str, given: tuple[str, ...], known: tuple[str, ...]) -> None:
    for word in given:
        if word not in known:
            raise ConfigError(f"{flag}: {word!r} is none of {', '.join(known)}")
    if not given:
        raise ConfigError(f"{flag}: nothing named; choose of {', '.join(known)}")


@asynccontextmanager
async def clock_of(url: str) -> AsyncIterator[ScaledClock]:
    """The venue's clock where it is local and may run fast, else the wall's. Raises NotConnected."""
    if not is_local(url):
        yield WallClock()
        return
    clock = await venue_clock(url)
    async with paced(clock, url):
        yield clock


class PublicStreams:
    """Feeds of both venues into a sink, until `hear` is cancelled or the time is over."""

    def __init__(
        self, wanted: Wanted, clock: ScaledClock, sink: Sink, say: Callable[[str], None] = lambda text: None
    ) -> None:
        """``say`` is told when a feed comes or goes, and what a venue complains of."""
        self.frames = dict.fromkeys(wanted.venues, 0)
        self.gaps = 0
        self._wanted = wanted
        self._clock = clock
        self._sink = sink
        self._say = say
        self._reasons = dict.fromkeys(wanted.venues, "no connection")
        self._up: dict[str, bool] = {}
        self._heard: dict[str, float] = {}
        self._trouble: asyncio.Future[None] | None = None

    async def hear(self, seconds: float = 0.0) -> None:
        """Hear for so many seconds of the venue's time; 0: until cancelled.

        Raises JournalError when the sink cannot write, NotConnected when a venue never told anything.
        """
        self._trouble = asyncio.get_running_loop().create_future()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._flush())]
            if "hl" in self._wanted.venues:
                stream = self._hyperliquid()
                tasks += [group.create_task(stream.run()), group.create_task(self._watch(stream))]
            if "binance" in self._wanted.venues:
                tasks += [group.create_task(stream.run()) for stream in self._binance()]
            try:
                until = self._clock.now() + int(seconds * 1e9) if seconds else None
                await self._wait(until)
            finally:
                for task in tasks:
                    task.cancel()
                self._trouble.cancel()
        silent = [f"{venue} ({self._reasons[venue]})" for venue, count in self.frames.items() if not count]
        if silent:
            raise NotConnected(f"nothing came from {', '.join(silent)} in {seconds:g} s")

    async def _wait(self, until_ns: int | None) -> None:
        assert self._trouble is not None
        while until_ns is None or self._clock.now() < until_ns:
            pause = 1.0 if until_ns is None else min(1.0, self._clock.delay(until_ns))
            await asyncio.wait([self._trouble], timeout=pause)
            if self._trouble.done():
                self._trouble.result()

    async def _flush(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            self._keep(self._sink.flush)

    def _keep(self, act: object, *args: object) -> None:
        """Call the sink; its trouble ends the hearing, and must not look like a lost connection to the stream."""
        try:
            act(*args)  # type: ignore[operator]
        except OSError as error:
            assert self._trouble is not None
            if not self._trouble.done():
                what = f"{error.filename}: " if error.filename else ""
                self._trouble.set_exception(JournalError(f"{what}cannot be written: {error.strerror or error}"))

    def _open(self, venue: str, feed: str) -> None:
        self._up[feed] = True
        self._say(f"{feed} is heard")
        self._keep(self._sink.note, self._clock.now(), Note(kind="back", venue=venue, feed=feed))

    def _close(self, venue: str, feed: str, reason: str) -> None:
        self._reasons[venue] = reason
        if self._up.get(feed, True):
            self._say(f"{feed} is not heard: {reason}")
        if self._up.get(feed):
            self.gaps += 1
            self._keep(self._sink.note, self._clock.now(), Note(kind="lost", venue=venue, feed=feed, reason=reason))
        self._up[feed] = False

    def _take(self, venue: str, raw: bytes) -> None:
        self.frames[venue] += 1
        self._keep(self._sink.frame, venue, self._clock.now(), raw)

    def _hyperliquid(self) -> Stream:
        async def opened() -> None:
            self._heard = dict.fromkeys(self._heard, time.monotonic())
            self._open("hl", "hl")

        def frame(found: Frame) -> None:
            if found.channel == "error":
                self._say(f"hl says: {bytes(found.data).decode('utf-8', 'replace')[:300]}")
                return
            self._heard[""] = time.monotonic()
            if found.channel in self._heard:
                self._heard[found.channel] = self._heard[""]
            channel = msgspec.json.encode(found.channel)
            self._take("hl", b'{"channel":%b,"data":%b}' % (channel, bytes(found.data)))

        kinds = self._wanted.kinds["hl"]
        if "books" in kinds:
            self._heard["l2Book"] = time.monotonic()
        self._heard[""] = time.monotonic()
        return Stream(
            self._wanted.hl_url,
            [{"type": HL_CHANNELS[kind], "coin": coin} for kind in kinds for coin in self._wanted.coins],
            on_open=opened,
            on_frame=frame,
            on_close=lambda reason: self._close("hl", "hl", reason),
            now=time.monotonic,
        )

    async def _watch(self, stream: Stream) -> None:
        """Give up a connection that lives and tells nothing."""
        while True:
            await asyncio.sleep(1.0)
            now = time.monotonic()
            for channel, limit in (("", SILENT), ("l2Book", BOOKS_SILENT)):
                if self._up.get("hl") and channel in self._heard and now - self._heard[channel] > limit:
                    stream.drop(f"{channel or 'every stream'} silent for {limit:g} s")

    def _binance(self) -> list[RawStream]:
        base, kinds = self._wanted.cex_url, self._wanted.kinds["binance"]
        market = base.removesuffix("/public") + "/market" if base and base.endswith("/public") else base
        found = []
        for feed, url, words in (
            ("binance.public", base or PUBLIC_URL, PUBLIC),
            ("binance.market", market or MARKET_URL, MARKET),
        ):
            names = [
                f"{name.lower()}@{words[kind]}" for kind in kinds if kind in words for name in self._wanted.symbols
            ]
            for start in range(0, len(names), STREAMS):
                number = start // STREAMS
                found.append(self._raw(f"{feed}.{number}" if number else feed, url, names[start : start + STREAMS]))
        return found

    def _raw(self, feed: str, url: str, names: list[str]) -> RawStream:
        return RawStream(
            url,
            names,
            on_open=lambda: self._open("binance", feed),
            on_frame=lambda raw: self._take("binance", raw),
            on_close=lambda reason: self._close("binance", feed, reason),
            silent=SILENT,
        )
