"""Blocks by the clock: one every 100 ms of wall time, however fast venue time runs."""

from __future__ import annotations

import asyncio

from slipstream.venues.emulator.venue import BLOCK_NS, Venue

PERIOD = BLOCK_NS / 1e9
BREATH = 0.01  # seconds that requests get between two blocks at the least
LONGEST = 0.15  # seconds of wall time that one block may take, as far as can be foreseen
SLIP_MS = 1_000.0


async def make_blocks(venue: Venue) -> None:
    """Make blocks for ever.

    A block is never so long (in venue time) that computing it would starve requests: its length follows the measured
    cost of a venue second. A venue that cannot keep its speed says so: `Venue.lag_ms` is how far it trails (wall ms)
    and `Venue.pace_now` the speed it reaches. At more than 1x the clock then slips instead of trailing ever further.
    """
    loop = asyncio.get_running_loop()
    due = loop.time() + PERIOD
    cost = 0.0  # seconds of computing per ns of venue time, smoothed
    at, then = loop.time(), venue.exchange.now_ns
    while True:
        await asyncio.sleep(max(BREATH, due - loop.time()))
        due = max(due + PERIOD, loop.time())
        if venue.clock.paused:
            at, then = loop.time(), venue.exchange.now_ns
            continue
        longest = max(BLOCK_NS, int(LONGEST / cost)) if cost > 0.0 else BLOCK_NS
        start, before = loop.time(), venue.exchange.now_ns
        venue.advance(min(venue.clock.now(), before + longest))
        spent, length = loop.time() - start, venue.exchange.now_ns - before
        cost = spent / length if cost == 0.0 else 0.8 * cost + 0.2 * spent / length
        venue.lag_ms = max(0.0, (venue.clock.now() - venue.exchange.now_ns) / venue.clock.speed / 1e6)
        if venue.clock.speed > 1.0 and venue.lag_ms > SLIP_MS:
            venue.clock.slip(venue.exchange.now_ns + int(SLIP_MS * 1e6 * venue.clock.speed))
        if loop.time() - at >= 1.0:
            venue.pace_now = (venue.exchange.now_ns - then) / 1e9 / (loop.time() - at)
            at, then = loop.time(), venue.exchange.now_ns
