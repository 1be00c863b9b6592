"""A book made of two dicts that reads a tape's rows, and rows and recordings to read."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from slipstream.data.tape.scale import Grid, Market
from slipstream.lob.replay.rows import BEST, CLEAR, DEPTH, KIND, MORE, ROW_DTYPE, TRADE

MARKET = Market(venue="hl", coin="BTC", grid=Grid(decimals=1), lot="0.00001")
START_NS = 1_757_000_000 * 10**9
MS = 1_000_000
Side = dict[int, int]


class PlainBook:
    """Levels of both sides, as the meaning of each kind says."""

    def __init__(self) -> None:
        self.bids: Side = {}
        self.asks: Side = {}

    def read(self, row: Any) -> None:
        """Let a row act."""
        side, sign, tick = (self.bids if row["side"] > 0 else self.asks), int(row["side"]), int(row["tick"])
        kind = int(row["kind"]) & KIND
        if kind == DEPTH and row["lots"]:
            side[tick] = int(row["lots"])
        elif kind == DEPTH:
            side.pop(tick, None)
        elif kind == BEST:
            for better in [one for one in side if row["lots"] == 0 or sign * one > sign * tick]:
                del side[better]
            if row["lots"]:
                side[tick] = int(row["lots"])
        elif kind == CLEAR:
            for one in [one for one in side if tick < 0 or sign * one >= sign * tick]:
                del side[one]

    def crossed(self) -> bool:
        """Whether a bid is at or above an ask."""
        return bool(self.bids and self.asks) and max(self.bids) >= min(self.asks)


def messages(rows: Any) -> Iterator[Any]:
    """Rows of each message."""
    start = 0
    for at in range(len(rows)):
        if not rows["kind"][at] & MORE:
            yield rows[start : at + 1]
            start = at + 1


def some_rows(n: int, seed: int = 1) -> Any:
    """Legal rows: updates of depth around 1000, and trades."""
    rng = np.random.default_rng(seed)
    rows = np.zeros(n, ROW_DTYPE)
    rows["exch_ns"] = START_NS + np.cumsum(rng.integers(0, 3, n)) * MS
    rows["local_ns"] = np.maximum.accumulate(rows["exch_ns"] + rng.integers(0, 9, n) * MS)
    rows["side"] = rng.choice([1, -1], n)
    rows["tick"] = 1000 - rows["side"] * rng.integers(1, 20, n)
    rows["kind"] = rng.choice([DEPTH, TRADE], n, p=[0.9, 0.1])
    rows["lots"] = rng.integers(0, 50, n) + (rows["kind"] == TRADE)
    return rows


def write_csv(path: Path, header: str, lines: list[str]) -> None:
    """A .csv.gz."""
    path.write_bytes(gzip.compress("\n".join([header, *lines, ""]).encode()))


def book_line(ms: int, bids: list[tuple[float, float]], asks: list[tuple[float, float]], lag_ms: int = 400) -> str:
    """A row of a book recording; as many levels as are given of either side."""
    levels = [f"{b[0]},{b[1]},{a[0]},{a[1]}" for b, a in zip(bids, asks, strict=True)]
    return f"{(ms + lag_ms) / 1e3:.6f},{ms},{ms},{','.join(levels)}"


def book_header(levels: int) -> str:
    """The header of a book recording."""
    names = [f"{side}_{what}_{k}" for k in range(levels) for side in ("bid", "ask") for what in ("price", "size")]
    return ",".join(["timestamp", "sequence", "exchange_timestamp", *names])


def recording(folder: Path, coin: str = "BTC", books: int = 60, seed: int = 3) -> list[tuple[Any, Any]]:
    """A small recording of three files; the books that it tells."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    mid, told, lines, bests, trades = 100_000.0, [], [], [], []
    for k in range(books):
        ms = START_NS // MS + 500 * k
        mid += float(rng.integers(-2, 3))
        bids = [(mid - 1 - i, float(rng.integers(1, 90)) / 1e5) for i in range(4)]
        asks = [(mid + 1 + i, float(rng.integers(1, 90)) / 1e5) for i in range(4)]
        told.append((bids, asks))
        lines.append(book_line(ms, bids, asks))
        later = ms + 250
        for side, (px, _) in (("bid", bids[1]), ("ask", asks[0])):
            bests.append(f"{(later + 390) / 1e3:.6f},{px},{rng.integers(1, 90) / 1e5},{side},{later}")
        trades.append(f"{(later + 410) / 1e3:.6f},{asks[0][0]},0.00003,buy,{1000 + k},{later}")
    write_csv(folder / f"orderbooks_{coin}.csv.gz", book_header(4), lines)
    write_csv(folder / f"prices_{coin}.csv.gz", "timestamp,price,size,side,exchange_timestamp", bests)
    write_csv(folder / f"trades_{coin}.csv.gz", "timestamp,price,size,side,trade_id,exchange_timestamp", trades)
    return told
