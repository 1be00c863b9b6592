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
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from slipstream.data.tape.fault import TapeError
from slipstream.data.tape.scale import Market, to_lots
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

    def __init__(self, where: str, market: Market) -> None:
        self.counts: Counter[str] = Counter()
        self._where = where
        self._grid = market.grid
        self._lot = Decimal(market.lot)
        self._exch = self._local = -(2**62)

    def rows(self, first: int, events: npt.NDArray[np.void]) -> Rows:
        """The rows of a chunk whose first event has this place."""
        ev = events["ev"].astype(np.int64)
        told = (ev & ON_EXCHANGE) != 0
        self.counts["events for our side only"] += int((~told & ((ev & ON_LOCAL) != 0)).sum())
        self.counts["events for the exchange only"] += int((told & ((ev & ON_LOCAL) == 0)).sum())
        places = first + np.flatnonzero(told)
        kept, ev = events[told], ev[told]
        rows = np.zeros(kept.size, ROW_DTYPE)
        what = ev & WHAT
        self._refuse(places, ~np.isin(what, tuple(KIND_OF)), "a kind of event that is none of a level-2 tape's")
        for code, kind in KIND_OF.items():
            rows["kind"][what == code] = kind
        rows["side"] = np.where(ev & BUY, 1, -1)
        self._refuse(places, ((ev & BUY) != 0) == ((ev & SELL) != 0), "neither BUY nor SELL, or both")
        clear = rows["kind"] == CLEAR
        whole = clear & ~(kept["px"] > 0.0)
        rows["tick"], wrong = self._grid.ticks(np.where(whole, np.nan, kept["px"]))
        self._refuse(places, wrong & ~whole, "a price off the grid; say --tick")
        rows["tick"][whole] = -1
        rows["lots"], wrong = to_lots(np.where(clear, 0.0, kept["qty"]), self._lot)
        self._refuse(places, wrong, "a size that is not in whole lots; say --lot")
        rows["exch_ns"], rows["local_ns"] = kept["exch_ts"], kept["local_ts"]
        return self._in_order(places, rows)

    def _in_order(self, places: npt.NDArray[np.int64], rows: Rows) -> Rows:
        if not rows.size:
            return rows
        before = np.concatenate([[self._exch], rows["exch_ns"][:-1]])
        self._refuse(places, rows["exch_ns"] < before, "the exchange's time goes back; sort the events")
        heard = np.maximum(np.maximum.accumulate(rows["local_ns"]), self._local)
        self.counts["receive times raised"] += int((heard > rows["local_ns"]).sum())
        rows["local_ns"] = heard
        self._exch, self._local = int(rows["exch_ns"][-1]), int(heard[-1])
        return rows

    def _refuse(self, places: npt.NDArray[np.int64], wrong: npt.NDArray[np.bool_], why: str) -> None:
        if wrong.any():
            raise TapeError(f"{self._where}: event {int(places[np.argmax(wrong)])}: {why}")


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
    """Rows as ``data`` of a new .npz, in the memory of two chunks; returns how many events. Raises TapeError, OSError.

    Chunks are read once: the array's length, which stands before it, is filled in at the end.
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
