"""A running venue and a trader that speaks its wire by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import aiohttp
import msgspec
import pytest

from slipstream.venues.emulator.serve import RunningVenue, ServeOptions, running_venue
from slipstream.venues.hyperliquid.signing import Signer


class Trader:
    """Signs and sends; nonces count up from the venue's clock."""

    def __init__(self, venue: RunningVenue, http: aiohttp.ClientSession, key: str = "0x" + "55" * 32) -> None:
        self.venue, self.http = venue, http
        self.signer = Signer(key)
        self.user = self.signer.address
        self.nonce = venue.venue.clock.wall_ms()
        venue.exchange.faucet(self.user)

    def signed(self, action: dict[str, Any], source: str = "b", **extra: Any) -> dict[str, Any]:
        self.nonce += 1
        signature = self.signer.sign_l1(
            action, self.nonce, source, extra.get("vaultAddress"), extra.get("expiresAfter")
        )
        return {"action": action, "nonce": self.nonce, "signature": signature.to_wire(), **extra}

    async def post(self, path: str, body: Any) -> tuple[int, Any]:
        data = body if isinstance(body, bytes) else msgspec.json.encode(body)
        async with self.http.post(self.venue.url + path, data=data) as answer:
            raw = await answer.read()
            return answer.status, msgspec.json.decode(raw) if "json" in answer.content_type else raw.decode()

    async def send(self, action: dict[str, Any], **extra: Any) -> Any:
        status, answer = await self.post("/exchange", self.signed(action, **extra))
        assert status == 200, answer
        return answer

    async def info(self, kind: str, **fields: Any) -> Any:
        status, answer = await self.post("/info", {"type": kind, **fields})
        assert status == 200, answer
        return answer

    async def control(self, verb: str, **fields: Any) -> Any:
        status, answer = await self.post(f"/control/{verb}", fields)
        assert status == 200, answer
        return answer

    def order(
        self, factor: str = "0.9", sz: str = "0.01", tif: str = "Gtc", cloid: str | None = None
    ) -> dict[str, Any]:
        mid = self.venue.exchange.contexts["BTC"].mid
        assert mid is not None
        px = self.venue.exchange.instruments["BTC"].quantise(mid * Decimal(factor), "ROUND_FLOOR")
        wire: dict[str, Any] = {"a": 0, "b": True, "p": str(px), "s": sz, "r": False, "t": {"limit": {"tif": tif}}}
        if cloid is not None:
            wire["c"] = cloid
        return {"type": "order", "orders": [wire], "grouping": "na"}


def quick(**changes: Any) -> ServeOptions:
    """Two coins, a block after every action."""
    return ServeOptions(**{"port": 0, "pace": "instant", "control": True, "coins": ("BTC", "ETH"), **changes})


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
        yield session


@pytest.fixture
async def venue() -> AsyncIterator[RunningVenue]:
    async with running_venue(quick()) as running:
        await running.step(5)
        yield running


@pytest.fixture
def trader(venue: RunningVenue, http: aiohttp.ClientSession) -> Trader:
    return Trader(venue, http)


@pytest.fixture
def make_trader() -> type[Trader]:
    return Trader


@pytest.fixture
def options() -> Any:
    return quick
