"""How a pod comes to its venue: asked again while it says that it may be asked again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from slipstream.model.errors import Retry
from slipstream.model.instrument import Instrument
from slipstream.model.ports import Broker
from slipstream.runtime.watch import Watch


async def start_broker(
    broker: Broker, watch: Watch, *, patience: float, is_stopped: Callable[[], bool]
) -> Sequence[Instrument] | None:
    """The broker's instruments; None if a signal came first. Raises what the broker raises when it is final.

    ``patience`` is wall seconds; after them a `Retry` is final too.
    """
    give_up = time.monotonic() + patience
    pause = 0.25
    while not is_stopped():
        try:
            return await broker.start()
        except Retry as error:
            if time.monotonic() + pause > give_up:
                raise
            watch.first_error(str(error))
            watch.say("waiting", f"for the venue: {error}")
            await asyncio.sleep(pause)
            pause = min(5.0, pause * 2)
    return None
