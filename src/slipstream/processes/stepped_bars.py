"""A pod over bars on the emulated exchange in this process, in simulated time, with a journal like any pod's.

It is told what a pod is told by its connectors: settled funding of the past, bars soon after they closed, prices,
contexts, the account. The journal says what it heard and did; it replays, and a new process continues it.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from slipstream.execution.kernel import Kernel
from slipstream.execution.settings import SECOND, KernelConfig
from slipstream.model.commands import Command
from slipstream.model.events import Candle, Event, FundingPayment, FundingRate
from slipstream.processes.stepped_pod import USER, SteppedPod
from slipstream.runtime.journal import Journal
from slipstream.runtime.records import Session, Step
from slipstream.runtime.replay import recover
from slipstream.strategies.registry import Entry
from slipstream.venues.emulator.venue import Venue

HOUR_NS = 3_600 * SECOND
MS = 1_000_000
HISTORY = 1_100  # bars that a pod is told at its start


class SteppedBars(SteppedPod):
    """A pod made of its registry entry and its config. Speed is what the kernel's patience is scaled by."""

    def __init__(
        self,
        entry: Entry,
        config: Any,
        venue: Venue,
        coins: Sequence[str],
        capital: Decimal,
        journal: Journal,
        history: int = HISTORY,
    ) -> None:
        """``history`` is how many closed bars it is told at its start."""
        self.history = history
        self.entry, self.config, self.journal = entry, config, journal
        self.speed = 60.0
        self.bar_ns = round(config.signal.bar_hours * HOUR_NS)
        self._steps: list[Step] = []
        self._told_ns = 0  # close of the newest bar told
        super().__init__(self._recalled(coins), self._settings(), venue, coins, capital)

    def _recalled(self, coins: Sequence[str]) -> Any:
        self.record = {"strategy": self.entry.slug, "config": self.config.public(), "coins": list(coins)}
        return self.entry.recalled(self.record, self.entry.slug)

    def _settings(self) -> KernelConfig:
        settings: KernelConfig = self.entry.hook("kernel")(self.config, self.speed)
        return settings

    def restart(self) -> None:
        """End as by a kill, and begin anew from the journal, with the memory of now. What was not sent never is."""
        self._write()
        memory = self.kernel.strategy.snapshot()
        self._queue.clear()
        self._timers.clear()
        self._last.clear()
        self._told_ns = 0
        strategy = self._recalled(self.coins)
        strategy.restore(memory)
        self.kernel = Kernel(strategy, (), self._settings(), self.entry.slug, 1)
        recover(self.kernel, self.journal)
        self._start(1)

    def _start(self, run: int) -> None:
        session = self.journal.begin(
            Session(
                run=run,
                ns=self.now,
                slug=self.entry.slug,
                config=self._settings(),
                instruments=tuple(self.exchange.instruments.values()),
                strategy_config=self.record,
                state=self.kernel.strategy.snapshot(),
            )
        )
        account = self.exchange.accounts[USER]
        for fill in account.fills:
            self._queue.append(self._fill(fill))
        for paid in account.fundings:
            self._queue.append(FundingPayment(paid.coin, paid.usdc, paid.szi, paid.rate, paid.ns))
        missed, self._queue = self._queue, []
        self.obey(self.kernel.begin(session.run, session.instruments, self.now))
        for event in missed:
            self._feed(event)
        self._connect()
        self._settled()
        self._news()
        self._write()

    def _settled(self) -> None:
        """The funding of the past, oldest first, coin by coin."""
        hours = self.entry.hook("funding")(self.config) if self.entry.funding else 0
        for coin in self.coins if hours else ():
            for row in self.venue.feed.funding_history(coin, (self.now - hours * HOUR_NS) // MS, self.now // MS):
                self._feed(FundingRate("hl", coin, float(row["fundingRate"]), row["time"] * MS, self.now))

    def _news(self) -> None:
        """Bars that closed since the last time, all coins of one time together."""
        closed = self.now // self.bar_ns * self.bar_ns
        if closed <= self._told_ns:
            return
        first = self._told_ns or closed - self.history * self.bar_ns
        self._told_ns = closed
        hours = round(self.config.signal.bar_hours)
        interval = "1d" if hours == 24 else f"{hours}h"
        found: list[Candle] = []
        for coin in self.coins:
            for row in self.venue.feed.candles(coin, interval, first // MS, closed // MS - 1):
                prices = (float(row["o"]), float(row["h"]), float(row["l"]), float(row["c"]), float(row["v"]))
                at = row["t"] * MS
                found.append(Candle("hl", coin, self.bar_ns, at, *prices, at + self.bar_ns, self.now))
        for bar in sorted(found, key=lambda one: (one.open_ns, one.coin)):
            self._feed(bar)

    def run(self, seconds: float, block_ns: int = 10 * SECOND) -> None:
        """Let blocks pass; what was heard and done is in the journal then."""
        super().run(seconds, block_ns)
        self._write()

    def _step(self, event: Event) -> Sequence[Command]:
        commands = self.kernel.step(event)
        self._steps.append((event, commands))
        return commands

    def _write(self) -> None:
        steps, self._steps = self._steps, []
        self.journal.append_steps(steps)
