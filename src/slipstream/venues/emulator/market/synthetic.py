"""The synthetic market: every coin's book, its background flow, the leader, history and statistics. Seeded.

The same seed and the same sequence of `advance` calls give the same tape. Blocks may be of any length: up to two
seconds go in steps of 50 ms, longer ones in two or more, none longer than 4 s. Every market order still comes; the
ladder moves, and the touch flickers, less often, and the leader tells of fewer, larger trades.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from math import ceil, exp
from typing import Any

import msgspec
import numpy as np

from slipstream.lob.book import Book
from slipstream.lob.flow.advance import begin_all, follow
from slipstream.lob.flow.record import FLOW_DTYPE
from slipstream.model.grid import floor_tick
from slipstream.venues.emulator.market import history
from slipstream.venues.emulator.market.chronicle import Chronicle
from slipstream.venues.emulator.market.flow import MOST_TOUCHES, TOUCH_RATE, new_flow
from slipstream.venues.emulator.market.latent import Latent, Paths
from slipstream.venues.emulator.market.universe import CoinSpec, choose, instrument

STEP_NS = 50_000_000
FINE_NS = 2_000_000_000  # spans up to here go in steps of STEP_NS
COARSE_STEPS, COARSE_NS = 2, 4_000_000_000  # longer ones in at least so many, of at most so long
LATENT = 1  # the latent prices' own stream of the seed
ORDERS = 1 << 14
WINDOW = 120_000  # ticks below the start price that the book covers


class SyntheticMarket(Chronicle):
    """Implements the exchange's Market protocol; see also `leaders` for the Binance side."""

    def __init__(self, coins: tuple[str, ...], seed: int, start_ns: int, *, days: int = history.DAYS) -> None:
        """A market of some coins (none named: all) opening at ``start_ns``. Raises ConfigError on an unknown coin."""
        specs = self._listed(coins)
        super().__init__(specs, [instrument(spec, i) for i, spec in enumerate(specs)], seed, start_ns, days)
        self.latent = self._paths(np.random.default_rng((seed, LATENT)))
        self._flows: list[Any] = []
        self.books: Mapping[str, Book] = {}
        books: dict[str, Book] = {}
        for i, (spec, perp) in enumerate(zip(specs, self.instruments, strict=True)):
            books[spec.coin] = Book(max(0, floor_tick(spec.px, perp.price_decimals) - WINDOW), orders=ORDERS)
            self._flows.append(new_flow(spec, perp, seed, i))
            begin_all(self._flows[i], start_ns - 20 * STEP_NS)
        self.books = books
        self._start_books(start_ns)

    def _listed(self, coins: tuple[str, ...]) -> Sequence[CoinSpec]:
        """What is listed, with its first prices."""
        return choose(coins)

    def _paths(self, rng: np.random.Generator) -> Paths:
        """Where prices come from."""
        return Latent(self.specs, rng, self.premium)

    def _start_books(self, start_ns: int) -> None:
        """Let the background rest its first ladder, so that no book is ever seen empty."""
        self.advance(start_ns - 20 * STEP_NS, start_ns)
        for book in self.books.values():
            book.clear_fills()

    def advance(self, t0_ns: int, t1_ns: int) -> None:
        """Move the latent prices and let the background trade from one time to another."""
        span = t1_ns - t0_ns
        if span <= 0:
            return
        steps = max(1, ceil(span / STEP_NS)) if span <= FINE_NS else max(COARSE_STEPS, span // COARSE_NS)
        step_ns = span // steps
        thin = min(1.0, MOST_TOUCHES / (TOUCH_RATE * step_ns / 1e9))
        leader, basis = self.latent.walk(steps, step_ns / 1e9)
        for i, spec in enumerate(self.specs):
            books = self.books[spec.coin].record.base
            self._flows[i]["thin"] = thin
            follow(books, self._flows[i], leader[i], basis[i], t0_ns, step_ns)
            self.leaders[spec.coin].move(leader[i].tolist(), t0_ns, t1_ns)

    def oracle(self, coin: str) -> Decimal:
        """The spot index of a coin, at the venue's precision."""
        return self._legal(coin, exp(float(self.latent.index[self._place(coin)])))

    def _place(self, coin: str) -> int:
        return next(i for i, spec in enumerate(self.specs) if spec.coin == coin)

    def _legal(self, coin: str, px: float) -> Decimal:
        perp = self.instruments[self._place(coin)]
        return perp.quantise(Decimal(px), "ROUND_HALF_EVEN")

    def open_interest(self, coin: str) -> Decimal:
        """Open interest of the background, coins."""
        i = self._place(coin)
        wave = 1.0 + 0.1 * float(np.tanh(self.latent.slow[i] * 400.0))
        return self.instruments[i].round_size(Decimal(self.specs[i].open_interest * wave / self.specs[i].px))

    def dump(self) -> bytes:
        """Everything needed to continue the identical tape."""
        return msgspec.msgpack.encode(
            {
                "coins": [spec.coin for spec in self.specs],
                "latent": self.latent.dump(),
                "books": [book.dump() for book in self.books.values()],
                "flows": [state.tobytes() for state in self._flows],
                "chronicle": self.dump_chronicle(),
            }
        )

    @classmethod
    def load(cls, data: bytes) -> SyntheticMarket:
        """A market that continues a dump. Raises KeyError or msgspec.DecodeError on anything else."""
        state = msgspec.msgpack.decode(data)
        self = cls(tuple(state["coins"]), 0, 86_400_000_000_000 * 3650, days=2)
        self.latent.restore(state["latent"])
        self.books = {spec.coin: Book.load(dump) for spec, dump in zip(self.specs, state["books"], strict=True)}
        self._flows = [np.frombuffer(dump, FLOW_DTYPE).copy() for dump in state["flows"]]
        self.restore_chronicle(state["chronicle"])
        return self
