"""A stepped Brawler pod on the emulated exchange whose kernel also hears books and trades, with a journal's steps."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from slipstream.lob.book import BUY, SELL
from slipstream.model.commands import Command
from slipstream.model.events import Event, L2Book, Trade
from slipstream.pods import kernel_config
from slipstream.processes.stepped_pod import SteppedPod
from slipstream.runtime.journal import Journal
from slipstream.runtime.records import Session
from slipstream.strategies.brawler.config import BrawlerConfig
from slipstream.strategies.brawler.strategy import Brawler
from slipstream.venues.emulator.depth import side_levels
from slipstream.venues.emulator.serve import ServeOptions, build_venue
from slipstream.venues.emulator.state import Block

LEVELS = 10
START_NS = 1_760_000_400_000_000_000


class RecordedPod(SteppedPod):
    """`SteppedPod`, with the trades and an L2Book of every block before its best prices. ``steps``: all it heard and
    did, in order."""

    def __init__(self, config: BrawlerConfig, seed: int) -> None:
        self.steps: list[tuple[Event, Sequence[Command]]] = []
        self.settings = config
        coins = tuple(entry.symbol for entry in config.symbols)
        options = ServeOptions(port=0, pace="stepped", seed=seed, coins=coins, start_ns=START_NS, limits=True)
        super().__init__(Brawler(config), kernel_config(config, 1.0), build_venue(options), coins, Decimal(100_000))

    def _hear(self, block: Block) -> None:
        super()._hear(block)
        for one in block.trades:
            if one.coin in self.coins:
                px, sz = float(one.px), float(one.sz)
                self._queue.append(Trade("hl", one.coin, px, sz, one.side, one.tid, self.now, self.now))

    def _prices(self, coin: str) -> None:
        book, perp = self.exchange.books[coin], self.exchange.instruments[coin]
        bids, asks = (
            tuple((float(level["px"]), float(level["sz"])) for level in side_levels(book, perp, side, LEVELS))
            for side in (BUY, SELL)
        )
        self._queue.append(L2Book("hl", coin, bids, asks, self.now, self.now))
        super()._prices(coin)

    def _step(self, event: Event) -> Sequence[Command]:
        commands = super()._step(event)
        self.steps.append((event, commands))
        return commands

    def write(self, journal: Journal) -> None:
        """The session as a pod's journal has it."""
        journal.begin(
            Session(
                run=1,
                ns=START_NS,
                slug="brawler",
                config=kernel_config(self.settings, 1.0),
                instruments=tuple(self.exchange.instruments.values()),
                strategy_config={"config": self.settings.public(), "speed": 1.0, "elsewhere": {}},
            )
        )
        journal.append_steps(self.steps)
