"""A strategy in a reactive market, from Python: coins and hours in, the replay's outcome out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from slipstream.lob.book import Book
from slipstream.lob.flow import advance, venue
from slipstream.lob.flow.record import INFORMED, TAKE
from slipstream.lob.replay import engine
from slipstream.lob.replay.replay import Outcome, Replay
from slipstream.lob.replay.terms import MarketTerms, ReplayTerms
from slipstream.model.errors import ConfigError
from slipstream.simulation.market.books import base_tick, book_of, new_books
from slipstream.simulation.market.terms import FlowTerms, flow_record

SECOND = 1_000_000_000
HOUR = 3_600 * SECOND
CLOSING_NS = 60 * SECOND  # what is in flight at the end has so long to arrive
INTEREST = 1.25e-5  # of an hour: the venue's funding while the perp trades at its index


@dataclass(frozen=True, kw_only=True)
class Coin:
    """One simulated market: how we are tied to it, how it behaves, and perhaps its leading exchange.

    Of ``home`` the queue model, partial fills, caps and impact say nothing here: orders really rest. ``anchor`` is
    heard with its own delay and shows ``anchor_lots`` at its best prices; it cannot be traded. ``funding_rate`` is
    that of every hour.
    """

    home: MarketTerms
    flow: FlowTerms
    anchor: MarketTerms | None = None
    anchor_lots: int = 1_000
    funding_rate: float = INTEREST


class Session(Replay):
    """One run of one strategy in reactive markets: `run_until` a time, then `finish`.

    Markets of the run are the coins' in their order, then their anchors. Without a hook the run is paused at
    everything heard, as `Replay` says: `run_until` returns True, and is called again with the same time.
    """

    def __init__(
        self,
        coins: Sequence[Coin],
        hook: Any = None,
        terms: ReplayTerms | None = None,
        params: Sequence[float] = (),
        *,
        seed: int,
        start_ns: int,
        warm_ns: int = 30 * SECOND,
    ) -> None:
        """The flows run alone for ``warm_ns`` before ``start_ns``. Raises ConfigError or ValueError for bad terms."""
        if not coins:
            raise ConfigError("a session needs at least one coin")
        anchors = [coin.anchor for coin in coins if coin.anchor is not None]
        super().__init__([*(coin.home for coin in coins), *anchors], hook, terms, params)
        self.books: Any = new_books([base_tick(coin.flow) for coin in coins])
        self.flows: Any = np.concatenate([flow_record(coin.flow, seed, i) for i, coin in enumerate(coins)])
        self._links: Any = np.zeros(len(coins), venue.LINK_DTYPE)
        self._row_out: Any = np.zeros(1, self._row)
        self._until_ns = start_ns
        self._step = venue.compiled(self.books.dtype)
        following = len(coins)
        for i, coin in enumerate(coins):
            _check(coin)
            link = self._links[i]
            link["market"], link["anchor"] = i, -1
            link["anchor_lots"], link["funding_rate"] = coin.anchor_lots, coin.funding_rate
            if coin.anchor is not None:
                link["anchor"] = following
                following += 1
        advance.begin_all(self.flows, start_ns - warm_ns)
        for second in range(0, warm_ns, SECOND):
            advance.advance(self.books, self.flows, min(start_ns, start_ns - warm_ns + second + SECOND))
        self.books["fill_count"] = self.books["expired_count"] = 0

    def run_until(self, ns: int) -> bool:
        """Let everything happen up to a time. True if a paused run was woken. Raises ValueError on a ring too small."""
        self._until_ns = ns
        while True:
            code = self._step(
                self.sims, self.markets, self.books, self.flows, self._links, self._row_out, ns, self._hook
            )
            if code == engine.END:
                return False
            if code == engine.WOKE:
                return True
            self._help(code, self._row_out)

    def book(self, i: int) -> Book:
        """Coin ``i``'s book as it stands at the exchange; it is the same memory."""
        return book_of(self.books, i)

    def advance(self, rows: npt.NDArray[np.void] | None) -> bool:
        """With None: no more flow, what is in flight arrives. Raises ValueError for rows: this market makes its own."""
        if rows is not None:
            raise ValueError("a reactive market makes its own rows: run_until a time")
        self.sim["closing"] = 1
        return self.run_until(self._until_ns + CLOSING_NS)

    def finish(self) -> Outcome:
        """What came of the run. `counters` has the background's events and takers, too."""
        outcome = super().finish()
        outcome.counters["events"] = int(self.flows["counts"].sum())
        outcome.counters["takers"] = int(self.flows["counts"][:, [TAKE, INFORMED]].sum())
        return outcome


def _check(coin: Coin) -> None:
    """Raises ConfigError where the two descriptions of a market differ."""
    home, grid = coin.home, coin.flow.grid
    if home.lot_size != grid.lot or (home.tick_size or 0.0) != grid.tick_size:
        raise ConfigError(f"{home.name}: lot and tick size of the market and of its flow differ")
    if home.decimals is not None and home.decimals != grid.decimals:
        raise ConfigError(f"{home.name}: prices have {home.decimals} decimals, those of its flow {grid.decimals}")
    if coin.anchor is not None and not coin.flow.value.px > 0.0:
        raise ConfigError(f"{home.name}: a leading exchange shows the value: the flow needs one with a price")
    if coin.anchor_lots < 1:
        raise ConfigError(f"{home.name}: anchor_lots must be at least 1, not {coin.anchor_lots}")


def run(
    coins: Sequence[Coin],
    hook: Any,
    params: Sequence[float] = (),
    terms: ReplayTerms | None = None,
    *,
    seed: int,
    hours: float,
    start_ns: int = 0,
    memory: npt.NDArray[np.float64] | None = None,
    progress: Callable[[float], None] = lambda _: None,
) -> tuple[Outcome, int]:
    """What a strategy came to in ``hours`` of simulated time, and when that ended; ``progress`` hears of hours.

    ``memory`` are the first words of the strategy's. Raises ConfigError for terms or hours that are none.
    """
    if not 0.0 < hours <= 100_000.0:
        raise ConfigError(f"a simulation lasts between 0 and 100000 hours, not {hours}")
    session = Session(coins, hook, terms, params, seed=seed, start_ns=start_ns)
    if memory is not None:
        session.sim["memory"][: memory.size] = memory
    end_ns = start_ns + round(hours * HOUR)
    at_ns = start_ns
    while at_ns < end_ns:
        at_ns = min(at_ns + HOUR, end_ns)
        session.run_until(at_ns)
        progress((at_ns - start_ns) / HOUR)
    return session.finish(), end_ns
