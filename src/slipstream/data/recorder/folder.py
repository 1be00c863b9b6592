"""A folder that one recorder writes: segments of a venue each, turned over by time and size.

::

    DIR/lock                                        held by the recorder that is at work
    DIR/hl/2025-03-11/20250311T090000.000000000.jsonl.zst
    DIR/binance/2025-03-11/...
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import msgspec

from slipstream.data.recorder.envelope import SECOND, Note, line, note_line, time_text
from slipstream.data.recorder.segment import ENDING, OPEN, Segment, recover


class FolderError(ValueError):
    """A folder that cannot be recorded into as it is."""


class Turnover(msgspec.Struct, frozen=True, kw_only=True):
    """When a segment ends: at the next multiple of ``seconds`` of receive time, or at ``size`` compressed bytes."""

    seconds: int = 3_600
    size: int = 256 * 1024 * 1024


class Recovered(msgspec.Struct, frozen=True):
    """A segment that a killed recorder left: its file (None: nothing whole was in it), and how much was cut off."""

    venue: str
    path: Path | None
    torn: int


class Folder:
    """Takes frames and notes of several venues. A context manager: leaving closes the segments and the lock."""

    def __init__(self, path: Path, venues: Mapping[str, Mapping[str, str]], turnover: Turnover | None = None) -> None:
        """``venues``: the names of each venue (its symbol -> our coin)."""
        self.path = path
        self.lines = 0
        self.recovered: tuple[Recovered, ...] = ()
        self._venues = {venue: dict(symbols) for venue, symbols in venues.items()}
        self._turnover = turnover or Turnover()
        self._segments: dict[str, tuple[int, Segment]] = {}
        self._told: dict[str, Recovered] = {}
        self._lock = -1

    def __enter__(self) -> Folder:
        """Lock the folder and recover what a killed recorder left. Raises FolderError, OSError."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise FolderError(f"{self.path}: cannot be written: {error.strerror}; choose another folder") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise FolderError(
                f"{self.path}: another recorder writes there; choose another folder, or stop it"
            ) from None
        found = []
        for path in sorted(self.path.glob(f"*/*/*{ENDING}{OPEN}")):
            final, torn = recover(path)
            found.append(Recovered(path.parent.parent.name, final, torn))
        self.recovered = tuple(found)
        self._told = {one.venue: one for one in found}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close everything; the first trouble is raised, unless another error is under way."""
        troubles = []
        for _, segment in self._segments.values():
            try:
                segment.close()
            except OSError as trouble:
                troubles.append(trouble)
        self._segments.clear()
        os.close(self._lock)
        if troubles and error is None:
            raise troubles[0]

    def frame(self, venue: str, recv_ns: int, raw: bytes) -> None:
        """Keep a frame as it came. Raises OSError."""
        self._segment(venue, recv_ns).write(line(recv_ns, raw))
        self.lines += 1

    def note(self, recv_ns: int, note: Note) -> None:
        """Keep what the recorder has to say. Raises OSError."""
        segment = self._segment(note.venue, recv_ns)
        segment.write(note_line(recv_ns, note))

    def flush(self) -> None:
        """Make everything so far survive a kill. Raises OSError."""
        for _, segment in self._segments.values():
            segment.flush()

    def _segment(self, venue: str, recv_ns: int) -> Segment:
        cell = recv_ns // (self._turnover.seconds * SECOND)
        current = self._segments.get(venue)
        if current is not None:
            if current[0] >= cell and current[1].size < self._turnover.size:
                return current[1]
            del self._segments[venue]
            current[1].close()
        stamp = time_text(recv_ns)
        name = stamp.replace("-", "").replace(":", "") + ENDING
        segment = Segment(self.path / venue / stamp[:10] / name)
        self._segments[venue] = (cell, segment)
        segment.write(note_line(recv_ns, Note(kind="segment", venue=venue, symbols=self._venues[venue])))
        before = self._told.pop(venue, None)
        if before is not None:
            name = before.path.name if before.path is not None else "a segment without a whole frame"
            reason = f"{name}: {before.torn} bytes cut off"
            segment.write(note_line(recv_ns, Note(kind="torn", venue=venue, reason=reason)))
        return segment


def closed_segments(path: Path) -> list[Path]:
    """The closed segments of a folder, oldest first within a venue. Raises FolderError if there is no such folder."""
    if not path.is_dir():
        raise FolderError(f"{path}: there is no such folder")
    return sorted(path.glob(f"*/*/*{ENDING}"))
