"""What an order-level (L3) tape holds, as compiled code reads it: one row per event of one resting order.

``side`` is the order's own, +1 for bids and -1 for asks; ``order`` is the venue's id of it. Rows of one market are in
the order in which its exchange made them; neither time goes back.

- ADD: the order joined the back of the queue at ``tick`` with ``lots``.
- REDUCE: it gave up ``lots`` and keeps its place.
- CANCEL: it left; ``lots`` are what was left of it.
- EXECUTE: an aggressor of the other side took ``lots`` of it at ``tick``, its price.
- REPLACE: it left its place and joined the back of the queue at ``tick`` with ``lots``.
- PRINT: ``lots`` traded at ``tick`` with an order that was not displayed (``order`` 0); ``side`` is that order's.
"""

from __future__ import annotations

import numpy as np

ADD, REDUCE, CANCEL, EXECUTE, REPLACE, PRINT = 1, 2, 3, 4, 5, 6
KINDS = {ADD: "ADD", REDUCE: "REDUCE", CANCEL: "CANCEL", EXECUTE: "EXECUTE", REPLACE: "REPLACE", PRINT: "PRINT"}
ORDER_ROW_DTYPE = np.dtype(  # 40 bytes
    [
        ("exch_ns", np.int64),  # when the exchange made it
        ("local_ns", np.int64),  # when it was heard
        ("order", np.int64),
        ("lots", np.int64),
        ("tick", np.int32),
        ("market", np.int16),  # place of its market in the run
        ("kind", np.int8),
        ("side", np.int8),
    ]
)
