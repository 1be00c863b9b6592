"""What a quoting strategy saw when it decided, and what it asked for: written down as its kernel runs.

A decision is one pure function of what is seen here. So whatever two runs of one strategy ask for differently, they
saw something differently before, or their orders were in another state: `differences` names it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from slipstream.execution.kernel import Kernel
from slipstream.model.commands import Cancel, Command, Modify, Place
from slipstream.model.events import AssetContext, Bbo, Event, Fill, L2Book, Trade
from slipstream.model.instrument import Side

Seen = Mapping[str, Mapping[str, object]]
"""What a decision depends on, by group (see `differences`) and name."""
See = Callable[[Any, str], Seen]
"""What a strategy saw of a coin when it decided last."""


class Look(msgspec.Struct, frozen=True):
    """One moment at which a coin was decided about. ``before`` and ``after`` are the state of its orders then."""

    ns: int
    coin: str
    seen: Seen
    before: Mapping[str, object]
    after: Mapping[str, object]


class Request(msgspec.Struct, frozen=True):
    """A request, whoever numbered it. ``kind`` is place, modify or cancel; of a cancel ``px`` and ``sz`` are the
    order's own. ``look`` is the place of the look at its coin that it came of, among the run's looks."""

    ns: int
    coin: str
    kind: str
    side: Side
    px: Decimal
    sz: Decimal
    reduce_only: bool
    look: int = -1


class Diary:
    """What a run saw, asked for and got, in order; times are the kernel's, of fills the venue's.

    `step` is the kernel's, and writes.
    """

    def __init__(self, see: See, coins: Sequence[str]) -> None:
        self.looks: list[Look] = []
        self.requests: list[Request] = []
        self.fills: list[Fill] = []
        self._see, self._coins = see, tuple(coins)

    def step(self, kernel: Kernel, event: Event) -> list[Command]:
        """Let a kernel handle an event, and write down what it saw and asked for."""
        if isinstance(event, L2Book | Trade | AssetContext):
            return kernel.step(event)  # nothing is decided
        coins = [event.coin] if isinstance(event, Bbo) else self._coins
        before = {coin: orders_of(kernel, coin) for coin in coins}
        commands = kernel.step(event)
        now = kernel.desk.now_ns
        places: dict[str, int] = {}
        for coin in coins:
            places[coin] = len(self.looks)
            seen = self._see(kernel.strategy, coin)
            self.looks.append(Look(now, coin, seen, before[coin], orders_of(kernel, coin)))
        for request in requests_of(commands, now, kernel):
            self.requests.append(msgspec.structs.replace(request, look=places.get(request.coin, -1)))
        if isinstance(event, Fill):
            self.fills.append(event)
        return commands

    def earlier(self, ns: int) -> Diary:
        """The same, seen and asked for so much earlier; fills stay at the venue's times."""
        out = Diary(self._see, self._coins)
        out.looks = [msgspec.structs.replace(look, ns=look.ns - ns) for look in self.looks]
        out.requests = [msgspec.structs.replace(request, ns=request.ns - ns) for request in self.requests]
        out.fills = self.fills
        return out


def orders_of(kernel: Kernel, coin: str) -> Mapping[str, object]:
    """Everything that keeps a wanted quote from being sent: orders under way, refusals, the gate."""
    desk = kernel.desk
    return {
        "orders": tuple(
            (w.order.side.value, str(w.order.px), str(w.order.remaining), w.order.state.value, w.cancel_ns > 0)
            for w in desk.orders.live(coin)
        ),
        "refused": tuple(sorted(kernel.quoter.refusals(coin))),
        "blocked": desk.gate.blocked(coin) or "",
        "rate": desk.budget.refusal(desk.now_ns, desk.permit.mandate) or "",
    }


def requests_of(commands: Sequence[Command], ns: int, kernel: Kernel) -> list[Request]:
    """The requests among a kernel's commands, just after it gave them."""
    out = []
    for command in commands:
        if isinstance(command, Place | Modify):
            kind, place = ("place", command) if isinstance(command, Place) else ("modify", command.new)
            out.append(Request(ns, place.coin, kind, place.side, place.px, place.sz, place.reduce_only))
        elif isinstance(command, Cancel):
            working = kernel.desk.orders.get(command.cloid)
            if working is not None:
                order = working.order
                out.append(Request(ns, order.coin, "cancel", order.side, order.px, order.sz, order.reduce_only))
    return out
