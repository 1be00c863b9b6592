"""What a conversion is asked for, and what it tells."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path

import msgspec

from slipstream.data.tape.fault import TapeError
from slipstream.data.tape.header import Finding, Header

SECOND = 1_000_000_000
UNITS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": SECOND}


def no_progress(done: int, of: int, what: str) -> None:
    """Tells nobody."""


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """How to convert.

    ``coins``: none means all. ``clock``: `recorded`, `exchange` (heard when it happened) or an offset that is added
    to the times of hearing (`-400ms`, `0.5s`). ``early``: rows may be heard before they happened. ``gap_s``: a silence
    so long is told. ``window_s``: how late a row may come and still be sorted in. ``size_decimals``: of sizes, by coin,
    where the source does not tell. ``progress(done, of, what)`` hears of bytes.
    """

    coins: tuple[str, ...] = ()
    venue: str = ""
    clock: str = "recorded"
    early: bool = False
    strict: bool = False
    packed: bool = False
    replace: bool = False
    gap_s: float = 5.0
    window_s: float = 60.0
    size_decimals: Mapping[str, int] = {}
    tick_sizes: Mapping[str, str] = {}
    progress: Callable[[int, int, str], None] = no_progress

    def wants(self, coin: str) -> bool:
        """Whether a coin was asked for."""
        return not self.coins or coin in self.coins


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """A tape that a conversion made."""

    folder: Path
    header: Header


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a conversion did. ``findings`` are those that belong to no single tape."""

    format: str
    made: tuple[Made, ...]
    findings: tuple[Finding, ...] = ()


def offset_of(clock: str) -> int | None:
    """The ns that a clock adds to times of hearing; None: they are heard when they happen. Raises TapeError."""
    if clock == "recorded":
        return 0
    if clock == "exchange":
        return None
    for unit in ("ns", "us", "ms", "s"):
        number = clock.removesuffix(unit)
        if number != clock:
            try:
                value = Decimal(number) * UNITS[unit]
            except ArithmeticError:
                break
            if value.is_finite() and abs(value) <= 86_400 * SECOND:
                return int(value)
            break
    raise TapeError(f"--clock {clock}: give recorded, exchange or an offset of less than a day, such as -400ms")
