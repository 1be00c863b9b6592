"""How a process is told to leave, and how it parts with its feeds."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack

from slipstream.model.errors import SlipstreamError
from slipstream.model.ports import Feed
from slipstream.runtime.watch import Watch


def catch_signals(stack: AsyncExitStack, stop: Callable[[str], None]) -> None:
    """Stop on SIGTERM and SIGINT for as long as the stack is open."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, f"{signal.Signals(number).name} received")
        stack.callback(loop.remove_signal_handler, number)


async def close_feeds(feeds: Mapping[str, Feed], watch: Watch) -> None:
    """Close feeds in their order, each for a bounded time."""
    for name, feed in feeds.items():
        try:
            async with asyncio.timeout(5.0):
                await feed.close()
        except (SlipstreamError, OSError, TimeoutError) as error:
            watch.log.warning("feed did not close", feed=name, error=str(error) or type(error).__name__)
