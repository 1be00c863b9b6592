"""A lake of Parquet files: ``venue=/stream=/coin=/date=/<hash>.parquet``, and a catalogue that says which count.

- Appending is idempotent: a row that is there already is left out; one that came with other values is kept beside the
  old one and counted as revised. A file appears whole or not at all, and counts from its line in the catalogue on.
- Reading is lazy and bounded: a file's batch at a time, only the columns and the spans asked for.
- A reader may ask as of a time: rows that could not be known then are left out (a bar that had not closed, a settlement
  that had not come). ``written_by`` asks for what the lake itself held at a time: later revisions do not count.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from slipstream.data.catalogue import Asked, Catalogue, Entry, Gone, Line, Span, Taken, sync_folder
from slipstream.data.files import read_parquet
from slipstream.data.series import Appended, checked, dates_of, merged
from slipstream.data.streams import CONTEXTS, HOUR, WRITTEN, LakeError, Stream, check_word, stream_of

BATCH = 65_536  # rows in memory at once of a tape
GRACE_NS = 3_600_000_000_000  # files that no longer count stay so long: somebody may still read them
CHUNK = 1 << 20


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """What to read: rows of [start, end) by the stream's time, known by ``as_of``, written by ``written_by`` (ns).

    No coins: all of them. No columns: all of them.
    """

    venue: str
    stream: str
    coins: tuple[str, ...] = ()
    start_ns: int | None = None
    end_ns: int | None = None
    as_of_ns: int | None = None
    written_by_ns: int | None = None
    columns: tuple[str, ...] = ()


class Lake:
    """One lake. Several processes may write it at the same time; one object is for one thread."""

    def __init__(self, path: Path) -> None:
        """A folder that is not there, or is empty, is a lake without rows. Raises LakeError."""
        if path.exists() and not path.is_dir():
            raise LakeError(f"{path}: a lake is a folder, and this is a file")
        self.path = path
        self.catalogue = Catalogue(path)
        self.catalogue.refresh()
        self._held: set[str] = set()

    # ---- looking -----------------------------------------------------------------------------------------------------

    def entries(self, query: Query) -> list[Entry]:
        """The files that may hold such rows, in the order of coin and time. Raises LakeError."""
        stream_of(query.stream)
        self.catalogue.refresh()
        wanted = set(query.coins)
        found = [
            entry
            for (venue, stream, coin), files in self.catalogue.series.items()
            if venue == query.venue and stream == query.stream and (not wanted or coin in wanted)
            for entry in files.values()
            if (query.start_ns is None or entry.last_ns >= query.start_ns)
            and (query.end_ns is None or entry.first_ns < query.end_ns)
            and (query.as_of_ns is None or entry.first_known_ns <= query.as_of_ns)
        ]
        return sorted(found, key=lambda entry: (entry.coin, entry.first_ns, entry.path))

    def coins(self, venue: str, stream: str, as_of_ns: int | None = None) -> tuple[str, ...]:
        """Coins of which a row was known by then: later listings are not in it."""
        query = Query(venue=venue, stream=stream, as_of_ns=as_of_ns)
        return tuple(sorted({entry.coin for entry in self.entries(query)}))

    def streams(self) -> tuple[tuple[str, str], ...]:
        """(venue, stream) of everything that it holds."""
        self.catalogue.refresh()
        return tuple(sorted({(entry.venue, entry.stream) for entry in self.catalogue.files.values()}))

    def asked(self, venue: str, stream: str, coin: str) -> tuple[Span, ...]:
        """Spans [start, end) that a source has answered for."""
        return self.catalogue.spans.get((venue, stream, coin), ())

    # ---- reading -----------------------------------------------------------------------------------------------------

    def batches(self, query: Query) -> Iterator[tuple[str, Any]]:
        """(coin, Arrow record batch), a coin after the other, each in the order of its time. Raises LakeError."""
        stream = stream_of(query.stream)
        unknown = sorted(set(query.columns) - set(stream.columns))
        if unknown:
            raise LakeError(f"{query.stream}: no column {', '.join(unknown)}; it has {', '.join(stream.columns)}")
        for entry in self.entries(query):
            if stream.series:
                for batch in self._series(entry, stream, query).to_batches():
                    yield entry.coin, batch
            elif query.written_by_ns is None or entry.written_ns <= query.written_by_ns:
                for batch in self._scan(entry, stream, query, _columns(stream, query)):
                    yield entry.coin, batch

    def frame(self, query: Query) -> Any:
        """A pandas frame of all rows, with the column ``coin`` first. Everything is in memory at once."""
        import pyarrow as pa

        stream = stream_of(query.stream)
        names = _columns(stream, query)
        coins, parts = [], []
        for coin, batch in self.batches(query):
            if batch.num_rows:
                coins.append(pa.DictionaryArray.from_arrays(pa.array([0] * batch.num_rows, pa.int16()), [coin]))
                parts.append(batch)
        schema = pa.schema([stream.schema().field(name) for name in names])
        table = pa.Table.from_batches(parts, schema=schema)
        coin = (
            pa.chunked_array(coins, type=pa.dictionary(pa.int16(), pa.string())) if coins else pa.array([], pa.string())
        )
        table = table.add_column(0, "coin", coin.cast(pa.string()))
        return table.to_pandas()

    def _scan(self, entry: Entry, stream: Stream, query: Query, columns: Sequence[str]) -> Iterator[Any]:
        import pyarrow as pa
        import pyarrow.dataset as ds

        time, known = ds.field(stream.time), ds.field(stream.known)
        terms = [] if query.start_ns is None else [time >= query.start_ns]
        terms += [] if query.end_ns is None else [time < query.end_ns]
        terms += [] if query.as_of_ns is None else [known <= query.as_of_ns]
        if stream.series and query.written_by_ns is not None:
            terms.append(ds.field(WRITTEN) <= query.written_by_ns)
        filter_ = None
        for term in terms:
            filter_ = term if filter_ is None else filter_ & term
        try:
            checked_pages = ds.ParquetFragmentScanOptions(page_checksum_verification=True)
            form = ds.ParquetFileFormat(default_fragment_scan_options=checked_pages)
            data = ds.dataset([str(self.path / entry.path)], format=form, schema=stream.schema())
            scanner = data.scanner(
                columns=list(columns), filter=filter_, batch_size=BATCH, batch_readahead=1, fragment_readahead=1
            )
            yield from scanner.to_batches()
        except (OSError, pa.ArrowException) as error:
            raise _damaged(self.path / entry.path, error) from None

    def _series(self, entry: Entry, stream: Stream, query: Query) -> Any:
        """A series' file, of every time only the newest row."""
        import pyarrow as pa

        self._hold(entry)
        columns = _columns(stream, query)
        needed = tuple(dict.fromkeys((*columns, stream.time, WRITTEN)))
        table = pa.Table.from_batches(
            self._scan(entry, stream, query, needed),
            schema=pa.schema([stream.schema().field(name) for name in needed]),
        )
        times = table[stream.time].to_numpy()
        # the file is in the order of (time, written): the last of a time is its newest
        last = [*(times[1:] != times[:-1]), True] if len(times) else []
        return table.filter(pa.array(last, pa.bool_())).select(columns)

    def _hold(self, entry: Entry) -> None:
        """Hold a series' file against its hash, once: pages carry checksums, but their headers do not. LakeError."""
        file = self.path / entry.path
        try:
            if entry.path not in self._held and _sha256(file) != entry.sha256:
                raise _damaged(file, ValueError("its hash is not the catalogue's"))
        except OSError as error:
            raise _damaged(file, error) from None
        self._held.add(entry.path)

    # ---- writing -----------------------------------------------------------------------------------------------------

    def append(
        self,
        venue: str,
        stream: Stream,
        coin: str,
        rows: Any,
        *,
        now_ns: int,
        source: str = "",
        asked: Span | None = None,
    ) -> Appended:
        """Add a pandas frame of a series' columns to it. Raises LakeError (columns, times), OSError.

        ``asked`` is a span that the source has answered for in full, noted together with the rows.
        """
        check_word("venue", venue)
        check_word("coin", coin)
        if not stream.series:
            raise LakeError(f"{stream.name} is a tape: its files are adopted, not appended to")
        rows = checked(rows, stream, f"{venue} {stream.name} {coin}")
        out = Appended()
        with self.catalogue.writing():
            lines: list[Line] = []
            if len(rows):
                dates = dates_of(rows[stream.time], stream)
                for date, part in rows.groupby(dates, sort=True):
                    entry, done = self._merge((venue, stream, coin, str(date)), part, now_ns, source)
                    lines += [] if entry is None else [entry]
                    out += done
            if asked is not None:
                lines.append(Asked(venue=venue, stream=stream.name, coin=coin, start_ns=asked[0], end_ns=asked[1]))
            self.catalogue.commit(lines)
        return out

    def _merge(
        self, key: tuple[str, Stream, str, str], rows: Any, now_ns: int, source: str
    ) -> tuple[Entry | None, Appended]:
        import pandas as pd
        import pyarrow as pa

        venue, stream, coin, date = key
        folder = f"venue={venue}/stream={stream.name}/coin={coin}/date={date}"
        old = [
            entry for entry in self.catalogue.series.get((venue, stream.name, coin), {}).values() if entry.date == date
        ]
        frames = []
        for entry in old:
            self._hold(entry)
            try:
                frames.append(read_parquet(self.path / entry.path))
            except (OSError, pa.ArrowException) as error:
                raise _damaged(self.path / entry.path, error) from None
        held = pd.concat(frames, ignore_index=True) if frames else None
        whole, done = merged(held, rows, stream, now_ns)
        if whole is None:
            return None, done
        path = self._write(folder, stream, whole)
        replaces = tuple(entry.path for entry in old if entry.path != path)
        return self._entry(path, stream, now_ns, source, replaces), done

    def _write(self, folder: str, stream: Stream, rows: Any) -> str:
        """Write a file named by its contents; its path in the lake."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.Table.from_pandas(rows, schema=stream.schema(), preserve_index=False)
        target = self.path / folder
        target.mkdir(parents=True, exist_ok=True)
        hidden = target / f".{os.getpid()}.part"
        pq.write_table(table.replace_schema_metadata(None), hidden, compression="zstd", write_page_checksum=True)
        with hidden.open("rb") as file:
            os.fsync(file.fileno())
        name = f"{_sha256(hidden)[:16]}.parquet"
        os.replace(hidden, target / name)
        sync_folder(target)
        return f"{folder}/{name}"

    def _entry(self, path: str, stream: Stream, now_ns: int, source: str, replaces: tuple[str, ...]) -> Entry:
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        venue, name, coin, date, _ = (part.partition("=")[2] or part for part in path.split("/"))
        file = self.path / path
        try:
            table = pq.read_table(file, columns=list({stream.time, stream.known}), partitioning=None)
        except (OSError, pa.ArrowException) as error:
            raise LakeError(f"{file}: not a Parquet file of {name}: {str(error).splitlines()[0]}") from None
        if stream.time not in table.column_names or stream.known not in table.column_names or not table.num_rows:
            raise LakeError(f"{file}: not a file of {name}: no rows, or no column {stream.time}; move it away")
        first, last = (pc.min_max(table[stream.time])[end].as_py() for end in ("min", "max"))
        first_known, last_known = (pc.min_max(table[stream.known])[end].as_py() for end in ("min", "max"))
        return Entry(
            path=path,
            venue=venue,
            stream=name,
            coin=coin,
            date=date,
            rows=table.num_rows,
            size=file.stat().st_size,
            sha256=_sha256(file),
            first_ns=first,
            last_ns=last,
            first_known_ns=first_known,
            last_known_ns=last_known,
            written_ns=now_ns,
            source=source,
            replaces=replaces,
        )

    def adopt(self, now_ns: int, *, source: str = "", taken: Taken | None = None, under: Path | None = None) -> int:
        """Catalogue the tapes' files that stand in place and do not count yet, or were replaced; how many.

        ``under``: look only there. ``taken`` is noted together with them. Raises LakeError, OSError.
        """
        found = 0
        with self.catalogue.writing():
            lines: list[Line] = []
            for file in sorted((under or self.path).rglob("[!.]*.parquet")):
                path = file.relative_to(self.path).as_posix()
                parts = [part.partition("=") for part in path.split("/")]
                if [part[0] for part in parts[:4]] != ["venue", "stream", "coin", "date"] or len(parts) != 5:
                    raise LakeError(f"{file}: not in venue=/stream=/coin=/date=; move it away")
                stream = stream_of(parts[1][2])
                held, stat = self.catalogue.files.get(path), file.stat()
                fresh = held is None or held.size != stat.st_size or stat.st_mtime_ns > held.written_ns
                if not stream.series and fresh:
                    entry = self._entry(path, stream, now_ns, source, ())
                    if held is None or entry.sha256 != held.sha256:
                        lines.append(entry)
                        found += 1
            self.catalogue.commit([*lines, taken] if taken is not None else lines)
        return found

    def sweep(self, now_ns: int) -> int:
        """Remove what killed writers and replaced files left, once it is old enough that nobody reads it; how many."""
        gone = 0
        with self.catalogue.writing():
            for file in self.path.glob("venue=*/stream=*/coin=*/date=*/*"):
                path = file.relative_to(self.path).as_posix()
                series = stream_of(path.split("/")[1].partition("=")[2]).series
                hidden = file.name.startswith(".")
                if path in self.catalogue.files or not (series or hidden):
                    continue
                if now_ns - file.stat().st_mtime_ns > GRACE_NS:
                    file.unlink()
                    gone += 1
        return gone

    def verify(self) -> Iterator[tuple[Entry, str]]:
        """Every file that counts, with what is wrong with it ("": nothing)."""
        self.catalogue.refresh()
        for entry in sorted(self.catalogue.files.values(), key=lambda entry: entry.path):
            file = self.path / entry.path
            if not file.is_file():
                yield entry, "the file is not there"
            elif file.stat().st_size != entry.size:
                yield entry, f"{file.stat().st_size} bytes, and the catalogue says {entry.size}"
            else:
                yield entry, "" if _sha256(file) == entry.sha256 else "its hash is not the catalogue's"

    def forget(self, entry: Entry) -> None:
        """Let a damaged file count no longer, so that the next load brings its rows again; it is set aside as .damaged.

        Raises LakeError, OSError.
        """
        month = entry.date.replace("-", "")
        with self.catalogue.writing():
            objects = [
                source
                for source in self.catalogue.taken
                if source == entry.source or (entry.stream == CONTEXTS and source.startswith(f"asset_ctxs/{month}"))
            ]
            half = HOUR // 2  # spans of settlements begin and end on half hours
            line = Gone(
                path=entry.path, start_ns=entry.first_ns - half, end_ns=entry.last_ns + half, taken=tuple(objects)
            )
            self.catalogue.commit([line])
            file = self.path / entry.path
            if file.exists():
                os.replace(file, file.with_name(f"{file.name}.damaged"))


def _damaged(file: Path, error: Exception) -> LakeError:
    return LakeError(
        f"{file}: cannot be read: {str(error).splitlines()[0]}; `slipstream lake verify --mend` lets damaged files "
        "count no longer, and the next load brings their rows again"
    )


def _columns(stream: Stream, query: Query) -> list[str]:
    return list(query.columns or stream.columns)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
