"""What heard messages change in a book: whole books become updates of the levels that changed.

The book as last heard is kept; a snapshot becomes DEPTH rows of the levels that differ, those that left first, so that
no row in between crosses the book. A level that vanished, and one that lies beyond the snapshot's visible range, holds
no lots any more. A message that changes nothing becomes one BEST row that repeats a best price: it was heard. Where a
best price goes through older levels of the other side, these are forgotten (CLEAR) before it is told.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from slipstream.data.tape.findings import (
    BEFORE_BOOK,
    CROSSED,
    CROSSES,
    DISAGREES,
    FOUND_DTYPE,
    KEPT,
    SAME_BOOK,
    TOO_DEEP,
    UNSORTED,
)
from slipstream.data.tape.heard import HEARD_DTYPE, NOTHING, SNAPSHOT
from slipstream.data.tape.ladder import LADDER_DTYPE, LEVELS, act, best, best_tick, clear_to, place, put
from slipstream.lob.replay.rows import BEST, CLEAR, DEPTH, KIND, MORE, TRADE

STATE_DTYPE = np.dtype(
    [
        ("ladder", LADDER_DTYPE),
        ("found", FOUND_DTYPE),
        ("begun", np.int64),  # a book has been heard
        ("books", np.int64),
        ("book_ns", np.int64),  # of the last snapshot
        ("best_ns", np.int64, (2,)),  # when a side's best price was told last, by a message of best prices
        ("taken", np.int64),  # rows of the input that were read
    ]
)


def new_state() -> Any:
    """Nothing heard yet, a numpy record."""
    state = np.zeros(1, STATE_DTYPE)[0]
    state["book_ns"] = -1
    state["best_ns"] = -1
    return state


@njit(cache=True)
def count(found: Any, reason: int, place_: int) -> None:
    """Note a finding."""
    at = found.fresh[reason]
    if at < KEPT:
        found.places[reason, at] = place_
        found.fresh[reason] = at + 1
    found.counts[reason] += 1


@njit(cache=True)
def _emit(out: Any, n: int, row: Any, kind: int, side: int, tick: int, lots: int) -> int:
    out[n].exch_ns = row.exch_ns
    out[n].local_ns = row.local_ns
    out[n].lots = lots
    out[n].tick = tick
    out[n].market = 0
    out[n].kind = kind | MORE
    out[n].side = side
    out[n].place = row.place
    return n + 1


@njit(cache=True)
def _legal(rows: Any, start: int, end: int, found: Any) -> bool:
    """Whether a snapshot can be one: best first on both sides, and not crossed."""
    bid, ask = -1, -1
    for i in range(start, end):
        if rows[i].kind & KIND == NOTHING:
            continue
        if rows[i].side > 0 and bid < 0:
            bid = rows[i].tick
        if rows[i].side < 0 and ask < 0:
            ask = rows[i].tick
        if i > start and rows[i].side == rows[i - 1].side and rows[i].side * (rows[i - 1].tick - rows[i].tick) <= 0:
            count(found, UNSORTED, rows[i].place)
            return False
    if bid >= 0 and ask >= 0 and bid >= ask:
        count(found, CROSSED, rows[start].place)
        return False
    return True


@njit(cache=True)
def _left(ladder: Any, rows: Any, start: int, end: int, s: int, out: Any, n: int) -> int:
    """Emit, and forget, the levels of a side that a snapshot does not have; the levels of both run from the best."""
    sign = 1 - 2 * s
    i = start
    kept = 0
    held = ladder.n[s]
    for at in range(held - 1, -1, -1):
        key = ladder.keys[s, at]
        while i < end and (rows[i].side != sign or sign * rows[i].tick > key):
            i += 1
        if i < end and sign * rows[i].tick == key:
            kept += 1
        else:
            n = _emit(out, n, rows[start], DEPTH, sign, sign * key, 0)
            ladder.lots[s, at] = 0
    if kept < held:
        to = 0
        for at in range(held):
            if ladder.lots[s, at] > 0:
                ladder.keys[s, to] = ladder.keys[s, at]
                ladder.lots[s, to] = ladder.lots[s, at]
                to += 1
        ladder.n[s] = to
    return n


@njit(cache=True)
def _snapshot(state: Any, rows: Any, start: int, end: int, out: Any, n: int) -> int:
    ladder = state.ladder
    if not _legal(rows, start, end, state.found):
        return n
    began = n
    ns = rows[start].exch_ns
    for s in range(2):
        told = -1
        for i in range(end - 1, start - 1, -1):
            if rows[i].side == 1 - 2 * s:
                told = rows[i].tick
        if state.best_ns[s] == ns and told != best_tick(ladder, s):
            count(state.found, DISAGREES, rows[start].place)
            break
    for s in range(2):
        n = _left(ladder, rows, start, end, s, out, n)
    for i in range(start, end):
        if rows[i].kind & KIND == NOTHING:
            continue
        s = 0 if rows[i].side > 0 else 1
        key = rows[i].side * rows[i].tick
        at = place(ladder, s, key)
        if at < ladder.n[s] and ladder.keys[s, at] == key and ladder.lots[s, at] == rows[i].lots:
            continue
        if i - start >= LEVELS:
            count(state.found, TOO_DEEP, rows[i].place)
            continue
        put(ladder, s, key, rows[i].lots)
        n = _emit(out, n, rows[i], DEPTH, rows[i].side, rows[i].tick, rows[i].lots)
    if n == began and state.book_ns == ns:
        count(state.found, SAME_BOOK, rows[start].place)
        return n
    state.begun = 1
    state.books += 1
    state.book_ns = ns
    return n if n > began else _repeat(ladder, rows[start], out, n)


@njit(cache=True)
def _repeat(ladder: Any, row: Any, out: Any, n: int) -> int:
    """Nothing changed: say a best price again, since it was heard."""
    for s in range(2):
        at = ladder.n[s] - 1
        if at >= 0:
            key = ladder.keys[s, at]
            return int(_emit(out, n, row, BEST, 1 - 2 * s, key if s == 0 else -key, ladder.lots[s, at]))
    return int(_emit(out, n, row, BEST, 1, -1, 0))


@njit(cache=True)
def _best(ladder: Any, row: Any, out: Any, n: int, found: Any) -> int:
    s = 0 if row.side > 0 else 1
    other = 1 - s
    key = row.side * row.tick
    at = ladder.n[s] - 1
    if row.lots > 0:
        if at >= 0 and ladder.keys[s, at] == key and ladder.lots[s, at] == row.lots:
            return n
        if ladder.n[other] > 0 and ladder.keys[other, ladder.n[other] - 1] >= -key:
            count(found, CROSSES, row.place)
            clear_to(ladder, other, -key)
            n = _emit(out, n, row, CLEAR, -row.side, row.tick, 0)
    elif at < 0:
        return n
    best(ladder, s, key, row.lots)
    return int(_emit(out, n, row, BEST, row.side, row.tick if row.lots > 0 else -1, row.lots))


@njit(cache=True)
def _bests(state: Any, rows: Any, start: int, end: int, out: Any, n: int) -> int:
    """Best prices: of two sides, the one first that does not cross the other side's old best."""
    ladder = state.ladder
    began = n
    first = start
    if end - start == 2 and rows[start].lots > 0:
        s = 0 if rows[start].side > 0 else 1
        key = rows[start].side * rows[start].tick
        if ladder.n[1 - s] > 0 and ladder.keys[1 - s, ladder.n[1 - s] - 1] >= -key:
            first = start + 1
    for k in range(end - start):
        i = start + (first - start + k) % (end - start)
        n = _best(ladder, rows[i], out, n, state.found)
        state.best_ns[0 if rows[i].side > 0 else 1] = rows[i].exch_ns
    if n == began and end > start:
        return int(_repeat(ladder, rows[start], out, n))
    return n


@njit(cache=True)
def difference(state: Any, rows: Any, out: Any) -> int:
    """Turn heard rows, in order, into a tape's rows; how many. ``state.taken`` says how many were read.

    Stops before a message for which ``out`` may have no room. The last message of ``rows`` must be whole.
    """
    n = 0
    i = 0
    ladder = state.ladder
    while i < len(rows):
        end = i + 1
        while rows[end - 1].kind & MORE and end < len(rows):
            end += 1
        if n + 2 * (end - i) + ladder.n[0] + ladder.n[1] + 2 > len(out):
            break
        kind = rows[i].kind & KIND
        began = n
        if kind in (SNAPSHOT, NOTHING):
            n = _snapshot(state, rows, i, end, out, n)
        elif state.begun == 0:
            count(state.found, BEFORE_BOOK, rows[i].place)
        elif kind == BEST:
            n = _bests(state, rows, i, end, out, n)
        else:
            for k in range(i, end):
                own = rows[k].kind & KIND
                act(ladder, rows[k])
                n = _emit(out, n, rows[k], own, rows[k].side, rows[k].tick, rows[k].lots)
                if own == TRADE:
                    out[n - 1].kind = TRADE  # each trade is heard by itself
        if n > began:
            out[n - 1].kind = out[n - 1].kind & KIND
        i = end
    state.taken = i
    return n


ROOM = 1 << 17  # rows of an output buffer: beyond any message and book


def differences(state: Any, rows: Any) -> Any:
    """All that heard rows, in order and in whole messages, become; fresh findings are in ``state.found``."""
    state["found"]["fresh"] = 0
    parts = []
    out = np.empty(ROOM, HEARD_DTYPE)
    at = 0
    while at < len(rows):
        n = difference(state, rows[at:], out)
        if not state["taken"]:
            raise OverflowError(f"a message of more than {ROOM // 4} rows")
        parts.append(out[:n].copy())
        at += int(state["taken"])
    return np.concatenate(parts) if parts else np.zeros(0, HEARD_DTYPE)
