"""What a lake holds, as lines that are only ever appended: the one place that says which files count.

``catalogue.jsonl``, one JSON value a line, by ``kind``:

- ``file``: a Parquet file that counts from here on, with its rows, its hash and its first and last stamps; the files
  that it ``replaces`` no longer count;
- ``asked``: a span [start, end) of a series that a source has answered for, rows or none, so that nobody asks again;
- ``taken``: an object of an archive whose rows are all in;
- ``gone``: a file that no longer counts because it is damaged, with the spans and objects to be asked for again.

A line is the commit: what was written before it does not count until it stands there, whole. A line without its end is
a writer that was killed; readers leave it out, and the next writer cuts it off. When most lines are about files that no
longer count, the file is written anew and swapped in.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from slipstream.data.streams import LakeError

NAME = "catalogue.jsonl"
LOCK = "lock"
SLACK = 4_000  # lines that no longer count before the file is written anew
Span = tuple[int, int]
Series = tuple[str, str, str]  # venue, stream, coin


class Entry(msgspec.Struct, frozen=True, kw_only=True, tag="file", tag_field="kind"):
    """A file of the lake. ``path`` is relative to it; times are ns; ``known`` is when its rows could be known."""

    path: str
    venue: str
    stream: str
    coin: str
    date: str
    rows: int
    size: int
    sha256: str
    first_ns: int
    last_ns: int
    first_known_ns: int
    last_known_ns: int
    written_ns: int
    source: str = ""
    replaces: tuple[str, ...] = ()


class Asked(msgspec.Struct, frozen=True, kw_only=True, tag="asked", tag_field="kind"):
    """A span [start, end) of a series for which a source has given all that it has."""

    venue: str
    stream: str
    coin: str
    start_ns: int
    end_ns: int


class Taken(msgspec.Struct, frozen=True, kw_only=True, tag="taken", tag_field="kind"):
    """An object of an archive whose rows are all in; another ``etag`` is another object."""

    source: str
    etag: str
    rows: int


class Gone(msgspec.Struct, frozen=True, kw_only=True, tag="gone", tag_field="kind"):
    """A file that no longer counts; of its series [start, end), and these objects, are no longer held to be in."""

    path: str
    start_ns: int
    end_ns: int
    taken: tuple[str, ...] = ()


class Begun(msgspec.Struct, frozen=True, kw_only=True, tag="begun", tag_field="kind"):
    """The first line: how many times the file was written anew, so that a reader notices."""

    generation: int


Line = Entry | Asked | Taken | Gone | Begun
_DECODE = msgspec.json.Decoder(Line).decode
_ENCODE = msgspec.json.Encoder().encode


def joined(spans: Sequence[Span]) -> tuple[Span, ...]:
    """Spans [start, end) in order, those that touch made one."""
    out: list[Span] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(end, out[-1][1]))
        else:
            out.append((start, end))
    return tuple(out)


def missing(held: Sequence[Span], start: int, end: int) -> tuple[Span, ...]:
    """What of [start, end) no held span covers."""
    out, at = [], start
    for low, high in joined(held):
        if low > at and at < end:
            out.append((at, min(low, end)))
        at = max(at, high)
    return (*out, (at, end)) if at < end else tuple(out)


class Catalogue:
    """The lines of one lake, read as far as they go; `refresh` reads on. Not safe for several threads."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self._lock = folder / LOCK
        self._clear()

    def _clear(self) -> None:
        self.files: dict[str, Entry] = {}
        self.series: dict[Series, dict[str, Entry]] = {}
        self.spans: dict[Series, tuple[Span, ...]] = {}
        self.taken: dict[str, Taken] = {}
        self._number = 0
        self._offset = 0
        self._head = b""
        self._generation = 0

    def refresh(self) -> None:
        """Read what was appended since. Raises LakeError naming the line that cannot be read."""
        try:
            file = self.path.open("rb")
        except FileNotFoundError:
            self._clear()
            return
        with file:
            head = file.readline()
            if head != self._head:
                self._clear()
                self._head = head if head.endswith(b"\n") else b""
            file.seek(self._offset)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        for line in whole.splitlines():
            self._number += 1
            try:
                self._take(_DECODE(line))
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise LakeError(
                    f"{self.path}:{self._number}: {error}; take the line out, then check the lake by "
                    "`slipstream lake verify`"
                ) from None
        self._offset += len(whole)

    def _take(self, line: Line) -> None:
        if isinstance(line, Entry):
            held = self.series.setdefault((line.venue, line.stream, line.coin), {})
            for path in line.replaces:
                self.files.pop(path, None)
                held.pop(path, None)
            self.files[line.path] = held[line.path] = line
        elif isinstance(line, Asked):
            series = (line.venue, line.stream, line.coin)
            self.spans[series] = joined([*self.spans.get(series, ()), (line.start_ns, line.end_ns)])
        elif isinstance(line, Taken):
            self.taken[line.source] = line
        elif isinstance(line, Gone):
            self._forget(line)
        else:
            self._generation = line.generation

    def _forget(self, line: Gone) -> None:
        entry = self.files.pop(line.path, None)
        if entry is not None:
            series = (entry.venue, entry.stream, entry.coin)
            self.series[series].pop(line.path)
            held = self.spans.get(series, ())
            self.spans[series] = joined(
                [part for span in held for part in missing([(line.start_ns, line.end_ns)], *span)]
            )
        for source in line.taken:
            self.taken.pop(source, None)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Alone among all writers of the lake, with the newest lines and no torn one. Raises LakeError, OSError."""
        self._lock.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            self.refresh()
            if self.path.exists() and self.path.stat().st_size > self._offset:
                os.truncate(self.path, self._offset)
            yield
        finally:
            os.close(handle)

    def commit(self, lines: Sequence[Line]) -> None:
        """Append lines, all or (after a kill) a beginning of them, and sync. Only within `writing`. Raises OSError."""
        if not lines:
            return
        begun = () if self._number else (Begun(generation=0),)
        data = memoryview(b"".join(_ENCODE(line) + b"\n" for line in (*begun, *lines)))
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            while data:
                data = data[os.write(handle, data) :]
            os.fsync(handle)
        finally:
            os.close(handle)
        self.refresh()
        alive = len(self.files) + len(self.taken) + sum(len(spans) for spans in self.spans.values())
        if self._number > 2 * alive + SLACK:
            self._rewrite()

    def _rewrite(self) -> None:
        lines: list[Line] = [Begun(generation=self._generation + 1)]
        lines += [msgspec.structs.replace(entry, replaces=()) for entry in self.files.values()]
        lines += [
            Asked(venue=venue, stream=stream, coin=coin, start_ns=start, end_ns=end)
            for (venue, stream, coin), spans in self.spans.items()
            for start, end in spans
        ]
        lines += self.taken.values()
        hidden = self.path.with_name(f".{NAME}")
        with hidden.open("wb") as file:
            file.writelines(_ENCODE(line) + b"\n" for line in lines)
            file.flush()
            os.fsync(file.fileno())
        os.replace(hidden, self.path)
        sync_folder(self.path.parent)
        self.refresh()


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
