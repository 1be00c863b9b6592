"""What a Bitstamp log's rows mean for the book: which orders rest, which only pass through it.

An order that is created (or repriced) where it meets the book is an aggressor: it is kept off the book while rows tell
what it takes, and rests when the book no longer meets it. A match is told by two rows; the maker is the older order, or
the one on the book if only one of the two is there; its own row says how many lots the book lost. Nothing is invented:
what has no explanation in the log is counted, and left out or followed as the row says.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from slipstream.data.tape.l3_lines import Found
from slipstream.data.tape.l3_matches import CHANGED, CREATED, DELETED, Told
from slipstream.data.tape.l3_touch import Touch
from slipstream.lob.replay.order_rows import ADD, CANCEL, EXECUTE, ORDER_ROW_DTYPE, PRINT, REDUCE, REPLACE

REMEMBERED = 1 << 14  # ids of orders that are gone


@dataclass(slots=True, eq=False)
class _Order:
    order: int
    side: int
    tick: int
    lots: int
    resting: bool = False


class Orders:
    """Takes rows of a log in their order; ``made`` are rows of `ORDER_ROW_DTYPE` that were not fetched yet."""

    def __init__(self, counts: Counter[str], found: Found | None = None) -> None:
        self.made: list[tuple[int, int, int, int, int, int, int, int]] = []
        self._counts = counts
        self._found = found
        self._live: dict[int, _Order] = {}
        self._gone: OrderedDict[int, None] = OrderedDict()
        self._passing: dict[int, _Order] = {}  # aggressors, oldest first
        self._touch = Touch()
        self._naive = Touch()  # every order rests from its first row to its last
        self._shown: dict[int, tuple[int, int]] = {}
        self._ns = 0
        self._told = Told(0, 0, 0, 0, 0, "", 0)

    def rows(self) -> npt.NDArray[Any]:
        """What was made since the last call."""
        rows = np.array(self.made, ORDER_ROW_DTYPE)
        self.made.clear()
        return rows

    def begin(self, prior: dict[int, tuple[int, int, int]], ns: int) -> None:
        """Rest the orders that were there before the log, oldest first."""
        self._ns = ns
        for order, (side, tick, lots) in sorted(prior.items()):
            if self._touch.crossed_by(side, tick):
                self._note("prior orders that would cross", "left out")
                continue
            self._counts["prior orders"] += 1
            self._live[order] = self._rest(_Order(order, side, tick, lots))
            self._show(order, side, tick)

    def take(self, told: Told) -> None:
        """One row."""
        self._told, self._ns = told, told.ns
        self._counts["rows"] += 1
        self._watch_naively(told)
        if told.action == CREATED:
            self._created(told)
        elif told.partner is not None:
            if told.row < told.partner.row:
                self._match(told, told.partner)
        else:
            self._changed_alone(told)
        if self._passing:
            self._land()

    def end(self) -> None:
        """Count what the log leaves behind."""
        resting = [one.lots for one in self._live.values() if one.resting]
        self._counts["orders left on the book"] = len(resting)
        self._counts["lots left on the book"] = sum(resting)
        self._counts["aggressors never ended"] = len(self._passing)
        self._counts["lots of aggressors never ended"] = sum(one.lots for one in self._passing.values())

    def _created(self, told: Told) -> None:
        if told.order in self._live:
            return self._note("orders created twice", "the second row left out")
        if told.order in self._gone:
            return self._note("orders created after they were deleted", "left out")
        self._counts["orders created"] += 1
        self._counts["lots created"] += told.lots
        one = self._live[told.order] = _Order(told.order, told.side, told.tick, told.lots)
        if self._touch.crossed_by(one.side, one.tick):
            self._counts["aggressors"] += 1
            self._passing[one.order] = one
        else:
            self._rest(one)

    def _match(self, first: Told, second: Told) -> None:
        """Two rows are one match: the maker's order trades, the taker's shrinks."""
        self._counts["trades"] += 1
        if first.uneven:
            self._note("trades whose two rows differ by more than a lot", "the maker's row believed")
        maker_first = first.order < second.order
        a, b = self._live.get(first.order), self._live.get(second.order)
        if a is not None and b is not None and a.resting != b.resting:
            maker_first = a.resting
        maker, taker = (first, second) if maker_first else (second, first)
        if maker.order > taker.order:
            self._counts["trades whose maker is the younger order"] += 1
        drop = maker.drop if maker.drop is not None else taker.drop or 0
        self._counts["lots traded"] += drop
        self._counts["lots traded, by the takers' rows"] += taker.drop if taker.drop is not None else drop
        one = self._live.get(maker.order)
        if one is not None and one.resting:
            self._shrink(one, min(drop, one.lots), EXECUTE)
        else:
            self._note("trades whose maker was not on the book", "a trade with nobody's order")
            self._put(PRINT, 0, maker.side, maker.tick, drop)
            if one is not None:
                one.lots -= min(drop, one.lots)
        other = self._live.get(taker.order)
        if other is not None and other.resting:
            self._note("trades whose taker rested", "its order made smaller")
        if other is not None:
            taken = min(taker.drop if taker.drop is not None else drop, other.lots)
            self._shrink(other, taken, REDUCE)
        for row in (maker, taker):
            if row.action == DELETED:
                self._end(row)

    def _changed_alone(self, told: Told) -> None:
        """`changed` or `deleted`, and no match with another order's row."""
        one = self._live.get(told.order)
        if one is None:
            self._nobody(told)
        elif told.fill:
            self._note("fills without a second row", "the order made smaller as its row says")
            drop = min(told.drop if told.drop is not None else one.lots, one.lots)
            self._counts["lots filled without a second row"] += drop
            self._shrink(one, drop, EXECUTE)
            if told.action == DELETED:
                self._end(told)
        elif told.action == DELETED or not told.lots:
            if told.lots != one.lots:
                self._note("orders ended with another size than theirs", "all of it taken off")
            self._counts["orders cancelled"] += 1
            self._end(told)
        elif told.tick != one.tick or told.lots != one.lots:
            self._reprice(one, told)
        else:
            self._counts["changes that change nothing"] += 1

    def _nobody(self, told: Told) -> None:
        if told.order in self._gone:
            return self._note(f"orders {told.action} after they were deleted", "left out")
        self._note(f"orders {told.action} that were never seen", "left out")
        if told.action == DELETED:
            self._forget(told.order)

    def _reprice(self, one: _Order, told: Told) -> None:
        """An order moved to another price, or grew: it goes to the back of the queue there."""
        self._note("orders repriced or made larger", "placed anew, at the back")
        self._counts["lots lost by repricing"] += one.lots - told.lots
        crosses = self._touch.crossed_by(one.side, told.tick)
        if one.resting and crosses:
            self._counts["resting orders repriced into the book"] += 1
            self._put(CANCEL, one.order, one.side, one.tick, one.lots)
            self._touch.leave(one.side, one.tick)
            one.resting = False
            self._passing[one.order] = one
        elif one.resting:
            self._touch.leave(one.side, one.tick)
            self._touch.join(one.side, told.tick)
            self._put(REPLACE, one.order, one.side, told.tick, told.lots)
        one.tick, one.lots = told.tick, told.lots

    def _shrink(self, one: _Order, lots: int, kind: int) -> None:
        """An order loses lots; with its last it leaves the book, though its id lives until it is deleted."""
        if lots <= 0:
            return
        if one.resting:
            gone = lots == one.lots
            self._put(CANCEL if gone and kind == REDUCE else kind, one.order, one.side, one.tick, lots)
            if gone:
                self._touch.leave(one.side, one.tick)
                one.resting = False
        one.lots -= lots

    def _end(self, told: Told) -> None:
        """An order was deleted: what is left of it leaves."""
        one = self._live.pop(told.order, None)
        if one is not None and one.lots:
            self._counts["lots cancelled"] += one.lots
            if told.fill:
                self._note("orders filled whole with lots left", "the rest taken off")
            if one.resting:
                self._put(CANCEL, one.order, one.side, one.tick, one.lots)
                self._touch.leave(one.side, one.tick)
        self._passing.pop(told.order, None)
        self._forget(told.order)

    def _land(self) -> None:
        """Rest the aggressors that the book no longer meets."""
        for one in list(self._passing.values()):
            if one.lots and not self._touch.crossed_by(one.side, one.tick):
                del self._passing[one.order]
                self._counts["aggressors that came to rest"] += 1
                self._rest(one)

    def _rest(self, one: _Order) -> _Order:
        one.resting = True
        self._touch.join(one.side, one.tick)
        self._put(ADD, one.order, one.side, one.tick, one.lots)
        return one

    def _put(self, kind: int, order: int, side: int, tick: int, lots: int) -> None:
        self.made.append((self._ns, self._ns, order, lots, tick, 0, kind, side))

    def _forget(self, order: int) -> None:
        self._gone[order] = None
        if len(self._gone) > REMEMBERED:
            self._gone.popitem(last=False)

    def _note(self, what: str, done: str) -> None:
        self._counts[what] += 1
        if self._found is not None:
            self._found(self._told.row, what, done)

    def _watch_naively(self, told: Told) -> None:
        """Follow the rows word for word, to say how often that book is crossed."""
        if told.action == CREATED:
            if told.order not in self._shown:
                self._show(told.order, told.side, told.tick)
        elif told.order in self._shown:
            self._naive.leave(*self._shown.pop(told.order))
            if told.action == CHANGED:
                self._show(told.order, told.side, told.tick)
        self._counts["crossed states, rows taken word for word"] += self._naive.crossed()

    def _show(self, order: int, side: int, tick: int) -> None:
        self._shown[order] = (side, tick)
        self._naive.join(side, tick)
