"""The months before the market opened: minute paths, candles at every interval, hourly funding. Vectorised, seeded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from slipstream.model.instrument import Instrument
from slipstream.venues.emulator.market.candles import (
    CLOSE,
    COUNT,
    DAY,
    HIGH,
    INTERVALS,
    KEPT,
    LOTS,
    LOW,
    MINUTE,
    OPEN,
    OPEN_MS,
    Rows,
    open_time,
)
from slipstream.venues.emulator.market.universe import CoinSpec

DAYS = 240
HOUR = 60 * MINUTE
YEAR_MINUTES = 525_600.0
INTEREST = 1e-4
CLAMP = 5e-4
RATE_CAP = 0.04
Floats = npt.NDArray[np.float64]

# Premium of the local perp over its oracle, bp: a slow and a fast Ornstein-Uhlenbeck part and noise, fitted to the
# funding distribution measured on real coins (share at the default rate, share negative, tails, autocorrelations).
PREMIUM_MEAN = 1.6
PREMIUM_SD = 6.6
PREMIUM_SPREAD = 0.4  # of the log of a coin's own deviation
SLOW_HOURS, FAST_HOURS = 260.0, 4.5
SLOW_SHARE, FAST_SHARE = 0.62, 0.35
BURST_SPREAD, BURST_HOURS = 0.6, 120.0  # of the log of a slowly changing scale


def funding_rate(premium: Floats) -> Floats:
    """Hourly rate from the hour's mean premium: [P + clamp(0.01 % - P, +-0.05 %)] / 8, capped at 4 %."""
    rate = (premium + np.clip(INTEREST - premium, -CLAMP, CLAMP)) / 8.0
    return np.clip(rate, -RATE_CAP, RATE_CAP)


def _ou(rng: np.random.Generator, n: int, steps: int, hours: float) -> Floats:
    """Unit-variance Ornstein-Uhlenbeck paths sampled hourly, shape (n, steps)."""
    keep = np.exp(-1.0 / hours)
    noise = rng.standard_normal((n, steps)) * np.sqrt(1.0 - keep * keep)
    out = np.empty((n, steps))
    level = rng.standard_normal(n)
    for k in range(steps):
        level = keep * level + noise[:, k]
        out[:, k] = level
    return out


def premium_paths(rng: np.random.Generator, n: int, hours: int) -> Floats:
    """Hourly mean premiums (fractions), shape (n, hours)."""
    slow, fast = (_ou(rng, n, hours, h) for h in (SLOW_HOURS, FAST_HOURS))
    scale = np.exp(BURST_SPREAD * _ou(rng, n, hours, BURST_HOURS))
    own = PREMIUM_SD * np.exp(PREMIUM_SPREAD * rng.standard_normal((n, 1)))
    white = rng.standard_normal((n, hours))
    parts = SLOW_SHARE**0.5 * slow + FAST_SHARE**0.5 * fast + (1.0 - SLOW_SHARE - FAST_SHARE) ** 0.5 * white
    return (PREMIUM_MEAN + own * scale * parts) * 1e-4


def minute_paths(rng: np.random.Generator, specs: Sequence[CoinSpec], minutes: int) -> Floats:
    """Log prices at the end of each minute, shape (coins, minutes), each ending at its coin's start price."""
    hours = minutes // 60 + 1
    regime = np.exp(0.35 * _ou(rng, 1, hours, 48.0)[0])
    scale = np.repeat(regime, 60)[:minutes] / YEAR_MINUTES**0.5
    factor = rng.standard_normal(minutes) * scale * 0.42
    out = np.empty((len(specs), minutes))
    for row, spec in zip(out, specs, strict=True):
        own = max(0.15, spec.volatility**2 - (0.42 * spec.beta) ** 2) ** 0.5 if spec.beta != 1.0 else 0.1
        row[:] = np.cumsum(spec.beta * factor + own * scale * rng.standard_normal(minutes))
        row += np.log(spec.px) - row[-1]
    return out


def _starts(times: npt.NDArray[np.int64], interval: str) -> npt.NDArray[np.int64]:
    """The opening time of the candle that each time lies in, ms (see `open_time`)."""
    if interval in ("1w", "1M"):
        days, back = np.unique(times // DAY, return_inverse=True)
        opens: npt.NDArray[np.int64] = np.array([open_time(int(day) * DAY, interval) for day in days])[back]
        return opens
    return times // INTERVALS[interval] * INTERVALS[interval]


def _gather(rows: Rows, interval: str) -> Rows:
    """Candles of a longer interval from those of a shorter one."""
    starts = _starts(rows[:, OPEN_MS], interval)
    edges = np.concatenate(([0], np.flatnonzero(np.diff(starts)) + 1))
    out = np.empty((len(edges), 7), np.int64)
    out[:, OPEN_MS] = starts[edges]
    out[:, OPEN] = rows[edges, OPEN]
    out[:, HIGH] = np.maximum.reduceat(rows[:, HIGH], edges)
    out[:, LOW] = np.minimum.reduceat(rows[:, LOW], edges)
    out[:, CLOSE] = rows[np.append(edges[1:] - 1, len(rows) - 1), CLOSE]
    out[:, LOTS] = np.add.reduceat(rows[:, LOTS], edges)
    out[:, COUNT] = np.add.reduceat(rows[:, COUNT], edges)
    return out


def _to_ticks(px: Floats, instrument: Instrument) -> Rows:
    """Nearest lower ticks of prices (the grid of `slipstream.model.grid`, vectorised)."""
    decimals = instrument.price_decimals
    units = (px * 10.0**decimals * (1.0 + 1e-12)).astype(np.int64)
    if decimals == 0:
        return units
    digits = np.floor(np.log10(np.maximum(units, 1) + 0.5)).astype(np.int64)
    k = np.clip(digits - 4, 0, decimals)
    ticks = 100_000 + (k - 1) * 90_000 + units // 10**k - 10_000
    out: Rows = np.where(k == 0, units, ticks)
    return out


def candles(
    rng: np.random.Generator, spec: CoinSpec, instrument: Instrument, path: Floats, end_ms: int
) -> dict[str, Rows]:
    """Every interval's candles of one coin; the minute that holds ``end_ms`` is the last."""
    minutes = len(path)
    times = open_time(end_ms, "1m") - MINUTE * np.arange(minutes - 1, -1, -1, dtype=np.int64)
    ticks = _to_ticks(np.exp(path), instrument)
    activity = np.exp(0.8 * rng.standard_normal(minutes).astype(np.float32) - 0.32)
    lots = (spec.volume / spec.px / float(instrument.lot) * activity).astype(np.int64) + 1
    counts = (spec.market_orders * 3.0 * activity).astype(np.int64) + 1
    opens = np.append(ticks[:1], ticks[:-1])
    rows = np.empty((7, minutes), np.int64).T
    columns = (times, opens, np.maximum(opens, ticks), np.minimum(opens, ticks), ticks, lots, counts)
    for at, column in enumerate(columns):
        rows[:, at] = column
    shorter = {"1m": rows, "1h": _gather(rows, "1h")}
    shorter["1d"] = _gather(shorter["1h"], "1d")
    out: dict[str, Rows] = {}
    for interval, ms in INTERVALS.items():
        source = "1m" if ms < HOUR else "1h" if ms <= DAY else "1d"
        parts = shorter[source]
        part = parts[-(KEPT + 1) * (ms // INTERVALS[source]) :]
        bars = parts if interval == source else _gather(part, interval)
        # the first candle may be cut; it is kept only where there is nothing after it
        out[interval] = bars[1:][-KEPT:] if len(bars) > 1 else bars
    return out
