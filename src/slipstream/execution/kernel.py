"""The kernel: one event in, the commands it causes out. A pure reducer, the same in backtest, paper and live.

::

    event ─► market, permit, orders, ledger ─► strategy ─► Quote / Target ─► quoter, worker ─► gate ─► commands
             (fold)                                                           (one request at a time)

`step` handles an event. `recover` folds a journalled event with the commands that were recorded for it, without asking
the strategy: what a process did is what its journal says, whatever today's code would do. `begin` starts a process on
top of what was recovered: prices are forgotten, every order is in doubt, nothing is placed before the account has been
reconciled, and orders left by an earlier run are cancelled.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from slipstream.execution.desk import Desk
from slipstream.execution.orders import Working
from slipstream.execution.quoter import Quoter
from slipstream.execution.reconcile import reconcile
from slipstream.execution.settings import KernelConfig
from slipstream.execution.strategy import Strategy
from slipstream.execution.view import DeskView
from slipstream.execution.worker import Worker
from slipstream.model.cloid import breaker_prefix, pod_prefix
from slipstream.model.commands import Cancel, Command
from slipstream.model.errors import ConfigError
from slipstream.model.events import (
    AccountState,
    Ack,
    AssetContext,
    Bbo,
    Budget,
    CancelReject,
    Candle,
    Closed,
    Disconnect,
    Event,
    Fill,
    FundingPayment,
    FundingRate,
    L2Book,
    Reconnect,
    Reject,
    Timer,
    Trade,
    Unknown,
)
from slipstream.model.instrument import Instrument
from slipstream.model.intents import Intent, Note, Quote, Target, Wake
from slipstream.model.mandate import Halt, Mandate, Resume, TradingState
from slipstream.model.messages import Configure
from slipstream.model.order import Order

TICK = "kernel:tick"
USER_FEED = "hl.user"


class Kernel:
    """One pod's decisions. Not thread-safe, no I/O, no clock: time comes with the events."""

    def __init__(
        self, strategy: Strategy, instruments: Iterable[Instrument], config: KernelConfig, slug: str, run: int
    ) -> None:
        self.strategy = strategy
        self.desk = Desk(instruments, config, slug, run)
        self.view = DeskView(self.desk)
        self.quoter = Quoter(self.desk)
        self.worker = Worker(self.desk)
        self._ours = pod_prefix(slug)
        self._prefixes = (self._ours, breaker_prefix(slug))
        self._last_state = TradingState.ACTIVE
        self._orphans: list[Order] = []
        self._configured = 0  # generation of the last Configure

    def begin(self, run: int, instruments: Iterable[Instrument], now_ns: int) -> list[Command]:
        """Start a process at a time, under a run number of its own; the commands that set it going."""
        self.desk.begin(run, instruments, now_ns)
        self.quoter.drop()
        self.worker.drop()
        self._last_state = self.desk.state
        self.desk.timer(TICK, now_ns + self.desk.config.tick_ns)
        return self.desk.take()

    def step(self, event: Event) -> list[Command]:
        """Handle one event; the commands it causes, in the order they are to be sent."""
        coins = self._fold(event)
        for intent in self.strategy.on_event(event, self.view):
            coin = self._accept(intent)
            if coin is not None and coin not in coins:
                coins = [*coins, coin]
        if isinstance(event, Timer) and event.name == TICK:
            coins = self._tick()
        self._enforce()
        for coin in coins:
            self.worker.work(coin)
            self.quoter.work(coin)
        return self.desk.take()

    def recover(self, event: Event, commands: Sequence[Command]) -> None:
        """Fold a journalled event and the commands recorded for it; nothing is decided."""
        self._fold(event)
        self._orphans = []
        self.desk.take()
        for command in commands:
            self.desk.register(command)

    def live_orders(self) -> list[Order]:
        """Orders whose end is not known."""
        return [working.order for working in self.desk.orders.live()]

    def cancel_all(self) -> list[Command]:
        """Cancels of everything that lives: the last words of a process that can no longer record."""
        return [Cancel(order.cloid, order.coin) for order in self.live_orders()]

    def _fold(self, event: Event) -> list[str]:
        """Take an event into the state. Returns the coins whose orders may need work."""
        desk = self.desk
        desk.market.fold(event)
        if isinstance(event, Bbo | L2Book | AssetContext | Trade | Candle | FundingRate):
            return [event.coin] if isinstance(event, Bbo) and event.coin in self.worker.jobs else []
        if isinstance(event, Ack | Reject | CancelReject | Unknown | Closed):
            return self._fold_answer(event)
        if isinstance(event, Fill):
            return self._fold_fill(event)
        if isinstance(event, FundingPayment):
            desk.account_ns = max(desk.account_ns, event.ns)
            desk.ledger.funding(event, shared=not desk.config.owns_account)
        elif isinstance(event, AccountState):
            self._fold_account(event)
            return self._coins()
        elif isinstance(event, Budget):
            desk.budget.fold(event)
        elif isinstance(event, Mandate | Halt | Resume):
            if desk.permit.fold(event) and isinstance(event, Mandate):
                desk.budget.leased(event)
            return self._coins()
        elif isinstance(event, Configure):
            self._configure(event)
            return self._coins()
        elif isinstance(event, Disconnect | Reconnect):
            return self._coins()
        return []

    def _configure(self, event: Configure) -> None:
        desk = self.desk
        if event.pod != desk.slug or event.generation <= self._configured:
            return
        self._configured = event.generation
        try:
            desk.configure(event.values)
        except ConfigError as error:
            desk.report("odd", text=f"not configured as {event.who} asked: {error}")
        else:
            desk.report("note", text=f"limits configured by {event.who}: {event.why}", **desk.configured)

    def _fold_answer(self, event: Ack | Reject | CancelReject | Unknown | Closed) -> list[str]:
        orders = self.desk.orders
        if not (self.desk.config.owns_account or event.cloid.startswith(self._prefixes)):
            return []
        before = orders.get(event.cloid)
        odd = None
        if isinstance(event, Ack):
            odd = orders.ack(event)
        elif isinstance(event, Reject):
            odd = orders.reject(event)
        elif isinstance(event, CancelReject):
            orders.doubt(event.cloid)
        elif isinstance(event, Unknown):
            orders.unknown(event)
        else:
            odd = orders.closed(event)
        if odd is not None:
            self.desk.report("odd", text=odd)
        if before is None:
            return []
        self._tell(event, before)
        return [before.order.coin]

    def _tell(self, event: Event, before: Working) -> None:
        """Let quoter and worker know of refusals and acceptances that change what they try next."""
        if not before.order.state.is_live:
            return
        if isinstance(event, Reject):
            self.quoter.refused(before, event.reason)
            self.worker.refused(before)
        elif isinstance(event, Ack) and before.is_quote:
            self.quoter.rested(before)
        elif isinstance(event, Closed) and event.status.endswith("Rejected"):
            self.quoter.refused(before, event.status)
            self.worker.refused(before)

    def _fold_fill(self, event: Fill) -> list[str]:
        desk = self.desk
        known = desk.orders.of_oid(event.oid) is not None
        ours = known or (event.cloid is not None and event.cloid.startswith(self._prefixes))
        if not (ours or desk.config.owns_account):
            return []
        desk.account_ns = max(desk.account_ns, event.ns)
        if not desk.ledger.fill(event):
            return []
        odd = desk.orders.fill(event)
        if odd is not None:
            desk.report("odd", text=odd)
        line = desk.ledger.line(event.coin)
        reference = desk.market.reference(event.coin)
        desk.report(
            "fill",
            coin=event.coin,
            side=event.side.value,
            px=str(event.px),
            sz=str(event.sz),
            fee=str(event.fee),
            crossed=event.crossed,
            cloid=event.cloid,
            oid=event.oid,
            position=str(line.position),
            realised=str(line.realised),
            reference=None if reference is None else str(reference),
            liquidation=event.liquidation,
        )
        return [event.coin]

    def _fold_account(self, state: AccountState) -> None:
        desk = self.desk
        desk.market.heard(USER_FEED)
        desk.equity = state.equity
        desk.account_ns = max(desk.account_ns, state.ns if state.complete else 0)
        if state.complete:
            if desk.ledger.opened_ns is None:
                held = state.positions if desk.config.owns_account else ()
                desk.ledger.open(state.ns, held)
                desk.report("opened", positions={p.coin: str(p.szi) for p in held}, equity=str(state.equity))
            elif desk.config.owns_account:
                self._compare(state)
        orphans, lines = reconcile(desk.orders, state.orders, state.ns, self._ours)
        if not desk.config.owns_account:
            desk.orders.foreign = tuple(o for o in desk.orders.foreign if o.cloid.startswith(self._ours))
        desk.orders.settle(state.ns, complete=state.complete)
        for line in lines:
            desk.report("odd", text=line)
        self._orphans = orphans
        desk.permit.reconciled = desk.permit.reconciled or state.complete

    def _compare(self, state: AccountState) -> None:
        """Hold our positions against the venue's; any difference stops increases until they agree again."""
        found = tuple(str(item) for item in self.desk.ledger.breaks(state))
        if found != self.desk.permit.breaks:
            self.desk.permit.breaks = found
            self.desk.report("break", open=list(found))

    def _accept(self, intent: Intent) -> str | None:
        """Take what the strategy wants. Returns the coin it concerns."""
        if isinstance(intent, Quote):
            sides = [side for side in (intent.bid, intent.ask) if side is not None]
            if not all(side.px.is_finite() and side.sz.is_finite() for side in sides):
                self.desk.report("refused", coin=intent.coin, reason="a quote's price or size is not a number")
                intent = Quote(intent.coin, None, None, reason="not a number")
            self.quoter.want(intent)
            return intent.coin
        if isinstance(intent, Target):
            if not (intent.position.is_finite() and intent.urgency >= 0.0):
                self.desk.report("refused", coin=intent.coin, reason=f"target {intent.position}: not a number")
                return None
            self.worker.want(intent)
            return intent.coin
        if isinstance(intent, Wake):
            if intent.name.startswith("kernel:"):
                self.desk.report("odd", text=f"the strategy asked for a timer of the kernel's: {intent.name}")
            else:
                self.desk.timer(intent.name, intent.at_ns)
        elif isinstance(intent, Note):
            self.desk.report("note", text=intent.text, **{f"field.{k}": v for k, v in intent.fields.items()})
        return None

    def _tick(self) -> list[str]:
        """Chase silent orders, forget owed fills whose time is over, wake again."""
        desk = self.desk
        desk.orders.settle(desk.now_ns, complete=False)
        for working in desk.orders.due_queries(desk.now_ns):
            desk.query(working)
        desk.timer(TICK, desk.now_ns + desk.config.tick_ns)
        return self._coins()

    def _enforce(self) -> None:
        """Cancel what may not rest: all when halted, increasing orders when reducing, an earlier run's always."""
        desk = self.desk
        for orphan in self._orphans:
            desk.emit(Cancel(orphan.cloid, orphan.coin))
        self._orphans = []
        state = desk.state
        if state is not self._last_state:
            desk.report("state", state=state.value, reasons=desk.permit.reasons(desk.now_ns))
            self._last_state = state
        for working in desk.orders.live():
            order = working.order
            shrinks = desk.ledger.position(order.coin) * order.side.sign < 0
            stale_run = desk.permit.reconciled and working.key.run != desk.run
            if (
                stale_run
                or state is TradingState.HALTED
                or (state is TradingState.REDUCING and not (shrinks and order.reduce_only))
            ):
                desk.cancel(working)

    def _coins(self) -> list[str]:
        """Every coin with something wanted or alive, in a fixed order."""
        return sorted(self.quoter.wanted.keys() | self.worker.jobs.keys() | self.desk.orders.coins())

    def status(self) -> dict[str, Any]:
        """Plain values for people."""
        desk = self.desk
        coins = {}
        for coin in sorted(desk.ledger.lines.keys() | set(self._coins())):
            line, px = desk.ledger.line(coin), desk.market.reference(coin)
            low, high = desk.worst(coin)
            coins[coin] = {
                "position": str(line.position),
                "average_px": str(line.average_px),
                "worst": [str(low), str(high)],
                "reference": None if px is None else str(px),
                "unrealised": None if px is None else str(line.unrealised(px)),
                "realised": str(line.realised),
                "fees": str(line.fees),
                "funding": str(line.funding),
                "volume": str(line.volume),
                "fills": line.fills,
                "blocked": desk.gate.blocked(coin),
                "orders": [_order_row(working) for working in desk.orders.live(coin)],
            }
        gross = desk.gate.gross()
        return {
            "state": desk.state.value,
            "reasons": desk.permit.reasons(desk.now_ns),
            "reconciled": desk.permit.reconciled,
            "equity": str(desk.equity),
            "gross": None if gross is None else str(gross),
            "gross_cap": str(desk.gate.gross_cap()),
            "actions": desk.budget.sent,
            "address_left": desk.budget.address_left,
            "now_ns": desk.now_ns,
            "coins": coins,
            "strategy": self.strategy.status(),
        }


def _order_row(working: Working) -> dict[str, Any]:
    order = working.order
    return {
        "cloid": order.cloid,
        "oid": order.oid,
        "side": order.side.value,
        "px": str(order.px),
        "sz": str(order.sz),
        "filled": str(order.filled),
        "state": order.state.value,
        "cancelling": bool(working.cancel_ns),
        "reduce_only": order.reduce_only,
    }
