"""Moving a market's window of levels to where its prices went."""

from __future__ import annotations

from typing import Any

import numpy as np

from slipstream.lob.replay.own import NONE
from slipstream.lob.replay.record import LEVELS


def first_window(market: Any, base: int) -> None:
    """Let the levels of an empty book start at a tick."""
    market["base"] = base
    for side, sign, origin in zip(market["sides"], (1, -1), (1 - base, LEVELS - 1 + base), strict=True):
        side["sign"], side["origin"] = sign, origin
        side["best"], side["best_tick"], side["own_best"] = 0, -1, NONE


def recentre(sim: Any, market: Any, tick: int) -> int:
    """Let the levels lie around a tick; what rests stays where it is in price and queue.

    Returns how many levels that held lots fell outside the window: what they hold is forgotten.
    """
    base = max(tick - LEVELS // 2, 0)
    shift = int(market["base"]) - base
    lost = 0
    for side in market["sides"]:
        move = int(side["sign"]) * shift
        held = _held(side)
        lots = side["lots"][held].copy()
        side["lots"][held] = 0
        to = held + move
        inside = (to > 0) & (to < LEVELS)
        lost += int((~inside).sum())
        side["lots"][to[inside]] = lots[inside]
        side["origin"] += move
        best = int(side["best"]) + move
        if side["best"] > 0 and not 0 < best < LEVELS:
            below = to[inside & (to < best)]
            best = int(below.max()) if len(below) else 0
        side["best"] = best if side["best"] > 0 else 0
        side["best_tick"] = int(side["sign"]) * (int(side["best"]) - int(side["origin"])) if side["best"] > 0 else -1
        _mark(side, to[inside])
        _move_own(sim, side, move)
    market["base"] = base
    return lost


def _held(side: Any) -> Any:
    """The levels that hold lots, from the bitmap: the window itself is mostly memory that was never touched."""
    words = np.flatnonzero(side["bits0"])
    bits = np.unpackbits(side["bits0"][words].astype("<u8").view(np.uint8), bitorder="little")
    at = np.flatnonzero(bits)
    return words[at >> 6] * 64 + (at & 63)


def _mark(side: Any, levels: Any) -> None:
    """Build the bitmap of a side anew."""
    for name in ("bits0", "bits1", "bits2"):
        side[name][:] = 0
    for name, shift in (("bits0", 0), ("bits1", 6), ("bits2", 12)):
        places = levels >> shift
        np.bitwise_or.at(side[name], places >> 6, np.uint64(1) << (places & 63).astype(np.uint64))


def _move_own(sim: Any, side: Any, move: int) -> None:
    mask, best = 0, NONE
    for slot in side["own"][: int(side["own_count"])]:
        order = sim["orders"][slot]
        order["book_level"] += move
        level = int(order["book_level"])
        mask |= 1 << (level & 63)
        best = max(best, level)
    side["own_mask"], side["own_best"] = mask, best
