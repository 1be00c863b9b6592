"""What a broker keeps for who does not come back, and what a connection finds that was cut for longer than that."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from decimal import Decimal
from pathlib import Path

import pytest

from slipstream.model.errors import ConfigError
from slipstream.model.mandate import Mandate
from slipstream.model.topics import Topics
from slipstream.runtime.bus.broker import BrokerOptions, EmbeddedBroker, find_broker
from slipstream.runtime.bus.mqtt import MqttBus
from tests.runtime.bus.test_conformance import until

TOPICS = Topics("test")
MEGABYTE = 1 << 20


class Wire:
    """A connection to a port that can be cut, and mended."""

    def __init__(self, port: int) -> None:
        self._to, self.port = port, 0
        self._server: asyncio.Server | None = None
        self._open: list[asyncio.StreamWriter] = []

    async def mend(self) -> None:
        self._server = await asyncio.start_server(self._join, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._open:
            writer.close()
        self._open.clear()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)
        self._open += [writer, far_writer]
        async with asyncio.TaskGroup() as group:
            group.create_task(self._carry(reader, far_writer))
            group.create_task(self._carry(far_reader, writer))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
        writer.close()


def large(version: int) -> Mandate:
    return Mandate(version, "maker", Decimal(1), Decimal(1), {f"coin-{n}": Decimal(n) for n in range(40_000)})


def stored(folder: Path) -> int:
    with suppress(FileNotFoundError):
        return sum(one.stat().st_size for one in folder.rglob("*.blk"))
    return 0


async def test_who_does_not_come_back_does_not_fill_the_broker_and_who_comes_late_hears_again(tmp_path: Path) -> None:
    try:
        find_broker("nats")
    except ConfigError as error:
        pytest.skip(str(error))
    options = BrokerOptions(
        realm="test", directory=tmp_path / "bus", processes=("allocator", "maker"), kind="nats", forget_s=1.0
    )
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(EmbeddedBroker(options))
        wire = Wire(broker.port)
        await wire.mend()
        stack.push_async_callback(wire.cut)
        url = broker.url("maker").replace(f":{broker.port}", f":{wire.port}")
        maker = await stack.enter_async_context(MqttBus(url, "maker", forget_s=0.2))
        await maker.subscribe(TOPICS.mandate("maker"))
        await until(lambda: maker.is_connected)
        allocator = await stack.enter_async_context(MqttBus(broker.url("allocator"), "allocator"))
        await until(lambda: allocator.is_connected)
        await wire.cut()
        for version in range(12):
            await allocator.publish(TOPICS.mandate("maker"), large(version))
        await until(lambda: stored(tmp_path / "bus") > 2 * MEGABYTE)
        await until(lambda: stored(tmp_path / "bus") < MEGABYTE, 30.0)
        await wire.mend()
        await until(lambda: maker.is_connected, 20.0)
        await allocator.publish(TOPICS.mandate("maker"), large(99))
        async with asyncio.timeout(10.0):
            async for received in maker.messages():
                assert isinstance(received.message, Mandate)
                if received.message.version == 99:
                    break
