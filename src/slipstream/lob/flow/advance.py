"""The flow of one market moved through time, from event to event, at exact times.

Four clocks compete: self-exciting arrivals (`hawkes`), limit orders and cancels (Poisson, by thinning), the step at
which the value moves and makers act, and the change of regime. The next ringing of each is kept in the record, so a
span in one call or in many is the same tape, and no market's tape depends on how many there are.
"""

from __future__ import annotations

from typing import Any

from numba import njit

from slipstream.lob.flow import hawkes, makers, value
from slipstream.lob.flow.draws import exponential, uniform
from slipstream.lob.flow.placement import leave, limit_order
from slipstream.lob.flow.record import ASKS, BIDS, BUYS, NEVER, SELLS
from slipstream.lob.flow.takers import market_order
from slipstream.lob.matching import BUY, SELL

COARSE = 0.25  # seconds; after longer steps makers refill what was taken in them


@njit(cache=True)
def _draw(s: Any) -> None:
    """When the next limit order or cancel may come. Rates only change where this is drawn anew: no memory is lost."""
    s.drawn_kept = s.kept
    rate = s.boost * s.thin * (2.0 * s.limit_rate + s.cancel_rate * s.kept)
    s.next_event = s.now + int(exponential(s) / rate * 1e9) if rate > 0.0 else NEVER


@njit(cache=True)
def _arrival_ns(s: Any) -> int:
    at = s.arrivals.next_s
    return s.origin + int(at * 1e9) if at < 4e9 else NEVER


@njit(cache=True)
def begin(s: Any, ns: int) -> None:
    """Start at a time, with nothing in the past but what the record holds."""
    s.now = s.origin = ns
    h = s.arrivals
    h.now_s = 0.0
    hawkes.arm(h)
    s.next_step = ns if s.step_ns > 0 else NEVER
    value.begin(s.value, ns)
    _activity(s)
    _draw(s)


@njit(cache=True)
def _activity(s: Any) -> None:
    """Rates as the regime wants them, from now on."""
    boost = s.regime_activity[s.value.regime]
    if boost != s.boost:
        s.boost = boost
        hawkes.rebase(s.arrivals, (s.now - s.origin) / 1e9, boost)


@njit(cache=True)
def next_ns(s: Any) -> int:
    """When something happens next: nothing of this market changes before."""
    return min(min(s.next_event, _arrival_ns(s)), min(s.next_step, s.value.regime_until))


@njit(cache=True)
def _arrive(book: Any, s: Any) -> None:
    """One of the self-exciting arrivals."""
    kind = hawkes.next_arrival(s.arrivals)
    if kind in (BUYS, SELLS):
        market_order(book, s, BUY if kind == BUYS else SELL, s.now)
    elif kind in (BIDS, ASKS):
        limit_order(book, s, BUY if kind == BIDS else SELL, s.unit, s.now)
    elif s.kept > 0:
        leave(book, s)


@njit(cache=True)
def happen(book: Any, s: Any) -> int:
    """Let the next thing happen, which `next_ns` foretold; its time. At equal times: regime, step, arrival, order."""
    ns = next_ns(s)
    s.now = max(s.now, ns)
    if s.value.regime_until == ns:
        value.switch(s.value)
        _activity(s)
        _draw(s)
    elif s.next_step == ns:
        value.move(s.value, ns)
        s.next_step = ns + s.step_ns
        makers.act(book, s, s.step_ns / 1e9, ns)
    elif s.next_event != ns:
        _arrive(book, s)
    elif s.drawn_kept > 0 and uniform(s) * (2.0 * s.limit_rate + s.cancel_rate * s.drawn_kept) >= 2.0 * s.limit_rate:
        leave(book, s)
        _draw(s)
        return ns
    else:
        limit_order(book, s, BUY if uniform(s) < 0.5 else SELL, s.unit, ns)
        _draw(s)
        return ns
    if s.kept != s.drawn_kept:
        _draw(s)
    return ns


@njit(cache=True)
def run_until(book: Any, s: Any, t1: int) -> None:
    """Let everything happen up to and including a time."""
    while next_ns(s) <= t1:
        happen(book, s)
    s.now = max(s.now, t1)


@njit(cache=True)
def begin_all(flows: Any, ns: int) -> None:
    """`begin` of every record: the first call of a market's life."""
    for i in range(len(flows)):
        begin(flows[i], ns)


@njit(cache=True, nogil=True)
def advance(books: Any, flows: Any, t1: int) -> None:
    """Move books[i] and flows[i] to a time, each by itself. The tapes since the last call are forgotten first.

    A tape that runs full keeps takers away until it is cleared: give books room for the fills of one call.
    """
    for i in range(len(books)):
        book = books[i]
        book.fill_count = 0
        book.expired_count = 0
        run_until(book, flows[i], t1)


@njit(cache=True)
def follow(books: Any, flows: Any, leader: Any, basis: Any, t0: int, step_ns: int) -> None:
    """Move books[0] along a given path, in ``len(leader)`` steps of ``step_ns`` from ``t0``.

    ``leader`` is the log price of the leading exchange and ``basis`` the local log premium over it at each step's end.
    The record's own value, regime and steps stand still. Fills stay for the caller to read.
    """
    book = books[0]
    s = flows[0]
    dt = step_ns / 1e9
    for k in range(len(leader)):
        start = t0 + k * step_ns
        s.now = max(s.now, start)
        s.value.leader = leader[k]
        s.value.basis = basis[k]
        makers.act(book, s, dt, start)
        run_until(book, s, start + step_ns)
        if dt > COARSE and s.ladder > 0:
            makers.fill_ladder(book, s, start + step_ns)
