"""LOBSTER's second file: the levels after every message.

Columns: ask price, ask size, bid price, bid size, level by level, best first; one row per message. A level that is not
there has the price +-9999999999.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

from slipstream.data.tape.fault import TapeError
from slipstream.data.tape.l3_lines import read_fields, whole

PRICE_UNIT = 10_000
NO_LEVEL = 9_999_999_999
Level = tuple[int, int]  # tick, lots
Sides = dict[int, list[Level]]  # +1 bids, -1 asks; best first


def read_levels(path: Path, tick_size: Decimal = Decimal("0.01")) -> Iterator[tuple[int, int, Sides]]:
    """Row number, how many levels a row tells of, and those that are there. Raises TapeError naming the row."""
    step = int(tick_size * PRICE_UNIT)
    columns = 0
    for number, fields in read_fields(path, None, None):
        columns = columns or len(fields)
        if len(fields) != columns or columns % 4:
            raise TapeError(f"{path}: row {number}: {len(fields)} fields; a level has four, and all rows are alike")
        try:
            values = [whole(text, "price or size", -(2**62)) for text in fields]
        except ValueError as error:
            raise TapeError(f"{path}: row {number}: {error}") from None
        pairs = list(zip(values[::2], values[1::2], strict=True))
        there = [[(px // step, lots) for px, lots in pairs[k::2] if abs(px) != NO_LEVEL] for k in (0, 1)]
        yield number, columns // 4, {-1: there[0], 1: there[1]}
