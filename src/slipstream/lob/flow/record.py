"""The memory of one market's order flow: a structured record, which compiled code receives as a plain pointer.

A zeroed record is a market in which nothing ever happens; every part is switched on by its own figures. Rates are per
second, prices of the outer world natural logarithms, times ns. What is drawn ahead is kept in the record, so that
`advance` to a time in one call or in many is the same tape.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from slipstream.lob.flow.hawkes import HAWKES_DTYPE
from slipstream.lob.record import sources_mark

MARK = sources_mark(Path(__file__).parent)
DISTANCES = 128  # ticks from the reference price up to which rates are tabled
QUANTILES = 64  # points of a law of sizes
KEPT = 3_000  # background orders remembered; one more replaces another at random
LATEST = 64  # steps for which prices are remembered: the longest delay of the makers
NEVER = 1 << 62
FROM_OPPOSITE, FROM_OWN = 0, 1  # what a limit order's distance is counted from: the best price of the other side (1 is
# the first tick inside or at the touch of a one-tick spread), or its own side's best (0 joins it)
LIMIT, CANCEL, TAKE, INFORMED, MAKE, PULL = 0, 1, 2, 3, 4, 5  # places in ``counts``

BUYS, SELLS, BIDS, ASKS, BID_CANCELS, ASK_CANCELS = 0, 1, 2, 3, 4, 5  # kinds of the self-exciting arrivals
SIZE_FIELDS = [
    ("mu", np.float64),  # of the natural logarithm
    ("sigma", np.float64),
    ("cap", np.float64),  # 0: none
    ("quote", np.int64),  # 1: in quote currency, 0: in lots
    ("points", np.int64),  # of the law below; 0: log-normal
    ("shares", np.float64, (QUANTILES,)),  # what share of sizes is at most ...
    ("logs", np.float64, (QUANTILES,)),  # ... this, as a logarithm
]
SIZE_DTYPE = np.dtype(SIZE_FIELDS)
"""A size (`sizes.size_terms`), log-normal or by quantiles, cut at ``cap``; at least one lot."""

VALUE_DTYPE = np.dtype(
    [
        (MARK, np.int64),
        ("rng", np.uint64),
        ("regime_rng", np.uint64),  # coins with equal streams change their regime together
        ("factor_rng", np.uint64),  # and are moved by the same factor
        ("now", np.int64),
        ("since", np.int64),  # time of ``clock``
        ("clock", np.float64),  # seconds since the last step, weighted by the regime's variance
        ("regime", np.int64),
        ("regime_until", np.int64),
        ("leader", np.float64),  # log price of the leading exchange
        ("basis", np.float64),  # local log premium over it
        ("volatility", np.float64),  # of leader, per square root of a second, without the factor's
        ("factor_volatility", np.float64),  # the factor's share: its volatility times the coin's beta
        ("basis_mean", np.float64),
        ("basis_sd", np.float64),
        ("basis_seconds", np.float64),
        ("regime_seconds", np.float64, (2,)),  # mean stay in calm and wild; 0: for ever
        ("regime_volatility", np.float64, (2,)),  # multipliers
    ]
)
"""What a coin is worth: see `value`."""
_STATE = [
    ("rng", np.uint64),
    ("now", np.int64),  # how far it has run
    ("origin", np.int64),  # time 0 of ``arrivals``
    ("next_event", np.int64),  # when a limit order or a cancel may come next; NEVER: not drawn
    ("drawn_kept", np.int64),  # orders remembered when it was drawn
    ("next_step", np.int64),
    ("boost", np.float64),  # what every rate is multiplied by now
    ("tag", np.int64),  # of the last background order
    ("evicted", np.int64),  # orders that had to go because KEPT were there
    ("lost", np.int64),  # orders that the book refused, or that had no price to be placed at
    ("counts", np.int64, (8,)),  # what happened, by kind
    ("last_bid", np.int64),  # last known best prices: where an empty side's distances are counted from
    ("last_ask", np.int64),
    ("unit", np.float64),  # quote currency in one lot, by the makers' price
    ("fair", np.float64),  # what the makers believe: log of the local price
    ("centre", np.float64),  # fractional tick the ladder stands on
    ("bid", np.int64),  # the makers' quotes
    ("ask", np.int64),
    ("touch_tick", np.int64, (2,)),  # the best price of a side that the next was drawn for
    ("touch_lots", np.float64, (2,)),  # what they keep there
    ("past", np.float64, (LATEST,)),  # leader + basis after each of the last steps
    ("steps", np.int64),
    ("value", VALUE_DTYPE),
    ("arrivals", HAWKES_DTYPE),
    ("kept", np.int64),
    ("handles", np.int64, (KEPT,)),
]
_GRID = [
    ("decimals", np.int64),  # of the five-figure grid (`model.grid`); -1: a linear one
    ("tick_size", np.float64),  # of the linear grid
    ("lot", np.float64),
]
_LIMITS = [
    ("limit_rate", np.float64),  # of one side, over all distances; those of ``arrivals`` come on top
    ("limit_from", np.int64),
    ("limit_first", np.int64),  # distance of the table's first entry
    ("limit_n", np.int64),
    ("limit_share", np.float64, (DISTANCES,)),  # cumulative
    ("limit_size", SIZE_DTYPE),
]
_CANCELS = [
    ("cancel_rate", np.float64),  # the highest of all, of one order
    ("cancel_n", np.int64),
    ("cancel_share", np.float64, (DISTANCES,)),  # of it, by distance - 1 from the opposite best; the last goes on
]
_TAKERS = [
    ("tilt", np.float64),  # 0..1: how far takers lean to where the leader goes
    ("tilt_scale", np.float64),  # log price at which they lean so far
    ("take_reach", np.int64),  # ticks beyond the touch a taker goes; 0: any
    ("take_size", SIZE_DTYPE),
    ("sell_size", SIZE_DTYPE),  # of those that sell
    ("informed", np.float64),  # share of the takers that know leader + basis
    ("cost", np.float64),  # what the book must be wrong by, beyond the best price, for them: a fraction
]
_MAKERS = [
    ("step_ns", np.int64),  # the value moves, and makers act, this often; 0: never
    ("ladder", np.int64),  # levels kept on each side, 0: no makers
    ("level_size", np.float64),  # of a full level, quote currency
    ("parts", np.float64),  # orders that fill a thin level, at most
    ("touch", np.float64),  # what makers keep at the best price on average, quote currency; 0: as elsewhere
    ("touch_varies", np.float64),  # 0..1: how much of that is drawn
    ("fine", np.int64),  # levels filled by orders of ``make_size`` instead of parts
    ("make_size", SIZE_DTYPE),
    ("spread", np.float64),  # ticks, on average
    ("spreads", SIZE_DTYPE),  # ticks: the law that each step draws from, if it has points
    ("lag", np.float64),  # seconds in which the makers' belief follows, e-fold; 0: at once
    ("delay_steps", np.int64),  # and how many steps old what they see is
    ("learning", np.float64),  # log premium by which a taker of ``learning_size`` moves it; 0: not
    ("learning_size", np.float64),  # quote currency
    ("thin", np.float64),  # share of the small orders and cancels that are played out (coarse steps)
    ("regime_activity", np.float64, (2,)),  # multipliers of every rate
]
FLOW_DTYPE = np.dtype([(MARK, np.int64), *_STATE, *_GRID, *_LIMITS, *_CANCELS, *_TAKERS, *_MAKERS])


def new_flows(count: int = 1) -> Any:
    """Flow records in which nothing happens yet: multipliers are one, nothing is drawn, no best price is known.

    Raises ValueError if ``count`` is not positive.
    """
    if count < 1:
        raise ValueError(f"count must be positive, not {count}")
    flows = np.zeros(count, FLOW_DTYPE)
    flows["regime_activity"] = flows["value"]["regime_volatility"] = 1.0
    flows["thin"] = flows["learning_size"] = flows["boost"] = flows["unit"] = flows["tick_size"] = flows["lot"] = 1.0
    flows["last_bid"] = flows["last_ask"] = flows["decimals"] = flows["touch_tick"] = -1
    flows["next_step"] = flows["next_event"] = flows["value"]["regime_until"] = NEVER
    flows["arrivals"]["next_s"] = np.inf
    flows["arrivals"]["next_kind"] = -1
    return flows
