"""An in-memory venue for pod tests: one account, orders that rest until they are filled or cancelled by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from kernel_doubles import BTC, ETH, T0, Scripted, bbo, config

from slipstream.model.commands import Cancel, Command, Modify, Place, Query
from slipstream.model.events import AccountState, Ack, CancelReject, Closed, Event, Fill, Position, Reconnect, Reject
from slipstream.model.instrument import Instrument
from slipstream.model.order import Order, OrderState
from slipstream.runtime.clock import SimClock
from slipstream.runtime.journal import SqliteJournal
from slipstream.runtime.parts import PodParts

D = Decimal


class Loopback:
    """The broker's side and the venue's in one. ``before_send`` may raise what a broker raises."""

    def __init__(self, clock: SimClock) -> None:
        self.clock = clock
        self.events_: asyncio.Queue[Event | None] = asyncio.Queue()
        self.resting: dict[str, tuple[Place, int, Decimal]] = {}
        self.ended: dict[str, tuple[int, Decimal]] = {}
        self.positions: dict[str, Decimal] = {}
        self.sent: list[Command] = []
        self.fills: list[Fill] = []
        self.starts = 0
        self.silent_cancels = False
        self.before_send: Callable[[Sequence[Command]], None] | None = None
        self._oid = 0

    async def start(self) -> Sequence[Instrument]:
        self.starts += 1
        self.events_ = asyncio.Queue()
        for old in self.fills:
            self.put(old)
        self.put(self.account())
        self.put(Reconnect("hl", self.clock.now()))
        self.put(bbo(2000.0, 2001.0, self.clock.now()))
        return [ETH, BTC]

    def account(self) -> AccountState:
        orders = tuple(
            Order(p.cloid, p.coin, p.side, p.px, p.sz, p.tif, p.reduce_only, OrderState.OPEN, oid, filled)
            for p, oid, filled in self.resting.values()
        )
        positions = tuple(Position(coin, szi, D(2000)) for coin, szi in self.positions.items() if szi)
        return AccountState(D(10_000), D(10_000), positions, orders, self.clock.now())

    def put(self, event: Event) -> None:
        self.events_.put_nowait(event)

    async def events(self) -> AsyncIterator[Event]:
        while (event := await self.events_.get()) is not None:
            yield event

    async def close(self) -> None:
        self.events_.put_nowait(None)

    async def send(self, commands: Sequence[Command]) -> None:
        if self.before_send is not None:
            self.before_send(commands)
        for command in commands:
            self.sent.append(command)
            self._apply(command)

    def _apply(self, command: Command) -> None:
        now = self.clock.now()
        if isinstance(command, Place):
            self._rest(command)
        elif isinstance(command, Modify):
            if command.cloid in self.resting:
                self._end(command.cloid, "canceled")
                self._rest(command.new)
            else:
                self.put(Reject(command.new.cloid, "Cannot modify canceled or filled order", now))
        elif isinstance(command, Cancel):
            if self.silent_cancels:
                return
            if command.cloid in self.resting:
                self._end(command.cloid, "canceled")
            else:
                self.put(CancelReject(command.cloid, "Order was never placed, already canceled, or filled.", now))
        elif isinstance(command, Query):
            if command.cloid in self.resting:
                self.put(Ack(command.cloid, self.resting[command.cloid][1], now))
            elif command.cloid in self.ended:
                oid, filled = self.ended[command.cloid]
                self.put(Closed(command.cloid, oid, "canceled", now, filled))
            else:
                self.put(Reject(command.cloid, "unknownOid", now))

    def _rest(self, place: Place) -> None:
        assert place.cloid not in self.resting and place.cloid not in self.ended, f"doubled: {place.cloid}"
        self._oid += 1
        self.resting[place.cloid] = (place, self._oid, D(0))
        self.put(Ack(place.cloid, self._oid, self.clock.now()))

    def _end(self, cloid: str, status: str) -> None:
        _, oid, filled = self.resting.pop(cloid)
        self.ended[cloid] = (oid, filled)
        self.put(Closed(cloid, oid, status, self.clock.now(), filled))

    def trade(self, cloid: str, sz: str) -> None:
        """Fill some of a resting order."""
        place, oid, filled = self.resting[cloid]
        self.clock.advance(1)
        done = Fill(
            place.coin, place.side, place.px, D(sz), D("0.01"), len(self.fills) + 1, oid, self.clock.now(), place.cloid
        )
        self.fills.append(done)
        self.positions[place.coin] = self.positions.get(place.coin, D(0)) + D(sz) * place.side.sign
        self.resting[cloid] = (place, oid, filled + D(sz))
        self.put(done)
        if filled + D(sz) == place.sz:
            self._end(cloid, "filled")


def make_parts(path: Path, venue: Loopback, strategy: Scripted, **changes: Any) -> PodParts:
    values: dict[str, Any] = {
        "strategy": strategy,
        "config": config(),
        "broker": venue,
        "journal": SqliteJournal(path / "pod.journal"),
        "clock": venue.clock,
        "say": lambda line: None,
        "handle_signals": False,
        "stop_timeout": 2.0,
    }
    return PodParts(**(values | changes))


async def until(condition: Callable[[], bool], turns: int = 20_000) -> None:
    """Give way to other tasks until something holds."""
    for _ in range(turns):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came true")


START = T0
