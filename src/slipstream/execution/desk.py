"""The state that quoter, worker and kernel share, and the only way to emit a command.

A command is registered as it is emitted: the next decision of the same step already counts it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from slipstream.execution.budget import ActionBudget
from slipstream.execution.exposure import worst_case
from slipstream.execution.gate import Gate
from slipstream.execution.ledger import Ledger
from slipstream.execution.market import Market
from slipstream.execution.orders import OrderTable, Working
from slipstream.execution.permit import Permit
from slipstream.execution.settings import KernelConfig, Limits
from slipstream.model.cloid import Cloid, pod_id
from slipstream.model.commands import Cancel, Command, Modify, Place, Query, Report, SetTimer
from slipstream.model.errors import ConfigError
from slipstream.model.instrument import Instrument, Side
from slipstream.model.mandate import TradingState
from slipstream.model.order import Tif

MAX_SLICE = (1 << 16) - 1


class Desk:
    """Market, orders, ledger, permit, budget and gate of one pod, and the commands of the current step."""

    def __init__(self, instruments: Iterable[Instrument], config: KernelConfig, slug: str, run: int) -> None:
        self.config = config
        self._given = config.limits
        self.slug = slug
        self.run = run
        self.instruments: Mapping[str, Instrument] = by_coin(instruments)
        self.market = Market()
        self.orders = OrderTable(config)
        self.ledger = Ledger()
        self.permit = Permit(slug, config.limits.require_mandate)
        self.budget = ActionBudget(config.limits)
        self.gate = Gate(config.limits, self.market, self.orders, self.ledger, self.permit, self.budget)
        self.equity = Decimal(0)
        self.account_ns = 0  # event time of the newest account event folded
        self.configured: dict[str, str] = {}
        self.targets: dict[str, Decimal] = {}  # the position wanted by each coin's last Target
        self._intent = 0
        self._out: list[Command] = []
        self._refused: dict[tuple[str, Side], str] = {}

    def begin(self, run: int, instruments: Iterable[Instrument], now_ns: int) -> None:
        """A process starts: forget prices and pauses, doubt every order, keep ledger, halts and mandate."""
        self.run = run
        self.instruments = by_coin(instruments)
        self.market.clear(now_ns)
        self.orders.begin(now_ns)
        self.permit.begin()
        self.budget.begin()
        self._intent = 0
        self.targets.clear()
        self._refused.clear()
        self._out.clear()

    def configure(self, values: Mapping[str, str]) -> None:
        """Tighten limits within the config; an empty value returns one to it. Raises ConfigError, changing nothing."""
        self.configured, limits = self.check(values)
        self.config = msgspec.structs.replace(self.config, limits=limits)
        self.gate.limits = self.budget.limits = limits

    def check(self, values: Mapping[str, str]) -> tuple[dict[str, str], Limits]:
        """What `configure` would come to. Raises ConfigError."""
        wanted = {name: text for name, text in (self.configured | dict(values)).items() if text}
        return wanted, self._given.narrowed(wanted)

    @property
    def now_ns(self) -> int:
        """The kernel's time, ns."""
        return self.market.now_ns

    @property
    def state(self) -> TradingState:
        """What the permit lets through now."""
        return self.permit.state(self.now_ns)

    def take(self) -> list[Command]:
        """The commands emitted since the last call."""
        out, self._out = self._out, []
        return out

    def emit(self, command: Command) -> None:
        """Register a command and put it out."""
        self.register(command)
        self._out.append(command)

    def register(self, command: Command) -> None:
        """Fold a command into orders, budget and the intent counter; a journal's commands come this way too."""
        self.orders.register(command, self.now_ns)
        if isinstance(command, Place | Modify | Cancel):
            self.budget.spend(self.now_ns)
        place = command.new if isinstance(command, Modify) else command
        if isinstance(place, Place):
            working = self.orders.get(place.cloid)
            if working is not None and working.key.run == self.run:
                self._intent = max(self._intent, working.key.intent)

    def next_intent(self) -> int:
        """A number for a new intent; it grows with every order registered, so a replay finds the same."""
        self._intent += 1
        return self._intent

    def cloid(self, intent: int, part: int = 0) -> str:
        """The cloid of an intent's order; ``part`` 0 is a quote, children of a Target count from 1."""
        return str(Cloid(pod_id(self.slug), self.run, intent, part))

    def place(self, place: Place, replacing: Working | None = None) -> str | None:
        """Put an order through the gate, as a Modify if it replaces one. Returns the refusal, or None."""
        if self.state is TradingState.REDUCING:
            place = msgspec.structs.replace(place, reduce_only=True)
        refusal = self.gate.refusal(place, self.instruments.get(place.coin), replacing)
        if refusal is None:
            self._refused.pop((place.coin, place.side), None)
            self.emit(place if replacing is None else Modify(replacing.order.cloid, place))
        return refusal

    def refused(self, coin: str, side: Side, px: Decimal, sz: Decimal, refusal: str) -> None:
        """Tell people of a refusal, once until it changes."""
        kind = refusal.partition(":")[0].translate(_DIGITS)
        if self._refused.get((coin, side)) != kind:
            self._refused[coin, side] = kind
            self.report("refused", coin=coin, side=side.value, px=str(px), sz=str(sz), reason=refusal)

    def cancel(self, working: Working) -> None:
        """Ask for the end of an order, unless that is under way."""
        if working.order.state.is_live and not working.cancel_ns:
            self.emit(Cancel(working.order.cloid, working.order.coin))

    def query(self, working: Working) -> None:
        """Read an order's state."""
        self.emit(Query(working.order.cloid, working.order.coin))

    def timer(self, name: str, at_ns: int) -> None:
        """Wake at a time."""
        self.emit(SetTimer(name, at_ns))

    def report(self, topic: str, **body: Any) -> None:
        """Tell people or the federation."""
        self.emit(Report(topic, body, self.now_ns))

    def worst(self, coin: str) -> tuple[Decimal, Decimal]:
        """Lowest and highest reachable position."""
        return worst_case(self.ledger.position(coin), self.orders.open_sizes(coin))


def make_place(
    cloid: str, coin: str, side: Side, px: Decimal, sz: Decimal, tif: Tif, reduce_only: bool = False
) -> Place:
    """A Place, its price and size as plain numbers, so that equal orders are equal bytes."""
    return Place(cloid, coin, side, _plain(px), _plain(sz), tif, reduce_only)


def _plain(value: Decimal) -> Decimal:
    return Decimal(format(value.normalize(), "f")) if value.is_finite() else value


def by_coin(instruments: Iterable[Instrument]) -> dict[str, Instrument]:
    """Instruments by coin. Raises ConfigError if a coin comes twice."""
    out: dict[str, Instrument] = {}
    for instrument in instruments:
        if instrument.coin in out:
            raise ConfigError(f"instruments: {instrument.coin} is listed twice")
        out[instrument.coin] = instrument
    return out


_DIGITS = str.maketrans("", "", "0123456789.")
