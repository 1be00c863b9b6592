"""Where a venue's order rests in our book: its id to the handle, a hash table that compiled code owns.

An array of entries, a power of two long and never more than half full; open addressing with linear probing, and a
removal moves what follows back, so that nothing has to be marked as once used. An entry with handle 0 is empty.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

ENTRY_DTYPE = np.dtype([("order", np.int64), ("handle", np.int64)])
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def new_index(orders: int) -> npt.NDArray[Any]:
    """A table with room for so many orders."""
    return np.zeros(1 << max(4, (2 * orders - 1).bit_length()), ENTRY_DTYPE)


@njit(cache=True, forceinline=True)
def _home(mask: int, order: int) -> int:
    """Where the search for an order begins."""
    return int((np.uint64(order) * _GOLDEN) >> np.uint64(20)) & mask


@njit(cache=True)
def find(index: Any, order: int) -> int:
    """The place of an order, or of the empty entry that ends the search for it."""
    mask = len(index) - 1
    place = _home(mask, order)
    while index[place].handle != 0 and index[place].order != order:
        place = (place + 1) & mask
    return place


@njit(cache=True)
def forget(index: Any, place: int) -> None:
    """Empty an entry and close the gap it leaves."""
    mask = len(index) - 1
    gap = place
    following = (gap + 1) & mask
    while index[following].handle != 0:
        home = _home(mask, index[following].order)
        if (following - home) & mask >= (following - gap) & mask:
            index[gap].order = index[following].order
            index[gap].handle = index[following].handle
            gap = following
        following = (following + 1) & mask
    index[gap].handle = 0
