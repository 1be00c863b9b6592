"""Which two rows of a Bitstamp log are one match: the log tells a trade only as two orders that became smaller.

A row fills its order if it is `changed` to fewer lots at the same price, or `deleted` with nothing left. The two rows
of a match are nearly always neighbours, and their lots are the same but for a rounding of one. Of fills of opposite
sides, at prices that meet, within WINDOW_NS, these are one match:

1. the oldest whose lots are the same within one;
2. the fill before, if the lots of exactly one of the two are not known (its order rested before the log began);
3. the row before, if both are known and differ (`uneven`): the taker's row told its remainder too early.

Rows are given back in their order, in the memory of the window.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

WINDOW_NS = 200_000_000
CREATED, CHANGED, DELETED = "created", "changed", "deleted"


@dataclass(slots=True, eq=False)
class Told:
    """A row of the log. ``lots`` are what is left of its order; the last four fields are found while it is read."""

    row: int
    order: int
    ns: int
    tick: int
    lots: int
    action: str
    side: int
    fill: bool = False
    drop: int | None = None  # lots that it fills; None: what the order had is not known
    partner: Told | None = field(default=None, repr=False)
    uneven: bool = False


class _Fills:
    """Fills of the window that are nobody's partner yet."""

    def __init__(self) -> None:
        self._alone: deque[Told] = deque()

    def take(self, told: Told) -> None:
        """Find the partner of a fill, or let it wait for one."""
        while self._alone and self._alone[0].ns < told.ns - WINDOW_NS:
            self._alone.popleft()
        partner = self._partner(told)
        if partner is None:
            self._alone.append(told)
            return
        self._alone.remove(partner)
        told.partner, partner.partner = partner, told

    def _partner(self, told: Told) -> Told | None:
        meeting = [one for one in self._alone if _meet(one, told)]
        for one in meeting:
            if one.drop is not None and told.drop is not None and abs(one.drop - told.drop) <= 1:
                return one
        if meeting and meeting[-1] is self._alone[-1]:
            last = meeting[-1]
            if (last.drop is None) != (told.drop is None):
                return last
            if last.drop is not None and last.row == told.row - 1:
                last.uneven = told.uneven = True
                return last
        return None


def _meet(one: Told, other: Told) -> bool:
    return one.side != other.side and (one.tick - other.tick) * one.side >= 0


def matched(rows: Iterable[Told], sizes: dict[int, tuple[int, int]] | None = None) -> Iterator[Told]:
    """Rows with their partners. ``sizes`` are tick and lots of orders that rested before the log began, if known."""
    live = dict(sizes or {})
    first_created = 0
    waiting: deque[Told] = deque()
    fills = _Fills()
    for told in rows:
        if told.action == CREATED:
            first_created = first_created or told.order
            live[told.order] = (told.tick, told.lots)
        else:
            _size(told, live.get(told.order), not first_created or told.order < first_created)
            if told.fill:
                fills.take(told)
            if told.action == CHANGED and (told.order in live or told.order < first_created):
                live[told.order] = (told.tick, told.lots)
            elif told.action == DELETED:
                live.pop(told.order, None)
        waiting.append(told)
        while waiting[0].ns < told.ns - WINDOW_NS:
            yield waiting.popleft()
    yield from waiting


def _size(told: Told, known: tuple[int, int] | None, prior: bool) -> None:
    """Whether a row is a fill, and of how many lots."""
    empty = told.action == DELETED and told.lots == 0
    if known is None:
        told.fill = prior and (told.action == CHANGED or empty)
        return
    tick, lots = known
    told.drop = lots - told.lots
    told.fill = told.drop > 0 and (empty or (told.action == CHANGED and told.tick == tick))
