"""Which market stream has fallen silent while the connection lives: judged by the venue's own event times.

A book is told again and again, changed or not: its age alone condemns it. A best price is told only when it moves, so
where a book is heard too, the best price is stale when a much newer book shows another one.
"""

from __future__ import annotations

from collections.abc import Iterable

from slipstream.model.events import Bbo, L2Book

Top = tuple[float, float]


class Freshness:
    """Newest event times and tops per coin. ``books`` says whether books are subscribed."""

    def __init__(self, coins: Iterable[str], stale_ns: int, *, books: bool) -> None:
        self._coins = tuple(coins)
        self._stale_ns = stale_ns
        self._books = books
        self._bbo: dict[str, tuple[int, Top | None]] = {}
        self._book: dict[str, tuple[int, Top | None]] = {}

    def begin(self, now_ns: int) -> None:
        """A new connection: everything counts as heard now, prices are yet to come."""
        self._bbo = dict.fromkeys(self._coins, (now_ns, None))
        self._book = dict.fromkeys(self._coins, (now_ns, None))

    def bbo(self, event: Bbo) -> None:
        """A best price came."""
        self._bbo[event.coin] = (event.event_ns, (event.bid_px, event.ask_px))

    def book(self, event: L2Book) -> None:
        """A book came."""
        bid = event.bids[0][0] if event.bids else 0.0
        ask = event.asks[0][0] if event.asks else 0.0
        self._book[event.coin] = (event.event_ns, (bid, ask))

    def late(self, now_ns: int) -> str | None:
        """The first stream that is stale, or None."""
        for coin in self._coins:
            bbo_ns, bbo = self._bbo.get(coin, (now_ns, None))
            book_ns, book = self._book.get(coin, (now_ns, None))
            if self._books:
                if now_ns - book_ns > self._stale_ns:
                    return f"l2Book {coin}"
                if book != bbo and book_ns - bbo_ns > self._stale_ns:
                    return f"bbo {coin}"
            elif now_ns - bbo_ns > self._stale_ns:
                return f"bbo {coin}"
        return None
