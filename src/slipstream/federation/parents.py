"""A pod's parent orders, from its journal: what it set out to trade, at which mid, and what came of it.

A parent order is a run of children (orders that work a Target; quotes are not) of one coin and one side, none sent more
than `PAUSE_NS` after the last sign of the run. It was decided at the mid of its first child, arrived at the mid at that
child's first answer, and ended at the mid when the run was over. What the last child did not fill is what was missed.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from slipstream.federation.shortfall import Child, Parent
from slipstream.model.cloid import parse_cloid, pod_prefix
from slipstream.model.commands import Command, Place
from slipstream.model.events import Ack, Bbo, Event, Fill

ZERO = Decimal(0)
HOME = "hl"
PAUSE_NS = 1_800_000_000_000  # half an hour: longer than a passive phase waits, shorter than between two rebalances


class _Run:
    """A parent order under way."""

    __slots__ = ("arrival", "children", "coin", "decided", "fills", "last", "left", "ns", "side")

    def __init__(self, place: Place, mid: Decimal, ns: int) -> None:
        self.coin, self.side = place.coin, place.side
        self.decided, self.ns = mid, ns
        self.arrival: Decimal | None = None
        self.fills: list[Child] = []
        self.children: list[str] = []
        self.last, self.left = "", ZERO

    def send(self, place: Place, ns: int) -> None:
        """Another child, for all that is still wanted."""
        self.children.append(place.cloid)
        self.last, self.left, self.ns = place.cloid, place.sz, ns

    def fill(self, fill: Fill, mid: Decimal, ns: int) -> None:
        """A child filled."""
        self.fills.append(Child(fill.sz, fill.px, fill.fee, mid))
        self.ns = max(self.ns, ns)
        if fill.cloid == self.last:
            self.left = max(ZERO, self.left - fill.sz)

    def parent(self, end: Decimal) -> Parent:
        """The whole of it, ended at a mid."""
        size = sum((fill.sz for fill in self.fills), ZERO) + self.left
        arrival = self.arrival if self.arrival is not None else self.decided
        return Parent(
            coin=self.coin,
            side=self.side,
            size=size,
            decision_px=self.decided,
            arrival_px=arrival,
            end_px=end,
            fills=tuple(self.fills),
        )


class Parents:
    """Folds a journal's rows into parent orders. Rows must come in their order; what came before is not known."""

    def __init__(self, pod: str) -> None:
        self._prefix = pod_prefix(pod)
        self._mids: dict[str, Decimal] = {}
        self._runs: dict[str, _Run] = {}
        self._coins: dict[str, str] = {}  # of children of runs under way
        self._now = 0

    def take(self, event: Event, commands: Sequence[Command]) -> tuple[Parent, ...]:
        """The parent orders that a row ends."""
        ended = self._seen(event)
        for command in commands:
            if isinstance(command, Place) and self._is_child(command) and command.coin in self._mids:
                run = self._runs.get(command.coin)
                if run is not None and run.side is not command.side:
                    ended += self._end(command.coin)
                    run = None
                if run is None:
                    run = self._runs[command.coin] = _Run(command, self._mids[command.coin], self._now)
                run.send(command, self._now)
                self._coins[command.cloid] = command.coin
        return tuple(ended)

    def flush(self) -> tuple[Parent, ...]:
        """End what is under way, at the last mids."""
        return tuple(one for coin in sorted(self._runs) for one in self._end(coin))

    def _is_child(self, place: Place) -> bool:
        return place.cloid.startswith(self._prefix) and parse_cloid(place.cloid).slice > 0

    def _seen(self, event: Event) -> list[Parent]:
        if isinstance(event, Bbo) and event.venue == HOME and event.mid > 0.0:
            self._now = max(self._now, event.event_ns)
            run = self._runs.get(event.coin)
            over = run is not None and self._now - run.ns > PAUSE_NS
            ended = self._end(event.coin) if over else []
            self._mids[event.coin] = Decimal(repr(event.mid))
            return ended
        if isinstance(event, Ack | Fill) and event.cloid in self._coins:
            run = self._runs[self._coins[event.cloid]]
            mid = self._mids[run.coin]
            run.arrival = mid if run.arrival is None else run.arrival
            if isinstance(event, Fill):
                run.fill(event, mid, event.ns)
        return []

    def _end(self, coin: str) -> list[Parent]:
        run = self._runs.pop(coin)
        for cloid in run.children:
            del self._coins[cloid]
        parent = run.parent(self._mids[coin])
        return [parent] if parent.size > ZERO else []
