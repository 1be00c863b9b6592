"""Blocks by the clock: one every 100 ms of wall time, however fast venue time runs."""

from __future__ import annotations

import asyncio

from slipstream.venues.emulator.venue import BLOCK_NS, Venue

PERIOD = BLOCK_NS / 1e9
LONGEST_NS = 60_000_000_000
BREATH = 0.01


async def make_blocks(venue: Venue) -> None:
    """Make blocks for ever.

    A block that takes too long is followed by a breath, so that requests are answered, and by a longer block; how far
    venue time trails its clock is `Venue.lag_ms` (wall time).
    """
    loop = asyncio.get_running_loop()
    due = loop.time() + PERIOD
    while True:
        await asyncio.sleep(max(BREATH, due - loop.time()))
        due = max(due + PERIOD, loop.time())
        if venue.clock.paused:
            continue
        now, then = venue.clock.now(), venue.exchange.now_ns
        longest = max(LONGEST_NS, int(4 * BLOCK_NS * venue.clock.speed))
        venue.advance(min(now, then + longest))
        venue.lag_ms = max(0.0, (venue.clock.now() - venue.exchange.now_ns) / venue.clock.speed / 1e6)
