"""The connector against the emulated exchange, both in this process, over loopback sockets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from slipstream.model.commands import Place
from slipstream.model.events import Event, Reconnect
from slipstream.model.instrument import Instrument, Side
from slipstream.model.order import Tif
from slipstream.venues.emulator.exchange.queries import open_orders
from slipstream.venues.emulator.serve import RunningVenue, ServeOptions, running_venue
from slipstream.venues.hyperliquid.broker import BrokerOptions, HyperliquidBroker
from slipstream.venues.hyperliquid.signing import Signer

KEY = "0x" + "55" * 32
SIGNER = Signer(KEY)


class Wall:
    """The wall's clock; the venue of these tests runs at its pace."""

    def now(self) -> int:
        return time.time_ns()


class Desk:
    """A started broker and everything it said."""

    def __init__(self, venue: RunningVenue, broker: HyperliquidBroker, events: list[Event]) -> None:
        self.venue, self.broker, self.events = venue, broker, events
        self.instruments: dict[str, Instrument] = {}
        self._cloids = 0

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    async def until(self, found: Callable[[], Any], seconds: float = 8.0) -> Any:
        async with asyncio.timeout(seconds):
            while not (out := found()):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        return out

    async def heard(self, kind: type, cloid: str | None = None, count: int = 1) -> Any:
        def found() -> Any:
            rows = [e for e in self.of(kind) if cloid is None or e.cloid == cloid]
            return rows[count - 1] if len(rows) >= count else None

        return await self.until(found)

    def control(self, verb: str, **body: Any) -> dict[str, Any]:
        assert self.venue.control is not None
        status, answer = self.venue.control.answer(verb, msgspec.json.encode(body), "127.0.0.1")
        assert status == 200, answer
        return answer

    def place(
        self, factor: str = "0.9", sz: str = "0.01", side: Side = Side.BUY, tif: Tif = Tif.GTC, coin: str = "BTC"
    ) -> Place:
        self._cloids += 1
        mid = self.venue.exchange.contexts[coin].mid
        assert mid is not None
        px = self.venue.exchange.instruments[coin].quantise(mid * Decimal(factor), "ROUND_FLOOR")
        return Place(f"0x{self._cloids:032x}", coin, side, px, Decimal(sz), tif)

    @property
    def truth(self) -> dict[str, Any]:
        return self.control("truth", user=SIGNER.address)

    def open_cloids(self) -> list[str]:
        return sorted(o.cloid for o in open_orders(self.venue.exchange, SIGNER.address) if o.cloid)


@asynccontextmanager
async def trading(tmp_path: Path, venue: RunningVenue, **changes: Any) -> AsyncIterator[Desk]:
    """A started broker on a running venue, once it has reconciled."""
    venue.exchange.faucet(SIGNER.address)
    options = BrokerOptions(
        **{"url": venue.url, "coins": ("BTC", "ETH"), "nonce_file": tmp_path / "nonce", "timeout": 3.0, **changes}
    )
    broker = HyperliquidBroker(options, SIGNER, Wall())
    events: list[Event] = []
    desk = Desk(venue, broker, events)

    async def listen() -> None:
        async for event in broker.events():
            events.append(event)  # noqa: PERF401

    try:
        desk.instruments = {i.coin: i for i in await broker.start()}
        async with asyncio.TaskGroup() as group:
            task = group.create_task(listen())
            await desk.until(lambda: len(desk.of(Reconnect)) >= 2)
            yield desk
            task.cancel()
    finally:
        await broker.close()


@pytest.fixture
async def venue() -> AsyncIterator[RunningVenue]:
    options = ServeOptions(port=0, pace="clock", control=True, coins=("BTC", "ETH"))
    async with running_venue(options) as running:
        await running.step(3)
        yield running


@pytest.fixture
async def desk(tmp_path: Path, venue: RunningVenue) -> AsyncIterator[Desk]:
    async with trading(tmp_path, venue) as started:
        yield started


@pytest.fixture
def make_desk(tmp_path: Path, venue: RunningVenue) -> Callable[..., Any]:
    return lambda **changes: trading(tmp_path, venue, **changes)
