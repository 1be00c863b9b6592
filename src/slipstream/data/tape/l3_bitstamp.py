"""An order log of Bitstamp's kind as order-level rows (`slipstream.lob.replay.order_rows`), in bounded memory.

Columns ``id,timestamp,exchange.timestamp,price,volume,action,direction``: ms when heard, ms when the order was made
(the same in all rows of an order, so it cannot be the time of a row), volume x 1e8, action created, changed or deleted.
A lot is 1e-8. The exchange's time of a row is therefore the time it was heard. What the rules are, and how often each
is needed, is in docs/queue_positions.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from slipstream.data.tape.fault import TapeError
from slipstream.data.tape.l3_lines import Found, read_fields, tick_of, whole
from slipstream.data.tape.l3_matches import CHANGED, CREATED, DELETED, Told, matched
from slipstream.data.tape.l3_orders import Orders

HEADER = ["id", "timestamp", "exchange.timestamp", "price", "volume", "action", "direction"]
SIDES = {"bid": 1, "ask": -1}
MILLI = 1_000_000
CHUNK = 1 << 14
Rows = npt.NDArray[Any]


def _told(path: Path, tick_size: Decimal) -> Iterator[Told]:
    """Every row of the file. Raises TapeError naming the row."""
    before = 0
    for number, fields in read_fields(path, HEADER, len(HEADER)):
        try:
            if fields[5] not in (CREATED, CHANGED, DELETED):
                raise ValueError(f"action {fields[5][:40]!r} is none of created, changed, deleted")
            if fields[6] not in SIDES:
                raise ValueError(f"direction {fields[6][:40]!r} is neither bid nor ask")
            told = Told(
                number,
                whole(fields[0], "id", 1),
                whole(fields[1], "timestamp") * MILLI,
                tick_of(fields[3], tick_size),
                whole(fields[4], "volume"),
                fields[5],
                SIDES[fields[6]],
            )
            if told.ns < before:
                raise ValueError(f"timestamp {fields[1]} is before that of the row above: sort the file by it")
            if told.action == CREATED and told.lots == 0:
                raise ValueError("an order of no volume was created")
        except ValueError as error:
            raise TapeError(f"{path}: row {number}: {error}") from None
        before = told.ns
        yield told


@dataclass(frozen=True)
class Prior:
    """Orders that rested before the log began, as far as its rows tell: ``sizes`` {order: (side, tick, lots)}.

    ``unsized`` orders are filled whole before any row tells their size: they are not known well enough to rest.
    """

    sizes: dict[int, tuple[int, int, int]]
    unsized: int


def prior_orders(path: Path, tick_size: Decimal = Decimal("0.01")) -> Prior:
    """One pass over the log for the orders that it never creates. Raises TapeError.

    An order that is never mentioned stays unknown; its size is what its first row leaves plus what that row fills
    (its partner's lots).
    """
    sizes: dict[int, tuple[int, int, int]] = {}
    seen: set[int] = set()
    first = unsized = 0
    for told in matched(_told(path, tick_size)):
        if told.action == CREATED:
            first = first or told.order
        elif (not first or told.order < first) and told.order not in seen:
            seen.add(told.order)
            partner = told.partner
            lots = told.lots + (partner.drop or 0 if partner is not None else 0)
            if lots:
                sizes[told.order] = (told.side, told.tick, lots)
            else:
                unsized += 1
    return Prior(sizes, unsized)


class BitstampLog:
    """The order-level rows of a log; iterating reads the file. ``counts`` say what was met, after the iteration.

    With ``prior`` the orders that rested before the log began are added at its first moment, oldest first: without
    them the book lacks what stood in it, and trades with them look like trades with nobody.
    """

    def __init__(
        self, path: Path, found: Found | None = None, *, tick_size: Decimal = Decimal("0.01"), prior: bool = True
    ) -> None:
        """Raises TapeError if the file cannot be read or the pass for prior orders meets a bad row."""
        self.path = path
        self.counts: Counter[str] = Counter()
        self._found = found
        self._tick_size = tick_size
        self._prior = prior_orders(path, tick_size) if prior else Prior({}, 0)

    def __iter__(self) -> Iterator[Rows]:
        """Chunks of `ORDER_ROW_DTYPE` rows. Raises TapeError naming the row."""
        self.counts.clear()
        orders = Orders(self.counts, self._found)
        self.counts["prior orders of unknown size"] = self._prior.unsized
        sizes = {order: (tick, lots) for order, (_, tick, lots) in self._prior.sizes.items()}
        for told in matched(_told(self.path, self._tick_size), sizes):
            if not self.counts["rows"]:
                orders.begin(self._prior.sizes, told.ns)
            orders.take(told)
            if len(orders.made) >= CHUNK:
                yield orders.rows()
        if not self.counts["rows"]:
            raise TapeError(f"{self.path}: holds no row under its header")
        orders.end()
        yield orders.rows()


def bitstamp_rows(path: Path, *, prior: bool = True) -> tuple[Rows, Counter[str]]:
    """A whole log in memory, and its counts. Raises TapeError."""
    log = BitstampLog(path, prior=prior)
    return np.concatenate(list(log)), log.counts
