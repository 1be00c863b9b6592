"""A market that plays recordings of real books, best prices and trades, shifted so that they begin with the venue.

What the house does with a recorded event, and with users' orders in its way, is said in `house`; where the leading
exchange's prices come from, in `anchor`. After the recording's end it begins anew (``loop``: the house leaves, the
first recorded book comes, at its own prices) or stands still (``stop``: the last book stays, nothing trades).
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from math import exp, log
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from slipstream.lob.book import Book
from slipstream.model.errors import ConfigError
from slipstream.model.grid import floor_tick
from slipstream.model.instrument import Instrument
from slipstream.venues.emulator.market import history, house
from slipstream.venues.emulator.market.anchor import LEAD_NS, Anchor
from slipstream.venues.emulator.market.chronicle import Chronicle
from slipstream.venues.emulator.market.recording import Tape, coins_of, fingerprint, read_tape
from slipstream.venues.emulator.market.universe import COINS, CoinSpec, instrument

AtEnd = Literal["loop", "stop"]
TAG = 2_000_000_000_000_000_000  # house order ids start here
STEP_NS = 1_000_000_000
PAUSE_NS = 1_000_000_000  # between the last event and the next pass
WINDOW = 120_000  # ticks below the first price that a book covers


class ReplayMarket(Chronicle):
    """Implements the exchange's Market protocol over a folder of recordings."""

    def __init__(
        self,
        folder: Path,
        seed: int,
        start_ns: int,
        coins: Sequence[str] = (),
        *,
        at_end: AtEnd = "loop",
        days: int = history.DAYS,
    ) -> None:
        """Play some recorded coins (none named: all) from venue time ``start_ns`` on.

        Raises ConfigError, with file, row and reason, on a recording that cannot be played.
        """
        self.tapes = read_folder(folder, coins)
        self.at_end = at_end
        self.begins = max(tape.begins for tape in self.tapes)
        self.period = max(tape.ends for tape in self.tapes) + PAUSE_NS - self.begins
        self._mark = fingerprint(self.tapes)
        specs = [spec_of(tape, self.begins) for tape in self.tapes]
        super().__init__(specs, [instrument(spec, i) for i, spec in enumerate(specs)], seed, start_ns, days)
        stream = np.random.SeedSequence([seed, self._mark])
        self.anchor = Anchor(np.random.default_rng(stream), self.premium)
        self.books = {spec.coin: _new_book(spec, perp) for spec, perp in zip(specs, self.instruments, strict=True)}
        self._houses = [_new_house(i) for i in range(len(specs))]
        self._first = [first_event(tape, self.begins) for tape in self.tapes]
        self._places = list(self._first)
        self._start_ns = start_ns
        self._pass = 0
        self._now_ns = start_ns
        self._play(start_ns)
        for spec, book in zip(specs, self.books.values(), strict=True):
            book.clear_fills()
            self.leaders[spec.coin].move((self._leader(spec.coin),), start_ns - STEP_NS, start_ns)

    @property
    def ended(self) -> bool:
        """Whether the recording is over and nothing comes any more."""
        return self.at_end == "stop" and self._now_ns > self._shift + self.begins + self.period

    @property
    def lost(self) -> int:
        """Recorded orders and trades that found no room in a book (0 unless prices leave the books' window)."""
        return sum(int(state[0]["lost"]) for state in self._houses)

    @property
    def _shift(self) -> int:
        return self._start_ns - self.begins + self._pass * self.period

    def advance(self, t0_ns: int, t1_ns: int) -> None:
        """Play what was recorded between two venue times."""
        while t0_ns < t1_ns:
            then = min(t1_ns, t0_ns + STEP_NS)
            self.anchor.walk((then - t0_ns) / 1e9)
            self._play(then)
            for spec in self.specs:
                self.leaders[spec.coin].move((self._leader(spec.coin),), t0_ns, then)
            t0_ns = then

    def _play(self, until_ns: int) -> None:
        self._now_ns = until_ns
        self._play_pass(until_ns)
        while self.at_end == "loop" and until_ns >= self._shift + self.begins + self.period:
            self._pass += 1
            for book in self.books.values():
                house.leave(book.record.base)
            self._places = list(self._first)
            self._play_pass(until_ns)

    def _play_pass(self, until_ns: int) -> None:
        for i, (tape, book) in enumerate(zip(self.tapes, self.books.values(), strict=True)):
            self._places[i] = house.play(
                book.record.base,
                self._houses[i],
                tape.times,
                tape.kinds,
                tape.rows,
                tape.trades,
                tape.bests,
                tape.states,
                self._places[i],
                self._shift,
                until_ns,
            )

    def _mid(self, coin: str, ahead_ns: int) -> float:
        """The recorded mid some ns after now; what comes after a pass is the next pass, or the last price."""
        tape = self.tapes[self._place(coin)]
        time = self._now_ns + ahead_ns - self._shift
        if self.at_end == "loop" and time >= self.begins + self.period:
            time -= self.period
        at = int(np.searchsorted(tape.mid_times, time, side="right")) - 1
        return float(tape.mids[max(0, at)])

    def _leader(self, coin: str) -> float:
        """Log price of the leading exchange now."""
        return log(self._mid(coin, LEAD_NS)) - float(self.anchor.basis[self._place(coin)])

    def _place(self, coin: str) -> int:
        return next(i for i, spec in enumerate(self.specs) if spec.coin == coin)

    def oracle(self, coin: str) -> Decimal:
        """The spot index of a coin, at the venue's precision."""
        i = self._place(coin)
        px = self._mid(coin, 0) * exp(-float(self.anchor.premium[i]))
        return self.instruments[i].quantise(Decimal(px), "ROUND_HALF_EVEN")

    def open_interest(self, coin: str) -> Decimal:
        """Open interest of the background, coins."""
        i = self._place(coin)
        wave = 1.0 + 0.1 * float(np.tanh(self.anchor.slow[i] * 400.0))
        return self.instruments[i].round_size(Decimal(self.specs[i].open_interest * wave / self.specs[i].px))

    def dump(self) -> bytes:
        """Everything but the recording that is needed to continue the identical tape."""
        return msgspec.msgpack.encode(
            {
                "coins": [tape.coin for tape in self.tapes],
                "mark": self._mark,
                "at_end": self.at_end,
                "start_ns": self._start_ns,
                "now_ns": self._now_ns,
                "pass": self._pass,
                "places": self._places,
                "anchor": self.anchor.dump(),
                "houses": [state.tobytes() for state in self._houses],
                "books": [book.dump() for book in self.books.values()],
                "chronicle": self.dump_chronicle(),
            }
        )

    @classmethod
    def load(cls, data: bytes, folder: Path) -> ReplayMarket:
        """A market that continues a dump over the same recording. Raises ConfigError if the recording is another."""
        state = msgspec.msgpack.decode(data)
        self = cls(folder, 0, state["start_ns"], state["coins"], at_end=state["at_end"], days=2)
        if self._mark != state["mark"]:
            raise ConfigError(f"{folder}: not the recording that the snapshot was taken on; start without the snapshot")
        self._now_ns, self._pass, self._places = state["now_ns"], state["pass"], state["places"]
        self.anchor.restore(state["anchor"])
        self._houses = [np.frombuffer(dump, house.HOUSE_DTYPE).copy() for dump in state["houses"]]
        self.books = {coin: Book.load(dump) for coin, dump in zip(state["coins"], state["books"], strict=True)}
        self.restore_chronicle(state["chronicle"])
        return self


def read_folder(folder: Path, coins: Sequence[str]) -> list[Tape]:
    """The recordings of some coins (none named: all). Raises ConfigError."""
    found = coins_of(folder)
    for coin in coins:
        if coin not in found:
            raise ConfigError(f"{folder}: no recording of {coin}; it holds {', '.join(found)}")
    decimals = {spec.coin: spec.size_decimals for spec in COINS}
    order = [spec.coin for spec in COINS]
    chosen = coins or sorted(found, key=lambda coin: (order.index(coin) if coin in order else len(order), coin))
    tapes = [read_tape(folder, coin, decimals.get(coin)) for coin in chosen]
    begins, ends = max(tape.begins for tape in tapes), min(tape.ends for tape in tapes)
    if begins >= ends:
        raise ConfigError(f"{folder}: the recordings of {', '.join(chosen)} have no time in common; name fewer --coins")
    return tapes


def first_event(tape: Tape, begins: int) -> int:
    """The place of the last recorded book at or before a time."""
    return int(np.flatnonzero((tape.kinds == house.STATE) & (tape.times <= begins))[-1])


def spec_of(tape: Tape, begins: int) -> CoinSpec:
    """The coin's facts with its first recorded price; those of a coin nobody lists are taken from the tape."""
    px = float(tape.mids[max(0, int(np.searchsorted(tape.mid_times, begins, side="right")) - 1)])
    for spec in COINS:
        if spec.coin == tape.coin:
            return msgspec.structs.replace(spec, px=px)
    minutes = (tape.ends - tape.begins) / 60e9
    lot = 10.0**-tape.size_decimals
    usd = tape.trades[:, 2] * lot * px
    depth = float(tape.states[:, 0, :, 1].sum(axis=1).mean()) * lot * px
    figures = max(0, min(6 - tape.size_decimals, 4 - int(np.floor(np.log10(px)))))
    return CoinSpec(
        coin=tape.coin,
        size_decimals=tape.size_decimals,
        max_leverage=5,
        margin_table=5,
        px=px,
        volume=max(1.0, float(usd.sum()) / minutes),
        market_orders=max(1.0, len(usd) / minutes),
        median_trade=float(np.median(usd)) if len(usd) else 100.0,
        depth=depth,
        spread_ticks=1.0,
        volatility=1.0,
        beta=1.0,
        volume_ratio=0.1,
        binance_decimals=figures,
        open_interest=10.0 * depth,
    )


def _new_book(spec: CoinSpec, perp: Instrument) -> Book:
    return Book(max(0, floor_tick(spec.px, perp.price_decimals) - WINDOW))


def _new_house(place: int) -> Any:
    states = np.zeros(1, house.HOUSE_DTYPE)
    states["tag"] = TAG + place * 10**15
    return states
