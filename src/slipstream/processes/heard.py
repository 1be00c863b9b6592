"""What a pod over bars heard and decided in one run, read from its journal: the bars, the rates, each rebalance.

The decisions are the pod's own: the journal is replayed, which proves that it is whole, and what the strategy wants at
every event is watched. The bars are made of the candles and rates as they were heard, by rules of their own, so that a
strategy's folding of them is tested too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec
import numpy as np

from slipstream.core.signals.bars import Bars
from slipstream.execution.strategy import Strategy, View
from slipstream.model.commands import Place, Report
from slipstream.model.events import (
    AssetContext,
    Bbo,
    Candle,
    Event,
    Fill,
    FundingPayment,
    FundingRate,
)
from slipstream.model.instrument import Side
from slipstream.model.intents import Intent, Note, Target
from slipstream.model.mandate import Halt, Mandate, Resume
from slipstream.model.messages import Configure
from slipstream.model.order import Tif
from slipstream.runtime.journal import Journal
from slipstream.runtime.records import Session

HOUR_NS = 3_600_000_000_000
MS = 1_000_000
REBALANCE = "rebalance"  # the reason that strategies over bars give to what they trade on schedule


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """One rebalance. ``weights`` are multiples of capital, ``targets`` signed sizes, ``held`` what it began from."""

    ns: int
    held: Mapping[str, Decimal]
    weights: Mapping[str, float]
    targets: Mapping[str, Decimal]
    terms: frozenset[tuple[float, int]]  # urgency, and time until the deadline, ns


class Asked(msgspec.Struct, frozen=True):
    """What an order asks for, whoever numbered it."""

    coin: str
    side: Side
    px: Decimal
    sz: Decimal
    tif: Tif
    reduce_only: bool


def asked(place: Place) -> Asked:
    """An order without its name."""
    return Asked(place.coin, place.side, place.px, place.sz, place.tif, place.reduce_only)


class Watched:
    """A strategy, and what it decided at each rebalance."""

    def __init__(self, strategy: Strategy, coins: Sequence[str]) -> None:
        self._strategy = strategy
        self._coins = tuple(coins)
        self.decisions: list[Decision] = []

    @property
    def slug(self) -> str:
        """The strategy's."""
        return self._strategy.slug

    def on_event(self, event: Event, view: View) -> list[Intent]:
        """The strategy's intents."""
        held = {coin: size for coin in self._coins if (size := view.position(coin))}
        intents = self._strategy.on_event(event, view)
        if any(isinstance(one, Note) and one.text == REBALANCE for one in intents):
            wanted = [one for one in intents if isinstance(one, Target)]
            book: Mapping[str, float] = self._strategy.status()["weights"]  # type: ignore[assignment]
            self.decisions.append(
                Decision(
                    ns=view.now_ns,
                    held=held,
                    weights=book,
                    targets={one.coin: one.position for one in wanted},
                    terms=frozenset((one.urgency, one.deadline_ns - view.now_ns) for one in wanted),
                )
            )
        return intents

    def snapshot(self) -> dict[str, object]:
        """The strategy's."""
        return self._strategy.snapshot()

    def restore(self, state: Mapping[str, object]) -> None:
        """The strategy's."""
        self._strategy.restore(state)

    def status(self) -> dict[str, object]:
        """The strategy's."""
        return self._strategy.status()


class Moment(msgspec.Struct, frozen=True):
    """A rebalance of the run: what was decided, the prices seen, and the orders sent at once, by coin.

    ``later`` has the first orders of other coins, sent before the next rebalance: while the fate of an earlier order is
    unknown, or a price is stale, a coin waits. ``record`` is what befell the pod since the moment before: its fills,
    funding, mandates and halts.
    """

    decision: Decision
    prices: Mapping[str, Bbo]
    orders: Mapping[str, Asked]
    later: dict[str, Asked]
    record: tuple[Event, ...]


class Heard:
    """One run of a pod, as its journal tells it. ``moments`` are in order; ``held`` is what the run began with."""

    def __init__(self, journal: Journal, session: Session, stop: int | None, decisions: Sequence[Decision]) -> None:
        """Read a session's rows, up to row ``stop``; ``decisions`` are those of a replay of them, in order."""
        self.session = session
        self.coins: tuple[str, ...] = tuple(session.strategy_config["coins"])
        self.moments: list[Moment] = []
        self.bar_ns = 0
        self._candles: dict[int, dict[str, Candle]] = {}
        self._newest = self._used = 0  # opens of the newest bar heard, and of the newest one that a rebalance used
        self._rates: dict[tuple[int, str], float] = {}
        self._decisions = list(decisions)
        self._prices: dict[str, Bbo] = {}
        self._record: list[Event] = []
        bar_hours = session.strategy_config["config"]["signal"]["bar_hours"]
        self.bar_ns = round(bar_hours * HOUR_NS)
        for _, event, commands in journal.read(session.seq, stop=stop):
            self._hear(event)
            counted = [one for one in commands if isinstance(one, Report)]
            if isinstance(event, Mandate | Halt | Resume | Configure | FundingPayment) or (
                isinstance(event, Fill) and any(one.topic == "fill" for one in counted)
            ):
                self._record.append(event)
            if any(one.topic == "note" and one.body.get("text") == REBALANCE for one in counted):
                orders = {one.coin: asked(one) for one in commands if isinstance(one, Place)}
                record, self._record = tuple(self._record), []
                self._used = self._newest
                decision = self._decisions[len(self.moments)]
                self.moments.append(Moment(decision, dict(self._prices), orders, {}, record))
            elif self.moments:
                now = self.moments[-1]
                for one in commands:
                    if isinstance(one, Place) and one.coin not in now.orders:
                        now.later.setdefault(one.coin, asked(one))

    def _hear(self, event: Event) -> None:
        if isinstance(event, Bbo) and event.venue == "hl":
            self._prices[event.coin] = event
        elif isinstance(event, Candle) and event.interval_ns == self.bar_ns:
            # one that came after a later bar, or after a rebalance that went without it, was of no use any more
            if event.open_ns >= self._newest and event.open_ns > self._used:
                self._newest = event.open_ns
                self._candles.setdefault(event.open_ns, {})[event.coin] = event
        elif isinstance(event, AssetContext):
            # the running estimate: the last one heard in an hour is what settles at its end
            self._rates[event.event_ns // HOUR_NS, event.coin] = event.funding
        elif isinstance(event, FundingRate):
            self._rates[round(event.event_ns / HOUR_NS) - 1, event.coin] = event.rate

    def bars(self) -> Bars:
        """The bars heard, and the unfinished one of the last rebalance.

        A bar opens at the middle that the pod saw at its rebalance in that bar, else at the last close. Its funding is
        the mean hourly rate heard in it times its hours.
        """
        first, last = min(self._candles), self.bar_of(self.moments[-1])
        opens = range(first, last + 1, self.bar_ns)
        seen = {self.bar_of(moment): moment.prices for moment in self.moments}
        shape = (len(opens), len(self.coins))
        close, usd, paid, opened = (np.full(shape, np.nan) for _ in range(4))
        for t, at in enumerate(opens):
            for j, coin in enumerate(self.coins):
                bar = self._candles.get(at, {}).get(coin) if at < last else None
                before = close[t - 1, j] if t else np.nan
                if bar is not None:
                    close[t, j], usd[t, j] = bar.close, bar.volume * bar.close
                    paid[t, j] = self._paid(at, coin)
                price = seen[at].get(coin) if at in seen else None
                opened[t, j] = price.mid if price is not None and price.mid > 0.0 else before
        opened = np.where(np.isfinite(opened), opened, close)
        close[-1], usd[-1] = opened[-1], 0.0  # nobody looks at it: the run ends in it
        return Bars(
            coins=self.coins,
            opened=np.array(opens, dtype=np.int64) // MS,
            hours=self.bar_ns / HOUR_NS,
            open=opened,
            close=close,
            volume_usd=usd,
            funding=paid,
            funding_gaps=np.isnan(paid).astype(np.int64),
        )

    def _paid(self, open_ns: int, coin: str) -> float:
        hours = range(open_ns // HOUR_NS, (open_ns + self.bar_ns) // HOUR_NS)
        heard = [self._rates[hour, coin] for hour in hours if (hour, coin) in self._rates]
        return sum(heard) / len(heard) * len(hours) if heard else float("nan")

    def bar_of(self, moment: Moment) -> int:
        """When the bar opened that a rebalance fell into, ns."""
        return moment.decision.ns // self.bar_ns * self.bar_ns
