"""Books as JSON: levels, best prices, and levels merged to fewer figures."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from slipstream.lob.book import BUY, SELL, Book
from slipstream.model.grid import units_of_tick
from slipstream.model.instrument import Instrument

LEVELS = 20
DEEP = 4_096
Level = dict[str, Any]


class Unsupported(Exception):
    """An aggregation that the venue does not offer: HTTP 500 with body ``null``."""


def scaled(units: int, decimals: int) -> str:
    """An integer of 10**-decimals as the venue writes numbers, at least one decimal."""
    if decimals == 0:
        return f"{units}.0"
    digits = str(units).rjust(decimals + 1, "0")
    return f"{digits[:-decimals]}.{digits[-decimals:].rstrip('0') or '0'}"


@lru_cache(maxsize=1 << 16)
def tick_text(tick: int, decimals: int) -> str:
    """The price of a tick."""
    return scaled(units_of_tick(tick, decimals), decimals)


def side_levels(book: Book, instrument: Instrument, side: int, n: int = LEVELS) -> list[Level]:
    """Levels of one side, best first."""
    ticks, lots, counts = book.depth(side, n)
    px, sz = instrument.price_decimals, instrument.size_decimals
    rows = zip(ticks.tolist(), lots.tolist(), counts.tolist(), strict=True)
    return [{"px": tick_text(tick, px), "sz": scaled(lot, sz), "n": count} for tick, lot, count in rows]


def best(book: Book, instrument: Instrument) -> list[Level | None]:
    """The best level of either side, or None."""
    return [next(iter(side_levels(book, instrument, side, 1)), None) for side in (BUY, SELL)]


def merged_levels(
    book: Book, instrument: Instrument, side: int, figures: int, mantissa: int, n: int = LEVELS
) -> list[Level]:
    """Levels merged to a number of significant figures (bids down, asks up), best first."""
    ticks, lots, counts = book.depth(side, DEEP)
    decimals = instrument.price_decimals
    out: list[tuple[int, int, int]] = []
    for tick, lot, count in zip(ticks.tolist(), lots.tolist(), counts.tolist(), strict=True):
        units = units_of_tick(tick, decimals)
        step = mantissa * 10 ** max(0, len(str(units)) - figures)
        bucket = units // step * step if side == BUY else -(-units // step) * step
        if out and out[-1][0] == bucket:
            out[-1] = (bucket, out[-1][1] + lot, out[-1][2] + count)
        elif len(out) == n:
            break
        else:
            out.append((bucket, lot, count))
    size = instrument.size_decimals
    return [{"px": scaled(units, decimals), "sz": scaled(lot, size), "n": count} for units, lot, count in out]


def l2_book(
    book: Book,
    instrument: Instrument,
    time_ms: int,
    figures: int | None = None,
    mantissa: int | None = None,
    n: int = LEVELS,
) -> Level:
    """``l2Book``. Raises Unsupported for an aggregation that the venue does not offer."""
    if figures is None and mantissa is None:
        levels = [side_levels(book, instrument, side, n) for side in (BUY, SELL)]
        return {"coin": instrument.coin, "time": time_ms, "levels": levels}
    if figures not in (2, 3, 4, 5) or mantissa not in (None, 2, 5) or (mantissa is not None and figures != 5):
        raise Unsupported(f"nSigFigs {figures} with mantissa {mantissa}")
    levels = [merged_levels(book, instrument, side, figures, mantissa or 1, n) for side in (BUY, SELL)]
    out: Level = {"coin": instrument.coin, "time": time_ms, "levels": levels}
    bid, ask = best(book, instrument)
    if bid is not None and ask is not None:
        decimals = instrument.price_decimals
        gap = units_of_tick(book.best_ask(), decimals) - units_of_tick(book.best_bid(), decimals)
        out["spread"] = scaled(gap, decimals)
    return out
