"""LOBSTER's files as a tape: TICKER_DATE_START_END_message_N.csv, with the _orderbook_N.csv beside it, if any."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from pathlib import Path

from slipstream.data.tape.fault import TapeError
from slipstream.data.tape.header import Finding
from slipstream.data.tape.l3_lobster import LobsterLog
from slipstream.data.tape.l3_lobster_check import compare
from slipstream.data.tape.orders import Notes, coin_of, write_orders
from slipstream.data.tape.origin import source_of
from slipstream.data.tape.scale import Grid, Market, decimal_of
from slipstream.data.tape.terms import Report, Terms

VENUE, TICK = "nasdaq", "0.01"
NAME = re.compile(r"(?P<ticker>[^_]+)_(?P<day>\d{4}-\d{2}-\d{2})_\d+_\d+_message_\d+\.csv(\.gz|\.xz)?")


def convert(source: Path, to: Path, terms: Terms) -> Report:
    """A message file, or the only one of a folder, as the tape of its ticker. A lot is one share.

    Raises TapeError (file, row, reason), OSError.
    """
    path = _message_file(source)
    named = NAME.fullmatch(path.name)
    if named is None:
        raise TapeError(f"{path}: is not called TICKER_YYYY-MM-DD_START_END_message_N.csv; the day is only in the name")
    try:
        day = date.fromisoformat(named["day"])
    except ValueError:
        raise TapeError(f"{path}: {named['day']} in its name is no day") from None
    coin = coin_of(path, terms, named["ticker"])
    tick = terms.tick_sizes.get(coin, TICK)
    market = Market(venue=terms.venue or VENUE, coin=coin, grid=Grid(tick_size=tick), lot="1")
    beside = path.with_name(path.name.replace("_message_", "_orderbook_"))
    levels = beside if beside.is_file() else None
    notes = Notes(path, strict=terms.strict)
    log = LobsterLog(path, day, notes.take, tick_size=decimal_of("tick_size", tick), levels=levels)
    sources = [source_of(one) for one in (path, levels) if one is not None]
    checked = () if levels is None else _checked(path, levels, day, Decimal(tick))
    report = write_orders(log, market, to, terms, "lobster", notes, sources)
    return Report(format=report.format, made=report.made, findings=checked)


def _message_file(source: Path) -> Path:
    if not source.is_dir():
        return source
    found = sorted(one for one in source.iterdir() if NAME.fullmatch(one.name))
    if len(found) != 1:
        raise TapeError(f"{source}: holds {len(found)} message files; give one of them")
    return found[0]


def _checked(path: Path, levels: Path, day: date, tick_size: Decimal) -> tuple[Finding, ...]:
    """What the file of levels says about the messages."""
    told = compare(LobsterLog(path, day, tick_size=tick_size, levels=levels), levels, tick_size)
    if not told.differing:
        return ()
    reason = f"levels that the messages do not make, of {told.rows} rows"
    return (Finding(reason=reason, action="kept", count=told.differing, places=(f"{levels.name}: row {told.first}",)),)
