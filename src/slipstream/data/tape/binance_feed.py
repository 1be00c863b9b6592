"""Binance's messages of one symbol as rows in the exchange's order."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator

from slipstream.data.tape.binance_lines import Levels, Message, Steps
from slipstream.data.tape.findings import BAD_NUMBER, SKIPPED, TOO_LATE, TWICE, UNREADABLE, Findings
from slipstream.data.tape.scale import MAX_LOTS, MAX_TICK
from slipstream.lob.replay.rows import BEST, CLEAR, DEPTH, MORE, TRADE

Put = tuple[int, int, int, int]  # kind, side, tick, lots
Fields = tuple[int, int, int, int, int, int, int]  # exch_ns, local_ns, lots, tick, kind, side, place
MILLI = 1_000_000
PRUNE = 1 << 18  # levels of a side, those that are gone too, above which the gone are forgotten


class Feed:
    """Messages of one symbol in, rows in order out. ``counts`` are messages by kind, and what was passed over."""

    def __init__(self, steps: Steps, found: Findings, *, window_ns: int, single_trades: bool) -> None:
        """``single_trades``: the stream tells them, so that aggregated ones would count twice."""
        self.counts: Counter[str] = Counter()
        self._steps, self._found, self._window, self._single = steps, found, window_ns, single_trades
        self._books: tuple[dict[int, tuple[int, int]], dict[int, tuple[int, int]]] = ({}, {})
        self._last = self._last_trade = 0  # u of the last diff, t of the last trade
        self._waiting: list[tuple[int, int, int, int, int, int, list[Put]]] = []
        self._newest = self._passed = self._count = 0

    def take(self, place: int, local_ns: int, message: Message) -> None:
        """One message; what cannot be is found and left out. Raises TapeError under ``strict``."""
        try:
            puts = self._puts(place, message)
        except ValueError as error:
            self._found.tell(BAD_NUMBER, [f"{self._found.where(place)}: {error}"])
            return
        if not puts:
            return
        when = (message.T or message.E) * MILLI
        if not 0 < when < 2**62:
            self._found.tell(UNREADABLE, [f"{self._found.where(place)}: neither T nor E says when it was"])
            return
        if when < self._passed:
            self._found.note(TOO_LATE, [place])
            return
        self._newest = max(self._newest, when)
        self._count += 1
        # trades before the book that they changed, books by their update id
        order = (0, 0) if puts[0][0] == TRADE else (1, message.u or message.lastUpdateId)
        heapq.heappush(self._waiting, (when, *order, self._count, local_ns, place, puts))

    def rows(self, *, rest: bool = False) -> Iterator[Fields]:
        """What nothing can come before any more, or all of the ``rest``, in order."""
        while self._waiting and (rest or self._waiting[0][0] < self._newest - self._window):
            when, _, _, _, local_ns, place, puts = heapq.heappop(self._waiting)
            self._passed = when
            last = len(puts) - 1
            for k, (kind, side, tick, lots) in enumerate(puts):
                yield when, local_ns, lots, tick, kind if k == last else kind | MORE, side, place

    def _puts(self, place: int, message: Message) -> list[Put]:
        self.counts[message.e or ("snapshot" if message.lastUpdateId else "other")] += 1
        if message.e == "depthUpdate":
            return self._diff(place, message)
        if message.e == "bookTicker":
            return self._best(message)
        if message.e == "trade" or (message.e == "aggTrade" and not self._single):
            return self._trade(place, message)
        return self._snapshot(message) if message.lastUpdateId and not message.e else []

    def _level(self, px: str, qty: str) -> tuple[int, int]:
        tick, lots = self._steps.place(px), self._steps.size(qty)
        if not 0 < tick <= MAX_TICK or lots > MAX_LOTS:
            raise ValueError(f"price {px!r}, size {qty!r}")
        return tick, lots

    def _best(self, message: Message) -> list[Put]:
        if not isinstance(message.b, str) or not isinstance(message.a, str):
            raise ValueError("a bookTicker without best prices")
        puts = []
        for side, px, qty in ((1, message.b, message.B), (-1, message.a, message.A)):
            lots = self._steps.size(qty)
            puts.append((BEST, side, *(self._level(px, qty) if lots else (-1, 0))))
        if min(puts[0][2], puts[1][2]) > 0 and puts[0][2] >= puts[1][2]:
            raise ValueError(f"a bookTicker whose bid {message.b} is not below its ask {message.a}")
        return puts

    def _trade(self, place: int, message: Message) -> list[Put]:
        if message.X not in ("", "MARKET"):
            self.counts[f"trades that met no book ({message.X[:20]})"] += 1
            return []
        number = message.t if message.e == "trade" else message.a
        if isinstance(number, int) and number:
            if number <= self._last_trade:
                self._found.note(TWICE, [place])
                return []
            if self._last_trade and number > self._last_trade + 1:
                self._found.note(SKIPPED, [place])
            self._last_trade = number
        tick, lots = self._level(message.p, message.q)
        if message.m is None or lots < 1:
            raise ValueError(f"a trade of {message.q!r}, buyer is maker: {message.m}")
        return [(TRADE, -1 if message.m else 1, tick, lots)]

    def _diff(self, place: int, message: Message) -> list[Put]:
        if not isinstance(message.b, list) or not isinstance(message.a, list):
            raise ValueError("a depthUpdate without levels")
        levels = [[self._level(*pair) for pair in side] for side in (message.b, message.a)]
        if self._last and message.u <= self._last:
            self._found.tell(TWICE, [f"{self._found.where(place)}: update {message.u} is not after {self._last}"])
            return []
        puts: list[Put] = []
        follows = message.pu if message.pu else message.U - 1
        if self._last and (follows != self._last if message.pu else follows > self._last):
            text = f"follows update {follows}, the last was {self._last}: the book is forgotten"
            self._found.tell(SKIPPED, [f"{self._found.where(place)}: {text}"])
            puts += [(CLEAR, 1, -1, 0), (CLEAR, -1, -1, 0)]
            for book in self._books:
                book.clear()
        self._last = message.u
        for k, side in enumerate(levels):
            book = self._books[k]
            for tick, lots in side:
                # levels that are gone stay known as such: a snapshot may still tell of them
                book[tick] = (lots, message.u)
                puts.append((DEPTH, 1 - 2 * k, tick, lots))
            if len(book) > PRUNE:
                self._books[k].update(_forget(book))
        return puts

    def _snapshot(self, message: Message) -> list[Put]:
        """Levels that no later diff has told, and the end of those that it should have held and did not."""
        puts: list[Put] = []
        for k, side in enumerate((message.bids, message.asks)):
            puts += self._laid(k, side, message.lastUpdateId)
        self._last = self._last or message.lastUpdateId
        return puts

    def _laid(self, k: int, side: Levels, update: int) -> list[Put]:
        book, told = self._books[k], dict(self._level(*pair) for pair in side)
        if not told:
            return []
        later = {tick for tick, (_, u) in book.items() if u > update}
        # it would have shown every level from its best to its last, and better ones
        sign = 1 - 2 * k
        end = min(sign * tick for tick in told)
        gone = [t for t, (lots, _) in book.items() if lots and t not in told and t not in later and sign * t >= end]
        for tick in gone:
            del book[tick]
        new = {tick: (lots, update) for tick, lots in told.items() if tick not in later}
        book.update(new)
        return [(DEPTH, sign, t, 0) for t in gone] + [(DEPTH, sign, t, lots) for t, (lots, _) in new.items()]


def _forget(book: dict[int, tuple[int, int]]) -> dict[int, tuple[int, int]]:
    """Takes away the levels that are gone."""
    kept = {tick: told for tick, told in book.items() if told[0]}
    book.clear()
    return kept
