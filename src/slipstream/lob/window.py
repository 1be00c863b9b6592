"""Moving a book's window of levels."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from slipstream.lob.bits import mark
from slipstream.lob.queues import unlink_slots

_LEVEL_FIELDS = ("level_head", "level_tail", "level_count", "level_lots")


def recentre(book: Any, base_tick: int) -> npt.NDArray[np.int64]:
    """Let the levels start at another tick; orders stay where they are in price and queue, handles stay valid.

    Returns the handles of the orders that fell outside the window and are gone, in no particular order. Raises
    ValueError for a negative tick.
    """
    if base_tick < 0:
        raise ValueError(f"base_tick must not be negative, not {base_tick}")
    shift = int(book["base"]) - base_tick
    slots = book["slots"]
    live = np.flatnonzero(slots["generation"] & 1)
    levels = slots["level"][live].astype(np.int64) + shift
    outside = live[(levels < 0) | (levels >= int(book["n_levels"]))]
    dropped = (slots["generation"][outside].astype(np.int64) << 32) | outside
    unlink_slots(book, outside)
    live = np.flatnonzero(slots["generation"] & 1)
    slots["level"][live] = slots["level"][live].astype(np.int64) + shift
    occupied = np.flatnonzero(book["level_count"])
    kept = {name: book[name][occupied].copy() for name in _LEVEL_FIELDS}
    for name, values in kept.items():
        book[name][occupied] = 0
        book[name][occupied + shift] = values
    for name in ("best_bid", "best_ask"):
        if book[name] >= 0:
            book[name] += shift
    book["base"] = base_tick
    mark_levels(book, occupied + shift)
    return dropped


def mark_levels(book: Any, occupied: npt.NDArray[Any]) -> None:
    """Build the bitmap of occupied levels anew."""
    for name in ("bits0", "bits1", "bits2"):
        book[name][:] = 0
    for level in occupied:
        mark(book, level)
