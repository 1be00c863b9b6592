"""Checks of bars, funding and contexts before they go into the lake: every row that is dropped is told, and why.

What is wrong in itself is dropped and reported: duplicates that contradict each other, numbers that cannot be, times
off the grid or in the future, bars before a coin's first trade (zero volume, back-filled by the source). What may be
true is kept and reported: gaps, bars without volume, spikes, highs and lows that do not hold their bar. Nothing is made
up: a missing bar stays missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from slipstream.data.streams import CONTEXTS, FUNDING, HOUR, INTERVALS, MINUTE, SECOND, Stream

# Hyperliquid settled every 8 hours before this time, every hour since
HOURLY_SINCE_NS = 1_686_182_400 * SECOND
RATE_CAP = 0.04  # of a settlement: the venue's own cap is 4 % an hour
MOST_PX, MOST_SZ = 1e12, 1e18  # no coin's price, no bar's volume
SPIKE = 25.0  # times the coin's median absolute return
SPIKE_LEAST = 0.05
BACK = 0.6  # of a spike is taken back by the next bar
Kind = Literal[
    "unordered",
    "duplicate",
    "conflict",
    "future",
    "off grid",
    "not a number",
    "impossible",
    "back-fill",
    "gap",
    "zero volume",
    "spike",
    "range",
]
Mask = npt.NDArray[np.bool_]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of fault of one coin: how many rows (or missing rows), from when to when, and what was done."""

    kind: Kind
    action: Literal["dropped", "kept", "sorted", "missing"]
    rows: int
    first_ns: int
    last_ns: int
    detail: str = ""


class Quality(msgspec.Struct, frozen=True, kw_only=True):
    """What a check found in the rows of one coin and stream."""

    venue: str
    stream: str
    coin: str
    rows_in: int
    rows_out: int
    findings: tuple[Finding, ...] = ()

    def __add__(self, other: Quality) -> Quality:
        """Of two lots of the same series."""
        return Quality(
            venue=self.venue,
            stream=self.stream,
            coin=self.coin,
            rows_in=self.rows_in + other.rows_in,
            rows_out=self.rows_out + other.rows_out,
            findings=self.findings + other.findings,
        )

    @property
    def dropped(self) -> int:
        """Rows that were left out."""
        return self.rows_in - self.rows_out

    def lines(self) -> list[str]:
        """One line a finding, for people."""
        name = f"{self.venue} {self.stream} {self.coin}"
        return [f"{name}: {finding_text(finding)}" for finding in self.findings]


def when(ns: int) -> str:
    """A time as people read it, UTC, to the second."""
    return datetime.fromtimestamp(ns // SECOND, UTC).strftime("%Y-%m-%d %H:%M:%S")


def finding_text(finding: Finding) -> str:
    """A finding in words."""
    span = when(finding.first_ns)
    if finding.last_ns != finding.first_ns:
        span += f" to {when(finding.last_ns)}"
    detail = f": {finding.detail}" if finding.detail else ""
    return f"{finding.rows} {finding.kind} ({finding.action}), {span}{detail}"


class _Sieve:
    """Rows of one coin that pass one check after the other."""

    def __init__(self, rows: Any, time: str) -> None:
        self.rows = rows.reset_index(drop=True)
        self.time = time
        self.findings: list[Finding] = []

    @property
    def times(self) -> npt.NDArray[np.int64]:
        return np.asarray(self.rows[self.time], dtype=np.int64)

    def tell(self, kind: Kind, action: Literal["dropped", "kept", "sorted"], mask: Mask, detail: str = "") -> None:
        if mask.any():
            times = self.times[mask]
            self.findings.append(
                Finding(
                    kind=kind,
                    action=action,
                    rows=int(mask.sum()),
                    first_ns=int(times.min()),
                    last_ns=int(times.max()),
                    detail=detail,
                )
            )

    def drop(self, kind: Kind, mask: Mask, detail: str = "") -> None:
        if mask.any():
            self.tell(kind, "dropped", mask, detail)
            self.rows = self.rows[~mask].reset_index(drop=True)

    def order(self) -> None:
        """Sort by time; rows that are there twice once; rows that contradict each other not at all."""
        times = self.times
        back = np.zeros(len(times), dtype=np.bool_)
        back[1:] = np.diff(times) < 0
        if back.any():
            self.tell("unordered", "sorted", back, "the time goes back")
            self.rows = self.rows.sort_values(self.time, kind="stable", ignore_index=True)
        self.drop("duplicate", self.rows.duplicated().to_numpy(), "the row is there already")
        twice = self.rows[self.time].duplicated(keep=False).to_numpy()
        self.drop("conflict", twice, "rows of one time contradict each other, and none is trusted")

    def numbers(self, names: Sequence[str], *, empty: Sequence[str] = ()) -> None:
        """Drop rows with a field that is not finite; of ``empty``, NaN is allowed."""
        for name in (*names, *empty):
            values = np.asarray(self.rows[name], dtype=np.float64)
            self.drop("not a number", np.isinf(values) if name in empty else ~np.isfinite(values), name)

    def gaps(self, step: int, since_ns: int = 0) -> None:
        """Tell what is missing between the first and the last row of a grid."""
        times = self.times
        times = times[times >= since_ns]
        if len(times) < 2:
            return
        lacking = np.diff(times) // step - 1
        holes = np.flatnonzero(lacking > 0)
        if len(holes):
            longest = int(holes[lacking[holes].argmax()])
            detail = (
                f"{len(holes)} holes, the longest of {int(lacking[longest])} from {when(int(times[longest]) + step)}"
            )
            first, last = int(times[holes[0]]) + step, int(times[holes[-1] + 1]) - step
            found = Finding(
                kind="gap", action="missing", rows=int(lacking.sum()), first_ns=first, last_ns=last, detail=detail
            )
            self.findings.append(found)


def _bars(sieve: _Sieve, step: int, drop_spikes: bool, begun: bool) -> None:
    prices = ("open", "high", "low", "close")
    times = sieve.times
    sieve.drop("off grid", times % step != 0, f"the open is not on the grid of {step // MINUTE} min")
    sieve.numbers((*prices, "volume"), empty=("trades",))
    columns = {name: np.asarray(sieve.rows[name], dtype=np.float64) for name in (*prices, "volume")}
    bad = np.logical_or.reduce([(columns[name] <= 0.0) | (columns[name] > MOST_PX) for name in prices])
    bad |= (columns["volume"] < 0.0) | (columns["volume"] > MOST_SZ)
    sieve.drop("impossible", bad, "a price or a volume below 0 or beyond reason, or a price of 0")
    volume = np.asarray(sieve.rows["volume"], dtype=np.float64)
    before = np.maximum.accumulate(volume > 0.0) if len(volume) else np.zeros(0, dtype=np.bool_)
    sieve.drop("back-fill", ~before & (not begun), "no trade so far: drawn by the source before the listing")
    rows = sieve.rows
    still = np.asarray(rows["volume"] == 0.0, dtype=np.bool_)
    sieve.tell("zero volume", "kept", still)
    top, bottom = rows[["open", "close"]].max(axis=1), rows[["open", "close"]].min(axis=1)
    sieve.tell(
        "range",
        "kept",
        np.asarray((rows["high"] < top) | (rows["low"] > bottom), dtype=np.bool_),
        "high and low do not hold open and close",
    )
    spikes = _spikes(np.asarray(rows["close"], dtype=np.float64), sieve.times, step)
    if drop_spikes:
        sieve.drop("spike", spikes, "a close that the next bar takes back")
    else:
        sieve.tell("spike", "kept", spikes, "a close that the next bar takes back")
    sieve.gaps(step)


def _spikes(close: npt.NDArray[np.float64], times: npt.NDArray[np.int64], step: int) -> Mask:
    """Closes far from both neighbours, on the same side of them, by the coin's own median move."""
    out = np.zeros(len(close), dtype=np.bool_)
    if len(close) < 20:
        return out
    moves = np.diff(np.log(close))
    near = np.diff(times) == step
    usual = float(np.median(np.abs(moves[near]))) if near.any() else 0.0
    least = max(SPIKE * usual, SPIKE_LEAST)
    there, back = moves[:-1], moves[1:]
    alone = (np.abs(there) > least) & (there * back < 0.0) & (np.abs(back) > BACK * np.abs(there))
    out[1:-1] = alone & near[:-1] & near[1:]
    return out


def _funding(sieve: _Sieve, hourly_since_ns: int | None) -> None:
    sieve.numbers(("rate",), empty=("premium",))
    sieve.drop("off grid", sieve.times % HOUR != 0, "a settlement is on the full hour")
    rates = np.asarray(sieve.rows["rate"], dtype=np.float64)
    sieve.drop("impossible", np.abs(rates) > RATE_CAP, f"a rate beyond the venue's cap of {RATE_CAP:g}")
    if hourly_since_ns is not None:
        sieve.gaps(HOUR, hourly_since_ns)


def _contexts(sieve: _Sieve) -> None:
    prices = ("oracle_px", "mark_px")
    sieve.numbers(prices, empty=("funding", "open_interest", "mid_px", "premium", "impact_bid_px", "impact_ask_px"))
    columns = [np.asarray(sieve.rows[name], dtype=np.float64) <= 0.0 for name in prices]
    sieve.drop("impossible", np.logical_or.reduce(columns), "a price from 0 down")
    rates = np.asarray(sieve.rows["funding"], dtype=np.float64)
    sieve.drop("impossible", np.abs(rates) > RATE_CAP, f"a rate beyond the venue's cap of {RATE_CAP:g}")
    sieve.gaps(MINUTE)


def examine(
    rows: Any,
    stream: Stream,
    venue: str,
    coin: str,
    *,
    now_ns: int,
    drop_spikes: bool = False,
    begun: bool = False,
    hourly_since_ns: int | None = HOURLY_SINCE_NS,
) -> tuple[Any, Quality]:
    """The rows of one coin that can be kept, in order, and what was found.

    ``rows`` is a pandas frame with the columns of a series. ``now_ns`` is the source's time: what could not be known by
    then is dropped. ``begun``: the coin is known to have traded before, so that bars without volume at the start are no
    back-fill. ``hourly_since_ns``: from when on a settlement is due every hour (None: gaps are not looked for).
    """
    sieve = _Sieve(rows[list(stream.columns)], stream.time)
    if len(rows):
        sieve.order()
        known = np.asarray(sieve.rows[stream.known], dtype=np.int64)
        sieve.drop("future", known > now_ns, f"not known by {when(now_ns)}")
        if stream.name == FUNDING:
            _funding(sieve, hourly_since_ns)
        elif stream.name == CONTEXTS:
            _contexts(sieve)
        else:
            step = INTERVALS[stream.name.removeprefix("bars_")]
            spans = np.asarray(sieve.rows["close_ns"] - sieve.rows["open_ns"], dtype=np.int64)
            sieve.drop("impossible", spans != step, f"the bar is not {step // MINUTE} min long")
            _bars(sieve, step, drop_spikes, begun)
    quality = Quality(
        venue=venue,
        stream=stream.name,
        coin=coin,
        rows_in=len(rows),
        rows_out=len(sieve.rows),
        findings=tuple(sieve.findings),
    )
    return sieve.rows, quality
