"""Both sides of a book as compiled code reads them: ticks and lots of the levels that are there, the best last.

Updates are nearly always near the best, so that a level joins or leaves at the cost of moving a few. Side 0 are bids,
side 1 asks; ticks of asks are kept with their sign turned, so that one order serves both.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from numba import njit

from slipstream.lob.replay import rows

LEVELS = 1 << 13  # of a side; the worst fall out where there are more


@cache
def _mark() -> str:
    """A name that changes with what compiled code here is made of: by it Numba's caches notice edits of callees."""
    here = Path(__file__)
    names = ("difference.py", "findings.py", "heard.py", "ladder.py", "scan.py")
    mark = 0
    for path in (*map(here.with_name, names), Path(rows.__file__)):
        mark = crc32(path.read_bytes(), mark)
    return f"sources_{mark:08x}"


LADDER_DTYPE = np.dtype(
    [
        ("n", np.int64, (2,)),
        ("fallen", np.int64),  # levels that fell out since the beginning
        (_mark(), np.int64),
        ("keys", np.int64, (2, LEVELS)),  # tick of a bid, minus tick of an ask: ascending
        ("lots", np.int64, (2, LEVELS)),
    ]
)


def new_ladder() -> Any:
    """An empty book, a numpy record."""
    return np.zeros(1, LADDER_DTYPE)[0]


@njit(cache=True)
def place(ladder: Any, s: int, key: int) -> int:
    """Where a key stands, or would stand."""
    low, high = 0, ladder.n[s]
    if high > 0 and ladder.keys[s, high - 1] < key:
        return int(high)
    while low < high:
        middle = (low + high) >> 1
        if ladder.keys[s, middle] < key:
            low = middle + 1
        else:
            high = middle
    return int(low)


@njit(cache=True)
def put(ladder: Any, s: int, key: int, lots: int) -> None:
    """A level holds so many lots now; 0: it is gone."""
    n = ladder.n[s]
    at = place(ladder, s, key)
    if at < n and ladder.keys[s, at] == key:
        if lots > 0:
            ladder.lots[s, at] = lots
            return
        for i in range(at, n - 1):
            ladder.keys[s, i] = ladder.keys[s, i + 1]
            ladder.lots[s, i] = ladder.lots[s, i + 1]
        ladder.n[s] = n - 1
        return
    if lots <= 0:
        return
    if n == LEVELS:
        ladder.fallen += 1
        if at == 0:
            return
        for i in range(at - 1):
            ladder.keys[s, i] = ladder.keys[s, i + 1]
            ladder.lots[s, i] = ladder.lots[s, i + 1]
        at -= 1
    else:
        for i in range(n, at, -1):
            ladder.keys[s, i] = ladder.keys[s, i - 1]
            ladder.lots[s, i] = ladder.lots[s, i - 1]
        ladder.n[s] = n + 1
    ladder.keys[s, at] = key
    ladder.lots[s, at] = lots


@njit(cache=True)
def best(ladder: Any, s: int, key: int, lots: int) -> None:
    """The best of a side is so many lots at a key; what was better is gone. No lots: the side is empty."""
    if lots <= 0:
        ladder.n[s] = 0
        return
    while ladder.n[s] > 0 and ladder.keys[s, ladder.n[s] - 1] > key:
        ladder.n[s] -= 1
    put(ladder, s, key, lots)


@njit(cache=True)
def clear_to(ladder: Any, s: int, key: int) -> None:
    """Levels from the best to a key are forgotten."""
    while ladder.n[s] > 0 and ladder.keys[s, ladder.n[s] - 1] >= key:
        ladder.n[s] -= 1


@njit(cache=True)
def act(ladder: Any, row: Any) -> None:
    """Let a tape's row change the book; trades and settlements change nothing."""
    kind = row.kind & rows.KIND
    s = 0 if row.side > 0 else 1
    key = row.side * row.tick
    if kind == rows.DEPTH:
        put(ladder, s, key, row.lots)
    elif kind == rows.BEST:
        best(ladder, s, key, row.lots)
    elif kind == rows.CLEAR:
        clear_to(ladder, s, key if row.tick >= 0 else -(1 << 62))


@njit(cache=True)
def best_tick(ladder: Any, s: int) -> int:
    """The best tick of a side, or -1."""
    n = ladder.n[s]
    if n == 0:
        return -1
    return int(ladder.keys[s, n - 1] if s == 0 else -ladder.keys[s, n - 1])


@njit(cache=True)
def crossed(ladder: Any) -> bool:
    """Whether a bid is at or above an ask."""
    a, b = ladder.n[0], ladder.n[1]
    return bool(a > 0 and b > 0 and ladder.keys[0, a - 1] >= -ladder.keys[1, b - 1])
