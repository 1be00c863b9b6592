"""Segments made into Parquet tables: ``venue=/stream=/coin=/date=``, a file a segment, rows in the order of receipt.

Streams and columns (times in ns, UTC; ``date`` is that of receipt):

- ``bbo``: event_ns, recv_ns, bid_px, bid_sz, ask_px, ask_sz
- ``books``: event_ns, recv_ns, and lists bid_px, bid_sz, ask_px, ask_sz, best first
- ``trades``: event_ns, recv_ns, px, sz, side (the aggressor's), tid
- ``contexts``: event_ns, recv_ns, mark_px, oracle_px, funding, open_interest
- ``gaps`` (coin ``ALL``): recv_ns, kind, feed, reason: the recorder's notes

Compaction may be run again, and killed, at any time: a file is named by its segment and replaced whole, and a segment
is set aside only after its rows are in. A trade's id comes once in a partition: a venue repeats its last trades after a
reconnect.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec

from slipstream.data.recorder.envelope import LineError, Note, read_line, time_text
from slipstream.data.recorder.folder import closed_segments
from slipstream.data.recorder.frames import Heard, read_frame
from slipstream.data.recorder.segment import ENDING, read_lines, torn_bytes
from slipstream.data.streams import LakeError, check_word
from slipstream.model.events import Bbo, L2Book, Trade

DONE = "compacted"
ALL = "ALL"
VALUES = 1_000_000  # in memory at most before they are written: a book has 80, a best price 6
TIMES = ("event_ns", "recv_ns")
COLUMNS: dict[str, tuple[str, ...]] = {
    "bbo": (*TIMES, "bid_px", "bid_sz", "ask_px", "ask_sz"),
    "books": (*TIMES, "bid_px", "bid_sz", "ask_px", "ask_sz"),
    "trades": (*TIMES, "px", "sz", "side", "tid"),
    "contexts": (*TIMES, "mark_px", "oracle_px", "funding", "open_interest"),
    "gaps": ("recv_ns", "kind", "feed", "reason"),
}
Key = tuple[str, str, str, str]  # venue, stream, coin, date
Row = tuple[Any, ...]


class Compacted(msgspec.Struct, kw_only=True):
    """What a compaction did. ``refused`` are lines that could not be read, each with its file and reason."""

    segments: int = 0
    lines: int = 0
    rows: int = 0
    doubles: int = 0
    torn: int = 0
    refused: list[str] = []
    partitions: set[str] = set()


def row_of(event: Heard) -> tuple[str, Row]:
    """(stream, row) of an event, in the order of `COLUMNS`."""
    times = (event.event_ns, event.recv_ns)
    if isinstance(event, Bbo):
        return "bbo", (*times, event.bid_px, event.bid_sz, event.ask_px, event.ask_sz)
    if isinstance(event, L2Book):
        sides = (event.bids, event.asks)
        lists = tuple(tuple(level[at] for level in side) for side in sides for at in (0, 1))
        return "books", (*times, *lists)
    if isinstance(event, Trade):
        return "trades", (*times, event.px, event.sz, event.side.name.lower(), event.tid)
    return "contexts", (*times, event.mark_px, event.oracle_px, event.funding, event.open_interest)


def schema(stream: str) -> Any:
    """The Arrow schema of a stream."""
    import pyarrow as pa

    kinds: dict[str, Any] = dict.fromkeys(("event_ns", "recv_ns", "tid"), pa.int64())
    kinds |= dict.fromkeys(("side", "kind", "feed", "reason"), pa.string())
    number = pa.list_(pa.float64()) if stream == "books" else pa.float64()
    return pa.schema([(name, kinds.get(name, number)) for name in COLUMNS[stream]])


def folder_of(lake: Path, key: Key) -> Path:
    """Where a partition's files stand."""
    venue, stream, coin, date = key
    return lake / f"venue={venue}" / f"stream={stream}" / f"coin={coin}" / f"date={date}"


class Part:
    """One partition's file of one segment, written in row groups under a hidden name until it is whole."""

    def __init__(self, lake: Path, key: Key, name: str) -> None:
        """Raises OSError."""
        import pyarrow.parquet as pq

        self.stream = key[1]
        self.rows: list[Row] = []
        self.written = 0
        self.doubles = 0
        self._path = folder_of(lake, key) / f"{name}.parquet"
        self._hidden = self._path.with_name(f".{self._path.name}")
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._ids = _ids(self._path) if self.stream == "trades" else set()
        self._schema = schema(self.stream)
        self._writer = pq.ParquetWriter(self._hidden, self._schema, compression="zstd", write_page_checksum=True)

    def flush(self) -> None:
        """Write the rows so far as a row group. Raises OSError."""
        import pyarrow as pa

        rows = self.rows
        if self.stream == "trades":
            rows = []
            for row in self.rows:
                if row[-1] not in self._ids:
                    self._ids.add(row[-1])
                    rows.append(row)
        self.doubles += len(self.rows) - len(rows)
        self.rows = []
        if rows:
            columns = {name: [row[at] for row in rows] for at, name in enumerate(COLUMNS[self.stream])}
            self._writer.write_table(pa.table(columns, schema=self._schema))
            self.written += len(rows)

    def close(self) -> None:
        """Give the file its name; one without rows is not kept. Raises OSError."""
        self.flush()
        self._writer.close()
        if not self.written:
            self._hidden.unlink()
            self._path.unlink(missing_ok=True)
            return
        with self._hidden.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(self._hidden, self._path)


def _ids(path: Path) -> set[int]:
    """The ids of the trades that other files of the partition hold."""
    import pyarrow.parquet as pq

    found: set[int] = set()
    for other in path.parent.glob("[!.]*.parquet"):
        if other != path:
            found.update(pq.read_table(other, columns=["tid"], partitioning=None)["tid"].to_pylist())
    return found


def read_segment(path: Path, refused: list[str]) -> Iterable[tuple[int, Note | list[Heard]]]:
    """(receive time, contents) of every line. Lines that cannot be read go to ``refused``, by file and line."""
    coins: dict[str, str] = {}
    for number, text in enumerate(read_lines(path), 1):
        try:
            recv_ns, raw = read_line(text)
            found = read_frame(raw, recv_ns, coins)
            _check_coins(found)
        except (LineError, LakeError) as error:
            refused.append(f"{path}:{number}: {error}")
            continue
        if isinstance(found, Note) and found.kind == "segment":
            coins = found.symbols
        yield recv_ns, found


def _check_coins(found: Note | list[Heard]) -> None:
    """Coins name folders: what a frame calls itself must not lead out of the lake. Raises LakeError."""
    for event in () if isinstance(found, Note) else found:
        check_word("coin", event.coin)


def compact(folder: Path, lake: Path, *, done: Callable[[Path], None] = lambda path: None) -> Compacted:
    """Bring every closed segment of a recorder's folder into the lake, and set it aside in ``compacted/``.

    A recorder may be at work there: it is not disturbed. ``done`` is called after each segment. Memory is bounded by
    `VALUES`, and by the trade ids of a day. Raises FolderError, LakeError (a venue that names no folder), OSError.
    """
    out = Compacted()
    for path in closed_segments(folder):
        torn = torn_bytes(path)
        out.torn += torn
        if torn:
            out.refused.append(f"{path}: its last {torn} bytes are no whole frames: what they held is lost")
        _tabulate(path, lake, out)
        aside = folder / DONE / path.relative_to(folder)
        aside.parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, aside)
        out.segments += 1
        done(path)
    return out


def _tabulate(path: Path, lake: Path, out: Compacted) -> None:
    venue, name = check_word(f"{path}: venue", path.parent.parent.name), path.name.removesuffix(ENDING)
    parts: dict[Key, Part] = {}
    held = 0
    for recv_ns, found in read_segment(path, out.refused):
        out.lines += 1
        date = time_text(recv_ns)[:10]
        for key, row in _rows(venue, date, recv_ns, found):
            if key not in parts:
                parts[key] = Part(lake, key, name)
            parts[key].rows.append(row)
            held += sum(len(value) if isinstance(value, tuple) else 1 for value in row)
        if held >= VALUES:
            for part in parts.values():
                part.flush()
            held = 0
    for key, part in parts.items():
        part.close()
        out.rows += part.written
        out.doubles += part.doubles
        out.partitions.add("/".join(key))


def _rows(venue: str, date: str, recv_ns: int, found: Note | list[Heard]) -> Iterable[tuple[Key, Row]]:
    if isinstance(found, Note):
        if found.kind != "segment":
            yield (venue, "gaps", ALL, date), (recv_ns, found.kind, found.feed, found.reason)
        return
    for event in found:
        stream, row = row_of(event)
        yield (venue, stream, event.coin, date), row
