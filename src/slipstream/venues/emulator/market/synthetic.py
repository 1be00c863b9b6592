"""The synthetic market: every coin's book, its background flow, the leader, history and statistics. Seeded.

The same seed and the same sequence of `advance` calls give the same tape. Blocks may be of any length: up to two
seconds go in steps of 50 ms, longer ones in two or more, none longer than 4 s. Every market order still comes; the
ladder moves, and the touch flickers, less often, and the leader tells of fewer, larger trades.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from math import ceil, exp, log
from typing import Any

import msgspec
import numpy as np

from slipstream.lob.book import Book
from slipstream.model.grid import floor_tick
from slipstream.model.instrument import Instrument
from slipstream.venues.emulator.market import flow, history
from slipstream.venues.emulator.market.chronicle import Chronicle
from slipstream.venues.emulator.market.latent import Latent, Paths
from slipstream.venues.emulator.market.universe import CoinSpec, choose, instrument

STEP_NS = 50_000_000
FINE_NS = 2_000_000_000  # spans up to here go in steps of STEP_NS
COARSE_STEPS, COARSE_NS = 2, 4_000_000_000  # longer ones in at least so many, of at most so long
LAG_SECONDS = 0.5
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
            self._flows.append(_new_flow(spec, perp, seed, i))
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
        leader, basis = self.latent.walk(steps, step_ns / 1e9)
        for i, spec in enumerate(self.specs):
            books = self.books[spec.coin].record.base
            flow.advance(books, self._flows[i], leader[i], basis[i], t0_ns, step_ns)
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
        self._flows = [np.frombuffer(dump, flow.FLOW_DTYPE).copy() for dump in state["flows"]]
        self.restore_chronicle(state["chronicle"])
        return self


def _new_flow(spec: CoinSpec, perp: Instrument, seed: int, place: int) -> Any:
    """The flow record of one coin, calibrated from its spec."""
    flows = np.zeros(1, flow.FLOW_DTYPE)
    s = flows[0]
    s["rng"] = (seed * 0x9E3779B97F4A7C15 + (place + 1) * 0xD1B54A32D192ED03) & 0xFFFFFFFFFFFFFFFF
    s["y"] = log(spec.px)
    s["tag"] = flow.TAG * (1 + place)
    s["decimals"] = perp.price_decimals
    s["lot"] = float(perp.lot)
    # self-excitation multiplies the base rate by 1 / (1 - 0.35 * 1.5 * rate); solve for the base
    rate = 1.3 * spec.market_orders / 60.0
    s["order_rate"] = rate / (1.0 + 0.35 * 1.5 * rate)
    cap = 0.12 * spec.depth
    s["order_cap"] = cap
    # a market order meets several makers: where levels are deep in small orders, it must be smaller than the prints
    median = spec.median_trade * min(1.0, spec.median_trade * (6e-4 + 400.0 / spec.depth))
    s["order_mu"] = log(median)
    s["order_sigma"] = _sigma_for_mean(1.15 * spec.volume / (1.3 * spec.market_orders), median, cap)
    s["level_usd"] = 0.49 * spec.depth / 20.0
    s["parts"] = min(6.5, 1.0 + 0.3 * spec.depth / 20.0 / 6_000.0)
    s["spread_ticks"] = spec.spread_ticks
    s["touch_rate"] = 9.0
    s["touch_usd"] = spec.median_trade * min(1.5, max(0.8, 0.02 * s["level_usd"] / spec.median_trade))
    s["lag"] = LAG_SECONDS
    return flows


def _sigma_for_mean(mean: float, median: float, cap: float) -> float:
    """Sigma of a log-normal with a median whose mean, values above ``cap`` cut to it, is ``mean`` (bisection)."""
    low, high = 0.1, 5.0
    z = np.random.Generator(np.random.PCG64(1)).standard_normal(4_000)
    for _ in range(24):
        sigma = 0.5 * (low + high)
        if np.minimum(cap, median * np.exp(sigma * z)).mean() < mean:
            low = sigma
        else:
            high = sigma
    return 0.5 * (low + high)
