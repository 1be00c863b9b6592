"""LOBSTER message files as order-level rows (`slipstream.lob.replay.order_rows`), in bounded memory.

Six columns without a header: seconds after midnight, type, order id, size, price x 10000, direction (1 buy, -1 sell) of
the resting order. Type 1 joins, 2 is cancelled in part, 3 is cancelled, 4 is executed, 5 is the execution of a hidden
order, 6 a cross trade (auction), 7 a halt (price -1), resumed quoting (0) or trading (1). A lot is one share.

- 5 and 6 are PRINT rows: no displayed order has to do with them.
- 7 makes no row; it is found and counted.
- Orders that rested before the file begins have no joining message. With the file of levels, all that a level held
  before the first message is one order, a block in front of everything that joins later: its id is minus its tick, and
  what happens to orders that never joined happens to it. Without that file, or at levels that it did not show, their
  messages are found, counted and left out.
- The file has one time, the exchange's; rows are heard then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from slipstream.data.tape.fault import TapeError
from slipstream.data.tape.l3_lines import Found, read_fields, whole
from slipstream.data.tape.l3_lobster_levels import PRICE_UNIT, read_levels
from slipstream.lob.replay.order_rows import ADD, CANCEL, EXECUTE, ORDER_ROW_DTYPE, PRINT, REDUCE

Rows = npt.NDArray[Any]
Fields = tuple[int, int, int, int, int, int, int, int]
COLUMNS = 6
SECOND = 1_000_000_000
CHUNK = 1 << 14
JOINS, CUT, GONE, TRADED, HIDDEN, CROSS, HALT = range(1, 8)
LEAVING = {CUT: REDUCE, GONE: CANCEL, TRADED: EXECUTE}


def nanoseconds(text: str) -> int:
    """Seconds after midnight with up to nine decimals as ns. Raises ValueError."""
    seconds, _, part = text.partition(".")
    if part and not (part.isascii() and part.isdigit() and len(part) <= 9):
        raise ValueError(f"time {text[:40]!r} is no number of seconds with at most nine decimals")
    return whole(seconds, "time") * SECOND + int(part.ljust(9, "0") or "0")


class LobsterLog:
    """The order-level rows of a message file; iterating reads it. ``counts`` say what was met, after the iteration."""

    def __init__(
        self,
        path: Path,
        day: date,
        found: Found | None = None,
        *,
        tick_size: Decimal = Decimal("0.01"),
        levels: Path | None = None,
    ) -> None:
        """``day`` is the file's, in whose midnight (taken as UTC) times begin; ``levels`` the file of levels.

        Raises TapeError for a tick size that cannot be.
        """
        step = tick_size * PRICE_UNIT
        if step <= 0 or step != int(step):
            raise TapeError(f"a tick size of {tick_size}: LOBSTER's prices are whole multiples of 0.0001")
        self.path = path
        self.counts: Counter[str] = Counter()
        self._found = found
        self._tick_size = tick_size
        self._levels = levels
        self._step = int(step)
        self._midnight = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * SECOND
        self._orders: dict[int, list[int]] = {}  # order: side, tick, lots

    def __iter__(self) -> Iterator[Rows]:
        """Chunks of `ORDER_ROW_DTYPE` rows. Raises TapeError naming the row."""
        made = self.blocks()
        for _, row in self.messages():
            if row is not None:
                made.append(row)
            if len(made) >= CHUNK:
                yield np.array(made, ORDER_ROW_DTYPE)
                made.clear()
        yield np.array(made, ORDER_ROW_DTYPE)

    def blocks(self) -> list[Fields]:
        """Begin anew: the rows of what rested before the first message, as far as the file of levels shows it.

        Raises TapeError naming the row.
        """
        self.counts.clear()
        self._orders.clear()
        if self._levels is None:
            return []
        _, _, sides = next(read_levels(self._levels, self._tick_size), (0, 0, {}))
        held = {(side, tick): lots for side, levels in sides.items() for tick, lots in levels}
        for _, fields in read_fields(self.path, None, COLUMNS):
            try:
                ns = self._midnight + nanoseconds(fields[0])
                kind, lots, px, side = (whole(fields[at], "type, size, price or direction", -1) for at in (1, 3, 4, 5))
            except ValueError as error:
                raise TapeError(f"{self.path}: row 1: {error}") from None
            if kind in LEAVING:  # undo what the first message did
                held[side, px // self._step] = held.get((side, px // self._step), 0) + lots
            elif kind == JOINS and (side, px // self._step) in held:
                held[side, px // self._step] -= lots
            there = sorted((side, tick, lots) for (side, tick), lots in held.items() if lots > 0)
            self._orders.update({-tick: [side, tick, lots] for side, tick, lots in there})
            self.counts["levels from before the file"] = len(there)
            return [(ns, ns, -tick, lots, tick, 0, ADD, side) for side, tick, lots in there]
        return []

    def messages(self) -> Iterator[tuple[int, Fields | None]]:
        """Row number and the row that every message makes, or None; after `blocks`. Raises TapeError."""
        before = 0
        for number, fields in read_fields(self.path, None, COLUMNS):
            self.counts["rows"] += 1
            try:
                ns = nanoseconds(fields[0])
                if ns < before:
                    raise ValueError(f"time {fields[0]} is before that of the row above: sort the file by it")
                before = ns
                made = self._message(number, self._midnight + ns, fields)
            except ValueError as error:
                raise TapeError(f"{self.path}: row {number}: {error}") from None
            yield number, made
        if not self.counts["rows"]:
            raise TapeError(f"{self.path}: empty; a LOBSTER message file has a row for every event")

    def _message(self, number: int, ns: int, fields: list[str]) -> Fields | None:
        kind = whole(fields[1], "type")
        if not JOINS <= kind <= HALT:
            raise ValueError(f"type {kind} is none of 1..7")
        if kind == HALT:
            what = {"-1": "trading halted", "0": "quoting resumed", "1": "trading resumed"}.get(fields[4].strip())
            self._note(number, what or f"halt message of price {fields[4][:20]!r}", "no row")
            return None
        order, lots, px = whole(fields[2], "order id"), whole(fields[3], "size", 1), whole(fields[4], "price", 1)
        side = whole(fields[5], "direction", -1)
        if side not in (1, -1):
            raise ValueError(f"direction {side} is neither 1 nor -1")
        if kind in (HIDDEN, CROSS):
            self._note(
                number, "executions of hidden orders" if kind == HIDDEN else "cross trades", "a trade without an order"
            )
            tick, rest = divmod(px, self._step)
            if rest:  # hidden orders may trade between the ticks, at the middle
                self._note(number, "trades without an order between two ticks", "left out")
                return None
            return ns, ns, 0, lots, tick, 0, PRINT, side
        tick, rest = divmod(px, self._step)
        if rest or tick >= 2**31:
            raise ValueError(f"price {px} is not a multiple of {self._step} (the tick size), or beyond the grid")
        return self._displayed(number, kind, (ns, ns, order, lots, tick, 0, LEAVING.get(kind, ADD), side))

    def _displayed(self, number: int, kind: int, row: Fields) -> Fields | None:
        """A message of a displayed order, held against what is known of it."""
        _, _, order, lots, tick, _, _, side = row
        known = self._orders.get(order)
        if known is None and kind != JOINS and self._orders.get(-tick, [0])[0] == side:
            order, known = -tick, self._orders[-tick]
            row = *row[:2], order, *row[3:]
            kind = kind if kind != GONE or lots == known[2] else CUT
            row = *row[:6], LEAVING[kind], side
            self.counts["messages of orders from before the file, in their level's block"] += 1
        if kind == JOINS:
            if known is not None:
                raise ValueError(f"order {order} joins, but rests already")
            self._orders[order] = [side, tick, lots]
            self.counts["orders joined"] += 1
            return row
        if known is None:
            self._note(number, "messages of orders from before the file", "left out")
            return None
        if [side, tick] != known[:2]:
            raise ValueError(f"order {order} rests on side {known[0]} at tick {known[1]}, not {side} at {tick}")
        if lots > known[2] or (kind == GONE and lots != known[2]):
            raise ValueError(f"order {order} has {known[2]} lots left, not {lots}")
        known[2] -= lots
        if not known[2]:
            del self._orders[order]
        if kind == CUT and not known[2]:
            return *row[:6], CANCEL, side
        self.counts["executions" if kind == TRADED else "cancels"] += 1
        return row

    def _note(self, number: int, what: str, done: str) -> None:
        self.counts[what] += 1
        if self._found is not None:
            self._found(number, what, done)
