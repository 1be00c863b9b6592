"""Bars and hourly funding of many coins on one grid of decisions: what joint models are fitted to.

A decision is taken at a bar's CLOSE, which is its stamp plus its length; funding stamped at that instant has just been
paid. A coin whose bars begin with zero volume begins with its first trade.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from slipstream.core.factors.timescale import bars_in
from slipstream.core.signals.bars import HOUR_MS, Bars
from slipstream.core.signals.momentum import log_returns
from slipstream.data.bars import HOURLY_SINCE_MS, BarsError, read_bars, read_funding

Array = npt.NDArray[np.float64]


class Panel(msgspec.Struct, frozen=True, kw_only=True):
    """T decisions of N coins. ``stamps`` are the bars' closes, ms UTC, ``hours`` apart; ``returns`` are the log returns
    of the bars that end there (NaN where a coin has none), ``volume_usd`` and ``volume_base`` what traded in them.

    ``rates`` has a row an hour, the last AT the last stamp, the first ``hours - 1`` before the first: the rate paid
    then, NaN where the source lacks it. ``notes`` says what was found and dropped.
    """

    coins: tuple[str, ...]
    stamps: npt.NDArray[np.int64]
    hours: int
    returns: Array
    volume_usd: Array
    volume_base: Array
    rates: Array
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shape = (len(self.stamps), len(self.coins))
        for name in ("returns", "volume_usd", "volume_base"):
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} has shape {getattr(self, name).shape}, not {shape} (decisions, coins)")
        if self.rates.shape != (shape[0] * self.hours, shape[1]):
            wanted = (shape[0] * self.hours, shape[1])
            raise ValueError(f"rates have shape {self.rates.shape}, not {wanted} (an hour a row)")
        if (np.diff(self.stamps) != self.hours * HOUR_MS).any():
            raise ValueError(f"stamps are not {self.hours} h apart everywhere")

    def at_decisions(self, hourly: Array) -> Array:
        """The rows of an hourly array (..., hours, N) that fall on decisions."""
        found: Array = hourly[..., self.hours - 1 :: self.hours, :]
        return found

    def width(self, horizon: int) -> int:
        """Bars in a horizon of hours. Raises ValueError unless it is a whole number of them."""
        return bars_in(horizon, self.hours)


def panel_of(bars: Bars, rates: Array, notes: tuple[str, ...] = ()) -> Panel:
    """From bars of whole hours and the rates of each hour in them, first bar's first hour to last bar's close."""
    if bars.hours != round(bars.hours) or bars.hours < 1:
        raise ValueError(f"bars of {bars.hours:g} h: joint models need bars of whole hours")
    middle = (bars.open + bars.close) / 2.0
    return Panel(
        coins=bars.coins,
        stamps=bars.opened + round(bars.hours * HOUR_MS),
        hours=round(bars.hours),
        returns=log_returns(bars.close),
        volume_usd=bars.volume_usd,
        volume_base=bars.volume_usd / middle,
        rates=rates,
        notes=(*bars.notes, *notes),
    )


def load_panel(
    bars_file: Path,
    funding_file: Path,
    *,
    coins: tuple[str, ...] = (),
    hours: float | None = None,
    now_ms: int | None = None,
) -> Panel:
    """From files or a lake (see `slipstream.data.bars`), from the first hour of hourly funding on.

    Raises BarsError for files that cannot be used and where bars and funding do not meet.
    """
    bars = read_bars(bars_file, coins=coins, hours=hours, now_ms=now_ms)
    step = round(bars.hours * HOUR_MS)
    if step % HOUR_MS:
        raise BarsError(f"{bars_file}: bars of {bars.hours:g} h; joint models need bars of whole hours")
    hourly = np.arange(int(bars.opened[0]), int(bars.opened[-1]) + step, HOUR_MS, dtype=np.int64)
    traded = np.repeat(np.isfinite(bars.close), round(bars.hours), axis=0)
    paid, missing = read_funding(funding_file, bars.coins, hourly, HOUR_MS, held=traded)
    rates = np.where((missing > 0) | (hourly < HOURLY_SINCE_MS)[:, None], np.nan, paid)
    known = np.isfinite(rates)
    if not known.any():
        raise BarsError(f"{funding_file}: no hourly rate of a coin of {bars_file} in the time of its bars")
    first = int(np.flatnonzero(known.any(axis=1))[0]) // round(bars.hours)
    if len(bars.opened) - first < 2:
        raise BarsError(f"{funding_file}: begins when {bars_file} ends")
    notes = [] if not first else [f"the first {first} bars are before hourly funding began and are not used"]
    if lacking := int((traded & ~known)[first * round(bars.hours) :].sum()):
        notes.append(f"{lacking} of {int(traded[first * round(bars.hours) :].sum())} coin-hours have no funding rate")
    none = [coin for j, coin in enumerate(bars.coins) if not known[:, j].any()]
    if none:
        notes.append(f"{len(none)} coins have bars but no funding: {', '.join(none)}")
    return panel_of(bars.between(first, len(bars.opened)), rates[first * round(bars.hours) :], tuple(notes))
