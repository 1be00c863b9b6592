"""What the lake holds: the columns of every stream, what tells its rows apart, and when a row could be known.

Times are ns, UTC. Two ways of keeping:

- **series** (bars, funding, minute contexts): a file a coin and period, rewritten when rows come; a row that came again
  with other values is kept beside the old one, and ``written_ns`` tells which is newer;
- **tape** (what a recorder heard, the archive's books): a file a segment, written once, in the order of receipt.

A bar is known at its close, a settlement when the venue stamped it, a frame when it was received.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

MS = 1_000_000
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
INTERVALS = {
    **{f"{n}m": n * MINUTE for n in (1, 3, 5, 15, 30)},
    **{f"{n}h": n * HOUR for n in (1, 2, 4, 8, 12)},
    **{f"{n}d": n * DAY for n in (1, 3)},
}
WRITTEN = "written_ns"
FUNDING = "funding"
CONTEXTS = "minute_contexts"
CONTEXT_FIELDS = (
    "funding",
    "open_interest",
    "prev_day_px",
    "day_ntl_vlm",
    "premium",
    "oracle_px",
    "mark_px",
    "mid_px",
    "impact_bid_px",
    "impact_ask_px",
)
Period = Literal["day", "month", "year"]
_LENGTH = {"day": 10, "month": 7, "year": 4}
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:@-]{0,39}")


class LakeError(ValueError):
    """A lake, or something that is to go into it, that cannot be used as it is."""


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """One stream.

    ``time`` orders the rows, ``known`` is the column of when a row could be known, ``period`` what one ``date=`` folder
    spans. ``key`` tells rows apart (of a series: one row a key; of a tape: empty).
    """

    name: str
    time: str
    known: str
    integers: tuple[str, ...]
    numbers: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()
    period: Period = "day"
    series: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """Names in the order of the file, without the lake's own ``written_ns``."""
        return (*self.integers, *self.numbers, *self.words, *self.lists)

    def schema(self) -> Any:
        """The Arrow schema of its files."""
        import pyarrow as pa

        kinds = [(name, pa.int64()) for name in self.integers]
        kinds += [(name, pa.float64()) for name in self.numbers]
        kinds += [(name, pa.string()) for name in self.words]
        kinds += [(name, pa.list_(pa.float64())) for name in self.lists]
        return pa.schema([*kinds, (WRITTEN, pa.int64())] if self.series else kinds)


_TIMES = ("event_ns", "recv_ns")
_QUOTE = ("bid_px", "bid_sz", "ask_px", "ask_sz")
_FIXED = {
    one.name: one
    for one in (
        Stream(name="bbo", time="recv_ns", known="recv_ns", integers=_TIMES, numbers=_QUOTE),
        Stream(name="books", time="recv_ns", known="recv_ns", integers=_TIMES, lists=_QUOTE),
        Stream(
            name="trades",
            time="recv_ns",
            known="recv_ns",
            integers=(*_TIMES, "tid"),
            numbers=("px", "sz"),
            words=("side",),
        ),
        Stream(
            name="contexts",
            time="recv_ns",
            known="recv_ns",
            integers=_TIMES,
            numbers=("mark_px", "oracle_px", "funding", "open_interest"),
        ),
        Stream(name="gaps", time="recv_ns", known="recv_ns", integers=("recv_ns",), words=("kind", "feed", "reason")),
        Stream(
            name=FUNDING,
            time="settle_ns",
            known="known_ns",
            integers=("settle_ns", "known_ns"),
            numbers=("rate", "premium"),
            period="year",
            series=True,
        ),
        Stream(
            name=CONTEXTS,
            time="time_ns",
            known="time_ns",
            integers=("time_ns",),
            numbers=CONTEXT_FIELDS,
            period="month",
            series=True,
        ),
    )
}


def bars_stream(interval: str) -> Stream:
    """Bars of an interval: open and close times, USDC prices, volume in base coin, how many trades (NaN: not told)."""
    if interval not in INTERVALS:
        raise LakeError(f"interval {interval!r} is not kept; choose one of {', '.join(INTERVALS)}")
    return Stream(
        name=f"bars_{interval}",
        time="open_ns",
        known="close_ns",
        integers=("open_ns", "close_ns"),
        numbers=("open", "high", "low", "close", "volume", "trades"),
        period="year" if INTERVALS[interval] >= HOUR else "month",
        series=True,
    )


def stream_of(name: str) -> Stream:
    """The stream of a name. Raises LakeError."""
    if name in _FIXED:
        return _FIXED[name]
    if name.startswith("bars_") and name[5:] in INTERVALS:
        return bars_stream(name[5:])
    raise LakeError(f"no stream {name!r}; there are {', '.join(_FIXED)} and bars_ with {', '.join(INTERVALS)}")


def check_word(what: str, text: str) -> str:
    """A venue or a coin that may name a folder. Raises LakeError."""
    if not _WORD.fullmatch(text):
        raise LakeError(f"{what} {text!r} cannot name a folder; letters, digits and _ . : @ - only, 40 at most")
    return text


def date_of(ns: int, period: Period) -> str:
    """The ``date=`` of a time: 2025-03-11, 2025-03 or 2025."""
    try:
        return datetime.fromtimestamp(ns // SECOND, UTC).isoformat()[: _LENGTH[period]]
    except (OverflowError, ValueError, OSError):
        raise LakeError(f"{ns} ns is not a time between the years 1 and 9999") from None
