"""The memory of a replay: what compiled code knows of one run (`SIM_DTYPE`) and of each of its markets.

Records, not tuples of arrays: compiled code receives a plain pointer (see `slipstream.lob.record`). Memory that is
never written to is never taken, so the logs, rings and windows of levels are as large as anybody will need.

A strategy reads `now_ns`, `event` and what came with it, `quotes`, `position`, `cash`, `orders`, `params` and its own
`memory` and `imemory`; everything else belongs to the engine, and to look at it would be to look ahead.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numba import from_dtype

from slipstream.lob.bits import MAX_LEVELS
from slipstream.lob.record import sources_mark
from slipstream.lob.replay.delay import LATENCY_DTYPE, TABLE_DTYPE
from slipstream.lob.replay.fee_tiers import FEES_DTYPE, VOLUME_DTYPE
from slipstream.lob.replay.rows import ROW_FIELDS

MARKETS = 32
ORDERS = 256
LEVELS = MAX_LEVELS  # level 0 is "none"; a window shows LEVELS - 1 ticks
NEWS = 1 << 17  # rows of one market on their way to us
REQUESTS = 1 << 10
ANSWERS = 1 << 13
TIMERS = 64
HORIZONS = 8
DELAYS = 1 << 16  # rows of measured delays
FILLS = 1 << 18
SENT = 1 << 20
SAMPLES = 1 << 17
FIRST_NEWS = 32  # the ring begins this small and doubles: what is used stays near
FIRST_SLOTS = 16
NEVER = np.iinfo(np.int64).max

START, FEED, RESPONSE, TIMER = 0, 1, 2, 3
"""What woke a strategy (`sim.event`)."""
FREE, PENDING, OPEN, CANCELLING, MODIFYING, DONE = 0, 1, 2, 3, 4, 5
"""What is known here of an order (`orders[slot].state`). DONE: over, but an answer is still on its way."""
GTC, IOC, ALO = 0, 1, 2
"""Time in force, as in `slipstream.lob.matching`."""
NEW, CANCEL, MODIFY = 0, 1, 2
"""Requests (`SENT_DTYPE.action`)."""
ACCEPTED, FILLED, PART_FILLED, CANCELLED, EXPIRED, MODIFIED = 0, 1, 2, 3, 4, 5
WOULD_TRADE, NOT_REDUCING, TOO_LATE, BAD_REQUEST, NO_LIQUIDITY, REDUCE_CANCELLED = 6, 7, 8, 9, 10, 11
"""What became of a request or order (`sim.outcome`, `SENT_DTYPE.outcome`): rests; filled to its last lot; filled in
part and still there; cancelled by us; what was left of an IOC is gone; changed. Refused: a post-only order that would
trade; a reduce-only one that would not reduce; a cancel or change of what is gone; no such price, size or order; an
IOC that met nobody. And: a resting reduce-only order that the position no longer bears was taken off."""
BY_QUEUE, BY_PRICE, BY_CROSS, AS_TAKER = 0, 1, 2, 3
"""Why a fill happened: a trade at its price reached it; a trade went through its price; the other side's best came to
its price; it took."""

_i8, _f8, _u8, _i4, _i1 = np.int64, np.float64, np.uint64, np.int32, np.int8


def _fields(kind: Any, names: str) -> list[Any]:
    return [(name, kind) for name in names.split()]


QUOTE_DTYPE = np.dtype(
    _fields(_i8, "bid_tick bid_lots ask_tick ask_lots event_ns recv_ns trade_tick trade_lots trade_side")
)
"""The best prices of a market as heard (tick -1: none), its last trade, and the two times of the last row heard."""
GRID_DTYPE = np.dtype([("tick_size", _f8), ("decimals", _i8), ("lot_size", _f8)])
"""decimals -1: a price is tick * tick_size; otherwise ticks are those of `slipstream.model.grid`."""
ORDER_DTYPE = np.dtype(
    [
        # as known here
        *_fields(_i8, "id market side tick lots left tif reduce_only state placed_ns in_flight"),
        # as the exchange has it
        *_fields(_i8, "resting book_tick book_level book_left own_seq accepted_ns"),
        *_fields(_f8, "front cum queue_front"),
    ]
)
REQUEST_DTYPE = np.dtype(
    _fields(_i8, "due_ns rank arrive_ns sent_ns action slot id market side tick lots tif reduce_only")
)
ANSWER_DTYPE = np.dtype(
    [*_fields(_i8, "local_ns slot market outcome action side tick lots left"), *_fields(_f8, "paid fee")]
)
FILL_DTYPE = np.dtype(
    [
        *_fields(_i8, "exch_ns local_ns placed_ns accepted_ns order lots left position"),
        *_fields(_f8, "price fee queue_front mid"),
        *_fields(_i4, "tick bid_tick ask_tick"),
        *_fields(np.int16, "market slot"),
        ("maker", np.bool_),
        *_fields(_i1, "side why"),
        ("spare", _i1, (5,)),
    ]
)
"""One fill of ours. ``bid_tick``, ``ask_tick``, ``mid``: the exchange's book after the row that filled (mid in quote
currency, NaN: a side is empty); ``queue_front``: lots ahead when it joined; ``position``: lots after it; ``fee`` in
quote currency; ``why``: BY_QUEUE .. AS_TAKER. Its mids later on are in `sim.marks`."""
SENT_DTYPE = np.dtype(
    [
        *_fields(_i8, "sent_ns arrive_ns exch_ns answer_ns order lots"),
        ("queue_front", _f8),
        ("tick", _i4),
        *_fields(np.int16, "market slot"),
        *_fields(_i1, "action side tif reduce_only outcome"),
        ("spare", _i1, (3,)),
    ]
)
"""One request of ours: sent, arrived, executed (later only where blocks are on), answered, and what became of it;
``queue_front``: lots ahead of the order where it joined a level, else NaN."""
SAMPLE_DTYPE = np.dtype(
    [
        *_fields(_i8, "ns market bid_tick ask_tick own_bid_tick own_ask_tick own_bid_lots own_ask_lots position"),
        *_fields(_f8, "mid cash fees funding"),
    ]
)
"""What was known here of one market every `sim.sample_ns`; cash, fees and funding of that market alone."""
NEWS_DTYPE = np.dtype(
    [
        *_fields(_i8, "bid_tick bid_lots ask_tick ask_lots event_ns recv_ns"),  # as in QUOTE_DTYPE
        *ROW_FIELDS[2:],
    ]
)
"""A row on its way to us: 64 bytes, a cache line. What lies here as it lies where it comes from and goes to is copied
at one go (`stride.copy`)."""
SIDE_DTYPE = np.dtype(
    [
        # level of a tick = origin + sign * tick: on both sides the higher level is the better price
        *_fields(_i8, "sign origin best best_tick own_best own_count"),
        ("own_mask", _u8),  # bit (level & 63) of every own order: nearly all rows see at once that none is theirs
        ("own", _i8, (ORDERS,)),  # slots of own orders that rest here, in the order in which they joined
        ("bits2", _u8, (1,)),
        ("bits1", _u8, (64,)),
        ("bits0", _u8, (4096,)),
        ("lots", _i8, (LEVELS,)),
    ]
)
MARKET_DTYPE = np.dtype(
    [
        # terms
        *_fields(_i8, "index partial model capped impact block_ns as_recorded"),
        ("power", _f8),
        ("grid", GRID_DTYPE),
        ("feed", LATENCY_DTYPE),
        ("entry", LATENCY_DTYPE),
        ("response", LATENCY_DTYPE),
        ("fees", FEES_DTYPE),
        # state
        *_fields(_i8, "head tail ring_mask last_local_ns last_seq row_delay_ns position base outside"),
        *_fields(_f8, "cash paid_fees funding"),
        ("sides", SIDE_DTYPE, (2,)),  # bids, asks
        ("news", NEWS_DTYPE, (NEWS,)),
        ("paid", _f8, (NEWS,)),  # what each of them, if it is of FUNDING, paid us
    ]
)
SIM_DTYPE = np.dtype(
    [
        # what a strategy reads
        *ROW_FIELDS[2:],
        *_fields(_i8, "now_ns event more left slot outcome"),
        ("cash", _f8),
        ("quotes", QUOTE_DTYPE, (MARKETS,)),
        ("position", _i8, (MARKETS,)),
        ("grids", GRID_DTYPE, (MARKETS,)),
        ("orders", ORDER_DTYPE, (ORDERS,)),
        ("params", _f8, (256,)),
        ("memory", _f8, (1 << 15,)),
        ("imemory", _i8, (1 << 12,)),
        # terms
        *_fields(_i8, "n_markets pause sample_ns n_horizons entry_floor_ns response_floor_ns blocks closing log_sent"),
        ("horizons", _i8, (HORIZONS,)),
        ("delays", TABLE_DTYPE, (DELAYS,)),
        # where the run stands
        *_fields(_i8, "started row row_ns exch_ns limit_ns bound_ns heard_until_ns arrival_ns mark_ns other_ns"),
        *_fields(_i8, "answer_ns timer_ns next_sample_ns next_id n_free n_fresh free_head n_outbox n_timers"),
        *_fields(_i8, "requests_head requests_tail answers_head answers_tail n_fills n_sent n_samples rows_done wakes"),
        ("marked", _i8, (HORIZONS,)),  # fills before this one have their mark
        ("news_ns", _i8, (MARKETS,)),  # when the next row of each market is heard
        ("known_cash", _f8, (MARKETS,)),
        ("known_fees", _f8, (MARKETS,)),
        ("known_funding", _f8, (MARKETS,)),
        ("volume", VOLUME_DTYPE),
        ("free", _i8, (ORDERS,)),
        ("timers", _i8, (TIMERS,)),  # latest first
        ("outbox", REQUEST_DTYPE, (REQUESTS,)),
        ("requests", REQUEST_DTYPE, (REQUESTS,)),
        ("answers", ANSWER_DTYPE, (ANSWERS,)),
        ("fills", FILL_DTYPE, (FILLS,)),
        ("marks", _f8, (FILLS, HORIZONS)),  # mid at exch_ns + `horizons` of each of them, NaN: not reached
        ("sent", SENT_DTYPE, (SENT,)),
        ("samples", SAMPLE_DTYPE, (SAMPLES,)),
        (sources_mark(Path(__file__).parent), _i8),
    ]
)
SIM: Any = from_dtype(SIM_DTYPE)
"""The type of a run in compiled signatures."""
