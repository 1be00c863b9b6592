"""Event arrays of hftbacktest (.npz with ``data``, or .npy) as rows, and rows as such an array.

An event there is ``(ev, exch_ts, local_ts, px, qty, order_id, ival, fval)``; the low byte of ``ev`` says what, the high
bits for whom: an event that both sides see in one order stands once with both bits, others twice. The exchange's
entries are the rows, in the exchange's order; each is heard when it says, and no sooner than the one before it.
Level updates stand alone there: every row is a message of its own.
"""

from __future__ import annotations

import io
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from math import gcd
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from slipstream.data.tape.binance_lines import text_of, units
from slipstream.data.tape.fault import TapeError
from slipstream.data.tape.findings import Findings
from slipstream.data.tape.header import Finding
from slipstream.data.tape.hearing import Hearing
from slipstream.data.tape.origin import source_of
from slipstream.data.tape.scale import Grid, Market, to_lots
from slipstream.data.tape.terms import Made, Report, Terms
from slipstream.data.tape.writer import TapeWriter
from slipstream.lob.replay.rows import BEST, CLEAR, DEPTH, KIND, ROW_DTYPE, TRADE

Rows = npt.NDArray[np.void]
EVENT_DTYPE = np.dtype(
    [
        ("ev", np.uint64),
        ("exch_ts", np.int64),
        ("local_ts", np.int64),
        ("px", np.float64),
        ("qty", np.float64),
        ("order_id", np.uint64),
        ("ival", np.int64),
        ("fval", np.float64),
    ]
)
ON_EXCHANGE, ON_LOCAL, BUY, SELL = 1 << 31, 1 << 30, 1 << 29, 1 << 28
WHAT = 0xFF
KIND_OF = {1: DEPTH, 2: TRADE, 3: CLEAR, 4: DEPTH, 5: BEST}
EV_OF = {DEPTH: 1, TRADE: 2, CLEAR: 3, BEST: 5}
CHUNK = 1 << 18
VENUE = "hftbacktest"


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """The .npy inside. Raises TapeError."""
    if path.suffix == ".npz":
        try:
            with zipfile.ZipFile(path) as box:
                names = box.namelist()
                if "data.npy" not in names:
                    raise TapeError(f"{path}: holds {', '.join(names[:5]) or 'nothing'}; hftbacktest's array is `data`")
                with box.open("data.npy") as inside:
                    yield inside
        except zipfile.BadZipFile as error:
            raise TapeError(f"{path}: not an .npz file, or cut off: {error}") from None
    else:
        with path.open("rb") as plain:
            yield plain


def read_events(path: Path) -> Iterator[tuple[int, npt.NDArray[np.void]]]:
    """Place of the first and events, chunk by chunk. Raises TapeError: not such an array, cut off; OSError."""
    with _opened(path) as source:
        try:
            version = np.lib.format.read_magic(source)
            read: Any = (
                np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            )
            shape, _, dtype = read(source)
        except ValueError as error:
            raise TapeError(f"{path}: not a numpy array: {error}") from None
        if dtype != EVENT_DTYPE or len(shape) != 1:
            raise TapeError(f"{path}: an array {shape} of {dtype}; hftbacktest's events are one of {EVENT_DTYPE}")
        for first in range(0, shape[0], CHUNK):
            wanted = min(CHUNK, shape[0] - first) * dtype.itemsize
            data = _exactly(source, wanted, f"{path}: event {first}")
            yield first, np.frombuffer(data, EVENT_DTYPE)


def _exactly(source: IO[bytes], size: int, where: str) -> bytes:
    parts, left = [], size
    while left:
        try:
            part = source.read(left)
        except (zipfile.BadZipFile, EOFError, OSError) as error:
            raise TapeError(f"{where}: damaged: {error}") from None
        if not part:
            raise TapeError(f"{where}: the file is cut off; {left} bytes are missing")
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


class Reading:
    """Events in, rows out. ``counts`` says what was left out or moved. Raises TapeError naming the event."""

    def __init__(self, where: str, market: Market, hearing: Hearing) -> None:
        self.counts: Counter[str] = Counter()
        self._where, self._hearing = where, hearing
        self._grid, self._lot = market.grid, Decimal(market.lot)
        self._exch = -(2**62)

    def rows(self, first: int, events: Rows) -> Rows:
        """The rows of a chunk whose first event has this place."""
        ev = events["ev"].astype(np.int64)
        told = (ev & ON_EXCHANGE) != 0
        self.counts["an event for our side alone"] += int((~told & ((ev & ON_LOCAL) != 0)).sum())
        self.counts["an event for neither side"] += int((~told & ((ev & ON_LOCAL) == 0)).sum())
        places = first + np.flatnonzero(told)
        kept, ev = events[told], ev[told]
        rows = np.zeros(kept.size, ROW_DTYPE)
        what = ev & WHAT
        self._refuse(places, ~np.isin(what, tuple(KIND_OF)), "a kind of event that a level-2 tape does not have")
        for code, kind in KIND_OF.items():
            rows["kind"][what == code] = kind
        rows["side"] = np.where(ev & BUY, 1, -1)
        self._refuse(places, ((ev & BUY) != 0) == ((ev & SELL) != 0), "neither BUY nor SELL, or both")
        clear = rows["kind"] == CLEAR
        whole = clear & ~(kept["px"] > 0.0)
        ticks, wrong = self._grid.ticks(np.where(whole, np.nan, kept["px"]))
        self._refuse(places, wrong & ~whole, "a price off the grid; tell the tick size: --tick-size COIN=0.1")
        rows["tick"] = np.where(whole, -1, ticks)
        rows["lots"], wrong = to_lots(np.where(clear, 0.0, kept["qty"]), self._lot)
        self._refuse(places, wrong, "a size that is not in whole lots; tell them: --size-decimals COIN=3")
        self._refuse(places, (rows["kind"] == TRADE) & (rows["lots"] == 0), "a trade of no size")
        rows["exch_ns"], rows["local_ns"] = kept["exch_ts"], kept["local_ts"]
        if rows.size:
            before = np.concatenate([[self._exch], rows["exch_ns"][:-1]])
            self._refuse(places, rows["exch_ns"] < before, "the exchange's time goes back; sort the events first")
            self._exch = int(rows["exch_ns"][-1])
            self._hearing.put(rows, places)
        return rows

    def _refuse(self, places: npt.NDArray[np.int64], wrong: npt.NDArray[np.bool_], why: str) -> None:
        if wrong.any():
            raise TapeError(f"{self._where}: event {int(places[np.argmax(wrong)])}: {why}")


def convert(source: Path, to: Path, terms: Terms) -> Report:
    """A file of events as the tape of one coin, which ``terms.coins`` may name; else the file's name does.

    Raises TapeError (file, event, reason), OSError.
    """
    if source.is_dir():
        raise TapeError(f"{source}: give one .npz file; days of one coin can be joined with numpy before")
    if len(terms.coins) > 1:
        raise TapeError(f"{source}: holds one coin's events; --coins names {len(terms.coins)}")
    coin = terms.coins[0] if terms.coins else source.name.partition(".")[0]
    market = _market(source, coin, terms)
    found = Findings([source.name], strict=terms.strict)
    hearing = Hearing(terms, found)
    reading = Reading(source.name, market, hearing)
    total = source.stat().st_size
    with TapeWriter.asked(to, market, terms, "hftbacktest") as writer:
        for first, events in read_events(source):
            writer.append(reading.rows(first, events))
            terms.progress(min(total, (first + len(events)) * EVENT_DTYPE.itemsize), total, "read")
        if not writer.rows:
            raise TapeError(f"{source}: no event of the exchange in it")
        passed = tuple(Finding(reason=why, action="dropped", count=n) for why, n in reading.counts.items() if n)
        writer.findings, writer.clock = (*found.list(), *passed), hearing.clock()
        writer.sources = (source_of(source),)
    return Report(format="hftbacktest", made=(Made(folder=writer.folder, header=writer.header()),))


def _market(source: Path, coin: str, terms: Terms) -> Market:
    """The grid as it was told, else the largest that the first events lie on. Raises TapeError."""
    first = next((events for _, events in read_events(source)), np.zeros(0, EVENT_DTYPE))
    tick = terms.tick_sizes.get(coin) or _step(first["px"], source, "price")
    decimals = terms.size_decimals.get(coin)
    lot = _step(first["qty"], source, "size") if decimals is None else str(Decimal(1).scaleb(-decimals))
    return Market(venue=terms.venue or VENUE, coin=coin, grid=Grid(tick_size=tick), lot=lot)


def _step(values: npt.NDArray[np.float64], source: Path, what: str) -> str:
    whole = [units(format(Decimal(repr(float(one))), "f")) for one in np.unique(values[values > 0.0]) if one < 1e15]
    if not whole:
        raise TapeError(f"{source}: no {what} in its first {CHUNK} events")
    return text_of(gcd(*whole))


def events_of(rows: Rows, market: Market) -> npt.NDArray[np.void]:
    """Rows as events, seen by both sides. Funding has no word there and is left out."""
    kind = rows["kind"] & KIND
    kept = np.isin(kind, tuple(EV_OF))
    rows, kind = rows[kept], kind[kept]
    out = np.zeros(rows.size, EVENT_DTYPE)
    codes = np.zeros(KIND + 1, np.int64)
    for one, code in EV_OF.items():
        codes[one] = code
    side = np.where(rows["side"] > 0, BUY, SELL)
    out["ev"] = (codes[kind] | side | ON_EXCHANGE | ON_LOCAL).astype(np.uint64)
    out["exch_ts"], out["local_ts"] = rows["exch_ns"], rows["local_ns"]
    priced = rows["tick"] > 0
    out["px"][priced] = market.grid.prices(rows["tick"][priced])
    out["qty"] = lots_to_sizes(rows["lots"], market.lot)
    return out


def lots_to_sizes(lots: npt.NDArray[np.int64], lot: str) -> npt.NDArray[np.float64]:
    """Sizes in base coin, each the float nearest to its decimal."""
    unique, back = np.unique(lots, return_inverse=True)
    values = np.array([float(int(one) * Decimal(lot)) for one in unique], np.float64)
    out: npt.NDArray[np.float64] = values[back] if unique.size else np.zeros(0)
    return out


def write_events(path: Path, chunks: Iterable[Rows], market: Market) -> int:
    """Rows as ``data`` of a new .npz; returns how many events. Raises TapeError, OSError.

    Chunks are read once, in bounded memory: they lie unpacked beside the file until their number is known.
    """
    if path.suffix != ".npz":
        raise TapeError(f"{path}: hftbacktest reads .npz; name the file so")
    fresh, count = path.with_name(f".{path.name}.part"), 0
    raw = path.with_name(f".{path.name}.raw")
    try:
        with raw.open("wb") as plain:
            for rows in chunks:
                events = events_of(rows, market)
                plain.write(events.tobytes())
                count += events.size
        head = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            head, {"descr": np.lib.format.dtype_to_descr(EVENT_DTYPE), "fortran_order": False, "shape": (count,)}
        )
        with (
            zipfile.ZipFile(fresh, "w", zipfile.ZIP_DEFLATED) as box,
            box.open("data.npy", "w", force_zip64=True) as to,
        ):
            to.write(head.getvalue())
            with raw.open("rb") as plain:
                while part := plain.read(1 << 22):
                    to.write(part)
        fresh.replace(path)
    finally:
        raw.unlink(missing_ok=True)
        fresh.unlink(missing_ok=True)
    return count
