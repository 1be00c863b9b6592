"""The pod's own books: positions, cost, realised profit, fees and funding, folded from fills and funding rows alone.

Nothing here invents a fill. A ledger begins with the positions that the venue reports (an opening, said as such) and
then follows its own fills; when it and the venue differ, that is a break to be found, not a number to be overwritten.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable
from decimal import Decimal

import msgspec

from slipstream.model.events import AccountState, Fill, FundingPayment, Position

ZERO = Decimal(0)
SEEN = 200_000  # fills remembered for deduplication; sweeps overlap by minutes, not by months
RECENT = 4_096  # fills remembered for "the position at a time"


class Line(msgspec.Struct, frozen=True):
    """One coin. ``cost`` is what the open position cost, signed like it: average price times position.

    ``realised`` is profit of closed parts before fees; ``fees`` are paid (negative: rebates); ``funding`` is received
    (negative: paid); ``volume`` is traded notional, ``taker_volume`` the part of it that crossed. All USD.
    """

    position: Decimal = ZERO
    cost: Decimal = ZERO
    realised: Decimal = ZERO
    fees: Decimal = ZERO
    funding: Decimal = ZERO
    volume: Decimal = ZERO
    taker_volume: Decimal = ZERO
    fills: int = 0
    last_px: Decimal = ZERO

    @property
    def average_px(self) -> Decimal:
        """Average entry price of the open position; 0 when flat."""
        return self.cost / self.position if self.position else ZERO

    def unrealised(self, px: Decimal) -> Decimal:
        """Profit of the open position at a price, USD."""
        return self.position * px - self.cost

    def net(self, px: Decimal) -> Decimal:
        """Everything earned and paid, with the open position at a price, USD."""
        return self.realised + self.unrealised(px) - self.fees + self.funding

    def filled(self, fill: Fill) -> Line:
        """The line after a fill. Realised profit and cost always add up to the cash that moved."""
        signed = fill.sz * fill.side.sign
        before, after = self.position, self.position + signed
        if before * signed >= 0:
            cost = self.cost + signed * fill.px
        elif before * after >= 0:
            cost = self.cost * after / before
        else:
            cost = after * fill.px
        return msgspec.structs.replace(
            self,
            position=after,
            cost=cost,
            realised=self.realised + cost - self.cost - signed * fill.px,
            fees=self.fees + fill.fee,
            volume=self.volume + fill.sz * fill.px,
            taker_volume=self.taker_volume + (fill.sz * fill.px if fill.crossed else ZERO),
            fills=self.fills + 1,
            last_px=fill.px,
        )


class Break(msgspec.Struct, frozen=True):
    """A position that the venue and the ledger tell differently."""

    coin: str
    ours: Decimal
    venue: Decimal

    def __str__(self) -> str:
        return f"{self.coin}: our fills say {self.ours}, the venue says {self.venue}"


class Ledger:
    """A fold of fills and funding payments, each counted once."""

    def __init__(self) -> None:
        self.lines: dict[str, Line] = {}
        self.opened_ns: int | None = None
        self._seen: OrderedDict[tuple[int, int], None] = OrderedDict()
        self._paid: OrderedDict[tuple[str, int], None] = OrderedDict()
        self._shared: deque[FundingPayment] = deque(maxlen=RECENT)  # rows of an account that others trade too
        self._shared_ns = 0
        self._recent: deque[tuple[int, str, Decimal]] = deque(maxlen=RECENT)

    def line(self, coin: str) -> Line:
        """The line of a coin; an empty one if it was never traded."""
        return self.lines.get(coin, Line())

    def position(self, coin: str) -> Decimal:
        """Our signed position."""
        line = self.lines.get(coin)
        return line.position if line is not None else ZERO

    def open(self, ns: int, positions: Iterable[Position]) -> None:
        """Begin from what the venue reports as ours. Fills up to that time are inside it and count no more."""
        self.opened_ns = ns
        for position in positions:
            cost = position.szi * position.entry_px
            self.lines[position.coin] = Line(position=position.szi, cost=cost, last_px=position.entry_px)

    def fill(self, fill: Fill) -> bool:
        """Count a fill; False if it was counted before or happened before the opening."""
        key = (fill.tid, fill.oid)
        if key in self._seen:
            return False
        self._seen[key] = None
        if len(self._seen) > SEEN:
            self._seen.popitem(last=False)
        if self.opened_ns is None or fill.ns <= self.opened_ns:
            return False
        self.lines[fill.coin] = self.line(fill.coin).filled(fill)
        signed = fill.sz * fill.side.sign
        self._recent.append((fill.ns, fill.coin, signed))
        if fill.ns <= self._shared_ns:
            for row in self._shared:  # a fill that came later than the row it has a part in
                if row.coin == fill.coin and fill.ns <= row.ns:
                    self._receive(row.coin, row.usdc * signed / row.szi)
        return True

    def funding(self, row: FundingPayment, *, shared: bool = False) -> bool:
        """Count a funding row; False if it was counted before or happened before the opening.

        On a shared account our part is that of our position then: the parts of all who share it add up to the row.
        """
        key = (row.coin, row.ns)
        if key in self._paid:
            return False
        self._paid[key] = None
        if len(self._paid) > SEEN:
            self._paid.popitem(last=False)
        if self.opened_ns is None or row.ns <= self.opened_ns:
            return False
        if not shared:
            self._receive(row.coin, row.usdc)
        elif row.szi:
            self._shared.append(row)
            self._shared_ns = max(self._shared_ns, row.ns)
            self._receive(row.coin, row.usdc * self.position_at(row.coin, row.ns) / row.szi)
        return True

    def _receive(self, coin: str, usdc: Decimal) -> None:
        line = self.line(coin)
        if usdc:
            self.lines[coin] = msgspec.structs.replace(line, funding=line.funding + usdc)

    def position_at(self, coin: str, ns: int) -> Decimal:
        """Our position as of a time: fills after it taken back."""
        later = sum((signed for at, name, signed in self._recent if at > ns and name == coin), ZERO)
        return self.position(coin) - later

    def breaks(self, state: AccountState) -> list[Break]:
        """Where a complete account state differs from our fills up to its time."""
        venue = {position.coin: position.szi for position in state.positions}
        found = []
        for coin in sorted(venue.keys() | self.lines.keys()):
            ours, theirs = self.position_at(coin, state.ns), venue.get(coin, ZERO)
            if ours != theirs:
                found.append(Break(coin, ours, theirs))
        return found
