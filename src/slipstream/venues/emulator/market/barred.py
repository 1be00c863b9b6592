"""A market along recorded bars: the synthetic market's books and flow, around prices that were.

- A coin's price goes in a straight line (of logs) from a bar's open to its close, with a small seeded disturbance that
  is gone at both ends; over missing bars to the next one there is. After the last bar it stands still.
- Candles of the bars' own length are the recorded ones, each from its close on; a bar that the record lacks is not
  told. Other lengths are made of the synthetic tape.
- Funding of the past is the record's. From the opening on the index is kept where its premium makes the recorded rate;
  what is then charged is what the exchange measures in its books, near it.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from slipstream.model.errors import ConfigError
from slipstream.venues.emulator.market import history
from slipstream.venues.emulator.market.candles import INTERVALS, Candle
from slipstream.venues.emulator.market.funding_book import HOUR_MS, FundingRow
from slipstream.venues.emulator.market.latent import Floats
from slipstream.venues.emulator.market.synthetic import STEP_NS, SyntheticMarket
from slipstream.venues.emulator.market.universe import CoinSpec, choose

MS = 1_000_000
WOBBLE = 3e-4  # deviation of the disturbance amid a bar, a fraction of the price
WAVES = 5


class BarRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Bars of coins the emulator knows: opens in ms, evenly spaced; arrays (T, N), NaN where a coin has no bar.

    ``volume`` is in coins; ``rate`` the mean hourly funding rate of a bar.
    """

    coins: tuple[str, ...]
    interval: str
    opened: npt.NDArray[np.int64]
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    rate: Floats

    @property
    def step_ms(self) -> int:
        """Length of a bar."""
        return INTERVALS[self.interval]


class BarPaths:
    """The prices of a record, by time. Implements `latent.Paths`."""

    def __init__(self, record: BarRecord, rng: np.random.Generator, begin_ns: int) -> None:
        self._ns = begin_ns
        opens, n = record.opened * MS, len(record.coins)
        self._times = np.stack([opens, opens + record.step_ms * MS - 1], axis=1).ravel()
        self._opened, self._step = opens, record.step_ms * MS
        self._logs: list[tuple[npt.NDArray[np.int64], Floats]] = []
        for j in range(n):
            logs = np.log(np.stack([record.open[:, j], record.close[:, j]], axis=1)).ravel()
            known = np.isfinite(logs)
            self._logs.append((self._times[known], logs[known]))
        self._waves = rng.standard_normal((len(opens), n, WAVES)) * WOBBLE / WAVES**0.5
        eight = 8.0 * np.nan_to_num(record.rate, nan=history.INTEREST / 8.0)
        beyond = eight - history.INTEREST
        self._premium = np.where(np.abs(beyond) < 1e-9, history.INTEREST, eight + np.sign(beyond) * history.CLAMP)
        self.slow = np.zeros(n)

    @property
    def now_ns(self) -> int:
        """How far the prices have gone."""
        return self._ns

    def _bar(self, ns: int) -> int:
        return int(np.clip(np.searchsorted(self._opened, ns, side="right") - 1, 0, len(self._opened) - 1))

    def _at(self, ns: int) -> Floats:
        bar = self._bar(ns)
        into = min(1.0, max(0.0, (ns - int(self._opened[bar])) / self._step))
        straight = np.array([np.interp(ns, times, logs) for times, logs in self._logs])
        waves = np.sin(np.pi * into * np.arange(1, WAVES + 1))
        out: Floats = straight + self._waves[bar] @ waves
        return out

    @property
    def index(self) -> Floats:
        """Log of the spot index: the price less the premium that makes the recorded rate."""
        out: Floats = self._at(self._ns) - self._premium[self._bar(self._ns)]
        return out

    def walk(self, steps: int, seconds: float) -> tuple[Floats, Floats]:
        """The prices after each step; the local market has no basis over the leader."""
        step = round(seconds * 1e9)
        leader = np.stack([self._at(self._ns + step * (k + 1)) for k in range(steps)], axis=1)
        self._ns += step * steps
        return leader, np.zeros_like(leader)

    def reach(self, ns: int) -> None:
        """Be at a time: steps of whole ns may fall short of it."""
        self._ns = ns

    def dump(self) -> dict[str, Any]:
        """A market over bars keeps no snapshot: raises ConfigError."""
        raise ConfigError("a market along bars is not kept in a snapshot: begin it anew from its bars")

    def restore(self, state: dict[str, Any]) -> None:
        """See `dump`."""
        self.dump()


class BarMarket(SyntheticMarket):
    """Implements the exchange's Market protocol along a record."""

    def __init__(self, record: BarRecord, seed: int, start_ns: int) -> None:
        """Opens at ``start_ns``, within the record; what closed before is history. Raises ConfigError."""
        first, last = int(record.opened[0]) * MS, (int(record.opened[-1]) + record.step_ms) * MS
        if not first < start_ns < last:
            raise ConfigError(f"start {start_ns} ns is not within the bars: from {first} to {last} ns")
        if record.interval not in INTERVALS:
            raise ConfigError(f"bars of {record.interval!r}: the venue has {', '.join(INTERVALS)}")
        self._record = record
        self._start_ns = start_ns
        super().__init__(record.coins, seed, start_ns, days=2)

    def _listed(self, coins: tuple[str, ...]) -> Sequence[CoinSpec]:
        bar = int(np.searchsorted(self._record.opened, self._start_ns // MS, side="right")) - 1
        specs = []
        for j, spec in enumerate(choose(coins)):
            known = self._record.open[: bar + 1, j]
            known = known[np.isfinite(known)]
            if not len(known):
                raise ConfigError(f"{spec.coin} has no bar before the start: leave it out, or start later")
            specs.append(msgspec.structs.replace(spec, px=float(known[-1])))
        return specs

    def _paths(self, rng: np.random.Generator) -> BarPaths:
        # the books fill for 20 steps before the opening
        self._bars = BarPaths(self._record, rng, self._start_ns - 20 * STEP_NS)
        return self._bars

    def advance(self, t0_ns: int, t1_ns: int) -> None:
        """Move along the bars and let the background trade from one time to another."""
        super().advance(t0_ns, t1_ns)
        self._bars.reach(t1_ns)

    def candles(self, coin: str, interval: str, start_ms: int, end_ms: int) -> list[Candle]:
        """Candles that open in [start, end]; the recorded ones only once they are closed."""
        record = self._record
        if interval != record.interval:
            return super().candles(coin, interval, start_ms, end_ms)
        j, now_ms = self._place(coin), self._bars.now_ns // MS
        out = []
        for t in range(*np.searchsorted(record.opened, (start_ms, end_ms + 1)).tolist()):
            at = int(record.opened[t])
            if at + record.step_ms > now_ms or not np.isfinite(record.close[t, j]):
                continue
            columns = (record.open, record.high, record.low, record.close, record.volume)
            o, h, low, c, v = (Decimal(repr(float(column[t, j]))) for column in columns)
            out.append(Candle(at, at + record.step_ms - 1, o, h, low, c, v, 1))
        return out

    def funding_history(self, coin: str, start_ms: int, end_ms: int) -> list[FundingRow]:
        """Hourly rates in [start, end]: the record's until the opening, then what the exchange settled."""
        record, j = self._record, self._place(coin)
        opening = self._start_ns // MS
        past = []
        for ms in range(-(-start_ms // HOUR_MS) * HOUR_MS, min(end_ms, opening) + 1, HOUR_MS):
            t = (ms - 1 - int(record.opened[0])) // record.step_ms
            if 0 <= t < len(record.opened) and np.isfinite(record.rate[t, j]):
                past.append(FundingRow(ms, Decimal(repr(float(record.rate[t, j]))), Decimal(0)))
        return past + [row for row in super().funding_history(coin, start_ms, end_ms) if row.ms > opening]
