"""Shared pieces of the kernel's tests: a coin, a config, events, and a strategy that does as it is told."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from slipstream.execution.kernel import Kernel
from slipstream.execution.settings import SECOND, KernelConfig, Limits
from slipstream.execution.strategy import View
from slipstream.model.commands import Cancel, Command, Modify, Place, Query
from slipstream.model.events import AccountState, Bbo, Event, Fill, Position, Reconnect
from slipstream.model.instrument import Instrument, Side
from slipstream.model.intents import Intent, Quote, QuoteSide
from slipstream.model.order import Order

ETH = Instrument(coin="ETH", asset=1, size_decimals=4, max_leverage=25)
BTC = Instrument(coin="BTC", asset=0, size_decimals=5, max_leverage=40)
T0 = 1_700_000_000 * SECOND
D = Decimal


class Scripted:
    """Returns the intents put into ``next`` with the next event, and remembers what it saw."""

    slug = "puppet"

    def __init__(self) -> None:
        self.next: list[Intent] = []
        self.seen: list[Event] = []

    def on_event(self, event: Event, view: View) -> list[Intent]:
        self.seen.append(event)
        out, self.next = self.next, []
        return out

    def snapshot(self) -> dict[str, object]:
        return {"seen": len(self.seen)}

    def restore(self, state: Mapping[str, object]) -> None:
        self.seen = []

    def status(self) -> dict[str, object]:
        return {}


def limits(**changes: Any) -> Limits:
    values: dict[str, Any] = {
        "gross_cap": D(100_000),
        "coin_cap": D(50_000),
        "max_order": D(20_000),
        "max_feed_age_ns": 3600 * SECOND,
        "actions_per_second": 1000.0,
        "burst": 100_000,
    }
    return Limits(**(values | changes))


def config(**changes: Any) -> KernelConfig:
    bounds = changes.pop("limits", None) or limits()
    return KernelConfig(limits=bounds, **changes)


def bbo(bid: float, ask: float, ns: int, coin: str = "ETH", venue: str = "hl") -> Bbo:
    return Bbo(venue, coin, bid, 1.0, ask, 1.0, ns, ns)


def account(ns: int, szi: str = "0", orders: tuple[Order, ...] = (), coin: str = "ETH", **changes: Any) -> AccountState:
    positions = (Position(coin, D(szi), D(2000)),) if D(szi) else ()
    return AccountState(D(10_000), D(10_000), positions, orders, ns, **changes)


def fill(place: Place, sz: str | Decimal, tid: int, oid: int, ns: int, px: Decimal | None = None) -> Fill:
    price = place.px if px is None else px
    return Fill(place.coin, place.side, price, D(sz), D("0.01"), tid, oid, ns, cloid=place.cloid)


def quote(bid: str | None, ask: str | None, sz: str = "1", coin: str = "ETH", **changes: Any) -> Quote:
    def side(px: str | None) -> QuoteSide | None:
        return None if px is None else QuoteSide(D(px), D(sz))

    return Quote(coin, side(bid), side(ask), **changes)


def ready(szi: str = "0", **changes: Any) -> tuple[Kernel, Scripted]:
    """A kernel that is connected, reconciled and sees ETH at 2000/2001."""
    puppet = Scripted()
    kernel = Kernel(puppet, [ETH, BTC], config(**changes), "puppet", 1)
    kernel.begin(1, [ETH, BTC], T0)
    kernel.step(account(T0, szi))
    kernel.step(Reconnect("hl", T0))
    kernel.step(bbo(2000.0, 2001.0, T0))
    return kernel, puppet


def wire(commands: list[Command]) -> list[Place | Modify | Cancel | Query]:
    """The commands that go to the venue."""
    return [command for command in commands if isinstance(command, Place | Modify | Cancel | Query)]


def placed(command: Command) -> Place:
    assert isinstance(command, Place), command
    return command


BUY, SELL = Side.BUY, Side.SELL
