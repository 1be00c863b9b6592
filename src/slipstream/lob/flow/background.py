"""The orders of the background: owner 0, remembered by handle, so that any of them can be drawn.

Entries of orders that were filled stay until they are drawn: a drawn one that is gone is dropped and nothing happened,
which is exactly the thinning that rates per living order need.
"""

from __future__ import annotations

from typing import Any

from numba import njit

from slipstream.lob.flow.draws import below
from slipstream.lob.flow.record import KEPT
from slipstream.lob.matching import GTC, IOC, cancel, place
from slipstream.lob.queues import slot_of


@njit(cache=True)
def _sweep(book: Any, s: Any) -> None:
    """Forget the entries of orders that are gone."""
    kept = 0
    for i in range(s.kept):
        if slot_of(book, s.handles[i]) != 0:
            s.handles[kept] = s.handles[i]
            kept += 1
    s.kept = kept


@njit(cache=True)
def rest(book: Any, s: Any, side: int, tick: int, lots: int, ns: int) -> int:
    """Place a background order that may rest, and remember it; at the limit it takes the place of another."""
    s.tag += 1
    handle = place(book, s.tag, 0, side, tick, lots, GTC, ns)
    if handle < 0:
        s.lost += 1 if handle < -2 else 0
        return handle
    if s.kept == KEPT and s.ladder == 0:  # makers renew their orders all the time: theirs may go at random
        _sweep(book, s)
    if s.kept < KEPT:
        s.handles[s.kept] = handle
        s.kept += 1
    else:
        i = below(s, KEPT)
        cancel(book, s.handles[i])
        s.evicted += 1
        s.handles[i] = handle
    return handle


@njit(cache=True)
def take(book: Any, s: Any, side: int, tick: int, lots: int, ns: int) -> int:
    """Take up to ``lots`` at ``tick`` or better."""
    s.tag += 1
    code = place(book, s.tag, 0, side, tick, lots, IOC, ns)
    s.lost += 1 if code < -2 else 0
    return code


@njit(cache=True)
def forget(s: Any, i: int) -> None:
    """Drop an entry."""
    s.kept -= 1
    s.handles[i] = s.handles[s.kept]


@njit(cache=True)
def trim_level(book: Any, level: int, lots: float) -> None:
    """Cancel the background's latest orders at a level as long as that leaves no fewer lots than these."""
    slot = book.level_tail[level]
    while slot != 0:
        before = book.slots[slot].prev
        if book.level_lots[level] - book.slots[slot].lots < lots:
            return
        if book.slots[slot].owner == 0:
            cancel(book, (book.slots[slot].generation << 32) | slot)
        slot = before


@njit(cache=True)
def pull_level(book: Any, level: int) -> int:
    """Cancel the background's orders at a level; the users' lots that stay."""
    slot = book.level_head[level]
    stay = 0
    while slot != 0:
        after = book.slots[slot].next
        if book.slots[slot].owner == 0:
            cancel(book, (book.slots[slot].generation << 32) | slot)
        else:
            stay += book.slots[slot].lots
        slot = after
    return stay
