"""The kernel's picture of the market: newest prices by venue and coin, and which feeds are alive."""

from __future__ import annotations

from decimal import Decimal

from slipstream.model.events import (
    AssetContext,
    Bbo,
    Candle,
    Disconnect,
    Event,
    L2Book,
    Reconnect,
    Timer,
    Trade,
    Unknown,
)

HOME = "hl"  # the venue we trade on


class Market:
    """A fold of public events. Time only moves on our own stamps, so that a venue's clock cannot push it."""

    def __init__(self) -> None:
        self.now_ns = 0
        self._bbo: dict[tuple[str, str], Bbo] = {}
        self._book: dict[tuple[str, str], L2Book] = {}
        self._context: dict[str, AssetContext] = {}
        self._fresh_ns: dict[tuple[str, str], int] = {}
        self._feed_ns: dict[str, int] = {}
        self._down: dict[str, str] = {}

    def clear(self, now_ns: int) -> None:
        """Forget everything: prices from before a start must not be traded on."""
        self.__init__()  # type: ignore[misc]
        self.now_ns = now_ns

    def fold(self, event: Event) -> None:
        """Take one event; those that are not public data only move the clock, or nothing."""
        if isinstance(event, Bbo | L2Book | AssetContext):
            key = (event.venue, event.coin)
            if isinstance(event, Bbo):
                self._bbo[key] = event
            elif isinstance(event, L2Book):
                self._book[key] = event
            elif event.venue == HOME:
                self._context[event.coin] = event
            self._fresh_ns[key] = max(self._fresh_ns.get(key, 0), min(event.event_ns, event.recv_ns))
            self._heard(event.venue, event.recv_ns)
        elif isinstance(event, Candle):
            self._advance(event.recv_ns)
        elif isinstance(event, Trade):
            self._heard(event.venue, event.recv_ns)
        elif isinstance(event, Disconnect):
            self._down[event.feed] = event.reason
            self._advance(event.ns)
        elif isinstance(event, Reconnect):
            self._down.pop(event.feed, None)
            self._heard(event.feed, event.ns)
        elif isinstance(event, Timer | Unknown):
            self._advance(event.ns)

    def _advance(self, ns: int) -> None:
        self.now_ns = max(self.now_ns, ns)

    def _heard(self, feed: str, ns: int) -> None:
        self._feed_ns[feed] = ns
        self._advance(ns)

    def heard(self, feed: str) -> None:
        """A private feed proved itself alive by an event of its own."""
        self._feed_ns[feed] = self.now_ns

    def bbo(self, venue: str, coin: str) -> Bbo | None:
        """The newest best bid and offer, or None."""
        return self._bbo.get((venue, coin))

    def book(self, venue: str, coin: str) -> L2Book | None:
        """The newest book, or None."""
        return self._book.get((venue, coin))

    def context(self, coin: str) -> AssetContext | None:
        """The newest mark, oracle and funding of a coin where we trade, or None."""
        return self._context.get(coin)

    def feed_trouble(self, feed: str) -> str | None:
        """Why a feed may not be relied on, or None: disconnected, or never heard since the start."""
        if feed in self._down:
            return f"{feed} is disconnected: {self._down[feed]}"
        return None if feed in self._feed_ns else f"{feed} has not been heard yet"

    def is_connected(self, feed: str, max_age_ns: int) -> bool:
        """Whether a feed is connected and, if it carries prices, has spoken within ``max_age_ns``."""
        if self.feed_trouble(feed) is not None:
            return False
        return feed.endswith(".user") or self.now_ns - self._feed_ns[feed] <= max_age_ns

    def age_ns(self, coin: str) -> int | None:
        """Age of the newest price of a coin where we trade, or None if there is none."""
        fresh = self._fresh_ns.get((HOME, coin))
        return None if fresh is None else self.now_ns - fresh

    def reference(self, coin: str) -> Decimal | None:
        """The price to measure orders and exposure against: our venue's mid, else its mark; None without either."""
        bbo = self._bbo.get((HOME, coin))
        px = bbo.mid if bbo is not None else 0.0
        if not px > 0.0:
            context = self._context.get(coin)
            px = context.mark_px if context is not None else 0.0
        return Decimal(repr(px)) if 0.0 < px < float("inf") else None
