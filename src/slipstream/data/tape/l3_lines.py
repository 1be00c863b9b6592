"""The lines of an order log, plain or packed (.gz, .xz), as fields of text, one at a time.

A row's number is its line in the file, the first being 1, so that an editor finds it.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

from slipstream.data.tape.fault import TapeError
from slipstream.data.tape.unpacking import DAMAGED, unpacked

Found = Callable[[int, str, str], None]
"""Called with a row's number, what is wrong with it and what was done."""
LARGEST = 2**62


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    try:
        plain = path.open("rb")
    except OSError as error:
        raise TapeError(f"{path}: cannot be read: {error.strerror or error}") from None
    with plain, TextIOWrapper(unpacked(plain, path), encoding="ascii", newline="") as file:
        yield file


def read_fields(path: Path, header: list[str] | None, columns: int | None) -> Iterator[tuple[int, list[str]]]:
    """Number and fields of every row; ``header`` is what the first line must be (None: there is none).

    ``columns`` is how many fields a row has (None: any).

    Raises TapeError: not there, not unpackable, not text, another header, a row of more or fewer fields.
    """
    number = 0
    with _opened(path) as file:
        lines = csv.reader(file, strict=True)
        try:
            for fields in lines:
                number += 1
                if header is not None and number == 1:
                    if fields != header:
                        raise TapeError(
                            f"{path}: row 1: begins with {','.join(fields)[:80]!r}, not {','.join(header)!r}"
                        )
                    continue
                if columns is not None and len(fields) != columns:
                    raise TapeError(f"{path}: row {number}: {len(fields)} fields, not {columns}")
                yield number, fields
        except (*DAMAGED, csv.Error) as error:
            raise TapeError(f"{path}: row {number + 1}: the file is cut off, damaged or no text: {error}") from None
    if header is not None and number == 0:
        raise TapeError(f"{path}: empty; its first line should be {','.join(header)!r}")


def whole(text: str, what: str, least: int = 0) -> int:
    """A whole number as a field. Raises ValueError saying ``what`` it should be."""
    digits = text[1:] if text[:1] == "-" else text
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 19:
        raise ValueError(f"{what} {text[:40]!r} is no whole number")
    value = int(text)
    if not least <= value < LARGEST:
        raise ValueError(f"{what} {text} is not in {least}..{LARGEST - 1}")
    return value


def tick_of(text: str, tick_size: Decimal) -> int:
    """The tick of a price in a field. Raises ValueError: no positive number, off the grid, too large."""
    try:
        px = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"price {text[:40]!r} is no number") from None
    if not px.is_finite() or px <= 0 or px >= tick_size * 2**31:
        raise ValueError(f"price {text[:40]} is not positive, or beyond the grid")
    tick, rest = divmod(px, tick_size)
    if rest:
        raise ValueError(f"price {text[:40]} is not a multiple of the tick size {tick_size}")
    return int(tick)
