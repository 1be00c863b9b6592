"""Raw Binance USD-M socket lines, ``<local ns> <json>``, as rows: diffs of depth, best prices, trades.

- ``depthUpdate``: each level holds what is told (0: it is gone). ``pu`` of one must be ``u`` of the one before; where
  it is not, updates are missing, both sides are forgotten (CLEAR) and built again from what is told.
- A snapshot (``lastUpdateId``, ``bids``, ``asks``) in the lines or in a file of its own is laid under the diffs: a
  level that a diff after it has told stays. Without one the book is built from what the diffs tell.
- ``bookTicker``: BEST of both sides. ``trade`` (``aggTrade`` where there are no single ones): TRADE; trades that met no
  book (insurance, ADL) are left out and counted.
- The exchange's time is ``T`` (when it happened), of spot streams ``E`` (when it was sent).

Several streams come down one socket out of order: rows are sorted by the exchange's time (trades before the book they
changed, books by update id) within a second, and a row is heard no sooner than the ones before it.
"""

from __future__ import annotations

import gzip
import heapq
from collections import Counter
from collections.abc import Callable, Iterator
from math import gcd
from pathlib import Path
from typing import IO, cast

import msgspec
import numpy as np
import numpy.typing as npt

from slipstream.lob.replay.rows import BEST, CLEAR, DEPTH, MORE, ROW_DTYPE, TRADE
from slipstream.model.errors import ConfigError

Rows = npt.NDArray[np.void]
Levels = list[tuple[str, str]]
Put = tuple[int, int, int, int]  # kind, side, tick, lots
Found = Callable[[int, str, str], None]
"""Called with a line's number, what is wrong with it and what was done."""

SCALE = 10  # decimals kept while a grid is not known yet
WINDOW_NS = 1_000_000_000
CHUNK = 65_536
PEEK = 4_000  # lines that tell the grid and which streams there are
MILLI = 1_000_000


class Message(msgspec.Struct):
    """A message of any stream that is read, and a snapshot; fields as the venue names them."""

    e: str = ""
    E: int = 0
    T: int = 0
    s: str = ""
    U: int = 0
    u: int = 0
    pu: int = 0
    b: Levels | str | int = ""
    B: str = ""
    a: Levels | str | int = ""
    A: str = ""
    p: str = ""
    q: str = ""
    m: bool | None = None
    X: str = ""
    lastUpdateId: int = 0
    bids: Levels = []
    asks: Levels = []
    data: Message | None = None


class Steps(msgspec.Struct, frozen=True):
    """Price and size steps, in units of 10 ** -SCALE."""

    tick: int
    lot: int

    def place(self, px: str) -> int:
        """The tick of a price. Raises ValueError off the grid."""
        ticks, rest = divmod(units(px), self.tick)
        if rest or ticks < 0:
            raise ValueError(f"price {px!r} is not a multiple of the tick size {text_of(self.tick)}")
        return ticks

    def size(self, qty: str) -> int:
        """The lots of a size. Raises ValueError off the grid."""
        lots, rest = divmod(units(qty), self.lot)
        if rest or lots < 0:
            raise ValueError(f"size {qty!r} is not a multiple of the lot {text_of(self.lot)}")
        return lots


_DECODE = msgspec.json.Decoder(Message)


def units(text: str) -> int:
    """A decimal text in units of 10 ** -SCALE. Raises ValueError: no plain decimal, or finer than that."""
    whole, _, part = text.partition(".")
    part = part.rstrip("0")
    if not whole.isascii() or not whole.isdigit() or (part and not (part.isascii() and part.isdigit())):
        raise ValueError(f"{text!r} is not a plain decimal number")
    if len(part) > SCALE:
        raise ValueError(f"{text!r} has more than {SCALE} decimals")
    return int(whole + part.ljust(SCALE, "0"))


def text_of(value: int) -> str:
    """Units as decimal text."""
    whole, part = divmod(value, 10**SCALE)
    decimals = f"{part:0{SCALE}d}".rstrip("0")
    return f"{whole}.{decimals}" if decimals else str(whole)


def open_lines(path: Path) -> IO[bytes]:
    """The lines of a file, unpacked if it is .gz."""
    plain: IO[bytes] = path.open("rb")
    return cast(IO[bytes], gzip.GzipFile(fileobj=plain)) if path.suffix == ".gz" else plain


def read_messages(path: Path, found: Found) -> Iterator[tuple[int, int, Message]]:
    """Number (from 1), local ns and message of every line; bad ones are found and left out.

    Raises ConfigError for a file that cannot be unpacked, OSError.
    """
    number = 0
    with open_lines(path) as lines:
        try:
            for number, line in enumerate(lines, 1):
                stamp, _, body = line.partition(b" ")
                if not stamp.isdigit() or len(stamp) > 19:
                    found(number, f"begins with {stamp[:24]!r}, not with the local time in ns", "dropped")
                    continue
                try:
                    message = _DECODE.decode(body)
                except (msgspec.DecodeError, msgspec.ValidationError) as error:
                    cut = "" if line.endswith(b"\n") else " (the file ends within it)"
                    found(number, f"{error}{cut}", "dropped")
                    continue
                yield number, int(stamp), message.data if message.data is not None else message
        except (EOFError, gzip.BadGzipFile, OSError) as error:
            if isinstance(error, gzip.BadGzipFile | EOFError):
                raise ConfigError(f"{path}: line {number + 1}: the file is cut off or damaged: {error}") from None
            raise


class Look(msgspec.Struct, frozen=True):
    """What the first lines of a file tell: symbols, the grid of each, and whether single trades are told."""

    grids: dict[str, Steps]
    trades: bool


def look(path: Path) -> Look:
    """Read the first lines. The grid is the largest that all their prices and sizes lie on. Raises ConfigError."""
    ticks: dict[str, int] = {}
    lots: dict[str, int] = {}
    trades = False
    for count, (number, _, message) in enumerate(read_messages(path, lambda *_: None)):
        if count >= PEEK:
            break
        trades = trades or message.e == "trade"
        try:
            for px, qty in _pairs(message):
                ticks[message.s] = gcd(ticks.get(message.s, 0), units(px))
                lots[message.s] = gcd(lots.get(message.s, 0), units(qty))
        except ValueError as error:
            raise ConfigError(f"{path}: line {number}: {error}") from None
    grids = {symbol: Steps(tick, lots[symbol]) for symbol, tick in ticks.items() if symbol and tick and lots[symbol]}
    if not grids:
        raise ConfigError(
            f"{path}: no depthUpdate, bookTicker or trade in its first {PEEK} lines of `<local ns> <json>`"
        )
    return Look(grids, trades)


def _pairs(message: Message) -> Iterator[tuple[str, str]]:
    if message.e == "depthUpdate" and isinstance(message.b, list) and isinstance(message.a, list):
        yield from message.b
        yield from message.a
    elif message.e == "bookTicker" and isinstance(message.b, str) and isinstance(message.a, str):
        yield message.b, message.B
        yield message.a, message.A
    elif message.e in ("trade", "aggTrade"):
        yield message.p, message.q


class Feed:
    """Messages of one symbol in, rows in order out. ``counts`` says what was read, repaired and left out."""

    def __init__(self, grid: Steps, found: Found, *, single_trades: bool = True) -> None:
        self.grid = grid
        self.counts: Counter[str] = Counter()
        self._found = found
        self._single = single_trades
        self._books: tuple[dict[int, tuple[int, int]], dict[int, tuple[int, int]]] = ({}, {})
        self._last = 0  # u of the last diff
        self._waiting: list[tuple[int, int, int, int, int, list[Put]]] = []
        self._newest = self._exch = self._local = self._count = 0

    def take(self, number: int, local_ns: int, message: Message) -> None:
        """One message; what cannot be is found and left out."""
        try:
            puts = self._puts(number, message)
        except ValueError as error:
            self._found(number, str(error), "dropped")
            self.counts["messages dropped"] += 1
            return
        if not puts:
            return
        when = (message.T or message.E) * MILLI
        if when <= 0:
            self._found(number, f"{message.e or 'snapshot'} without T or E: nobody knows when it was", "dropped")
            return
        self._newest = max(self._newest, when)
        self._count += 1
        order = 0 if message.e in ("trade", "aggTrade") else 1
        heapq.heappush(self._waiting, (when, order, message.u or message.lastUpdateId, self._count, local_ns, puts))

    def rows(self, *, rest: bool = False) -> Iterator[tuple[int, int, int, int, int, int, int]]:
        """What is a second older than the newest message, or all of the ``rest``, as fields of rows in order."""
        while self._waiting and (rest or self._waiting[0][0] < self._newest - WINDOW_NS):
            when, _, _, _, local_ns, puts = heapq.heappop(self._waiting)
            self.counts["exchange times raised"] += when < self._exch
            self.counts["receive times raised"] += local_ns < self._local
            if local_ns < self._local:
                self.counts["receive times raised by at most, us"] = max(
                    self.counts["receive times raised by at most, us"], (self._local - local_ns) // 1_000
                )
            self._exch, self._local = max(when, self._exch), max(local_ns, self._local)
            last = len(puts) - 1
            for k, (kind, side, tick, lots) in enumerate(puts):
                yield self._exch, self._local, lots, tick, 0, kind if k == last else kind | MORE, side

    def _puts(self, number: int, message: Message) -> list[Put]:
        self.counts[message.e or ("snapshot" if message.lastUpdateId else "other")] += 1
        if message.e == "depthUpdate":
            return self._diff(number, message)
        if message.e == "bookTicker":
            if not isinstance(message.b, str) or not isinstance(message.a, str):
                raise ValueError("bookTicker without best prices")
            best = ((1, message.b, message.B), (-1, message.a, message.A))
            return [(BEST, side, self.grid.place(px), self.grid.size(qty)) for side, px, qty in best]
        if message.e == "trade" or (message.e == "aggTrade" and not self._single):
            return self._trade(message)
        return self._snapshot(message) if message.lastUpdateId else []

    def _trade(self, message: Message) -> list[Put]:
        if message.X not in ("", "MARKET"):
            self.counts[f"trades that met no book ({message.X})"] += 1
            return []
        tick, lots = self.grid.place(message.p), self.grid.size(message.q)
        if message.m is None or tick < 1 or lots < 1:
            raise ValueError(f"trade at {message.p!r} of {message.q!r}, buyer is maker: {message.m}")
        return [(TRADE, -1 if message.m else 1, tick, lots)]

    def _diff(self, number: int, message: Message) -> list[Put]:
        if not isinstance(message.b, list) or not isinstance(message.a, list):
            raise ValueError("depthUpdate without levels")
        levels = [
            (place, self.grid.place(px), self.grid.size(qty))
            for place, side in enumerate((message.b, message.a))
            for px, qty in side
        ]
        if self._last and message.u <= self._last:
            self._found(number, f"depthUpdate u {message.u} is not after {self._last}", "dropped")
            self.counts["updates doubled"] += 1
            return []
        gap = self._last and (message.pu != self._last if message.pu else self._last + 1 < message.U)
        puts: list[Put] = []
        if gap:
            self._found(
                number, f"depthUpdate follows {message.pu or message.U - 1}, the last was {self._last}", "cleared"
            )
            self.counts["gaps"] += 1
            puts += [(CLEAR, 1, -1, 0), (CLEAR, -1, -1, 0)]
            for book in self._books:
                book.clear()
        self._last = message.u
        for place, tick, lots in levels:
            # levels that are gone stay known as such until a snapshot has been laid under them
            self._books[place][tick] = (lots, message.u)
            puts.append((DEPTH, 1 - 2 * place, tick, lots))
        return puts

    def _snapshot(self, message: Message) -> list[Put]:
        """Levels that no later diff has told, and the end of those that it should have held and did not."""
        puts: list[Put] = []
        for place, side in enumerate((message.bids, message.asks)):
            book, told = self._books[place], {self.grid.place(px): self.grid.size(qty) for px, qty in side}
            known = {tick for tick, (_, u) in book.items() if u > message.lastUpdateId}
            reach = (min(told), max(told)) if told else (0, -1)
            gone = [
                tick
                for tick, (lots, _) in book.items()
                if lots and tick not in told and tick not in known and _inside(tick, place, reach)
            ]
            puts += [(DEPTH, 1 - 2 * place, tick, 0) for tick in gone]
            puts += [(DEPTH, 1 - 2 * place, tick, lots) for tick, lots in told.items() if tick not in known]
            for tick in gone:
                del book[tick]
            book.update({tick: (lots, message.lastUpdateId) for tick, lots in told.items() if tick not in known})
        self._last = max(self._last, message.lastUpdateId) if self._last == 0 else self._last
        return puts


def _inside(tick: int, place: int, reach: tuple[int, int]) -> bool:
    """Whether a snapshot would have shown a level: between its best and its last, or better than its best."""
    low, high = reach
    return low <= high and (tick >= low if place == 0 else tick <= high)


def packed(fields: list[tuple[int, int, int, int, int, int, int]]) -> Rows:
    """Fields of rows as an array."""
    return np.array(fields, dtype=ROW_DTYPE)
