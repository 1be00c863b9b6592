"""Fills that an order's updates speak of and that have not arrived: a sign that the stream of fills is frozen."""

from __future__ import annotations

from collections import OrderedDict
from decimal import Decimal

ZERO = Decimal(0)
KEPT = 10_000  # orders remembered


class Owing:
    """What was delivered and what was claimed, by oid. Times are seconds of any monotonic clock."""

    def __init__(self) -> None:
        self._delivered: OrderedDict[int, Decimal] = OrderedDict()
        self._claims: dict[int, tuple[Decimal, float]] = {}

    def delivered(self, oid: int, size: Decimal) -> None:
        """A fill was delivered."""
        total = self._delivered[oid] = self._delivered.pop(oid, ZERO) + size
        if len(self._delivered) > KEPT:
            self._delivered.popitem(last=False)
        claim = self._claims.get(oid)
        if claim is not None and total >= claim[0]:
            del self._claims[oid]

    def claimed(self, oid: int, total: Decimal, now: float) -> None:
        """The venue says that so much of an order was filled."""
        if total > self._delivered.get(oid, ZERO):
            since = self._claims[oid][1] if oid in self._claims else now
            self._claims[oid] = (total, since)

    def is_late(self, now: float, grace: float) -> bool:
        """Whether some fill has been owed for longer than ``grace`` seconds."""
        return any(now - since > grace for _, since in self._claims.values())

    def forgive(self) -> None:
        """A sweep has brought what there was."""
        self._claims.clear()
