"""Template's live half: closed bars in, a rebalance on schedule, Targets out.

- A rebalance is due at fixed venue times; one that was missed while the pod was away is made up at once. Without fresh
  bars, prices or leave to trade it waits, says why, and tries again a minute later.
- Weights become sizes at the current mid, within the mandate's capital and caps. What lies within the band stays.
- Every Target is passive first and crosses after ``passive_minutes``; it has ``deadline_minutes`` in all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slipstream.core.portfolio.books import Book
from slipstream.core.signals.gathering import Gathering, Row
from slipstream.execution.rebalance import Room, notionals
from slipstream.execution.schedule import obstacle
from slipstream.execution.strategy import View
from slipstream.execution.targets import sizes_of, targets
from slipstream.model.events import Candle, Event
from slipstream.model.intents import Intent, Note
from slipstream.model.mandate import Mandate
from slipstream.strategies.template.config import TemplateConfig
from slipstream.strategies.template.signals import Signals

SLUG = "template"
LOOK = "template:look"


class Template:
    """A reversal book. See the module."""

    def __init__(self, config: TemplateConfig, coins: tuple[str, ...], slug: str = SLUG) -> None:
        self.config = config
        self.coins = coins
        self._slug = slug
        self.signals = Signals(coins, config)
        self.bars = Gathering(coins, config.bar_ns)
        self.book: Book | None = None
        self._schedule = config.trade.schedule(LOOK)
        self._band = config.trade.quiet()
        self._granted: Room | None = None

    @property
    def slug(self) -> str:
        """The pod's name."""
        return self._slug

    def on_event(self, event: Event, view: View) -> list[Intent]:
        """What is wanted after this event."""
        out: list[Intent] = [*self._schedule.wakes(event, view.now_ns)]
        if isinstance(event, Candle):
            self._fold(self.bars.hear(event))
        elif self._schedule.is_look(event):
            out += self._look(view)
        elif isinstance(event, Mandate):
            out += self._leased(view)
        return out

    def _fold(self, rows: list[Row]) -> None:
        for row in rows:
            self.signals.update(row.closes, row.volumes_usd)

    def _room(self, view: View) -> Room:
        return self.config.room().under(view.mandate)

    def _leased(self, view: View) -> list[Intent]:
        """A lease that grants less than the one before is obeyed at once; one that grants more waits its turn."""
        before, self._granted = self._granted, self._room(view)
        if before is None or self.book is None or not self._granted.is_less(before, self.coins):
            return []
        return self._trade(view, "lease")

    def _look(self, view: View) -> list[Intent]:
        if not self._schedule.is_due(view.now_ns, anew=self.book is None):
            return []
        config = self.config
        priced = any(view.bbo("hl", coin) is not None for coin in self.coins)
        closed = self.bars.newest_close_ns
        why = obstacle(view, closed, config.max_bar_age_ns, leased=config.require_mandate, priced=priced)
        if why:
            return [*self._schedule.wait(why)]
        in_time = self._schedule.take(view.now_ns)
        self._fold(self.bars.rest())
        self.book = self.signals.book()
        return self._trade(view, "rebalance") if in_time else []

    def _trade(self, view: View, reason: str) -> list[Intent]:
        """Targets for the book as it is: for every coin wanted or held."""
        room = self._room(view)
        wanted = notionals(self.book.weights if self.book is not None else {}, room)
        sizes, deadline = sizes_of(view, self.coins, wanted), self._schedule.deadline_ns
        out = targets(view, self.coins, sizes, self._band, deadline_ns=deadline, reason=reason)
        return [*out, Note(reason, {"names": len(wanted), "capital": str(room.capital)})]

    def snapshot(self) -> dict[str, object]:
        """What a restart must not forget: the last rebalance. Bars come from the feed."""
        return {"done_ns": self._schedule.done_ns}

    def restore(self, state: Mapping[str, object]) -> None:
        """Continue from a snapshot."""
        values: Mapping[str, Any] = state
        self._schedule.done_ns = int(values.get("done_ns") or 0)

    def status(self) -> dict[str, object]:
        """Plain values for people."""
        book = self.book
        return {
            "bars": self.signals.bars,
            "newest_close_ns": self.bars.newest_close_ns,
            "next_rebalance_ns": self._schedule.next_ns,
            "waiting": self._schedule.waiting,
            "weights": dict(book.weights) if book is not None else {},
            "left_out": dict(book.out) if book is not None else {},
        }
