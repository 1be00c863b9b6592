"""One side of a recorded book: lots by level, a bitmap of the levels that hold any, and the best.

Levels count towards the better price on both sides (`SIDE_DTYPE`), so that nothing here asks which side it is. Level
0 means "none". A level beyond the best may hold lots that a later row of the other side has overtaken: such a book
was crossed for a moment; the best is then the best below them, and the lots wait for the row that removes them.
"""

from __future__ import annotations

from typing import Any

from numba import njit

from slipstream.lob.bits import mark, next_down, unmark
from slipstream.lob.replay.record import LEVELS


@njit(cache=True, forceinline=True)
def tick_at(side: Any, level: int) -> int:
    """The tick of a level, -1 of level 0."""
    return side.sign * (level - side.origin) if level > 0 else -1


@njit(cache=True)
def settle(side: Any, level: int) -> None:
    """The best is the best level at or below ``level`` (exclusive) that holds lots."""
    best = max(next_down(side, level), 0)
    side.best = best
    side.best_tick = tick_at(side, best)


@njit(cache=True, forceinline=True)
def appear(side: Any, other: Any, level: int) -> bool:
    """A level now holds lots: whether it is the new best. The other side's best gives way to it."""
    mark(side, level)
    if level <= side.best:
        return False
    side.best = level
    tick = tick_at(side, level)
    side.best_tick = tick
    overtaken = other.origin + other.sign * tick
    if other.best >= overtaken:
        settle(other, overtaken)
    return True


@njit(cache=True, forceinline=True)
def vanish(side: Any, level: int) -> None:
    """A level holds nothing any more."""
    unmark(side, level, True)
    if level == side.best:
        settle(side, level)


@njit(cache=True)
def forget(side: Any, level: int, top: int) -> None:
    """Levels from ``top`` down to ``level`` (exclusive) hold nothing any more."""
    at = next_down(side, top)
    while at > level:
        side.lots[at] = 0
        unmark(side, at, True)
        at = next_down(side, at)
    settle(side, min(side.best + 1, LEVELS))


@njit(cache=True)
def lots_at(side: Any, level: int) -> int:
    """The lots that a level shows; 0 outside the window."""
    return side.lots[level] if 0 < level < LEVELS else 0


@njit(cache=True)
def matters(market: Any, side: Any, tick: int) -> bool:
    """Whether a tick outside the window must move it: near the best, better than it, or the first of all."""
    near = LEVELS // 4
    bid, ask = market.sides[0].best_tick, market.sides[1].best_tick
    if bid < 0 and ask < 0:
        return True
    if side.best_tick >= 0 and (tick - side.best_tick) * side.sign > 0:
        return True
    return (bid >= 0 and abs(tick - bid) < near) or (ask >= 0 and abs(tick - ask) < near)
