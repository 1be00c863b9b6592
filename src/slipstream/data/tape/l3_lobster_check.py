"""A LOBSTER message file held against the file of levels that came with it, row by row."""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass
from decimal import Decimal
from itertools import zip_longest
from pathlib import Path

from slipstream.data.tape.fault import TapeError
from slipstream.data.tape.l3_lobster import LobsterLog
from slipstream.data.tape.l3_lobster_levels import Level, read_levels
from slipstream.lob.replay.order_rows import ADD, PRINT


@dataclass(frozen=True)
class Comparison:
    """``rows`` compared; of them ``differing`` show another book, the first of them at row ``first`` (0: none)."""

    rows: int
    differing: int
    first: int


class _Levels:
    """The levels of both sides while messages come."""

    def __init__(self) -> None:
        self._lots: dict[int, dict[int, int]] = {1: {}, -1: {}}
        self._keys: dict[int, list[int]] = {1: [], -1: []}  # -side * tick, ascending: best first

    def change(self, side: int, tick: int, lots: int) -> None:
        """Add lots to a level; take them where they are negative."""
        held = self._lots[side]
        if tick not in held:
            insort(self._keys[side], -side * tick)
        held[tick] = held.get(tick, 0) + lots
        if not held[tick]:
            del held[tick]
            self._keys[side].remove(-side * tick)

    def best(self, side: int, n: int) -> list[Level]:
        """Up to ``n`` levels of a side, best first."""
        return [(-side * key, self._lots[side][-side * key]) for key in self._keys[side][:n]]


def compare(log: LobsterLog, path: Path, tick_size: Decimal = Decimal("0.01")) -> Comparison:
    """Rebuild the levels from a message file and hold them against its file of levels, row by row.

    Raises TapeError: a bad row of either, or files of different lengths.
    """
    levels = _Levels()
    rows = differing = first = 0
    for _, _, _, lots, tick, _, _, side in log.blocks():
        levels.change(side, tick, lots)
    for message, told in zip_longest(log.messages(), read_levels(path, tick_size)):
        if message is None or told is None:
            raise TapeError(f"{path}: {'more' if message is None else 'fewer'} rows than {log.path} ({rows})")
        if message[1] is not None:
            _, _, _, lots, tick, _, kind, side = message[1]
            if kind != PRINT:
                levels.change(side, tick, lots if kind == ADD else -lots)
        number, n, sides = told
        rows += 1
        if any(levels.best(side, n) != sides[side] for side in (1, -1)):
            differing += 1
            first = first or number
    return Comparison(rows, differing, first)
