"""The memory of one book: a single structured record, which compiled code receives as a plain pointer.

Tuples of arrays would cost an atomic reference count per array and call; a record costs nothing. Untouched levels
of a zeroed record take no memory: slot 0 of the order pool means "none".
"""

from __future__ import annotations

from typing import Any

import numpy as np

from slipstream.lob.bits import MAX_LEVELS

FILL_FIELDS = (
    "seq",
    "ns",
    "maker_handle",
    "maker_tag",
    "maker_owner",
    "maker_left",
    "taker_tag",
    "taker_owner",
    "taker_side",
    "tick",
    "lots",
)
EXPIRED_FIELDS = ("handle", "tag", "owner", "lots", "ns")
FILL_DTYPE = np.dtype([(name, np.int64) for name in FILL_FIELDS])
EXPIRED_DTYPE = np.dtype([(name, np.int64) for name in EXPIRED_FIELDS])


def book_dtype(levels: int, orders: int, fills: int) -> np.dtype[Any]:
    """The layout of a book of so many price levels, resting orders and unread fills."""
    i8, i4, u8 = np.int64, np.int32, np.uint64
    return np.dtype(
        [
            ("base", i8),  # tick of level 0
            ("n_levels", i8),
            ("n_slots", i8),
            ("n_ring", i8),
            ("best_bid", i8),  # level, or -1
            ("best_ask", i8),
            ("free", i8),  # head of the list of freed slots
            ("fresh", i8),  # slots never used start here
            ("resting", i8),
            ("seq", i8),
            ("fill_count", i8),
            ("expired_count", i8),
            ("bits2", u8, (1,)),
            ("bits1", u8, (64,)),
            ("bits0", u8, (4096,)),
            ("level_head", i4, (levels,)),
            ("level_tail", i4, (levels,)),
            ("level_count", i4, (levels,)),
            ("level_lots", i8, (levels,)),
            ("prev", i4, (orders + 1,)),
            ("next", i4, (orders + 1,)),
            ("level", i4, (orders + 1,)),
            ("generation", i4, (orders + 1,)),
            ("side", np.int8, (orders + 1,)),  # 0: the slot is free
            ("lots", i8, (orders + 1,)),
            ("tag", i8, (orders + 1,)),
            ("owner", i8, (orders + 1,)),
            ("fill_rows", i8, (fills, len(FILL_FIELDS))),
            ("expired_rows", i8, (fills, len(EXPIRED_FIELDS))),
        ]
    )


def new_book(base_tick: int = 0, levels: int = MAX_LEVELS, orders: int = 1 << 15, fills: int = 1 << 14) -> Any:
    """An empty book of levels [base_tick, base_tick + levels), a numpy record.

    Raises ValueError if a size is not positive or ``levels`` exceeds 2**18.
    """
    if not 0 < levels <= MAX_LEVELS:
        raise ValueError(f"levels must lie in 1..{MAX_LEVELS}, not {levels}")
    if orders < 1 or fills < 1 or base_tick < 0:
        raise ValueError("orders and fills must be positive, base_tick not negative")
    book = np.zeros(1, dtype=book_dtype(levels, orders, fills))[0]
    book["base"] = base_tick
    book["n_levels"] = levels
    book["n_slots"] = orders
    book["n_ring"] = fills
    book["best_bid"] = book["best_ask"] = -1
    book["fresh"] = 1
    return book
