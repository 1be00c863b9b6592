"""Brawler: quotes several symbols around an anchor price and suspends itself when the market stops making sense."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from slipstream.execution.strategy import View
from slipstream.model.errors import ConfigError
from slipstream.model.events import (
    AssetContext,
    Bbo,
    Disconnect,
    Event,
    Fill,
    L2Book,
    Reconnect,
    Timer,
    Trade,
)
from slipstream.model.intents import Intent, Note, Quote, Wake
from slipstream.strategies.brawler.config import MILLI, SECOND, BrawlerConfig
from slipstream.strategies.brawler.maker import HOME, Maker, Mode
from slipstream.strategies.brawler.pace import Pace
from slipstream.strategies.brawler.portfolio import Portfolio
from slipstream.strategies.brawler.screening import screen
from slipstream.strategies.brawler.switches import Patience, Switch
from slipstream.strategies.brawler.touch import thinner_depth

SLUG = "brawler"
CHECK = "brawler:check"
SNAPSHOT_VERSION = 1


class Brawler:
    """The strategy of `slipstream.execution.strategy`. ``elsewhere`` is what ``--inventory-file`` states."""

    def __init__(
        self, config: BrawlerConfig, elsewhere: Mapping[str, Decimal] | None = None, *, slug: str = SLUG
    ) -> None:
        switches = config.kill_switch
        patience = Patience(
            int(switches.backoff_s * SECOND),
            int(switches.backoff_max_s * SECOND),
            int(switches.backoff_memory_s * SECOND),
        )
        held = dict(elsewhere or {})
        self._slug = slug
        self._config = config
        self.check_ns = switches.check_interval_ms * MILLI
        self.portfolio = Portfolio(config.portfolio, patience)
        self.makers = {
            terms.symbol: Maker(terms, config, patience, held.get(terms.symbol, Decimal(0))) for terms in config.terms
        }
        # half of what the gate lets through: the other half is for fills, cancels and bursts
        self.pace = Pace(config.budget_horizon_h * 3600.0, config.actions_per_second / 2.0)
        for maker in self.makers.values():
            maker.warm_up()
        self._down: dict[str, str] = {}
        self._next_check_ns = 0
        self._screened: set[str] = set()

    @property
    def slug(self) -> str:
        """The strategy's short name; also its pod's."""
        return self._slug

    def on_event(self, event: Event, view: View) -> list[Intent]:
        """What is wanted after this event."""
        intents: list[Intent] = []
        if isinstance(event, Bbo | L2Book | Trade | AssetContext):
            maker = self.makers.get(event.coin)
            if maker is None:
                return intents
            maker.fold(event, view)
            if isinstance(event, Bbo):
                intents += self._work(view, (maker,))
        else:
            if isinstance(event, Disconnect):
                self._down[event.feed] = event.reason
            elif isinstance(event, Reconnect):
                self._down.pop(event.feed, None)
            if isinstance(event, Timer) and event.name != CHECK:
                return intents
            if isinstance(event, Fill) and event.coin not in self.makers:
                return intents
            intents += self._work(view, self.makers.values())
        # armed by the first event; armed anew should a timer ever be lost
        if view.now_ns >= self._next_check_ns:
            self._next_check_ns = view.now_ns + self.check_ns
            intents.append(Wake(CHECK, self._next_check_ns))
        return intents

    def _work(self, view: View, makers: Iterable[Maker]) -> list[Intent]:
        """Look at the conditions of some symbols, and ask for their quotes."""
        intents: list[Intent] = []
        now = view.now_ns
        self.pace.move(now, None if view.budget is None else view.budget.cap - view.budget.used)
        holdings = [(float(maker.inventory(view)), self._price(maker, view)) for maker in self.makers.values()]
        before = self.portfolio.halt.is_open, self.portfolio.reduce_only.is_open
        for switch, suspended in self.portfolio.look(holdings, now):
            intents.append(_note(switch, suspended, "all", now))
        after = self.portfolio.halt.is_open, self.portfolio.reduce_only.is_open
        if before != after:
            makers = self.makers.values()
        for maker in makers:
            for switch, suspended in maker.look(view, self._down):
                intents.append(_note(switch, suspended, maker.coin, now))
            mode = maker.mode(view, halt=after[0], reduce=after[1])
            if mode is not Mode.OFF and maker.coin not in self._screened:
                intents.append(self._introduce(maker, view))
            before_quote = maker.last
            quote = maker.quote(view, mode, size=self.portfolio.factor, price=self.pace.factor)
            if quote is not None:
                intents.append(quote)
                self.pace.spend(changed_sides(before_quote, quote))
        return intents

    @staticmethod
    def _price(maker: Maker, view: View) -> float | None:
        if maker.price is not None:
            return maker.price
        context = view.context(maker.coin)
        if context is not None and context.mark_px > 0.0:
            return context.mark_px
        return float(view.line(maker.coin).average_px) or None

    def _introduce(self, maker: Maker, view: View) -> Note:
        """The first time a symbol may be quoted: what it looks like, and which gates of a candidate it fails."""
        self._screened.add(maker.coin)
        bbo, book = view.bbo(HOME, maker.coin), view.book(HOME, maker.coin)
        spread_bps = (bbo.ask_px - bbo.bid_px) / bbo.mid * 1e4 if bbo is not None and bbo.mid > 0.0 else 0.0
        failed = screen(
            self._config.candidate_screening,
            spread_bps=spread_bps,
            basis_bps=maker.basis_bps,
            sigma=maker.volatility.sigma,
            depth_usd=thinner_depth(book) if book is not None else None,
        )
        fields: dict[str, str | float | int] = {
            "coin": maker.coin,
            "local_spread_bps": round(spread_bps, 3),
            "basis_bps": round(maker.basis_bps, 3),
            "sigma": round(maker.volatility.sigma, 8),
        }
        if failed:
            fields["screening"] = "; ".join(failed)
        return Note("quoting", fields)

    def snapshot(self) -> dict[str, object]:
        """Estimates by symbol. Positions are not here: they come from the venue and the journal."""
        symbols = {
            coin: {"basis": maker.basis.dump(), "volatility": maker.volatility.dump()}
            for coin, maker in self.makers.items()
        }
        return {"version": SNAPSHOT_VERSION, "symbols": symbols}

    def restore(self, state: Mapping[str, object]) -> None:
        """Continue from a snapshot; symbols that it does not know start afresh. Raises ConfigError if it is not one."""
        if not state:
            return
        symbols = state.get("symbols")
        if state.get("version") != SNAPSHOT_VERSION or not isinstance(symbols, Mapping):
            raise ConfigError(
                f"state snapshot: version {SNAPSHOT_VERSION} with `symbols` is expected; move it away to start afresh"
            )
        for coin, maker in self.makers.items():
            found = symbols.get(coin)
            if isinstance(found, Mapping):
                for name, estimate in (("basis", maker.basis), ("volatility", maker.volatility)):
                    part = found.get(name)
                    if isinstance(part, Mapping):
                        estimate.load(part)

    def status(self) -> dict[str, object]:
        """Plain values for people."""
        portfolio = self.portfolio
        return {
            "symbols": {coin: _status(maker) for coin, maker in self.makers.items()},
            "request_price_factor": self.pace.factor,
            "portfolio": {
                "usage": portfolio.usage,
                "size_factor": portfolio.factor,
                "suspended": [s.reason for s in (portfolio.halt, portfolio.reduce_only) if s.is_open],
            },
        }


def changed_sides(before: Quote | None, after: Quote) -> int:
    """How many requests it takes to get from one quote to another."""
    old = (before.bid, before.ask) if before is not None else (None, None)
    return sum(1 for a, b in zip(old, (after.bid, after.ask), strict=True) if a != b)


def _status(maker: Maker) -> dict[str, object]:
    decision, last = maker.decision, maker.last
    return {
        "hl_bid": maker.touch[0],
        "hl_ask": maker.touch[1],
        "fair": decision.fair if decision is not None else None,
        "spread_bps": decision.spread / decision.fair * 1e4 if decision is not None else None,
        "bid": _side(last.bid.px, last.bid.sz) if last is not None and last.bid is not None else None,
        "ask": _side(last.ask.px, last.ask.sz) if last is not None and last.ask is not None else None,
        "reduce_only": last.reduce_only if last is not None else False,
        "basis_bps": maker.basis_bps,
        "sigma": maker.volatility.sigma,
        "samples": maker.volatility.count,
        "warm": maker.is_warm,
        "elsewhere": str(maker.elsewhere),
        "suspended": "; ".join(f"{s.reason}: {s.detail}" for s in maker.suspensions) or _waiting(maker),
    }


def _waiting(maker: Maker) -> str:
    return "" if maker.is_warm else f"warming up: {maker.volatility.count} of {maker.samples_needed} samples"


def _side(px: Decimal, sz: Decimal) -> dict[str, str]:
    return {"px": str(px), "sz": str(sz)}


def _note(switch: Switch, suspended: bool, coin: str, now_ns: int) -> Note:
    if suspended:
        return Note(
            f"suspended: {switch.reason}",
            {"coin": coin, "detail": switch.detail, "backoff_s": switch.backoff_ns / SECOND},
        )
    lasted = round((now_ns - switch.since_ns) / SECOND, 3)
    return Note(f"resumed: {switch.reason}", {"coin": coin, "after_s": lasted})
