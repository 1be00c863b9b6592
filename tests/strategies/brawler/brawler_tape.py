"""A deterministic two-venue market for Brawler's kernel tests: no network, no clock but the tape's.

The anchor walks at random; the local market follows half a second later with a small basis, shows a spread of its own,
and takers hit both its sides. Orders reach it after a latency; post-only orders that would cross are refused; a resting
order fills when a taker's price reaches it. Fills, acknowledgements and ends come back as the venue would tell them.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from collections.abc import Callable
from decimal import Decimal
from itertools import count
from typing import Any

from slipstream.execution.kernel import Kernel
from slipstream.execution.settings import KernelConfig, Limits
from slipstream.model.commands import Cancel, Command, Modify, Place, Query, Report, SetTimer
from slipstream.model.events import (
    AccountState,
    Ack,
    Bbo,
    Budget,
    CancelReject,
    Closed,
    Event,
    Fill,
    Reconnect,
    Reject,
    Timer,
)
from slipstream.model.instrument import Instrument, Side
from slipstream.strategies.brawler.config import BrawlerConfig
from slipstream.strategies.brawler.strategy import Brawler

SECOND = 1_000_000_000
STEP = SECOND // 10
LATENCY = SECOND // 5
T0 = 1_700_000_000 * SECOND
ETH = Instrument(coin="ETH", asset=1, size_decimals=4, max_leverage=25)
BTC = Instrument(coin="BTC", asset=0, size_decimals=5, max_leverage=40)
FEE = Decimal("0.00015")
START = {"ETH": 2000.0, "BTC": 60_000.0}


def config(**changes: Any) -> BrawlerConfig:
    """One symbol, quick to warm up."""
    values: dict[str, Any] = {
        "symbols": [{"symbol": "ETH", "order_size": "0.1", "max_inventory": "0.5"}],
        "base_spread": 0.0005,
        "k": 1.0,
        "lambda": 0.0006,
        "sigma_window": 60,
        "basis_halflife_s": 10.0,
        "portfolio": {"gross_cap": "5000"},
        "kill_switch": {"backoff_s": 5.0, "hl_max_lag_ms": 2000, "cex_max_lag_ms": 2000},
    }
    return BrawlerConfig.model_validate(values | changes)


class Market:
    """One coin on both venues."""

    def __init__(self, coin: str, rng: random.Random) -> None:
        self.coin = coin
        self.rng = rng
        self.cex = START[coin]
        self.sigma = 5e-5  # per step
        self.shift = 0.0  # added to the basis
        self.late = deque([self.cex] * 6, maxlen=6)
        self.bid = self.ask = 0.0

    def step(self) -> None:
        """Walk one step."""
        self.cex *= math.exp(self.rng.gauss(0.0, self.sigma))
        self.late.append(self.cex)
        local = self.late[0] * (1.0 + self.shift)
        tick = 0.1 if self.coin == "ETH" else 1.0
        self.bid = round(math.floor(local / tick - 0.5) * tick, 1)
        self.ask = round(self.bid + 2 * tick, 1)

    def taker(self) -> tuple[Side, float] | None:
        """Now and then somebody trades through the touch: the side and how far the price reaches."""
        if self.rng.random() > 0.25:
            return None
        reach = self.rng.expovariate(1.0 / (3e-4 * self.cex))
        if self.rng.random() < 0.5:
            return Side.BUY, self.ask + reach
        return Side.SELL, self.bid - reach


class Tape:
    """Runs a kernel over the market. ``frozen`` venues say nothing; ``events`` is everything the kernel saw."""

    def __init__(self, settings: BrawlerConfig, *, seed: int = 1, elsewhere: dict[str, Decimal] | None = None) -> None:
        rng = random.Random(seed)
        self.markets = {entry.symbol: Market(entry.symbol, rng) for entry in settings.symbols}
        self.strategy = Brawler(settings, elsewhere)
        cap = settings.portfolio.gross_cap
        limits = Limits(
            gross_cap=cap, coin_cap=cap, max_order=cap, max_feed_age_ns=3 * SECOND, actions_per_second=50.0, burst=500
        )
        self.kernel = Kernel(self.strategy, (ETH, BTC), KernelConfig(limits=limits), "brawler", 1)
        self.now = T0
        self.frozen: set[str] = set()
        self.commands: list[Command] = []
        self.steps: list[tuple[Event, list[Command]]] = []
        self.resting: dict[str, tuple[int, Place, Decimal]] = {}
        self.positions: dict[str, Decimal] = {}
        self.cash: Decimal = Decimal(0)
        self.fees = Decimal(0)
        self.fills: list[Fill] = []
        self.budget = Budget(0, 10_000, T0)
        self._timers: dict[str, int] = {}
        self._later: list[tuple[int, int, Callable[[], None]]] = []
        self._number = count(1)
        self._take(self.kernel.begin(1, (ETH, BTC), T0))

    def open(self) -> None:
        """Feeds connect, the account is read."""
        for feed in ("hl", "hl.user", "binance"):
            self.feed(Reconnect(feed, self.now))
        self.feed(AccountState(Decimal(10_000), Decimal(10_000), (), (), self.now))

    def feed(self, event: Event) -> None:
        """One event into the kernel; its commands to the venue."""
        commands = self.kernel.step(event)
        self.steps.append((event, commands))
        self._take(commands)

    def run(self, seconds: float, watch: Callable[[], None] | None = None) -> None:
        """Let the market go on."""
        for _ in range(int(seconds * SECOND) // STEP):
            self.now += STEP
            for market in self.markets.values():
                market.step()
                self._tell(market)
            while self._later and self._later[0][0] <= self.now:
                heapq.heappop(self._later)[2]()
            for market in self.markets.values():
                self._trade(market)
            for name in [name for name, at in self._timers.items() if at <= self.now]:
                del self._timers[name]
                self.feed(Timer(name, self.now))
            if watch is not None:
                watch()

    def _tell(self, market: Market) -> None:
        if "binance" not in self.frozen:
            half = market.cex * 1e-6
            prices = Bbo("binance", market.coin, market.cex - half, 5.0, market.cex + half, 5.0, self.now, self.now)
            self.feed(prices)
        if "hl" not in self.frozen:
            self.feed(Bbo("hl", market.coin, market.bid, 3.0, market.ask, 3.0, self.now, self.now))

    def _take(self, commands: list[Command]) -> None:
        self.commands.extend(commands)
        for command in commands:
            if isinstance(command, SetTimer):
                self._timers[command.name] = command.at_ns
            elif isinstance(command, Place | Modify | Cancel):
                self.budget = Budget(self.budget.used + 1, self.budget.cap, self.now)
                self._after(lambda wire=command: self._arrive(wire))
            else:
                assert not isinstance(command, Query), "the tape never leaves an outcome unknown"

    def _after(self, action: Callable[[], None]) -> None:
        heapq.heappush(self._later, (self.now + LATENCY, next(self._number), action))

    def _arrive(self, command: Place | Modify | Cancel) -> None:
        if isinstance(command, Place):
            self._place(command)
            return
        old = self.resting.pop(command.cloid, None)
        if old is None:
            self.feed(CancelReject(command.cloid, "Order was never placed, already canceled, or filled.", self.now))
            if isinstance(command, Modify):
                self.feed(Reject(command.new.cloid, "Cannot modify canceled or filled order", self.now))
            return
        oid, place, left = old
        self.feed(Closed(command.cloid, oid, "canceled", self.now, place.sz - left))
        if isinstance(command, Modify):
            self._place(command.new)

    def _place(self, place: Place) -> None:
        market = self.markets[place.coin]
        assert place.px * place.sz >= 10 or place.reduce_only
        crosses = float(place.px) >= market.ask if place.side is Side.BUY else float(place.px) <= market.bid
        if crosses:
            reason = f"Post only order would have immediately matched, bbo was {market.bid}@{market.ask}."
            self.feed(Reject(place.cloid, reason, self.now))
            return
        oid = next(self._number)
        self.resting[place.cloid] = (oid, place, place.sz)
        self.feed(Ack(place.cloid, oid, self.now))

    def _trade(self, market: Market) -> None:
        taker = market.taker()
        if taker is None or "takers" in self.frozen:
            return
        side, reach = taker
        best = sorted(self.resting.items(), key=lambda item: float(item[1][1].px) * side.sign)
        for cloid, (oid, place, left) in best:
            inside = (reach - float(place.px)) * side.sign >= 0.0
            if place.coin != market.coin or place.side is side or not inside:
                continue
            sz = min(left, Decimal("0.06") if place.coin == "ETH" else left)
            self._fill(cloid, oid, place, sz, left)

    def _fill(self, cloid: str, oid: int, place: Place, sz: Decimal, left: Decimal) -> None:
        fee = place.px * sz * FEE
        signed = sz * place.side.sign
        before = self.positions.get(place.coin, Decimal(0))
        self.positions[place.coin] = before + signed
        self.cash -= signed * place.px + fee
        self.fees += fee
        fill = Fill(place.coin, place.side, place.px, sz, fee, next(self._number), oid, self.now, cloid, False, before)
        self.fills.append(fill)
        self.budget = Budget(self.budget.used, self.budget.cap + int(place.px * sz), self.now)
        if left > sz:
            self.resting[cloid] = (oid, place, left - sz)
        else:
            del self.resting[cloid]
        self.feed(fill)

    # -- what tests read -----------------------------------------------------------------------------------------------

    def equity(self) -> Decimal:
        """Cash, and positions at the anchor's price."""
        held = (size * Decimal(repr(self.markets[coin].cex)) for coin, size in self.positions.items())
        return self.cash + sum(held, Decimal(0))

    def notes(self) -> list[str]:
        """The notes so far."""
        reports = [c for c in self.commands if isinstance(c, Report) and c.topic == "note"]
        return [str(report.body["text"]) for report in reports]

    def requests(self) -> list[Place | Modify | Cancel]:
        """What went to the venue."""
        return [c for c in self.commands if isinstance(c, Place | Modify | Cancel)]
