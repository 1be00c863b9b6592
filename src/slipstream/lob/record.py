"""The memory of one book: a single structured record, which compiled code receives as a plain pointer.

Tuples of arrays would cost an atomic reference count per array and call; a record costs nothing. Untouched levels
of a zeroed record take no memory. Slot 0 of the order pool means "none"; it and the level above the last one take
the writes that belong nowhere, so that linking an order needs no branch.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from slipstream.lob.bits import MAX_LEVELS

MAX_ORDERS = 1 << 22
MAX_LOTS = 1 << 40  # of one resting order: the sum over MAX_ORDERS of them stays an int64
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
SLOT_DTYPE = np.dtype(  # unsigned links: Numba checks signed indices for negative ones
    [
        ("prev", np.uint32),
        ("next", np.uint32),
        ("level", np.uint32),
        ("generation", np.uint32),  # odd while an order rests here
        ("lots", np.int64),
        ("tag", np.int64),
        ("owner", np.int64),
        ("side", np.int64),
    ]
)


@cache
def sources_mark(folder: Path = Path(__file__).parent) -> str:
    """A name that changes with any source file of a folder.

    Numba's cache notices edits of the file a function is in, not of those it calls. With this name in the record's
    type, every compiled function that takes a book, wherever it is, is compiled anew after an edit here.
    """
    mark = 0
    for path in sorted(folder.glob("*.py")):
        mark = crc32(path.read_bytes(), mark)
    return f"sources_{mark:08x}"


@cache
def book_dtype(levels: int, orders: int, fills: int) -> np.dtype[Any]:
    """The layout of a book of so many price levels, resting orders and unread fills.

    One object per layout: Numba knows a dtype it has seen by identity, but compares an equal one field by field, in
    every call from Python (2 us).
    """
    i8, u4, u8 = np.int64, np.uint32, np.uint64
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
            (sources_mark(), i8),
            ("bits2", u8, (1,)),
            ("bits1", u8, (64,)),
            ("bits0", u8, (4096,)),
            ("level_head", u4, (levels + 1,)),
            ("level_tail", u4, (levels + 1,)),
            ("level_count", u4, (levels,)),
            ("level_lots", i8, (levels,)),
            ("slots", SLOT_DTYPE, (orders + 1,)),
            ("fill_rows", i8, (fills, len(FILL_FIELDS))),
            ("expired_rows", i8, (fills, len(EXPIRED_FIELDS))),
        ]
    )


def new_book(base_tick: int = 0, levels: int = MAX_LEVELS, orders: int = 1 << 15, fills: int = 1 << 14) -> Any:
    """An empty book of levels [base_tick, base_tick + levels), a numpy record; its ``base`` is the array that owns it.

    Raises ValueError if a size is not positive, ``levels`` exceeds 2**18 or ``orders`` 2**22.
    """
    if not 0 < levels <= MAX_LEVELS:
        raise ValueError(f"levels must lie in 1..{MAX_LEVELS}, not {levels}")
    if not 0 < orders <= MAX_ORDERS:
        raise ValueError(f"orders must lie in 1..{MAX_ORDERS}, not {orders}")
    if fills < 1 or base_tick < 0:
        raise ValueError(f"fills must be positive and base_tick not negative, not {fills} and {base_tick}")
    book = np.zeros(1, dtype=book_dtype(levels, orders, fills))[0]
    book["base"] = base_tick
    book["n_levels"] = levels
    book["n_slots"] = orders
    book["n_ring"] = fills
    book["best_bid"] = book["best_ask"] = -1
    book["fresh"] = 1
    return book
