"""The line of a recording: when a frame was received, and the frame as the venue sent it.

``{"time": "2025-03-11T09:00:03.296545473", "ver_num": 1, "raw": {...}}``: the envelope of Hyperliquid's public archive,
so that one reader serves both. ``time`` is ours, UTC, ns. What the recorder itself has to say stands in the same
envelope under the channel ``recorder``.
"""

from __future__ import annotations

import calendar
import time
from functools import lru_cache
from typing import Literal

import msgspec

CHANNEL = "recorder"
SECOND = 1_000_000_000
LATEST = 4_102_444_800  # 2100: a later time is no time of receipt, and ns beyond 2262 fit no column


class LineError(ValueError):
    """A line that is not an envelope."""


class Envelope(msgspec.Struct, frozen=True):
    """A line as it is written."""

    time: str
    raw: msgspec.Raw
    ver_num: int = 1


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """What a recorder says.

    ``segment``: a segment begins here, with the venue and the names that it goes by (its symbol -> our coin).
    ``lost`` and ``back``: a feed went away, and frames of it come again; between the two nothing was heard.
    ``torn``: the recorder before this one was killed, and ``reason`` says what its last segment lost.
    """

    kind: Literal["segment", "lost", "back", "torn"]
    venue: str
    feed: str = ""
    reason: str = ""
    symbols: dict[str, str] = {}


class _NoteFrame(msgspec.Struct):
    channel: str
    data: Note


_ENCODE = msgspec.json.Encoder().encode
_DECODE = msgspec.json.Decoder(Envelope).decode


@lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def time_text(ns: int) -> str:
    """ns since the epoch as the archive writes it: UTC, nine decimals, no zone."""
    return f"{_second(ns // SECOND)}.{ns % SECOND:09d}"


@lru_cache(maxsize=64)
def _seconds(text: str) -> int:
    return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%S"))


def time_ns(text: str) -> int:
    """The inverse of `time_text`; fewer decimals and a closing Z are taken. Raises LineError."""
    whole, _, part = text.removesuffix("Z").partition(".")
    try:
        if not (part.isdigit() and len(part) <= 9) and part:
            raise ValueError
        seconds = _seconds(whole)
        if not 0 <= seconds < LATEST:
            raise ValueError
        return seconds * SECOND + int(part.ljust(9, "0") if part else 0)
    except ValueError:
        raise LineError(f"time {text!r} is not like 2025-03-11T09:00:03.296545473") from None


def line(recv_ns: int, raw: bytes) -> bytes:
    """A frame in its envelope, with the line's end. ``raw`` is one JSON value without line breaks."""
    return b'{"time":"%b","ver_num":1,"raw":%b}\n' % (time_text(recv_ns).encode(), raw)


def note_line(recv_ns: int, note: Note) -> bytes:
    """What the recorder says, in the same envelope."""
    return line(recv_ns, _ENCODE(_NoteFrame(CHANNEL, note)))


def read_line(text: bytes) -> tuple[int, msgspec.Raw]:
    """(receive time in ns, frame). Raises LineError."""
    try:
        envelope = _DECODE(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise LineError(f"not an envelope: {error}") from None
    if envelope.ver_num != 1:
        raise LineError(f"ver_num {envelope.ver_num} is not known; this release reads 1")
    return time_ns(envelope.time), envelope.raw
