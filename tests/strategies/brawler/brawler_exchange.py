"""Brawler's kernel against the emulated exchange and its synthetic market, in this process: no network, no wall clock.

Commands become the venue's signed-request bodies, blocks become events. One block is 100 ms of venue time.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from slipstream.execution.kernel import Kernel
from slipstream.execution.settings import KernelConfig, Limits
from slipstream.model.commands import Cancel, Command, Modify, Place, Report, SetTimer
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
from slipstream.model.instrument import plain
from slipstream.strategies.brawler.config import BrawlerConfig
from slipstream.strategies.brawler.strategy import Brawler
from slipstream.venues.emulator.depth import best
from slipstream.venues.emulator.serve import ServeOptions, build_venue
from slipstream.venues.emulator.state import Block, Status

SECOND = 1_000_000_000
BLOCK = SECOND // 10
T0 = 1_760_000_000 * SECOND
USER = "0x" + "5a" * 20


class Session:
    """A pod's kernel on an exchange of its own."""

    def __init__(self, settings: BrawlerConfig, seed: int = 7) -> None:
        coins = tuple(entry.symbol for entry in settings.symbols)
        self.venue = build_venue(ServeOptions(port=0, pace="stepped", seed=seed, coins=coins, start_ns=T0, limits=True))
        self.exchange = self.venue.exchange
        self.coins = coins
        self.strategy = Brawler(settings)
        cap = settings.portfolio.gross_cap
        limits = Limits(gross_cap=cap, coin_cap=cap, max_order=cap, max_feed_age_ns=3 * SECOND)
        self.kernel = Kernel(self.strategy, (), KernelConfig(limits=limits), "brawler", 1)
        self.now = T0
        self.fills: list[Fill] = []
        self.reports: list[Report] = []
        self.sent = 0
        self.mids: dict[str, list[tuple[int, float]]] = {coin: [] for coin in coins}
        self._queue: list[Event] = []
        self._timers: dict[str, int] = {}
        self._nonces = itertools.count(T0 // 1_000_000)
        self._wire: dict[str, int] = {}  # cloid -> oid
        self._filled: dict[str, Decimal] = {}
        self._last: dict[str, Any] = {}

    def open(self) -> None:
        """The faucet, a reconciled account, connected feeds."""
        assert self.exchange.faucet(USER)
        self._take(self.kernel.begin(1, list(self.exchange.instruments.values()), self.now))
        for feed in ("hl", "hl.user", "binance"):
            self._feed(Reconnect(feed, self.now))
        usd = self.exchange.accounts[USER].usd
        self._feed(AccountState(usd, usd, (), (), self.now))

    def run(self, seconds: float, watch: Callable[[], None] | None = None) -> None:
        """Let blocks pass."""
        for _ in range(int(seconds * SECOND) // BLOCK):
            self.now += BLOCK
            self._hear(self.exchange.step(self.now, self.now // 1_000_000))
            for coin in self.coins:
                self._prices(coin)
            queue, self._queue = self._queue, []
            for event in queue:
                self._feed(event)
            for name in [name for name, at in self._timers.items() if at <= self.now]:
                del self._timers[name]
                self._feed(Timer(name, self.now))
            if watch is not None:
                watch()

    def _prices(self, coin: str) -> None:
        leader = self.venue.feed._market.leaders[coin].top
        anchor = (float(leader.bid), float(leader.bid_size), float(leader.ask), float(leader.ask_size))
        sides = best(self.exchange.books[coin], self.exchange.instruments[coin])
        local = tuple(float(x) for side in sides for x in ((side["px"], side["sz"]) if side else (0.0, 0.0)))
        self.mids[coin].append((self.now, (anchor[0] + anchor[2]) / 2.0))
        for venue, prices in (("binance", anchor), ("hl", local)):
            if self._last.get((venue, coin)) != prices or self.now % SECOND == 0:
                self._last[venue, coin] = prices
                self._queue.append(Bbo(venue, coin, *prices, self.now, self.now))

    def _feed(self, event: Event) -> None:
        if isinstance(event, Fill):
            self.fills.append(event)
        self._take(self.kernel.step(event))

    def _take(self, commands: list[Command]) -> None:
        for command in commands:
            if isinstance(command, SetTimer):
                self._timers[command.name] = command.at_ns
            elif isinstance(command, Report):
                self.reports.append(command)
            else:
                assert isinstance(command, Place | Modify | Cancel)
                self._send(command)

    def _send(self, command: Place | Modify | Cancel) -> None:
        self.sent += 1
        action: dict[str, Any]
        if isinstance(command, Place):
            action = {"type": "order", "orders": [self._order(command)], "grouping": "na"}
        elif isinstance(command, Modify):
            modify = {"oid": command.cloid, "order": self._order(command.new)}
            action = {"type": "batchModify", "modifies": [modify]}
        else:
            asset = self.exchange.instruments[command.coin].asset
            action = {"type": "cancelByCloid", "cancels": [{"asset": asset, "cloid": command.cloid}]}
        nonce = next(self._nonces)
        wall_ms = self.now // 1_000_000
        self.exchange.submit(
            action, signer=USER, nonce=nonce, wall_ms=wall_ms, reply=lambda answer: self._answer(command, answer)
        )

    def _order(self, place: Place) -> dict[str, Any]:
        return {
            "a": self.exchange.instruments[place.coin].asset,
            "b": place.side.sign > 0,
            "p": plain(place.px),
            "s": plain(place.sz),
            "r": place.reduce_only,
            "t": {"limit": {"tif": place.tif.value}},
            "c": place.cloid,
        }

    def _answer(self, command: Place | Modify | Cancel, answer: dict[str, Any]) -> None:
        assert answer["status"] == "ok", answer
        status = answer["response"]["data"]["statuses"][0]
        new = command.new.cloid if isinstance(command, Modify) else command.cloid
        if isinstance(status, dict) and "error" in status:
            if isinstance(command, Place | Modify):
                self._queue.append(Reject(new, status["error"], self.now))
            if isinstance(command, Cancel | Modify):
                self._queue.append(CancelReject(command.cloid, status["error"], self.now))
        elif isinstance(status, dict) and "resting" in status:
            self._wire[new] = status["resting"]["oid"]
            self._queue.append(Ack(new, status["resting"]["oid"], self.now))

    def _hear(self, block: Block) -> None:
        for user, fill in block.fills:
            if user == USER:
                cloid = fill.cloid
                if cloid is not None:
                    self._filled[cloid] = self._filled.get(cloid, Decimal(0)) + fill.sz
                self._queue.append(
                    Fill(
                        fill.coin,
                        fill.side,
                        fill.px,
                        fill.sz,
                        fill.fee,
                        fill.tid,
                        fill.oid,
                        fill.ns,
                        cloid,
                        fill.crossed,
                        fill.start_position,
                        fill.closed_pnl,
                    )
                )
        for update in block.updates:
            order = update.order
            over = update.status not in (Status.OPEN, Status.FILLED) and not update.status.value.endswith("Rejected")
            if update.user == USER and order.cloid is not None and over:
                filled = self._filled.get(order.cloid, Decimal(0))
                self._queue.append(Closed(order.cloid, order.oid, update.status.value, update.ns, filled))

    def told_budget(self) -> None:
        """The venue tells the address budget."""
        account = self.exchange.accounts[USER]
        cap = self.exchange.settings.budget_start + int(account.volume)
        self._feed(Budget(account.requests_used, cap, self.now))

    # -- what tests read -----------------------------------------------------------------------------------------------

    def markout_bps(self, seconds: float) -> float:
        """Mean move of the anchor's mid after our fills, towards us, bp; weighted by notional."""
        total = weight = 0.0
        for fill in self.fills:
            row = min(len(self.mids[fill.coin]) - 1, (fill.ns - T0) // BLOCK - 1 + int(seconds * 10))
            mid = self.mids[fill.coin][row][1]
            notional = float(fill.px * fill.sz)
            total += (mid / float(fill.px) - 1.0) * 1e4 * fill.side.sign * notional
            weight += notional
        return total / weight if weight else 0.0

    def net(self) -> Decimal:
        """Net profit at the anchor's price, USD."""
        ledger = self.kernel.desk.ledger
        return sum((ledger.line(c).net(Decimal(repr(self.mids[c][-1][1]))) for c in self.coins), Decimal(0))

    def notes(self) -> list[str]:
        """The notes so far."""
        return [str(report.body["text"]) for report in self.reports if report.topic == "note"]
