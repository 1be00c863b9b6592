"""The memory of a compiled Brawler: the desk, its symbols, their orders; what the pod keeps in objects.

`DESK_DTYPE` is at the start of a run's ``memory``, then come the rings of the symbols' returns.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from slipstream.strategies.brawler.belief import BELIEF_DTYPE
from slipstream.strategies.brawler.pace import PACE_DTYPE
from slipstream.strategies.brawler.switches import SWITCH_DTYPE

COINS = 16
MARKETS = 32
NOWHERE = -1
PENDING, RESTING = 1, 2
OWED = 2  # of ``cancelling``: to be sent when the request under way has been answered
_i8, _f8 = np.int64, np.float64


def _fields(kind: Any, names: str) -> list[Any]:
    return [(name, kind) for name in names.split()]


ENTRY_DTYPE = np.dtype(_fields(_i8, "live slot state tick lots filled cancelling reduce_only seq"))
"""An order as the kernel's table knows it. ``live`` 0: none; ``cancelling``: its end is under way."""
LANE_DTYPE = np.dtype(
    [
        # a refused price and what follows: see the kernel's quoter
        *_fields(_i8, "refusals wanted_tick limit_tick until_ns wish_tick wish_lots"),
        ("older", ENTRY_DTYPE),  # what a modify replaces, until its end is known
        ("newer", ENTRY_DTYPE),
    ]
)
TERMS_FIELDS = "base_spread k skew fee max_inventory tick_size tolerance horizon"
TERMS_DTYPE = np.dtype([*_fields(_f8, TERMS_FIELDS), ("decimals", _i8)])
COIN_DTYPE = np.dtype(
    [
        # configured; sizes are lots
        *_fields(_i8, "market ring"),
        *_fields(_f8, "lots_per_coin elsewhere order most request_cost"),
        ("terms", TERMS_DTYPE),
        # state
        ("belief", BELIEF_DTYPE),
        *_fields(_i8, "told_bid_tick told_bid_lots told_ask_tick told_ask_lots fresh_ns mode is_wanted"),
        *_fields(_i8, "reduce_only is_due"),
        *_fields(_f8, "told_bid told_ask last_px"),
        ("lanes", LANE_DTYPE, (2,)),  # bids, asks
    ]
)
DESK_DTYPE = np.dtype(
    [
        # configured
        *_fields(_i8, "n_coins check_ns tick_ns max_age_ns alo_retries reject_backoff_ns cancel_reserve"),
        *_fields(_f8, "rate burst fat_finger max_order coin_cap gross_limit"),
        *_fields(_f8, "gross_cap taper_start taper_floor reduce_ratio halt_ratio resume_ratio"),
        ("coin_of", _i8, (MARKETS,)),  # by market of the run
        ("is_home", _i8, (MARKETS,)),
        ("by_name", _i8, (COINS,)),
        # state
        *_fields(_i8, "now_ns check_at next_check_ns tick_at refilled_ns seq faults"),
        *_fields(_f8, "tokens usage"),
        ("pace", PACE_DTYPE),
        ("halt_switch", SWITCH_DTYPE),
        ("reduce_switch", SWITCH_DTYPE),
        ("coins", COIN_DTYPE, (COINS,)),
    ]
)
"""``check_at`` and ``tick_at``: when a timer is due (0: not armed). ``faults``: requests that could not be sent."""
WORDS = DESK_DTYPE.itemsize // 8
