"""What a validator finds and what is done about it: one table, which `docs/tapes.md` prints.

Findings are counted, and the first of every reason are kept by file and row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from slipstream.data.tape.fault import TapeError
from slipstream.data.tape.header import Finding

KEPT = 5  # places that are told of every reason
SHIFT = 40  # bits of a place that tell the row; those above tell the file
ROW = (1 << SHIFT) - 1

(
    WENT_BACK,
    TOO_LATE,
    HEARD_BACK,
    TOO_EARLY,
    BAD_NUMBER,
    OFF_GRID,
    TWICE,
    SAME_BOOK,
    CROSSED,
    CROSSES,
    DISAGREES,
    OUTSIDE,
    BEFORE_BOOK,
    SILENCE,
    SKIPPED,
    UNREADABLE,
    UNSORTED,
    TOO_DEEP,
    CROSSED_ROWS,
    NOTED,
    EARLY_ROWS,
    LOCAL_BACK,
    UNHEARD,
    UNSETTLED,
    AHEAD,
) = range(25)


class Policy(msgspec.Struct, frozen=True):
    """What a reason means, what is done, and whether ``--strict`` refuses it."""

    reason: str
    action: str
    strict: bool = True


POLICIES = {
    WENT_BACK: Policy("the exchange's time is before that of the row above", "sorted"),
    TOO_LATE: Policy("came later than what is sorted", "dropped"),
    HEARD_BACK: Policy("heard before the row that happened before it", "clamped", strict=False),
    TOO_EARLY: Policy("heard before it happened", "clamped"),
    BAD_NUMBER: Policy("a price or size that is zero, negative or no number", "dropped"),
    OFF_GRID: Policy("a price or size off the grid", "dropped"),
    TWICE: Policy("a trade that came before", "dropped"),
    SAME_BOOK: Policy("a book that came before", "dropped"),
    CROSSED: Policy("a book whose bid is not below its ask", "dropped"),
    CROSSES: Policy("a best price through older levels of the other side", "cleared", strict=False),
    DISAGREES: Policy("a book whose best price is not that told for the same time", "kept"),
    OUTSIDE: Policy("a trade inside the spread, or through the side it did not take", "kept", strict=False),
    BEFORE_BOOK: Policy("before the first book", "dropped", strict=False),
    SILENCE: Policy("a gap: nothing happened for long", "kept"),
    SKIPPED: Policy("a gap in the sequence numbers", "kept"),
    UNREADABLE: Policy("cannot be read", "dropped"),
    UNSORTED: Policy("a book whose levels are not in order", "dropped"),
    TOO_DEEP: Policy("deeper than the levels that are compared", "dropped", strict=False),
    CROSSED_ROWS: Policy("the book is crossed after the message", "kept"),
    NOTED: Policy("the recorder's own note", "kept"),
    EARLY_ROWS: Policy("the row is heard before it happened", "kept"),
    UNHEARD: Policy("a gap: no book was heard for long", "kept"),
    AHEAD: Policy("happens long after it was heard", "dropped"),
    UNSETTLED: Policy("an hour whose funding was not heard before its end", "left out"),
    LOCAL_BACK: Policy("the time of hearing is before that of the row above in its file", "clamped"),
}
DROPPED_MOST = 0.1  # of the messages: where more have one fault, it is not the messages that are wrong
JUDGED = (BAD_NUMBER, OFF_GRID, CROSSED, UNSORTED, TOO_LATE, AHEAD)


class Findings:
    """Counts and first places. ``strict``: the first one that its policy refuses raises."""

    def __init__(self, names: Sequence[str] = (), *, strict: bool = False) -> None:
        """``names`` are the files that places speak of."""
        self.names = list(names)
        self.strict = strict
        self.messages = 0  # that were looked at
        self.counts = np.zeros(len(POLICIES), np.int64)
        self.places: dict[int, list[str]] = {}

    def where(self, place: int) -> str:
        """A place as text: file and row."""
        file, row = place >> SHIFT, place & ROW
        return f"{self.names[file]}: row {row}" if file < len(self.names) else f"row {row}"

    def note(self, reason: int, places: npt.NDArray[np.int64] | Sequence[int], *, count: int | None = None) -> None:
        """Add places; ``count`` where there are more of them than told. Raises TapeError under ``strict``."""
        self.tell(reason, [self.where(int(place)) for place in places[:KEPT]], len(places) if count is None else count)

    def tell(self, reason: int, places: Sequence[str], count: int = 1) -> None:
        """Add places that are texts. Raises TapeError under ``strict``."""
        if not count:
            return
        policy = POLICIES[reason]
        if self.strict and policy.strict:
            raise TapeError(f"{places[0] if places else 'somewhere'}: {policy.reason} (--strict refuses it)")
        self.counts[reason] += count
        kept = self.places.setdefault(reason, [])
        kept += places[: KEPT - len(kept)]

    def take(self, counts: npt.NDArray[np.int64], places: npt.NDArray[np.int64], before: npt.NDArray[np.int64]) -> None:
        """Add what compiled code counted since ``before``; ``places[reason]`` are the first of this call."""
        for reason in np.flatnonzero(counts > before):
            new = int(counts[reason] - before[reason])
            self.note(int(reason), places[reason, : min(new, KEPT)], count=new)

    def judge(self) -> None:
        """Raises TapeError where so many messages have one fault that the source is not what it is taken for."""
        for reason in JUDGED:
            if self.counts[reason] > DROPPED_MOST * max(self.messages, 10):
                raise TapeError(
                    f"{self.places[reason][0]}: {POLICIES[reason].reason}, and so in {self.counts[reason]} places of "
                    f"{self.messages} messages: are columns swapped, times wrong, or is it another format or grid?"
                )

    def list(self) -> tuple[Finding, ...]:
        """What was found, in the order of the table."""
        return tuple(
            Finding(
                reason=POLICIES[int(reason)].reason,
                action=POLICIES[int(reason)].action,
                count=int(self.counts[reason]),
                places=tuple(self.places.get(int(reason), ())),
            )
            for reason in np.flatnonzero(self.counts)
        )


def found_dtype() -> Any:
    """The record in which compiled code counts: ``counts`` by reason, ``places`` the first ones of this call."""
    n = len(POLICIES)
    return np.dtype([("counts", np.int64, (n,)), ("places", np.int64, (n, KEPT)), ("fresh", np.int64, (n,))])


FOUND_DTYPE = found_dtype()


def new_found() -> Any:
    """An empty count, a numpy record."""
    return np.zeros(1, FOUND_DTYPE)[0]
