"""Gradient's live half: closed bars in, a rebalance on schedule, Targets out.

- Bars are gathered by their time and folded into the signals once the next time begins, or a rebalance asks for them.
- A rebalance is due at fixed venue times; one that was missed while the pod was away is made up at once. Without fresh
  bars, or while something the kernel needs is missing, it waits, says why, and tries again a little later.
- Weights become sizes at the current mid, within the mandate's capital and caps. What lies within the band stays.
- Every Target is passive first, crosses after ``passive_minutes`` and has ``deadline_minutes`` in all.
- A mandate that grants less scales the book down at once. Losing ``drawdown_stop`` of the capital from the peak closes
  everything and latches; an operator's resume clears it.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import numpy as np

from slipstream.core.portfolio.books import Book
from slipstream.core.signals.gathering import Gathering, Row
from slipstream.execution.drawdown import DrawdownStop
from slipstream.execution.marks import closable, mid_of, net_of
from slipstream.execution.rebalance import Room, notionals
from slipstream.execution.schedule import HOUR, obstacle
from slipstream.execution.shortfall import Shortfall, shortfall
from slipstream.execution.strategy import View
from slipstream.execution.targets import AT_ONCE, PASSIVE, sizes_of, targets, traded_usd
from slipstream.model.events import Candle, Event, Fill
from slipstream.model.intents import Intent, Note, Target
from slipstream.model.mandate import Mandate, Resume
from slipstream.strategies.gradient.config import GradientConfig
from slipstream.strategies.gradient.target import Signals

SLUG = "gradient"
LOOK = "gradient:look"
ZERO = Decimal(0)
DAY = 24 * HOUR


class Order:
    """A Target under way: what was decided, and what came of it."""

    def __init__(self, size: Decimal, decision_px: Decimal) -> None:
        self.size = size
        self.decision_px = decision_px
        self.arrival_px = decision_px
        self.fills: list[tuple[Decimal, Decimal, Decimal]] = []


class Gradient:
    """A trend book. See the module."""

    def __init__(self, config: GradientConfig, coins: tuple[str, ...], slug: str = SLUG) -> None:
        self.config = config
        self.coins = coins
        self._slug = slug
        self.signals = Signals(coins, config)
        self.bars = Gathering(coins, config.bar_ns)
        self.book: Book | None = None
        self._schedule = config.trade.schedule(LOOK)
        self._band = config.trade.quiet()
        self._stop = DrawdownStop(config.trade.drawdown_stop)
        self._orders: dict[str, Order] = {}
        self._granted: Decimal | None = None
        self._day = 0
        self._day_net: Decimal | None = None
        self._last_shortfall = Shortfall()

    @property
    def slug(self) -> str:
        """The pod's name."""
        return self._slug

    def on_event(self, event: Event, view: View) -> list[Intent]:
        """What is wanted after this event."""
        out: list[Intent] = [*self._schedule.wakes(event, view.now_ns)]
        if isinstance(event, Candle):
            self._fold(self.bars.hear(event))
        elif isinstance(event, Fill):
            order = self._orders.get(event.coin)
            if order is not None and order.size * event.side.sign > 0:
                order.fills.append((event.sz, event.px, event.fee))
        elif self._schedule.is_look(event):
            out += self._look(view)
        elif isinstance(event, Mandate):
            out += self._leased(event, view)
        elif isinstance(event, Resume):
            out += self._stop.resumed(event)
        return out

    def _fold(self, rows: list[Row]) -> None:
        for row in rows:
            self.signals.update(row.closes, row.volumes_usd)

    # decisions

    def _look(self, view: View) -> list[Intent]:
        out = self._watch_loss(view) + self._daily(view)
        if self._stop.stopped:
            return out + self._finish(view)
        if not self._schedule.is_due(view.now_ns, anew=self.book is None):
            return out
        config = self.config
        priced = any(view.bbo("hl", coin) is not None for coin in self.coins)
        closed = self.bars.newest_close_ns
        why = obstacle(view, closed, config.max_bar_age_ns, leased=config.require_mandate, priced=priced)
        if why:
            return [*out, *self._schedule.wait(why)]
        in_time = self._schedule.take(view.now_ns)
        self._fold(self.bars.rest())
        self.book = self.signals.book()
        return out + self._settle_orders(view) + self._trade(view, "rebalance") if in_time else out

    def _room(self, view: View) -> Room:
        return self.config.room().under(view.mandate)

    def _trade(self, view: View, reason: str, urgency: float = PASSIVE) -> list[Intent]:
        """Targets for the book as it is: for every coin wanted or held."""
        book = self.book
        weights = book.weights if book is not None and not self._stop.stopped else {}
        room = self._room(view)
        sizes, deadline = sizes_of(view, self.coins, notionals(weights, room)), self._schedule.deadline_ns
        out = targets(view, self.coins, sizes, self._band, deadline_ns=deadline, reason=reason, urgency=urgency)
        for one in out:
            if isinstance(one, Target) and one.position != view.position(one.coin):
                self._orders[one.coin] = Order(one.position - view.position(one.coin), one.decision_px)
        traded = traded_usd(view, out)
        fields: dict[str, str | float | int] = {"capital": str(room.capital), "traded_usd": round(float(traded), 2)}
        if book is not None:
            fields |= {
                "names": len(weights),
                "gross": round(book.gross, 4),
                "net": round(book.net, 4),
                "beta": round(book.beta, 4),
                "var95_day": round(book.var95_day, 5),
                "left_out": len(book.out),
            }
        return [Note(reason, fields), *out]

    def _leased(self, mandate: Mandate, view: View) -> list[Intent]:
        """Scale the book down at once when less is granted; growth waits for the next rebalance."""
        if self.book is None:
            return []  # the next lease is looked at anew: what was granted before stands until a book can follow it
        granted = min(mandate.capital, self.config.trade.capital)
        before, self._granted = self._granted, granted
        if self._beyond(view):
            # what lies above a cap is not waited for: every lease that finds it so crosses for it again
            return self._trade(view, f"mandate {mandate.version} grants less than is held", AT_ONCE)
        if before is None or granted >= before * Decimal("0.98"):
            return []
        return self._trade(view, f"mandate {mandate.version} grants {granted:.0f} instead of {before:.0f} USD")

    def _beyond(self, view: View) -> bool:
        """Whether more is held, or would be once resting orders fill, than the lease's caps allow, at current mids;
        coins without a price are left out.
        """
        mandate, gross = view.mandate, ZERO
        if mandate is None:
            return False
        for coin in self.coins:
            px, most = mid_of(view, coin), max(map(abs, view.worst_position(coin)))
            if not most or px is None:
                continue
            usd = most * px
            gross += usd
            if mandate.coin_caps and usd > mandate.coin_caps.get(coin, ZERO):
                return True
        return gross > mandate.gross_cap

    # money

    def _watch_loss(self, view: View) -> list[Intent]:
        capital = self._room(view).capital or self.config.trade.capital
        said = self._stop.watch(net_of(view, self.coins), capital)
        return [*said, *self._settle_orders(view), *self._trade(view, "drawdown stop", AT_ONCE)] if said else []

    def _finish(self, view: View) -> list[Intent]:
        """Once stopped: close what had no price then, or what a restart found still held."""
        left = [coin for coin in closable(view, self.coins) if coin not in self._orders]
        return self._trade(view, "drawdown stop", AT_ONCE) if left else []

    def _daily(self, view: View) -> list[Intent]:
        day = view.now_ns // DAY
        net = net_of(view, self.coins)
        if net is None or day == self._day:
            return []
        before, self._day_net = self._day_net, net
        first, self._day = self._day == 0, day
        if first or before is None:
            return []
        lines = [view.line(coin) for coin in self.coins]
        return [
            Note(
                "daily summary",
                {
                    "pnl_usd": round(float(net - before), 2),
                    "net_usd": round(float(net), 2),
                    "fees_usd": round(float(sum((line.fees for line in lines), ZERO)), 2),
                    "funding_usd": round(float(sum((line.funding for line in lines), ZERO)), 2),
                    "volume_usd": round(float(sum((line.volume for line in lines), ZERO)), 2),
                    "shortfall_bp": round(self._last_shortfall.bps, 2),
                },
            )
        ]

    def _settle_orders(self, view: View) -> list[Intent]:
        """Say what the last rebalance cost against its decision prices, and forget it."""
        total = Shortfall()
        for coin, order in self._orders.items():
            end = mid_of(view, coin) or order.decision_px
            total = total.plus(shortfall(order.size, order.decision_px, order.arrival_px, end, order.fills))
        self._orders.clear()
        if not total.wanted:
            return []
        self._last_shortfall = total
        fields: dict[str, str | float | int] = {
            name: round(float(getattr(total, name)), 4) for name in total.__struct_fields__
        }
        return [Note("shortfall of the last rebalance", {**fields, "bp": round(total.bps, 2)})]

    # memory

    def snapshot(self) -> dict[str, object]:
        """What a restart must not forget: the peak, a latched stop, the last rebalance. Bars come from the feed."""
        return {
            "done_ns": self._schedule.done_ns,
            **self._stop.snapshot(),
            "granted": None if self._granted is None else str(self._granted),
            "day": self._day,
            "day_net": None if self._day_net is None else str(self._day_net),
        }

    def restore(self, state: Mapping[str, object]) -> None:
        """Continue from a snapshot."""
        values: Mapping[str, Any] = state
        self._schedule.done_ns = int(values.get("done_ns") or 0)
        self._stop.restore(values)
        self._granted = Decimal(values["granted"]) if values.get("granted") is not None else None
        self._day = int(values.get("day") or 0)
        self._day_net = Decimal(values["day_net"]) if values.get("day_net") is not None else None

    def status(self) -> dict[str, object]:
        """Plain values for people."""
        book = self.book
        strength = self.signals.panel.strength()
        ranked = sorted(
            ((coin, float(s)) for coin, s in zip(self.coins, strength, strict=True) if np.isfinite(s)),
            key=lambda row: -row[1],
        )
        return {
            "bars": self.signals.bars,
            "last_bar_ns": self.bars.last_open_ns + self.config.bar_ns if self.bars.last_open_ns else 0,
            "next_rebalance_ns": self._schedule.next_ns,
            "waiting": self._schedule.waiting,
            "stopped": self._stop.stopped,
            "strongest": ranked[:5],
            "weakest": ranked[-5:],
            "weights": dict(book.weights) if book is not None else {},
            "beta": book.beta if book is not None else 0.0,
            "net": book.net if book is not None else 0.0,
            "left_out": dict(book.out) if book is not None else {},
            "shortfall_bp": self._last_shortfall.bps,
        }
