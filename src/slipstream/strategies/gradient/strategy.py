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
from slipstream.execution.rebalance import Band, Room, last_due, lots, notionals, shrunk
from slipstream.execution.shortfall import Shortfall, shortfall
from slipstream.execution.strategy import View
from slipstream.model.events import Candle, Event, Fill, Timer
from slipstream.model.intents import Intent, Note, Target, Wake
from slipstream.model.mandate import Mandate, Resume, TradingState
from slipstream.strategies.gradient.config import HOUR, SECOND, GradientConfig
from slipstream.strategies.gradient.target import Signals

SLUG = "gradient"
ZERO = Decimal(0)
LOOK = "gradient:look"
MINUTE = 60 * SECOND
DAY = 24 * HOUR
ROOM = Decimal("0.97")  # of a cap: prices move between the decision and the fill
MISSING = 4_096  # bars that nobody had, counted one by one
URGENCY = 0.02  # passive for nearly all of the patience, then across


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
        self._index = {coin: number for number, coin in enumerate(coins)}
        self.signals = Signals(coins, config)
        self._bars: dict[int, dict[str, Candle]] = {}
        self._last_open = 0
        self.book: Book | None = None
        self._every = int(config.trade.rebalance_hours * HOUR)
        self._offset = int(config.trade.offset_minutes * MINUTE)
        self._band = Band(Decimal(repr(config.trade.min_trade_usd)), Decimal(repr(config.trade.band)))
        self._orders: dict[str, Order] = {}
        self._done_ns = 0  # when the last rebalance was due that was carried out
        self._granted: Decimal | None = None
        self._peak: Decimal | None = None
        self._lent: Decimal | None = None  # the capital that the peak is measured against
        self._stopped = False
        self._waiting = ""
        self._awake = False
        self._day = 0
        self._day_net: Decimal | None = None
        self._last_shortfall = Shortfall()

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
            self._gather(event)
        elif isinstance(event, Fill):
            order = self._orders.get(event.coin)
            if order is not None and order.size * event.side.sign > 0:
                order.fills.append((event.sz, event.px, event.fee))
        elif isinstance(event, Timer) and event.name == LOOK:
            out.append(Wake(LOOK, view.now_ns + MINUTE))
            out += self._look(view)
        elif isinstance(event, Mandate):
            out += self._leased(event, view)
        elif isinstance(event, Resume) and event.whose == "" and self._stopped:
            self._stopped, self._peak = False, None
            out.append(Note("drawdown stop cleared", {"by": event.who, "why": event.why}))
        return out

    # bars

    def _gather(self, candle: Candle) -> None:
        if candle.coin not in self._index or candle.interval_ns != self.config.bar_ns:
            return
        if candle.open_ns <= self._last_open:
            return  # a bar of a time that was folded already
        self._bars.setdefault(candle.open_ns, {})[candle.coin] = candle
        newest = max(self._bars)
        for open_ns in sorted(self._bars):
            if open_ns < newest:
                self._fold(open_ns)

    def _fold(self, open_ns: int) -> None:
        bars = self._bars.pop(open_ns)
        closes = np.full(len(self.coins), np.nan)
        volumes = np.zeros(len(self.coins))
        for coin, bar in bars.items():
            closes[self._index[coin]] = bar.close
            volumes[self._index[coin]] = bar.volume * bar.close
        missing = (open_ns - self._last_open) // self.config.bar_ns - 1 if self._last_open else 0
        for _ in range(min(missing, MISSING)):
            # whole bars are missing for everyone: no return may span them
            self.signals.update(np.full(len(self.coins), np.nan), np.zeros(len(self.coins)))
        self._last_open = open_ns
        self.signals.update(closes, volumes)

    # decisions

    def _look(self, view: View) -> list[Intent]:
        out = self._watch_loss(view) + self._daily(view)
        if self._stopped:
            return out + self._finish(view)
        now = view.now_ns
        due = last_due(now, self._every, self._offset)
        if due <= self._done_ns and self.book is not None:
            return out
        why = self._not_yet(view)
        if why:
            if why != self._waiting:
                out.append(Note(f"rebalance waits: {why}"))
            self._waiting = why
            return out
        self._waiting = ""
        # a process that starts anew takes up a rebalance that was interrupted, and leaves one that had its time alone
        late = due <= self._done_ns and now - due > int(self.config.trade.deadline_minutes * MINUTE)
        self._done_ns = due
        for open_ns in sorted(self._bars):
            self._fold(open_ns)
        self.book = self.signals.book()
        return out if late else out + self._settle_orders(view) + self._trade(view, "rebalance")

    def _not_yet(self, view: View) -> str:
        newest = max([self._last_open, *self._bars]) if self._bars else self._last_open
        if not newest:
            return "no bars yet"
        age = view.now_ns - (newest + self.config.bar_ns)
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
        trade, mandate = self.config.trade, view.mandate
        if mandate is None:
            return Room(trade.capital, self.config.gross_cap * ROOM, {}, self.config.coin_cap * ROOM)
        caps = {coin: min(cap, self.config.coin_cap) * ROOM for coin, cap in mandate.coin_caps.items()}
        other = ZERO if caps else self.config.coin_cap * ROOM
        gross = min(self.config.gross_cap, mandate.gross_cap) * ROOM
        return Room(min(trade.capital, mandate.capital), gross, caps, other)

    def _trade(self, view: View, reason: str, urgency: float = URGENCY) -> list[Intent]:
        """Targets for the book as it is: for every coin wanted or held."""
        weights = self.book.weights if self.book is not None and not self._stopped else {}
        room = self._room(view)
        wanted = notionals(weights, room)
        out: list[Intent] = []
        traded = ZERO
        deadline = view.now_ns + int(self.config.trade.deadline_minutes * MINUTE)
        for coin in self.coins:
            instrument, held = view.instruments.get(coin), view.position(coin)
            usd = wanted.get(coin, ZERO)
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
            if self._band.holds(held, size, px):
                size = held
            if size != held:
                self._orders[coin] = Order(size - held, px)
                traded += abs(size - held) * px
            out.append(Target(coin, size, urgency, px, deadline, reason))
        book = self.book
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
            return self._trade(view, f"mandate {mandate.version} grants less than is held", 1.0)
        if before is None or granted >= before * Decimal("0.98"):
            return []
        return self._trade(view, f"mandate {mandate.version} grants {granted:.0f} instead of {before:.0f} USD")

    def _beyond(self, view: View) -> bool:
        """Whether more is held than the lease's caps allow, at current mids; coins without a price are left out."""
        mandate, gross = view.mandate, ZERO
        if mandate is None:
            return False
        for coin in self.coins:
            bbo, held = view.bbo("hl", coin), view.position(coin)
            if not held or bbo is None or not bbo.mid > 0.0:
                continue
            usd = abs(held) * Decimal(repr(bbo.mid))
            gross += usd
            if mandate.coin_caps and usd > mandate.coin_caps.get(coin, ZERO):
                return True
        return gross > mandate.gross_cap

    # money

    def _net(self, view: View) -> Decimal | None:
        """Profit after costs of all coins; None while a held coin never had a price.

        A coin that nobody quotes counts at its mark, else at its last fill: it must not blind the drawdown stop.
        """
        total = ZERO
        for coin in self.coins:
            line = view.line(coin)
            bbo, context = view.bbo("hl", coin), view.context(coin)
            px = line.last_px
            if bbo is not None and bbo.mid > 0.0:
                px = Decimal(repr(bbo.mid))
            elif context is not None and context.mark_px > 0.0:
                px = Decimal(repr(context.mark_px))
            if line.position and not px > 0:
                return None
            total += line.net(px)
        return total

    def _watch_loss(self, view: View) -> list[Intent]:
        net = self._net(view)
        if net is None:
            return []
        capital = self._room(view).capital or self.config.trade.capital
        if self._peak is not None and self._lent and capital != self._lent:
            # a loss is a part of what was lent when it was made: another lease leaves that part as it is
            self._peak = net + (self._peak - net) * capital / self._lent
        self._lent = capital
        self._peak = net if self._peak is None else max(self._peak, net)
        lost = (self._peak - net) / capital
        if self._stopped or lost < Decimal(repr(self.config.trade.drawdown_stop)):
            return []
        self._stopped = True
        said = Note("drawdown stop: everything is closed", {"lost": f"{lost:.2%}", "clears": "an operator's resume"})
        return [said, *self._settle_orders(view), *self._trade(view, "drawdown stop", 1.0)]

    def _finish(self, view: View) -> list[Intent]:
        """Once stopped: close what had no price then, or what a restart found still held."""
        left = [coin for coin in self.coins if view.position(coin) and coin not in self._orders]
        quoted = [coin for coin in left if (bbo := view.bbo("hl", coin)) is not None and bbo.mid > 0.0]
        return self._trade(view, "drawdown stop", 1.0) if quoted else []

    def _daily(self, view: View) -> list[Intent]:
        day = view.now_ns // DAY
        net = self._net(view)
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
            bbo = view.bbo("hl", coin)
            end = Decimal(repr(bbo.mid)) if bbo is not None and bbo.mid > 0.0 else order.decision_px
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
            "done_ns": self._done_ns,
            "peak": None if self._peak is None else str(self._peak),
            "lent": None if self._lent is None else str(self._lent),
            "stopped": self._stopped,
            "granted": None if self._granted is None else str(self._granted),
            "day": self._day,
            "day_net": None if self._day_net is None else str(self._day_net),
        }

    def restore(self, state: Mapping[str, object]) -> None:
        """Continue from a snapshot."""
        values: Mapping[str, Any] = state
        self._done_ns = int(values.get("done_ns") or 0)
        self._peak = Decimal(values["peak"]) if values.get("peak") is not None else None
        self._lent = Decimal(values["lent"]) if values.get("lent") is not None else None
        self._stopped = bool(values.get("stopped", False))
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
            "last_bar_ns": self._last_open + self.config.bar_ns if self._last_open else 0,
            "next_rebalance_ns": self._done_ns + self._every if self._done_ns else 0,
            "waiting": self._waiting,
            "stopped": self._stopped,
            "strongest": ranked[:5],
            "weakest": ranked[-5:],
            "weights": dict(book.weights) if book is not None else {},
            "beta": book.beta if book is not None else 0.0,
            "net": book.net if book is not None else 0.0,
            "left_out": dict(book.out) if book is not None else {},
            "shortfall_bp": self._last_shortfall.bps,
        }
