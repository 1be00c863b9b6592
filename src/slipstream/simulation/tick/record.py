"""From the logs of a run in ticks and lots to money, and to the record that reports and comparisons read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from slipstream.core.portfolio.record import BacktestRecord
from slipstream.lob.replay import record as codes
from slipstream.model.grid import price_of_tick
from slipstream.simulation.tick.queue_stats import CANCEL, DONE, MODIFY, PLACE
from slipstream.simulation.tick.told import Fills, Floats, Longs, Requests, Samples, Told

Rows = npt.NDArray[np.void]
KINDS = np.array([PLACE, CANCEL, MODIFY])  # by codes.NEW, CANCEL, MODIFY
WORDS = {
    codes.WOULD_TRADE: "post-only and would have taken",
    codes.NOT_REDUCING: "reduce-only and would not reduce",
    codes.TOO_LATE: "the order was gone already",
    codes.BAD_REQUEST: "no such price, size or order",
    codes.NO_LIQUIDITY: "met nobody",
    codes.REDUCE_CANCELLED: "taken off: the position no longer bears it",
}


@dataclass(frozen=True, kw_only=True)
class TickRecord(BacktestRecord):
    """A backtest's record with the run it came from."""

    told: Told


@dataclass(frozen=True, kw_only=True)
class Scale:
    """What ticks and lots of one market are worth: ``decimals`` -1 a linear grid, else Hyperliquid's; lot in coin."""

    tick_size: float
    decimals: int
    lot: float

    def prices(self, ticks: Longs) -> Floats:
        """Prices of ticks; NaN below 0 (none)."""
        if self.decimals < 0:
            return np.where(ticks < 0, np.nan, ticks * self.tick_size)
        unique, back = np.unique(ticks, return_inverse=True)
        values = [float(price_of_tick(int(tick), self.decimals)) if tick >= 0 else np.nan for tick in unique]
        out: Floats = np.array(values, dtype=np.float64)[back]
        return out


def told_of(
    coins: Sequence[str],
    scales: Sequence[Scale],
    *,
    fills: Rows,
    marks: Floats,
    sent: Rows,
    samples: Rows,
    funding: Floats,
    horizons_ns: Sequence[int],
    end_ns: int,
) -> Told:
    """A run's logs (`FILL_DTYPE` with its marks, `SENT_DTYPE`, `SAMPLE_DTYPE`) as money.

    What is known here at ``end_ns`` is what the exchange knows: no fill is left out. Raises ValueError where no sample
    was taken.
    """
    made = fills_of(scales, fills, marks, tuple(horizons_ns))
    lots = np.array([scale.lot for scale in scales])
    asked = Requests(
        market=sent["market"].astype(np.int64),
        sent_ns=sent["sent_ns"].astype(np.int64),
        kind=KINDS[sent["action"]],
        outcome=outcomes(sent["outcome"]),
        size=sent["lots"] * lots[sent["market"]],
        exch_ns=sent["exch_ns"].astype(np.int64),
        order=sent["order"].astype(np.int64),
        ahead=_ahead(scales, sent),
    )
    seen = ended(samples_of(scales, samples), made, funding, end_ns)
    return Told(coins=tuple(coins), fills=made, samples=seen, requests=asked)


def _ahead(scales: Sequence[Scale], sent: Rows) -> Floats:
    """USD in front of each request's order where it joined a level, else NaN."""
    out = np.full(sent.size, np.nan)
    for k, scale in enumerate(scales):
        mine = (sent["market"] == k) & np.isfinite(sent["queue_front"])
        front = np.maximum(sent["queue_front"][mine], 0.0)
        out[mine] = front * scale.lot * scale.prices(sent["tick"][mine].astype(np.int64))
    return out


def fills_of(scales: Sequence[Scale], fills: Rows, marks: Floats, horizons_ns: tuple[int, ...]) -> Fills:
    """The log of fills as money, in the exchange's order."""
    order = np.argsort(fills["exch_ns"], kind="stable")
    fills, marks = fills[order], marks[order]
    lot = np.array([scale.lot for scale in scales])[fills["market"]]
    maker = fills["maker"].astype(np.bool_)
    return Fills(
        market=fills["market"].astype(np.int64),
        exch_ns=fills["exch_ns"].astype(np.int64),
        known_ns=fills["local_ns"].astype(np.int64),
        placed_ns=fills["placed_ns"].astype(np.int64),
        joined_ns=fills["accepted_ns"].astype(np.int64),
        order=fills["order"].astype(np.int64),
        side=fills["side"].astype(np.int64),
        px=fills["price"].astype(np.float64),
        size=fills["lots"] * lot,
        fee=fills["fee"].astype(np.float64),
        maker=maker,
        queue=np.where(maker, np.maximum(fills["queue_front"], 0.0) * lot, np.nan),
        mid=fills["mid"].astype(np.float64),
        marks=marks.astype(np.float64),
        horizons_ns=horizons_ns,
    )


def outcomes(found: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.str_]:
    """What became of requests, in words: done, or why not."""
    unique, back = np.unique(found, return_inverse=True)
    words = np.array([WORDS.get(int(code), DONE) for code in unique], dtype=np.str_)
    out: npt.NDArray[np.str_] = words[back] if unique.size else np.zeros(0, dtype="<U1")
    return out


def samples_of(scales: Sequence[Scale], samples: Rows) -> Samples:
    """The log of samples, markets side by side; a market that lacks a time keeps what it had. Raises ValueError."""
    if not samples.size:
        raise ValueError("no sample was taken: the run is shorter than the time between two")
    ns, places = np.unique(samples["ns"], return_inverse=True)
    shape = (ns.size, len(scales))
    rows = np.full(shape, -1, dtype=np.int64)
    rows[places, samples["market"]] = np.arange(samples.size)
    last = np.maximum.accumulate(np.where(rows >= 0, np.arange(ns.size)[:, None], -1), axis=0)
    rows = np.where(last >= 0, np.take_along_axis(rows, np.maximum(last, 0), axis=0), -1)

    def column(name: str, none: float) -> npt.NDArray[Any]:
        return np.where(rows >= 0, samples[name][rows], none)

    prices = {
        name: np.column_stack([scale.prices(column(name, -1)[:, k].astype(np.int64)) for k, scale in enumerate(scales)])
        for name in ("bid_tick", "ask_tick", "own_bid_tick", "own_ask_tick")
    }
    lots = np.array([scale.lot for scale in scales])
    return Samples(
        ns=ns.astype(np.int64),
        bid=prices["bid_tick"],
        ask=prices["ask_tick"],
        own_bid=prices["own_bid_tick"],
        own_ask=prices["own_ask_tick"],
        position=column("position", 0) * lots,
        cash=column("cash", 0.0).astype(np.float64),
        fees=column("fees", 0.0).astype(np.float64),
        funding=column("funding", 0.0).astype(np.float64),
    )


def ended(seen: Samples, fills: Fills, funding: Floats, end_ns: int) -> Samples:
    """The samples with a last one in which everything that happened is known."""
    markets = seen.bid.shape[1]

    def summed(values: Floats) -> Floats:
        return np.bincount(fills.market, weights=values, minlength=markets).astype(np.float64)

    last: dict[str, Floats] = {
        "position": summed(np.multiply(fills.side, fills.size, dtype=np.float64)),
        "cash": summed(np.multiply(-fills.side, fills.usd, dtype=np.float64)),
        "fees": summed(fills.fee),
        "funding": np.array(funding, dtype=np.float64),
    }
    ns = max(int(end_ns), int(seen.ns[-1]) + 1)
    last |= {name: getattr(seen, name)[-1] for name in ("bid", "ask", "own_bid", "own_ask")}
    grown: dict[str, Floats] = {name: np.vstack([getattr(seen, name), values]) for name, values in last.items()}
    return Samples(ns=np.append(seen.ns, ns), **grown)


def tick_record(
    told: Told,
    *,
    slug: str,
    title: str,
    capital: float,
    assumptions: Sequence[str],
    settings: Mapping[str, object],
    findings: Sequence[str] = (),
) -> TickRecord:
    """A run as a backtest's record: one stamp a sample, positions at the mid. Raises ValueError (`BacktestRecord`)."""
    seen, fills = told.samples, told.fills
    stamps = -(-seen.ns[1:] // 1_000_000)
    kept = np.flatnonzero(np.append(np.diff(stamps) > 0, True)) + 1
    stamps = stamps[kept - 1]
    pnl, held = seen.pnl, np.where(seen.position == 0.0, 0.0, seen.position * seen.mid)
    lost = np.flatnonzero(~np.isfinite(pnl).all(axis=0))
    if lost.size:
        raise ValueError(f"{told.coins[lost[0]]} was held while its book had no two sides yet: nobody knows its worth")
    edges = np.append(seen.ns[:1], seen.ns[kept])
    places = np.clip(np.searchsorted(edges, fills.exch_ns, side="left") - 1, 0, kept.size - 1)
    turnover = np.bincount(places, weights=fills.usd, minlength=kept.size).astype(np.float64)

    def earned(values: Floats) -> Floats:
        total = values.sum(axis=1)
        out: Floats = np.diff(np.append(0.0, total[kept]))
        return out

    return TickRecord(
        slug=slug,
        title=title,
        stamps=stamps.astype(np.int64),
        equity=capital + pnl.sum(axis=1)[kept],
        capital=capital,
        gross=np.abs(held).sum(axis=1)[kept],
        net=held.sum(axis=1)[kept],
        turnover=turnover,
        costs={"fee": earned(seen.fees)},
        funding=earned(seen.funding),
        coin_pnl={coin: float(pnl[-1, k]) for k, coin in enumerate(told.coins)},
        assumptions=tuple(assumptions),
        settings=dict(settings),
        findings=tuple(findings),
        told=told,
    )
