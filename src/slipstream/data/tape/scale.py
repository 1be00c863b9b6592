"""Prices and sizes of one market as whole numbers: which price a tick is, which size a lot.

A grid is linear (a tick is so much), or Hyperliquid's: the legal prices with five significant figures and at most so
many decimals, numbered (`slipstream.model.grid`).
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

import msgspec
import numpy as np
import numpy.typing as npt

from slipstream.data.tape.fault import TapeError
from slipstream.model.grid import units_of_tick

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
MAX_TICK = 2**31 - 1  # of a row's int32
MAX_LOTS = 2**48  # of a row: sums over a book stay an int64
MAX_DECIMALS = 12
EXACT = 1e-6  # of a smallest unit: a float this near to a whole number of them is meant to be it


def decimal_of(what: str, text: str) -> Decimal:
    """A positive decimal as a header writes it. Raises TapeError."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise TapeError(f"{what} {text!r} is not a decimal number, such as 0.01") from None
    if not value.is_finite() or value <= 0:
        raise TapeError(f"{what} {text!r} is not a positive number")
    mantissa, places = _parts(value)
    if places > MAX_DECIMALS or mantissa > 10**MAX_DECIMALS:
        raise TapeError(f"{what} {text!r} has more than {MAX_DECIMALS} figures")
    return value


def _parts(value: Decimal) -> tuple[int, int]:
    """(m, d) with value = m / 10**d, d not negative."""
    places = max(0, -int(value.normalize().as_tuple().exponent))
    return int(value.scaleb(places)), places


def _units(values: Floats, places: int) -> tuple[Ints, Bools]:
    """(values in 10**-places, which of them are no whole number of these or too large). What is wrong becomes 0."""
    scaled = values * 10.0**places
    with np.errstate(invalid="ignore"):
        whole = np.rint(scaled)
        wrong = ~(np.abs(scaled - whole) <= np.maximum(EXACT, np.abs(scaled) * 1e-12)) | (np.abs(scaled) > 2.0**62)
    return np.where(wrong, 0.0, whole).astype(np.int64), wrong


class Grid(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Either ``tick_size`` (decimal text: a linear grid) or ``decimals`` (Hyperliquid's grid)."""

    tick_size: str = ""
    decimals: int = -1

    def __post_init__(self) -> None:
        """Raises TapeError."""
        if bool(self.tick_size) == (self.decimals >= 0):
            raise TapeError("a grid is either a tick_size or Hyperliquid's decimals: give one of the two")
        if self.tick_size:
            decimal_of("tick_size", self.tick_size)
        elif self.decimals > MAX_DECIMALS:
            raise TapeError(f"a grid of {self.decimals} decimals: {MAX_DECIMALS} at most")

    def ticks(self, px: Floats) -> tuple[Ints, Bools]:
        """(ticks, which prices have none: not positive, not a number, off the grid, too large); those become 0."""
        if self.decimals >= 0:
            return _five_figures(px, self.decimals)
        step, places = _parts(Decimal(self.tick_size))
        units, wrong = _units(px, places)
        wrong |= (units % step != 0) | (units <= 0) | (units // step > MAX_TICK)
        return np.where(wrong, 0, units // step), wrong

    def near(self, px: float) -> int:
        """The tick next to a price that need not be on the grid, at least 1. Raises TapeError for what is no price."""
        if not (np.isfinite(px) and 0 < px < 1e15):
            raise TapeError(f"{px} is no price")
        places = self.decimals
        if places >= 0:
            step = 10.0 ** -max(0, min(places, 4 - int(np.floor(np.log10(px)))))
        else:
            step = float(self.tick_size)
        return max(1, int(self.ticks(np.array([np.rint(px / step) * step]))[0][0]))

    def price(self, tick: int) -> Decimal:
        """The price of a tick."""
        if self.decimals >= 0:
            return Decimal(units_of_tick(tick, self.decimals)).scaleb(-self.decimals)
        return tick * Decimal(self.tick_size)

    def prices(self, ticks: npt.NDArray[np.integer]) -> Floats:
        """The prices of ticks, as floats."""
        unique, back = np.unique(ticks, return_inverse=True)
        values = np.array([float(self.price(int(tick))) for tick in unique], np.float64)
        out: Floats = values[back] if len(unique) else np.zeros(0)
        return out


def _five_figures(px: Floats, decimals: int) -> tuple[Ints, Bools]:
    units, wrong = _units(px, decimals)
    digits = np.zeros_like(units)
    for power in range(5, 18):
        digits += units >= 10**power
    k = np.minimum(digits, decimals)
    step = 10**k
    ticks = np.where(k == 0, units, 100_000 + (k - 1) * 90_000 + units // step - 10_000)
    wrong |= (units % step != 0) | (units <= 0) | (ticks > MAX_TICK)
    return np.where(wrong, 0, ticks), wrong


def to_lots(sizes: Floats, lot: Decimal) -> tuple[Ints, Bools]:
    """(lots, which sizes are none: negative, not a number, not whole lots, too large); those become 0."""
    step, places = _parts(lot)
    units, wrong = _units(sizes, places)
    wrong |= (units % step != 0) | (units < 0) | (units // step > MAX_LOTS)
    return np.where(wrong, 0, units // step), wrong


class Market(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose rows a tape holds: venue and coin (they name a folder), grid of prices, ``lot`` as decimal text."""

    venue: str
    coin: str
    grid: Grid
    lot: str

    def __post_init__(self) -> None:
        """Raises TapeError."""
        decimal_of("lot", self.lot)
        for what, word in (("venue", self.venue), ("coin", self.coin)):
            if not word or word.startswith(".") or any(not (char.isalnum() or char in "_.:@-") for char in word):
                raise TapeError(f"{what} {word!r} cannot name a folder; letters, digits and _ . : @ - only")

    @property
    def name(self) -> str:
        """What its folder is called."""
        return f"{self.venue}_{self.coin}"
