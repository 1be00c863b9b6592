"""Template's live half: closed bars in, a rebalance on schedule, Targets out.

- A rebalance is due at fixed venue times; one that was missed while the pod was away is made up at once. Without fresh
  bars, prices or leave to trade it waits, says why, and tries again a minute later.
- Weights become sizes at the current mid, within the mandate's capital and caps. What lies within the band stays.
- Every Target is passive first and crosses after ``passive_minutes``; it has ``deadline_minutes`` in all.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from slipstream.core.portfolio.books import Book
from slipstream.core.signals.gathering import Gathering
from slipstream.execution.rebalance import Band, Room, last_due, lots, notionals, shrunk
from slipstream.execution.strategy import View
from slipstream.model.events import Candle, Event, Timer
from slipstream.model.intents import Intent, Note, Target, Wake
from slipstream.model.mandate import Mandate, TradingState
from slipstream.strategies.template.config import HOUR, MINUTE, TemplateConfig
from slipstream.strategies.template.signals import Signals

SLUG = "template"
LOOK = "template:look"
ZERO = Decimal(0)
ROOM = Decimal("0.97")  # of a cap: prices move between the decision and the fill
URGENCY = 0.02  # passive for nearly all of the patience, then across


class Template:
    """A reversal book. See the module."""

    def __init__(self, config: TemplateConfig, coins: tuple[str, ...], slug: str = SLUG) -> None:
        self.config = config
        self.coins = coins
        self._slug = slug
        self.signals = Signals(coins, config)
        self.bars = Gathering(coins, config.bar_ns)
        self.book: Book | None = None
        self._every = int(config.trade.rebalance_hours * HOUR)
        self._offset = int(config.trade.offset_minutes * MINUTE)
        self._band = Band(Decimal(repr(config.trade.min_trade_usd)), Decimal(repr(config.trade.band)))
        self._done_ns = 0  # when the last rebalance was due that was carried out
        self._granted: Room | None = None
        self._waiting = ""
        self._awake = False

    @property
    def slug(self) -> str:
        """The pod's name."""
        return self._slug

    def on_event(self, event: Event, view: View) -> list[Intent]:
        """What is wanted after this event."""
        out: list[Intent] = []
        if not self._awake and view.now_ns > 0:
            self._awake = True
            out.append(Wake(LOOK, view.now_ns + MINUTE // 4))
        if isinstance(event, Candle):
            for row in self.bars.hear(event):
                self.signals.update(row.closes, row.volumes_usd)
        elif isinstance(event, Timer) and event.name == LOOK:
            out.append(Wake(LOOK, view.now_ns + MINUTE))
            out += self._look(view)
        elif isinstance(event, Mandate):
            out += self._leased(view)
        return out

    def _leased(self, view: View) -> list[Intent]:
        """A lease that grants less than the one before is obeyed at once; one that grants more waits its turn."""
        before, self._granted = self._granted, self._room(view)
        if before is None or self.book is None:
            return []
        pairs = ((before.capital, self._granted.capital), (before.gross, self._granted.gross))
        coins = ((before.of(coin), self._granted.of(coin)) for coin in self.coins)
        return self._trade(view, "lease") if any(new < old for old, new in (*pairs, *coins)) else []

    def _look(self, view: View) -> list[Intent]:
        due = last_due(view.now_ns, self._every, self._offset)
        if due <= self._done_ns and self.book is not None:
            return []
        why = self._not_yet(view)
        if why:
            said, self._waiting = self._waiting, why
            return [Note(f"rebalance waits: {why}")] if why != said else []
        self._waiting = ""
        # a process that starts anew takes up a rebalance that was interrupted, and leaves one that had its time alone
        late = due <= self._done_ns and view.now_ns - due > int(self.config.trade.deadline_minutes * MINUTE)
        self._done_ns = due
        for row in self.bars.rest():
            self.signals.update(row.closes, row.volumes_usd)
        self.book = self.signals.book()
        return [] if late else self._trade(view, "rebalance")

    def _not_yet(self, view: View) -> str:
        """Why nothing can be decided now; empty if it can."""
        if not self.bars.newest_close_ns:
            return "no bars yet"
        age = view.now_ns - self.bars.newest_close_ns
        if age > self.config.trade.max_bar_age_bars * self.config.bar_ns:
            return f"the newest bar closed {age / HOUR:.1f} h ago"
        if view.trading_state is TradingState.HALTED:
            return "halted"
        if self.config.require_mandate and view.mandate is None:
            return "no mandate"
        if not any(view.bbo("hl", coin) is not None for coin in self.coins):
            return "no prices yet"
        return ""

    def _room(self, view: View) -> Room:
        """Capital and caps: the config's, narrowed by the mandate."""
        trade, mandate = self.config.trade, view.mandate
        if mandate is None:
            return Room(trade.capital, self.config.gross_cap * ROOM, {}, self.config.coin_cap * ROOM)
        caps = {coin: min(cap, self.config.coin_cap) * ROOM for coin, cap in mandate.coin_caps.items()}
        other = ZERO if caps else self.config.coin_cap * ROOM
        gross = min(self.config.gross_cap, mandate.gross_cap) * ROOM
        return Room(min(trade.capital, mandate.capital), gross, caps, other)

    def _trade(self, view: View, reason: str) -> list[Intent]:
        """Targets for the book as it is: for every coin wanted or held."""
        wanted = notionals(self.book.weights if self.book is not None else {}, self._room(view))
        deadline = view.now_ns + int(self.config.trade.deadline_minutes * MINUTE)
        out: list[Intent] = []
        for coin in self.coins:
            instrument, held, usd = view.instruments.get(coin), view.position(coin), wanted.get(coin, ZERO)
            if instrument is None or (not held and not usd):
                continue
            bbo = view.bbo("hl", coin)
            if bbo is None or not bbo.mid > 0.0:
                if held:
                    out.append(Note(f"{coin} has no price: position {held} stays"))
                continue
            px = Decimal(repr(bbo.mid))
            size = ZERO if instrument.delisted else lots(usd, px, instrument)
            if view.trading_state is not TradingState.ACTIVE:
                size = shrunk(held, size)
            size = held if self._band.holds(held, size, px) else size
            out.append(Target(coin, size, URGENCY, px, deadline, reason))
        return [*out, Note(reason, {"names": len(wanted), "capital": str(self._room(view).capital)})]

    def snapshot(self) -> dict[str, object]:
        """What a restart must not forget: the last rebalance. Bars come from the feed."""
        return {"done_ns": self._done_ns}

    def restore(self, state: Mapping[str, object]) -> None:
        """Continue from a snapshot."""
        values: Mapping[str, Any] = state
        self._done_ns = int(values.get("done_ns") or 0)

    def status(self) -> dict[str, object]:
        """Plain values for people."""
        book = self.book
        return {
            "bars": self.signals.bars,
            "newest_close_ns": self.bars.newest_close_ns,
            "next_rebalance_ns": self._done_ns + self._every if self._done_ns else 0,
            "waiting": self._waiting,
            "weights": dict(book.weights) if book is not None else {},
            "left_out": dict(book.out) if book is not None else {},
        }
