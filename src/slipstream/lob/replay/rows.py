"""What a tape holds, as compiled code reads it: one row per public event of one market.

Rows of one market are in the order in which its exchange made them; neither time goes back. ``side`` is +1 for bids
and -1 for asks; of a TRADE it is the aggressor's.

- DEPTH: the level ``tick`` of a side now holds ``lots`` (0: it is gone).
- BEST: the best of a side is ``lots`` at ``tick``: better levels of that side are gone. ``lots`` 0: the side is empty.
- CLEAR: levels of a side from its best to ``tick`` are forgotten (``tick`` -1: all of them): a snapshot follows.
- TRADE: an aggressor of ``side`` took ``lots`` at ``tick``.
- FUNDING: positions are settled at the oracle price ``tick`` and the rate ``lots`` / `RATE_UNIT`.

A kind with the bit MORE set is part of a message that goes on in the next row of its market: it is acted upon, but
nobody hears of it before the last row of the message.
"""

from __future__ import annotations

import numpy as np

DEPTH, BEST, CLEAR, TRADE, FUNDING = 1, 2, 3, 4, 5
MORE = 64
KIND = 63  # the bits of a kind that name it
RATE_UNIT = 10**12
ROW_FIELDS = [
    ("exch_ns", np.int64),  # when the exchange made it
    ("local_ns", np.int64),  # when it was heard
    ("lots", np.int64),
    ("tick", np.int32),
    ("market", np.int16),  # place of its market in the run
    ("kind", np.int8),
    ("side", np.int8),
]
ROW_DTYPE = np.dtype(ROW_FIELDS)  # 32 bytes
L3_ROW_DTYPE = np.dtype([*ROW_FIELDS, ("seq", np.int64)])
"""A row of a book that is known order by order: ``seq`` is the priority number of the order that joined or left the
level (smaller: nearer the front). DEPTH rows hold the level's new lots, as ever."""
