"""The terms of a replay: how each market is simulated, and what is written down."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from slipstream.lob.replay import delay as delays
from slipstream.lob.replay import fee_tiers as fees
from slipstream.lob.replay.queue_position import MODELS
from slipstream.lob.replay.record import DELAYS, FIRST_NEWS, FIRST_SLOTS, HORIZONS, NEVER
from slipstream.lob.replay.window import first_window

LONGEST_BLOCK_NS = 60 * 10**9  # ends of much longer ones would not fit into times of 64 bits


@dataclass(frozen=True, slots=True)
class MarketTerms:
    """How one market of a replay is simulated.

    Prices: ``tick_size`` for a linear grid, or ``decimals`` for the venue's five-figure grid (then ticks are those of
    `slipstream.model.grid`); exactly one of them. ``lot_size``: one lot in base units. ``queue``: a name of
    `queue_position.MODELS`, ``power`` its exponent. ``partial``: fills in part (docs/fills.md P1, P2). ``capped``: no
    fill is larger than its trade. ``block_ns``: length of the venue's blocks, 0: none. ``impact``: lots we took are
    gone until their level's next row. Raises ValueError that says what is wrong.
    """

    name: str
    lot_size: float
    tick_size: float | None = None
    decimals: int | None = None
    fees: fees.FeeTiers = field(default_factory=fees.hyperliquid)
    feed: delays.Delay = field(default_factory=delays.recorded)
    entry: delays.Delay = field(default_factory=lambda: delays.constant(0))
    response: delays.Delay = field(default_factory=lambda: delays.constant(0))
    queue: str = "power3"
    power: float = 3.0
    partial: bool = True
    capped: bool = True
    block_ns: int = 0
    impact: bool = False

    def __post_init__(self) -> None:
        if (self.tick_size is None) == (self.decimals is None):
            raise ValueError(f"{self.name}: say either tick_size or decimals, not both and not neither")
        for what, value in (("tick_size", self.tick_size), ("lot_size", self.lot_size), ("power", self.power)):
            if value is not None and not (math.isfinite(value) and value > 0.0):
                raise ValueError(f"{self.name}: {what} must be a positive number, not {value}")
        if self.decimals is not None and not 0 <= self.decimals <= 8:
            raise ValueError(f"{self.name}: decimals must lie in 0..8, not {self.decimals}")
        if self.queue not in MODELS:
            raise ValueError(f"{self.name}: no queue model {self.queue!r}; there are {', '.join(MODELS)}")
        if not 0 <= self.block_ns <= LONGEST_BLOCK_NS:
            raise ValueError(f"{self.name}: block_ns must lie in 0..{LONGEST_BLOCK_NS}, not {self.block_ns}")

    def into(self, market: Any, index: int, first_delays: Sequence[int]) -> None:
        """Write these terms into a zeroed record of `MARKET_DTYPE`."""
        market["index"], market["partial"], market["capped"] = index, self.partial, self.capped
        market["impact"], market["block_ns"] = self.impact, self.block_ns
        market["model"], market["power"] = MODELS[self.queue], self.power
        grid = market["grid"]
        grid["tick_size"] = 0.0 if self.tick_size is None else self.tick_size
        grid["decimals"] = -1 if self.decimals is None else self.decimals
        grid["lot_size"] = self.lot_size
        for name, delay, first in zip(
            ("feed", "entry", "response"), (self.feed, self.entry, self.response), first_delays, strict=True
        ):
            delay.into(market[name], first)
        self.fees.into(market["fees"])
        market["as_recorded"] = self.feed == delays.recorded()
        market["ring_mask"] = FIRST_NEWS - 1
        first_window(market, 0)


@dataclass(frozen=True, slots=True)
class ReplayTerms:
    """What a replay writes down: marks of fills at ``horizons_ns``, samples every ``sample_ns`` (0: none), and,
    unless ``requests`` is False, every request.

    ``volume``: the account's volume of the 14 days before, in quote currency, for the fee tier.
    """

    horizons_ns: tuple[int, ...] = ()
    sample_ns: int = 0
    requests: bool = True
    volume: float = 0.0

    def __post_init__(self) -> None:
        if len(self.horizons_ns) > HORIZONS or any(h <= 0 for h in self.horizons_ns):
            raise ValueError(f"at most {HORIZONS} horizons, all of them positive, not {self.horizons_ns}")
        if self.sample_ns < 0:
            raise ValueError(f"sample_ns must not be negative, not {self.sample_ns}")


def write_terms(sim: Any, records: Any, markets: Sequence[MarketTerms], terms: ReplayTerms) -> None:
    """Write what a run is to be into its zeroed records."""
    every = [delay for market in markets for delay in (market.feed, market.entry, market.response)]
    table, firsts = delays.table_of(every)
    if len(table) > DELAYS:
        raise ValueError(f"the tables of measured delays have {len(table)} rows together: at most {DELAYS} fit")
    sim["delays"][: len(table)] = table
    for m, market in enumerate(markets):
        market.into(records[m], m, firsts[3 * m : 3 * m + 3])
        sim["grids"][m] = records[m]["grid"]
    sim["n_markets"] = len(markets)
    sim["entry_floor_ns"] = min(_least(market.entry) for market in markets)
    sim["response_floor_ns"] = min(_least(market.response) for market in markets)
    sim["blocks"] = any(market.block_ns for market in markets)
    sim["log_sent"] = terms.requests
    sim["sample_ns"], sim["n_horizons"] = terms.sample_ns, len(terms.horizons_ns)
    sim["horizons"][: len(terms.horizons_ns)] = terms.horizons_ns
    fees.start_volume(sim["volume"], 0, terms.volume)
    for name in ("arrival_ns", "mark_ns", "other_ns", "answer_ns", "timer_ns", "next_sample_ns", "news_ns"):
        sim[name] = NEVER
    for name in ("bid_tick", "ask_tick", "trade_tick"):
        sim["quotes"][name] = -1
    sim["exch_ns"] = -NEVER
    sim["free"][:FIRST_SLOTS] = np.arange(FIRST_SLOTS)
    sim["n_free"] = sim["n_fresh"] = FIRST_SLOTS
    sim["next_id"] = 1


def _least(delay: delays.Delay) -> int:
    """The shortest that a message can take: how far the exchange may run ahead of us."""
    if delay.kind == delays.CONSTANT:
        return int(delay.a)
    return min((ns for _, ns in delay.rows), default=0) if delay.kind == delays.TABLE else 0
