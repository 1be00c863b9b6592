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
from slipstream.execution.drawdown import DrawdownStop
from slipstream.execution.marks import closable, is_tradable, mid_of, net_of
from slipstream.execution.rebalance import Room, notionals, shrunk
from slipstream.execution.schedule import obstacle
from slipstream.execution.strategy import View
from slipstream.execution.targets import AT_ONCE, PASSIVE, targets, traded_usd
from slipstream.model.events import AssetContext, Candle, Event, FundingRate
from slipstream.model.intents import Intent, Note
from slipstream.model.mandate import Mandate, Resume
from slipstream.strategies.carry.config import CarryConfig
from slipstream.strategies.carry.rates import Rates
from slipstream.strategies.carry.target import Book, Bounds, Signals

SLUG = "carry"
LOOK = "carry:look"
MS = 1_000_000
ZERO = Decimal(0)


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
        self._schedule = config.trade.schedule(LOOK)
        self._band = config.trade.quiet()
        self._stop = DrawdownStop(config.trade.drawdown_stop)
        self._granted: Room | None = None
        self._level = ""

    @property
    def slug(self) -> str:
        """The pod's name."""
        return self._slug

    def on_event(self, event: Event, view: View) -> list[Intent]:
        """What is wanted after this event."""
        out: list[Intent] = [*self._schedule.wakes(event, view.now_ns)]
        if isinstance(event, AssetContext | FundingRate):
            self.rates.hear(event)
        elif isinstance(event, Candle):
            self._fold(self.bars.hear(event))
        elif self._schedule.is_look(event):
            out += self._watch_loss(view) + self._look(view)
        elif isinstance(event, Mandate):
            out += self._leased(view)
        elif isinstance(event, Resume):
            out += self._stop.resumed(event)
        return out

    def _fold(self, rows: list[Row]) -> None:
        for row in rows:
            self.signals.update(row.closes, row.volumes_usd, self.rates.of_bar(row.open_ns, self.config.bar_ns))

    # decisions

    def _look(self, view: View) -> list[Intent]:
        if self._stop.stopped:
            # close what had no price as it tripped, or what a restart found still held
            return self._trade(view, "drawdown stop", AT_ONCE) if closable(view, self.coins) else []
        if not self._schedule.is_due(view.now_ns, anew=self.book is None):
            return []
        config = self.config
        priced = any(mid_of(view, coin) for coin in self.coins)
        closed = self.bars.newest_close_ns
        why = obstacle(view, closed, config.max_bar_age_ns, leased=config.require_mandate, priced=priced)
        if why:
            return [*self._schedule.wait(why)]
        in_time = self._schedule.take(view.now_ns)
        self._fold(self.bars.rest())
        self.book = self._decide(view)
        return [*self._said(), *self._trade(view, "rebalance")] if in_time else self._said()

    def _decide(self, view: View) -> Book:
        """The book from what is held, within what is granted."""
        room = self._room(view)
        capital = float(room.capital)
        held = np.zeros(len(self.coins))
        if capital > 0.0:
            held[:] = [float(view.position(coin) * (mid_of(view, coin) or ZERO)) / capital for coin in self.coins]
        caps = np.array([float(room.of(coin)) for coin in self.coins])
        tradable = np.array([is_tradable(view, coin) for coin in self.coins])
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
        if before is None or self.book is None or not self._granted.is_less(before, self.coins):
            return []
        return self._trade(view, "lease")

    def _room(self, view: View) -> Room:
        return self.config.room().under(view.mandate)

    # trades

    def _sizes(self, view: View, wanted: Mapping[str, Decimal]) -> dict[str, Decimal]:
        """Whole lots near the notionals at current mids, their beta repaired; only coins that are tradable."""
        names = [coin for coin in self.coins if wanted.get(coin) and is_tradable(view, coin)]
        if not names:
            return {}
        lots = [Decimal(1).scaleb(-view.instruments[coin].size_decimals) for coin in names]
        value = np.array([float(lot * (mid_of(view, coin) or ZERO)) for lot, coin in zip(lots, names, strict=True)])
        betas: npt.NDArray[np.float64] = np.nan_to_num(self.signals.betas)
        beta = betas[[self.coins.index(coin) for coin in names]]
        found = round_to_lots(np.array([float(wanted[coin]) for coin in names]), value, beta)
        return {coin: Decimal(int(n)) * lot for coin, n, lot in zip(names, found.lots, lots, strict=True)}

    def _shrinking(self, view: View, sizes: Mapping[str, Decimal]) -> dict[str, Decimal]:
        """Sizes under a refused model: positions only shrink, and what is halved for ever ends as dust, and closed."""
        out: dict[str, Decimal] = {}
        for coin, wanted in sizes.items():
            size = shrunk(view.position(coin), wanted)
            out[coin] = size if abs(size) * (mid_of(view, coin) or ZERO) >= self._band.min_usd else ZERO
        return out

    def _trade(self, view: View, reason: str, urgency: float = PASSIVE) -> list[Intent]:
        """Targets for the book as it is: for every coin wanted or held."""
        book = self.book
        weights = book.weights if book is not None and not self._stop.stopped else {}
        sizes = {coin: size for coin, size in self._sizes(view, notionals(weights, self._room(view))).items() if size}
        if book is not None and book.why:
            sizes = self._shrinking(view, sizes)
        deadline = self._schedule.deadline_ns
        out = targets(view, self.coins, sizes, self._band, deadline_ns=deadline, reason=reason, urgency=urgency)
        traded = traded_usd(view, out)
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

    def _watch_loss(self, view: View) -> list[Intent]:
        capital = self._room(view).capital or self.config.trade.capital
        said = self._stop.watch(net_of(view, self.coins), capital)
        return [*said, *self._trade(view, "drawdown stop", AT_ONCE)] if said else []

    # memory

    def snapshot(self) -> dict[str, object]:
        """What a restart must not forget. Bars and settled funding come from the feed again."""
        return {"done_ns": self._schedule.done_ns, **self._stop.snapshot()}

    def restore(self, state: Mapping[str, object]) -> None:
        """Continue from a snapshot."""
        values: Mapping[str, Any] = state
        self._schedule.done_ns = int(values.get("done_ns") or 0)
        self._stop.restore(values)

    def status(self) -> dict[str, object]:
        """Plain values for people."""
        book, model = self.book, self.signals.artefact
        return {
            "bars": self.signals.bars,
            "newest_close_ns": self.bars.newest_close_ns,
            "funding_known": self.signals.features.warmed(),
            "next_rebalance_ns": self._schedule.next_ns,
            "waiting": self._schedule.waiting,
            "stopped": self._stop.stopped,
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
