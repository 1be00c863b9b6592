"""A venue that loses, delays, reorders and repeats, and knows the truth: what a kernel is held against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from kernel_doubles import BTC, ETH, T0, D, account, config

from slipstream.execution.kernel import Kernel
from slipstream.execution.settings import SECOND, KernelConfig
from slipstream.execution.strategy import View
from slipstream.model.commands import Cancel, Command, Modify, Place, Query, SetTimer
from slipstream.model.events import Ack, Bbo, CancelReject, Closed, Event, Fill, Reconnect, Reject, Timer, Unknown
from slipstream.model.intents import Intent, Quote, QuoteSide, Target
from slipstream.model.order import Order, OrderState

MID = 2000


class Coded:
    """Reads its wishes from a bbo's sizes, so that the same events always mean the same intents."""

    slug = "coded"

    def on_event(self, event: Event, view: View) -> list[Intent]:
        if not isinstance(event, Bbo):
            return []
        bid, ask = int(event.bid_sz), int(event.ask_sz)
        if bid % 7 == 6:
            return [Target("ETH", D(ask % 9 - 4), float(bid % 3) / 2.0, D(MID))]
        return [Quote("ETH", self._side(bid, -1), self._side(ask, 1))]

    def _side(self, code: int, sign: int) -> QuoteSide | None:
        if code % 5 == 0:
            return None
        return QuoteSide(D(MID + sign * (1 + code % 4)), D(1 + code % 3))

    def snapshot(self) -> dict[str, object]:
        return {}

    def restore(self, state: Mapping[str, object]) -> None:
        return

    def status(self) -> dict[str, object]:
        return {}


class ChaosVenue:
    """One account at a hostile venue. Every choice is an argument, so that runs are reproducible and shrink."""

    def __init__(self, settings: KernelConfig | None = None) -> None:
        self.now = T0
        self.settings = settings or config()
        self.kernel = Kernel(Coded(), [ETH, BTC], self.settings, "coded", 1)
        self.kernel.begin(1, [ETH, BTC], T0)
        self.starts = [(0, 1, T0)]
        self.rows: list[tuple[Event, list[Command]]] = []
        self.flying: list[Command] = []
        self.pending: list[Event] = []
        self.resting: dict[str, tuple[Place, int, Decimal]] = {}
        self.ended: dict[str, tuple[int, Decimal, str]] = {}
        self.position = D(0)
        self.fills: list[Fill] = []
        self.placed: list[str] = []
        self._oid = 0
        self.step(account(self.now))
        self.step(Reconnect("hl", self.now))
        self.bbo(0, 0)

    def step(self, event: Event) -> None:
        commands = self.kernel.step(event)
        self.rows.append((event, commands))
        for command in commands:
            if isinstance(command, Place | Modify | Cancel | Query):
                self.flying.append(command)
            place = command.new if isinstance(command, Modify) else command
            if isinstance(place, Place):
                self.placed.append(place.cloid)
            assert not isinstance(command, SetTimer) or command.at_ns > self.now

    def bbo(self, bid: int, ask: int) -> None:
        self.step(Bbo("hl", "ETH", MID - 0.5, float(bid), MID + 0.5, float(ask), self.now, self.now))

    def tick(self, ns: int) -> None:
        self.now += ns
        self.step(Timer("kernel:tick", self.now))

    def arrive(self, *, lost: bool = False, mute: bool = False) -> None:
        """The oldest command reaches the venue, or is lost on the way; ``mute`` loses only the answer."""
        if not self.flying:
            return
        command = self.flying.pop(0)
        before = len(self.pending)
        if not lost:
            self._execute(command)
        if lost or mute:
            answers = [e for e in self.pending[before:] if isinstance(e, Fill | Closed)]
            self.pending[before:] = answers if not lost else []
            self.pending.extend(self._unknown(command))

    def _unknown(self, command: Command) -> Sequence[Event]:
        if isinstance(command, Modify):
            return [Unknown(command.new.cloid, "reset", self.now), Unknown(command.cloid, "reset", self.now)]
        return [Unknown(command.cloid, "reset", self.now)] if isinstance(command, Place | Cancel) else []

    def _execute(self, command: Command) -> None:
        if isinstance(command, Place):
            self._rest(command)
        elif isinstance(command, Modify):
            if command.cloid in self.resting:
                self._end(command.cloid, "canceled")
                self._rest(command.new)
            else:
                self.pending.append(Reject(command.new.cloid, "Cannot modify canceled or filled order", self.now))
                self.pending.append(CancelReject(command.cloid, "gone", self.now))
        elif isinstance(command, Cancel):
            if command.cloid in self.resting:
                self._end(command.cloid, "canceled")
            else:
                self.pending.append(CancelReject(command.cloid, "Order was never placed", self.now))
        elif isinstance(command, Query):
            self._answer(command.cloid)

    def _answer(self, cloid: str) -> None:
        if cloid in self.resting:
            self.pending.append(Ack(cloid, self.resting[cloid][1], self.now))
        elif cloid in self.ended:
            oid, filled, status = self.ended[cloid]
            self.pending.append(Closed(cloid, oid, status, self.now, filled))
        else:
            self.pending.append(Reject(cloid, "unknownOid", self.now))

    def _rest(self, place: Place) -> None:
        assert place.cloid not in self.resting and place.cloid not in self.ended, "one cloid, two orders"
        self._oid += 1
        sz = place.sz
        if place.reduce_only:
            room = -self.position * place.side.sign
            if room <= 0:
                self.pending.append(Reject(place.cloid, "Reduce only order would increase position.", self.now))
                return
            sz = min(sz, room)
        self.resting[place.cloid] = (place, self._oid, D(0))
        if place.tif.value == "Ioc":
            self.fill(place.cloid, sz if self._oid % 2 else min(sz, D(1)))
            if place.cloid in self.resting:
                self._end(place.cloid, "canceled")
            return
        self.pending.append(Ack(place.cloid, self._oid, self.now))

    def _end(self, cloid: str, status: str) -> None:
        _, oid, filled = self.resting.pop(cloid)
        self.ended[cloid] = (oid, filled, status)
        self.pending.append(Closed(cloid, oid, status, self.now, filled))

    def fill(self, cloid: str, sz: Decimal) -> None:
        """Somebody takes a resting order; reduce-only ones shrink the position and no more."""
        place, oid, filled = self.resting[cloid]
        if place.reduce_only:
            sz = min(sz, max(D(0), -self.position * place.side.sign))
        sz = min(sz, place.sz - filled)
        if sz <= 0:
            self._end(cloid, "reduceOnlyCanceled")
            return
        self.now += 1
        done = Fill("ETH", place.side, place.px, sz, D("0.01"), len(self.fills) + 1, oid, self.now, place.cloid)
        self.fills.append(done)
        self.pending.append(done)
        self.position += sz * place.side.sign
        self.resting[cloid] = (place, oid, filled + sz)
        if filled + sz == place.sz:
            self._end(cloid, "filled")

    def deliver(self, index: int, *, keep: bool = False) -> None:
        """One waiting event arrives, out of turn; ``keep`` makes it arrive again later."""
        if self.pending:
            index %= len(self.pending)
            event = self.pending[index] if keep else self.pending.pop(index)
            self.step(event)

    def sweep(self) -> None:
        """The account read whole: fills up to now come first, as the port promises."""
        for event in [e for e in self.pending if isinstance(e, Fill)]:
            self.pending.remove(event)
            self.step(event)
        orders = tuple(
            Order(p.cloid, p.coin, p.side, p.px, p.sz, p.tif, p.reduce_only, OrderState.OPEN, oid, filled)
            for p, oid, filled in self.resting.values()
        )
        self.now += 1
        self.step(account(self.now, str(self.position), orders))

    def act(self, action: int, a: int, b: int) -> None:
        """One of everything that can happen."""
        if action == 0:
            self.bbo(a, b)
        elif action in (1, 2):
            self.arrive()
        elif action == 3:
            self.arrive(lost=True)
        elif action == 4:
            self.arrive(mute=True)
        elif action == 5:
            if self.resting:
                cloid = sorted(self.resting)[a % len(self.resting)]
                self.fill(cloid, D(1 + b % 2) / 2)
        elif action in (6, 7):
            self.deliver(a)
        elif action == 8:
            self.deliver(a, keep=True)
        elif action == 9:
            self.tick((1 + a % 60) * SECOND // 10)
        else:
            self.sweep()

    def crash(self, lose: bool) -> None:
        """The process dies after it recorded and, unless ``lose``, sent what it decided; another takes its place.

        Every answer on its way dies with it. The new one has the journal, the sweep of fills and the account.
        """
        while self.flying:
            self.arrive(lost=lose)
        self.pending.clear()
        self.now += SECOND
        self.kernel = Kernel(Coded(), [ETH, BTC], self.settings, "coded", 0)
        for number, (first, run, ns) in enumerate(self.starts):
            self.kernel.begin(run, [ETH, BTC], ns)
            last = self.starts[number + 1][0] if number + 1 < len(self.starts) else len(self.rows)
            for event, commands in self.rows[first:last]:
                if commands or not isinstance(event, Bbo | Timer):
                    self.kernel.recover(event, commands)
        self.starts.append((len(self.rows), len(self.starts) + 1, self.now))
        self.kernel.begin(len(self.starts), [ETH, BTC], self.now)
        for fill in self.fills:
            self.step(fill)
        self.sweep()
        self.step(Reconnect("hl", self.now))

    def settle(self) -> None:
        """Peace: everything arrives, in order, until nothing is open but what rests."""
        for _ in range(200):
            while self.flying:
                self.arrive()
            while self.pending:
                self.deliver(0)
            self.tick(10 * SECOND)
            states = {order.state for order in self.kernel.live_orders()}
            if not self.flying and states <= {OrderState.OPEN, OrderState.PARTIAL}:
                break
        self.sweep()
