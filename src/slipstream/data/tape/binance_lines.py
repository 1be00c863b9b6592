"""Lines of a raw Binance socket, ``<local ns> <json>``: messages, and the grid that their numbers lie on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import gcd
from pathlib import Path

import msgspec

from slipstream.data.tape.fault import TapeError
from slipstream.data.tape.unpacking import DAMAGED, unpacked

Levels = list[tuple[str, str]]
SCALE = 12  # decimals of a number that are kept
PEEK = 4_000  # lines that tell the grid and which streams there are
LONGEST = 1 << 24  # bytes of a line


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
    t: int = 0
    m: bool | None = None
    X: str = ""
    lastUpdateId: int = 0
    bids: Levels = []
    asks: Levels = []
    data: Message | None = None


class Steps(msgspec.Struct, frozen=True):
    """Price and size steps of a symbol, in units of 10 ** -SCALE."""

    tick: int
    lot: int

    def place(self, px: str) -> int:
        """The tick of a price. Raises ValueError off the grid."""
        ticks, rest = divmod(units(px), self.tick)
        if rest:
            raise ValueError(f"price {px!r} is not a multiple of {text_of(self.tick)}")
        return ticks

    def size(self, qty: str) -> int:
        """The lots of a size. Raises ValueError off the grid."""
        lots, rest = divmod(units(qty), self.lot)
        if rest:
            raise ValueError(f"size {qty!r} is not a multiple of {text_of(self.lot)}")
        return lots


class Look(msgspec.Struct, frozen=True):
    """What the first lines of a file tell: the grid of each symbol, and whether single trades are told."""

    grids: dict[str, Steps]
    trades: bool


_DECODE = msgspec.json.Decoder(Message)
Bad = Callable[[int, str], None]


def units(text: str) -> int:
    """A decimal text in units of 10 ** -SCALE. Raises ValueError: no plain decimal, or finer than that."""
    whole, _, part = text.partition(".")
    part = part.rstrip("0")
    if not (whole.isascii() and whole.isdigit()) or (part and not (part.isascii() and part.isdigit())):
        raise ValueError(f"{text[:40]!r} is not a plain decimal number")
    if len(part) > SCALE or len(whole) > 15:
        raise ValueError(f"{text[:40]!r} has more than {SCALE} decimals, or is no amount")
    return int(whole + part.ljust(SCALE, "0"))


def text_of(value: int) -> str:
    """Units as decimal text."""
    whole, part = divmod(value, 10**SCALE)
    decimals = f"{part:0{SCALE}d}".rstrip("0")
    return f"{whole}.{decimals}" if decimals else str(whole)


def read_messages(
    path: Path, bad: Bad, progress: Callable[[int], None] = lambda _: None
) -> Iterator[tuple[int, int, Message]]:
    """Row (from 1), local ns and message of every line; rows that are none are told to ``bad`` with the reason.

    ``progress`` hears how many bytes of the file are read. Raises TapeError for a file that is damaged, OSError.
    """
    row = 0
    with path.open("rb") as plain:
        lines = unpacked(plain, path)
        try:
            while line := lines.readline(LONGEST):
                row += 1
                if row % 4_096 == 0:
                    progress(plain.tell())
                stamp, _, body = line.partition(b" ")
                if not stamp.isdigit() or not 1 <= len(stamp) <= 19 or int(stamp) >= 2**63:
                    bad(row, f"begins with {stamp[:24]!r}, not with the local time in ns")
                    continue
                try:
                    message = _DECODE.decode(body)
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                    cut = "" if line.endswith(b"\n") else "; the line does not end"
                    bad(row, f"{error}{cut}")
                    continue
                yield row, int(stamp), message.data if message.data is not None else message
        except DAMAGED as error:
            raise TapeError(f"{path}: row {row + 1}: cut off or damaged: {error}") from None
    progress(path.stat().st_size)


def look(path: Path) -> Look:
    """Read the first lines. A grid is the largest that all prices and sizes of its symbol lie on. Raises TapeError."""
    ticks: dict[str, int] = {}
    lots: dict[str, int] = {}
    trades = False
    for count, (_, _, message) in enumerate(read_messages(path, lambda *_: None)):
        if count >= PEEK:
            break
        trades = trades or message.e == "trade"
        for px, qty in _pairs(message):
            try:
                tick, lot = units(px), units(qty)
            except ValueError:
                continue  # told, with its row, when it is read
            ticks[message.s] = gcd(ticks.get(message.s, 0), tick)
            lots[message.s] = gcd(lots.get(message.s, 0), lot)
    grids = {symbol: Steps(tick, lots[symbol]) for symbol, tick in ticks.items() if symbol and tick and lots[symbol]}
    if not grids:
        raise TapeError(f"{path}: no depthUpdate, bookTicker or trade in its first {PEEK} rows of `<local ns> <json>`")
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
