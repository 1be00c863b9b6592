"""What a market learns from those who take: each taker moves the local premium its way, like the root of its size.

The premium reverts (`value`), so the impact of an order decays as what makers think of it is forgotten: many orders of
one side in a row add up, those of noise cancel. Without it the value is deaf to trades, and a large order worked in
parts would cost half a spread a part and leave no trace.
"""

from __future__ import annotations

import math
from typing import Any

from numba import njit


@njit(cache=True)
def learn(s: Any, side: int, lots: int) -> None:
    """A taker of ``side``, whoever it was, got ``lots``."""
    if s.learning > 0.0 and lots > 0:
        s.value.basis += side * s.learning * math.sqrt(lots * s.unit / s.learning_size)


@njit(cache=True)
def taken_since(book: Any, before: int) -> int:
    """The lots that traded after the book's tape had ``before`` rows."""
    lots = 0
    for i in range(before, book.fill_count):
        lots += book.fill_rows[i][10]
    return lots
