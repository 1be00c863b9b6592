"""The stream's own life: told to stop, it stops, whatever else befalls it in that moment."""

from __future__ import annotations

import asyncio
import time

from websockets.asyncio.server import ServerConnection, serve

from slipstream.model.errors import Retry
from slipstream.venues.hyperliquid.stream import Stream


async def test_a_stop_is_not_lost_in_a_failure_of_the_same_moment() -> None:
    async def quiet(socket: ServerConnection) -> None:
        await socket.wait_closed()

    async with serve(quiet, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        task: asyncio.Task[None] | None = None

        async def opened() -> None:
            assert task is not None
            task.cancel()
            raise Retry("the venue is busy")

        stream = Stream(
            f"http://127.0.0.1:{port}",
            [],
            on_open=opened,
            on_frame=lambda _: None,
            on_close=lambda _: None,
            now=time.monotonic,
        )
        task = asyncio.create_task(stream.run())
        done, _ = await asyncio.wait([task], timeout=5.0)
        assert done and task.cancelled()
        assert stream.connections == 1
