"""Carry's live half: closed bars and funding rates in, a rebalance on schedule, Targets out.

- A rebalance is due at fixed venue times; one that was missed while the pod was away is made up at once. Without fresh
  bars, prices or leave to trade it waits, says why, and tries again a minute later.
- The book starts from what is held, within the mandate's capital and caps. Weights become whole lots at the current
  mid; what rounding does to beta is repaired by lots.
- A model that is missing, stale, of other features, or out of its depth (drift) is refused: each rebalance then halves
  what is held, and the reason is in the notes and the status.
- Every Target is passive first and crosses after ``passive_minutes``; it has ``deadline_minutes`` in all.
- A lease that grants less is obeyed at once. Losing ``drawdown_stop`` of the capital from the peak closes everything
  and latches; an operator's resume clears it.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

from slipstream.core.portfolio.lots import round_to_lots
from slipstream.core.signals.gathering import Gathering, Row
from slipstream.execution.rebalance import Band, Room, last_due, notionals, shrunk
from slipstream.execution.strategy import View
from slipstream.model.events import AssetContext, Candle, Event, FundingRate, Timer
from slipstream.model.intents import Intent, Note, Target, Wake
from slipstream.model.mandate import Mandate, Resume, TradingState
from slipstream.strategies.carry.config import HOUR, MINUTE, CarryConfig
from slipstream.strategies.carry.rates import Rates
from slipstream.strategies.carry.target import Book, Bounds, Signals

SLUG = "carry"
LOOK = "carry:look"
MS = 1_000_000
ZERO = Decimal(0)
ROOM = Decimal("0.97")  # of a cap: prices move between the decision and the fill
URGENCY = 0.02  # passive for nearly all of the patience, then across


def mid_of(view: View, coin: str) -> Decimal | None:
    """The middle of the best prices, or None."""
    bbo = view.bbo("hl", coin)
    return Decimal(repr(bbo.mid)) if bbo is not None and bbo.mid > 0.0 else None


def tradable_in(view: View, coin: str) -> bool:
    """Whether a position can be opened: listed, and with a price."""
    instrument = view.instruments.get(coin)
    return instrument is not None and not instrument.delisted and mid_of(view, coin) is not None


class Carry:
    """A carry book. See the module."""

    def __init__(self, config: CarryConfig, coins: tuple[str, ...], slug: str = SLUG) -> None:
        self.config = config
        self.coins = coins
        self._slug = slug
        self.signals = Signals(coins, config)
        self.bars = Gathering(coins, config.bar_ns)
        self.rates = Rates(coins)
        self.book: Book | None = None
        self._every = int(config.trade.rebalance_hours * HOUR)
        self._offset = int(config.trade.offset_minutes * MINUTE)
        self._band = Band(Decimal(repr(config.trade.min_trade_usd)), Decimal(repr(config.trade.band)))
        self._done_ns = 0  # when the last rebalance was due that was carried out
        self._granted: Room | None = None
        self._peak: Decimal | None = None
        self._lent: Decimal | None = None  # the capital that the peak is measured against
        self._stopped = False
        self._waiting = ""
        self._level = ""
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
        if isinstance(event, AssetContext | FundingRate):
            self.rates.hear(event)
        elif isinstance(event, Candle):
            self._fold(self.bars.hear(event))
        elif isinstance(event, Timer) and event.name == LOOK:
            out.append(Wake(LOOK, view.now_ns + MINUTE))
            out += self._watch_loss(view) + self._look(view)
        elif isinstance(event, Mandate):
            out += self._leased(view)
        elif isinstance(event, Resume) and event.whose == "" and self._stopped:
            self._stopped, self._peak = False, None
            out.append(Note("drawdown stop cleared", {"by": event.who, "why": event.why}))
        return out

    def _fold(self, rows: list[Row]) -> None:
        for row in rows:
            self.signals.update(row.closes, row.volumes_usd, self.rates.of_bar(row.open_ns, self.config.bar_ns))

    # decisions

    def _look(self, view: View) -> list[Intent]:
        if self._stopped:
            return self._finish(view)
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
        self._fold(self.bars.rest())
        self.book = self._decide(view)
        return self._said() if late else [*self._said(), *self._trade(view, "rebalance")]

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
        if not any(mid_of(view, coin) for coin in self.coins):
            return "no prices yet"
        return ""

    def _decide(self, view: View) -> Book:
        """The book from what is held, within what is granted."""
        room = self._room(view)
        capital = float(room.capital)
        held = np.zeros(len(self.coins))
        if capital > 0.0:
            held[:] = [float(view.position(coin) * (mid_of(view, coin) or ZERO)) / capital for coin in self.coins]
        caps = np.array([float(room.of(coin)) for coin in self.coins])
        tradable = np.array([tradable_in(view, coin) for coin in self.coins])
        bounds = Bounds(
            capital=capital,
            gross=float(room.gross) / capital if capital > 0.0 else 0.0,
            coin=np.where(tradable, caps / capital, 0.0) if capital > 0.0 else np.zeros(len(self.coins)),
        )
        if not bounds.gross > 0.0:
            return Book({}, "no capital is granted", 0.0, 0.0, 0.0, 0.0, 0.0, {})
        return self.signals.book(view.now_ns // MS, held, bounds)

    def _said(self) -> list[Intent]:
        """What people should hear of the model since the last rebalance."""
        verdict = self.signals.verdict
        why = self.book.why if self.book is not None else ""
        level = f"{verdict.level}:{why}"
        if level == self._level:
            return []
        self._level = level
        out: list[Intent] = []
        if why:
            out.append(Note("the model is refused: positions are only reduced", {"why": why}))
        if verdict.level != "none":
            out.append(Note("the market drifts away from the model's training", {"why": verdict.why}))
        return out

    def _leased(self, view: View) -> list[Intent]:
        """A lease that grants less than the one before is obeyed at once; one that grants more waits its turn."""
        before, self._granted = self._granted, self._room(view)
        if before is None or self.book is None:
            return []
        pairs = ((before.capital, self._granted.capital), (before.gross, self._granted.gross))
        coins = ((before.of(coin), self._granted.of(coin)) for coin in self.coins)
        return self._trade(view, "lease") if any(new < old for old, new in (*pairs, *coins)) else []

    def _room(self, view: View) -> Room:
        """Capital and caps: the config's, narrowed by the mandate."""
        trade, mandate = self.config.trade, view.mandate
        if mandate is None:
            return Room(trade.capital, self.config.gross_cap * ROOM, {}, self.config.coin_cap * ROOM)
        caps = {coin: min(cap, self.config.coin_cap) * ROOM for coin, cap in mandate.coin_caps.items()}
        other = ZERO if caps else self.config.coin_cap * ROOM
        gross = min(self.config.gross_cap, mandate.gross_cap) * ROOM
        return Room(min(trade.capital, mandate.capital), gross, caps, other)

    # trades

    def _sizes(self, view: View, wanted: Mapping[str, Decimal]) -> dict[str, Decimal]:
        """Whole lots near the notionals at current mids, their beta repaired; only coins that are tradable."""
        names = [coin for coin in self.coins if wanted.get(coin) and tradable_in(view, coin)]
        if not names:
            return {}
        lots = [Decimal(1).scaleb(-view.instruments[coin].size_decimals) for coin in names]
        value = np.array([float(lot * (mid_of(view, coin) or ZERO)) for lot, coin in zip(lots, names, strict=True)])
        betas: npt.NDArray[np.float64] = np.nan_to_num(self.signals.betas)
        beta = betas[[self.coins.index(coin) for coin in names]]
        found = round_to_lots(np.array([float(wanted[coin]) for coin in names]), value, beta)
        return {coin: Decimal(int(n)) * lot for coin, n, lot in zip(names, found.lots, lots, strict=True)}

    def _trade(self, view: View, reason: str, urgency: float = URGENCY) -> list[Intent]:
        """Targets for the book as it is: for every coin wanted or held."""
        book = self.book
        weights = book.weights if book is not None and not self._stopped else {}
        refused = book is not None and bool(book.why)
        wanted = notionals(weights, self._room(view))
        sizes = self._sizes(view, wanted)
        deadline = view.now_ns + int(self.config.trade.deadline_minutes * MINUTE)
        out: list[Intent] = []
        traded = ZERO
        for coin in self.coins:
            held, px = view.position(coin), mid_of(view, coin)
            if coin not in view.instruments or (not held and not sizes.get(coin)):
                continue
            if px is None:
                out.append(Note(f"{coin} has no price: position {held} stays"))
                continue
            size = sizes.get(coin, ZERO)
            if refused or view.trading_state is not TradingState.ACTIVE:
                size = shrunk(held, size)
            if refused and abs(size) * px < self._band.min_usd:
                size = ZERO  # what is halved for ever ends as dust
            size = held if self._band.holds(held, size, px) else size
            traded += abs(size - held) * px
            out.append(Target(coin, size, urgency, px, deadline, reason))
        fields: dict[str, str | float | int] = {"names": len(weights), "traded_usd": round(float(traded), 2)}
        if book is not None:
            fields |= {
                "gross": round(book.gross, 4),
                "beta": round(book.beta, 6),
                "expected_bp": round(1e4 * book.expected, 3),
                "of_it_price_bp": round(1e4 * book.from_price, 3),
                "sd_bp": round(1e4 * book.sd, 2),
                "left_out": len(book.out),
            }
        return [Note(reason, fields), *out]

    # money

    def _net(self, view: View) -> Decimal | None:
        """Profit after costs of all coins; None while a held coin never had a price. Nobody quotes it: its mark."""
        total = ZERO
        for coin in self.coins:
            line, context = view.line(coin), view.context(coin)
            px = mid_of(view, coin)
            if px is None:
                px = Decimal(repr(context.mark_px)) if context is not None and context.mark_px > 0.0 else line.last_px
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
        return [said, *self._trade(view, "drawdown stop", 1.0)]

    def _finish(self, view: View) -> list[Intent]:
        """Once stopped: close what had no price then, or what a restart found still held."""
        left = [coin for coin in self.coins if view.position(coin) and mid_of(view, coin) is not None]
        return self._trade(view, "drawdown stop", 1.0) if left else []

    # memory

    def snapshot(self) -> dict[str, object]:
        """What a restart must not forget. Bars and settled funding come from the feed again."""
        return {
            "done_ns": self._done_ns,
            "peak": None if self._peak is None else str(self._peak),
            "lent": None if self._lent is None else str(self._lent),
            "stopped": self._stopped,
        }

    def restore(self, state: Mapping[str, object]) -> None:
        """Continue from a snapshot."""
        values: Mapping[str, Any] = state
        self._done_ns = int(values.get("done_ns") or 0)
        self._peak = Decimal(values["peak"]) if values.get("peak") is not None else None
        self._lent = Decimal(values["lent"]) if values.get("lent") is not None else None
        self._stopped = bool(values.get("stopped", False))

    def status(self) -> dict[str, object]:
        """Plain values for people."""
        book, model = self.book, self.signals.artefact
        return {
            "bars": self.signals.bars,
            "newest_close_ns": self.bars.newest_close_ns,
            "funding_known": self.signals.features.warmed(),
            "next_rebalance_ns": self._done_ns + self._every if self._done_ns else 0,
            "waiting": self._waiting,
            "stopped": self._stopped,
            "model": model.hash[:12] if model is not None else "",
            "model_until_ms": model.valid_until_ms if model is not None else 0,
            "refused": book.why if book is not None else self.signals.problem,
            "drift": self.signals.verdict.level,
            "drift_why": self.signals.verdict.why,
            "weights": dict(book.weights) if book is not None else {},
            "beta": book.beta if book is not None else 0.0,
            "expected": book.expected if book is not None else 0.0,
            "left_out": dict(book.out) if book is not None else {},
        }
