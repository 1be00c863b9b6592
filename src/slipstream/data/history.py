"""What a venue's API tells about the past: its rows as the lake's, what of a span is still to be asked, and its weight.

Hyperliquid: ``candleSnapshot`` gives the newest `KEPT` bars of an interval and none before them; ``fundingHistory``
gives `FUNDING_PAGE` settlements a request, oldest first, without an end to the past.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from slipstream.data.catalogue import Span, missing
from slipstream.data.streams import HOUR, INTERVALS, MS

KEPT = 5_000
BARS_PAGE = 4_000
FUNDING_PAGE = 500
LATE_NS = 60_000_000_000  # a settlement may be told so much after its hour


class CandleRow(msgspec.Struct):
    """One row of candleSnapshot: times in ms, prices and volume (base coin) as text, the number of trades."""

    t: int
    o: str
    h: str
    l: str  # noqa: E741 - the venue's name
    c: str
    v: str
    n: int = 0


class FundingRow(msgspec.Struct, rename="camel"):
    """One row of fundingHistory: a settlement in ms, its rate and premium as text."""

    time: int
    funding_rate: str
    premium: str | None = None


def _numbers(texts: Sequence[str | None]) -> Any:
    import pandas as pd

    return pd.to_numeric(pd.Series(texts, dtype=object), errors="coerce").astype(np.float64).to_numpy()


def candle_rows(rows: Sequence[CandleRow], interval: str) -> Any:
    """The rows as a frame of ``bars_<interval>``; text that is no number becomes NaN."""
    import pandas as pd

    opened = np.array([row.t for row in rows], dtype=np.int64) * MS
    columns: dict[str, Any] = {"open_ns": opened, "close_ns": opened + INTERVALS[interval]}
    for name, key in (("open", "o"), ("high", "h"), ("low", "l"), ("close", "c"), ("volume", "v")):
        columns[name] = _numbers([getattr(row, key) for row in rows])
    columns["trades"] = np.array([row.n for row in rows], dtype=np.float64)
    return pd.DataFrame(columns)


def funding_rows(rows: Sequence[FundingRow]) -> Any:
    """The rows as a frame of ``funding``: settled on the full hour, known when the venue stamped it."""
    import pandas as pd

    stamped = np.array([row.time for row in rows], dtype=np.int64) * MS
    settled = (stamped + HOUR // 2) // HOUR * HOUR
    return pd.DataFrame(
        {
            "settle_ns": settled,
            "known_ns": np.maximum(stamped, settled),
            "rate": _numbers([row.funding_rate for row in rows]),
            "premium": _numbers([row.premium for row in rows]),
        }
    )


def bar_span(now_ns: int, days: int, interval: str) -> Span:
    """[start, end) of the opens of all bars that closed within so many days."""
    step = INTERVALS[interval]
    end = now_ns // step * step
    return (now_ns - days * 24 * HOUR) // step * step, end


def bar_pages(asked: Sequence[Span], span: Span, interval: str) -> list[Span]:
    """What to ask for, in requests of `BARS_PAGE` bars at most, oldest first."""
    width = BARS_PAGE * INTERVALS[interval]
    return [(at, min(at + width, end)) for start, end in missing(asked, *span) for at in range(start, end, width)]


def funding_span(now_ns: int, days: int) -> Span:
    """[start, end), on half hours, of the settlements of so many days that the venue has surely told.

    Settlements come on full hours and are stamped some ms later: half hours part them without doubt.
    """
    end = (now_ns - LATE_NS) // HOUR * HOUR + HOUR // 2
    return end - days * 24 * HOUR, end


def bars_weight(span: Span, interval: str) -> int:
    """Request weight of a page of bars."""
    return 20 + (span[1] - span[0]) // INTERVALS[interval] // 60


def funding_weight(span: Span) -> int:
    """Request weight of all pages of a span of settlements."""
    rows = (span[1] - span[0]) // HOUR
    return (rows // FUNDING_PAGE + 1) * 20 + rows // 20
