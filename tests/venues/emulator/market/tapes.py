"""Small recordings written for a test."""

from __future__ import annotations

import gzip
from pathlib import Path

START_MS = 1_757_015_216_000
BOOK_HEADER = "timestamp,sequence,exchange_timestamp," + ",".join(
    f"{side}_{field}_{k}" for k in range(3) for side in ("bid", "ask") for field in ("price", "size")
)
TRADE_HEADER = "timestamp,price,size,side,trade_id,exchange_timestamp"
PRICE_HEADER = "timestamp,price,size,side,exchange_timestamp"


def book_row(ms: int, bids: list[tuple[float, float]], asks: list[tuple[float, float]]) -> str:
    """One row of a book recording, three levels a side; a missing level is left empty."""
    time = START_MS + ms
    fields = [f"{time / 1e3}", str(time), str(time)]
    for k in range(3):
        for side in (bids, asks):
            fields += [str(side[k][0]), str(side[k][1])] if k < len(side) else ["", ""]
    return ",".join(fields)


def trade_row(ms: int, px: float, sz: float, side: str, tid: int) -> str:
    """One row of a trade recording."""
    return f"{(START_MS + ms) / 1e3},{px},{sz},{side},{tid},{START_MS + ms}"


def price_row(ms: int, px: float, sz: float, side: str) -> str:
    """One row of a best-price recording."""
    return f"{(START_MS + ms) / 1e3},{px},{sz},{side},{START_MS + ms}"


def write(folder: Path, name: str, header: str, rows: list[str]) -> Path:
    """Write ``name``.csv.gz."""
    path = folder / f"{name}.csv.gz"
    path.write_bytes(gzip.compress("\n".join([header, *rows, ""]).encode()))
    return path


BIDS = [(200.0, 5.0), (199.99, 4.0), (199.98, 3.0)]
ASKS = [(200.02, 6.0), (200.03, 2.0), (200.05, 1.0)]


def write_sol(
    folder: Path, books: list[str] | None = None, trades: list[str] | None = None, prices: list[str] | None = None
) -> Path:
    """A recording of SOL (two size decimals): by default two equal books a second apart and one small trade."""
    write(folder, "orderbooks_SOL", BOOK_HEADER, books or [book_row(0, BIDS, ASKS), book_row(1_000, BIDS, ASKS)])
    write(folder, "trades_SOL", TRADE_HEADER, trades or [trade_row(500, 200.02, 1.0, "buy", 1)])
    if prices is not None:
        write(folder, "prices_SOL", PRICE_HEADER, prices)
    return folder
