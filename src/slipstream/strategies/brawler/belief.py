"""What Brawler believes about one symbol: newest prices, estimates, and the latches of its kill switches.

`BELIEF_DTYPE` is the layout; the functions read and write its attributes, and compiled code calls them too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.extending import register_jitable

from slipstream.strategies.brawler.config import MILLI, SECOND, KillSwitch, Quoting
from slipstream.strategies.brawler.estimate import AVERAGE_DTYPE, WINDOW_DTYPE, average_in, price_in
from slipstream.strategies.brawler.plain import plain
from slipstream.strategies.brawler.switches import BAD, BETWEEN, SWITCH_DTYPE, level

OFF = 0  # beside sizing's REDUCE and BOTH
UNSEEN = -1  # a condition that is not looked at before the estimates are warm
BELIEF_DTYPE = np.dtype(
    [
        ("home_lag", np.int64),  # configured
        ("cex_lag", np.int64),
        ("samples_needed", np.int64),
        ("age_needed", np.int64),
        ("max_volatility", np.float64),
        ("calm", np.float64),  # below it, volatility is over
        ("max_deviation", np.float64),
        ("near", np.float64),
        ("max_basis", np.float64),
        ("pegged", np.float64),
        ("max_share", np.float64),
        ("light", np.float64),
        ("home_ns", np.int64),  # newest proof of life by venue: the older of event and receive time; 0: none
        ("cex_ns", np.int64),
        ("cex_mid", np.float64),
        ("local_mid", np.float64),  # without our own quotes
        ("basis", AVERAGE_DTYPE),
        ("window", WINDOW_DTYPE),
        ("home_switch", SWITCH_DTYPE),
        ("cex_switch", SWITCH_DTYPE),
        ("market_switch", SWITCH_DTYPE),
        ("peg_switch", SWITCH_DTYPE),
        ("stock_switch", SWITCH_DTYPE),
    ]
)


def believing(terms: Quoting, switches: KillSwitch) -> Any:
    """A belief in nothing yet. Estimates and latches are for the caller to put in."""
    return plain(
        BELIEF_DTYPE,
        home_lag=switches.hl_max_lag_ms * MILLI,
        cex_lag=switches.cex_max_lag_ms * MILLI,
        samples_needed=max(10, terms.sigma_window // 6),
        age_needed=int(terms.basis_halflife_s * SECOND) // 2,
        max_volatility=terms.max_volatility,
        calm=terms.max_volatility * switches.volatility_resume_ratio,
        max_deviation=terms.max_basis_deviation,
        near=terms.max_basis_deviation * switches.basis_resume_ratio,
        max_basis=switches.max_basis,
        pegged=switches.max_basis * switches.basis_resume_ratio,
        max_share=switches.inventory_ratio,
        light=switches.inventory_resume_ratio,
    )


def anchored(state: Any, ring: Any, mid: float, event_ns: int) -> None:
    """Take the anchor's middle, above 0."""
    state.cex_mid = mid
    price_in(state.window, ring, mid, event_ns)


def compared(state: Any, now_ns: int) -> None:
    """Feed the basis, if both prices are known and neither feed lags.

    Two venues' clocks differ: what compares them goes by our own, the time of the newest thing heard.
    """
    if (
        state.cex_mid > 0.0
        and state.local_mid > 0.0
        and now_ns - state.home_ns <= state.home_lag
        and now_ns - state.cex_ns <= state.cex_lag
    ):
        average_in(state.basis, state.local_mid - state.cex_mid, now_ns)


def is_warm(state: Any) -> bool:
    """Whether enough was seen to quote: a sixth of the sigma window and half a half-life of the basis."""
    basis = state.basis
    seen = basis.seen != 0 and basis.ns - basis.since_ns >= state.age_needed
    return state.window.count >= state.samples_needed and seen and state.cex_mid > 0.0


def feed_level(heard_ns: int, lag_ns: int, now_ns: int) -> int:
    """How a feed does; one still to come at a start is no trouble, since nothing is quoted before it is warm."""
    return BETWEEN if heard_ns == 0 else level(now_ns - heard_ns, lag_ns + 1, lag_ns)


def depeg(state: Any) -> tuple[float, float, float]:
    """The basis now, its distance from the average and the average's size, the last two as parts of the anchor."""
    average = state.basis.value if state.basis.seen != 0 else 0.0
    now = state.local_mid - state.cex_mid if state.local_mid > 0.0 else average
    return now, abs(now - average) / state.cex_mid, abs(average) / state.cex_mid


def conditions(state: Any, share: float, now_ns: int) -> tuple[int, int, int, int, int]:
    """What a look at each condition finds: home feed, anchor's feed, volatility, basis, inventory.

    ``share`` is the part of the largest inventory that is held.
    """
    home = feed_level(state.home_ns, state.home_lag, now_ns)
    cex = feed_level(state.cex_ns, state.cex_lag, now_ns)
    stock = level(share, state.max_share, state.light)
    if not is_warm(state):
        return home, cex, UNSEEN, UNSEEN, stock
    market = level(state.window.sigma, state.max_volatility, state.calm)
    _, off, size = depeg(state)
    peg = max(level(off, state.max_deviation, state.near), level(size, state.max_basis, state.pegged))
    return home, cex, market, peg, stock


def is_stopped(state: Any) -> bool:
    """Whether a latch that stops all quoting is open."""
    feeds = state.home_switch.is_open != 0 or state.cex_switch.is_open != 0
    return feeds or state.market_switch.is_open != 0 or state.peg_switch.is_open != 0


for _function in (anchored, compared, is_warm, feed_level, depeg, conditions, is_stopped):
    register_jitable(_function)  # stays plain Python, and may be called from compiled code

__all__ = ["BAD", "BELIEF_DTYPE", "OFF", "UNSEEN", "anchored", "believing", "compared", "conditions", "depeg"]
__all__ += ["feed_level", "is_stopped", "is_warm"]
