"""The running venue: an exchange, its clock, its tape and its listeners. One event loop, one thread."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any, Literal

from slipstream.venues.emulator import shapes
from slipstream.venues.emulator.auth import Envelope, Network, identify, read_envelope
from slipstream.venues.emulator.clock import VenueClock
from slipstream.venues.emulator.exchange import Exchange
from slipstream.venues.emulator.exchange.refusal import RequestRefused
from slipstream.venues.emulator.faults import Faults
from slipstream.venues.emulator.feed import Feed
from slipstream.venues.emulator.hub import Hub
from slipstream.venues.emulator.limits import Limits
from slipstream.venues.emulator.shapes import Json, number
from slipstream.venues.emulator.state import Block
from slipstream.venues.emulator.tape import Tape

BLOCK_NS = 100_000_000
Pace = Literal["clock", "stepped", "instant"]


class Venue:
    """What the server's routes share.

    ``pace`` says what makes blocks: the clock (every 100 ms of wall time), whoever calls `step` (tests), or the
    arrival of an action (``instant``: tests with blocking clients).
    """

    def __init__(
        self,
        exchange: Exchange,
        feed: Feed,
        clock: VenueClock,
        *,
        faults: Faults,
        limits: Limits,
        network: Network = "any",
        pace: Pace = "clock",
    ) -> None:
        self.exchange = exchange
        self.feed = feed
        feed.now_ms = exchange.now_ns // 1_000_000
        self.clock = clock
        self.faults = faults
        self.limits = limits
        self.network = network
        self.pace = pace
        self.hub = Hub(faults)
        self.tape = Tape(exchange.instruments)
        self.listeners: list[Any] = []  # called with every block
        self.lag_ms = 0.0
        self.pace_now = clock.speed  # as measured
        self.ready = False
        self.trouble = ""  # why the last snapshot could not be written
        self._waiting: set[asyncio.Future[Json]] = set()
        self._instant: asyncio.Handle | None = None

    def asset_contexts(self) -> list[Json]:
        """Every context, at the place of its asset id."""
        listed = sorted(self.exchange.instruments.values(), key=lambda i: i.asset)
        return [shapes.context(i, self.exchange.contexts[i.coin], self.feed.day(i.coin)) for i in listed]

    def context(self, coin: str) -> Json:
        """The context of one coin."""
        return shapes.context(self.exchange.instruments[coin], self.exchange.contexts[coin], self.feed.day(coin))

    def mids(self) -> dict[str, str]:
        """Mid prices; the last trade or mark where a book lacks a side."""
        return {
            coin: number(context.mid or context.last or context.mark)
            for coin, context in self.exchange.contexts.items()
        }

    def step(self, blocks: int = 1, ns: int = BLOCK_NS) -> list[Block]:
        """Make blocks by hand, each some ns of venue time long, and publish them."""
        return [self.advance(self.exchange.now_ns + ns) for _ in range(blocks)]

    def advance(self, to_ns: int) -> Block:
        """One block up to a venue time (at least a microsecond ahead), published."""
        target = max(to_ns, self.exchange.now_ns + 1_000)
        block = self.exchange.step(target, self.clock.wall_ms())
        self.feed.now_ms = target // 1_000_000
        for listener in self.listeners:
            listener(block)
        return block

    async def act(self, body: Any) -> Json:
        """Carry out a signed request: the venue's answer, once its block has committed.

        Raises Malformed (HTTP 422).
        """
        envelope = read_envelope(body)
        try:
            sender = identify(envelope, self.exchange.knows, self.network)
            self._check_skewed(envelope)
        except RequestRefused as refusal:
            return {"status": "err", "response": str(refusal)}
        answered: asyncio.Future[Json] = asyncio.get_running_loop().create_future()

        def reply(answer: Json) -> None:
            if not answered.done():
                answered.set_result(answer)

        self.exchange.submit(
            envelope.action,
            signer=sender.address,
            nonce=envelope.nonce,
            vault=envelope.vaultAddress,
            expires_after=envelope.expiresAfter,
            wall_ms=self.clock.wall_ms(),
            user_signed=sender.user_signed,
            reply=reply,
        )
        if answered.done():
            return answered.result()
        if self.pace == "instant" and self._instant is None:
            self._instant = asyncio.get_running_loop().call_soon(self._step_now)
        self._waiting.add(answered)
        try:
            return await answered
        finally:
            self._waiting.discard(answered)

    def _check_skewed(self, envelope: Envelope) -> None:
        """With a skewed clock only that clock counts; the exchange itself is content with either of two."""
        if not self.clock.skew_ns:
            return
        now, settings = self.clock.wall_ms(), self.exchange.settings
        low, high = now - settings.nonce_past_ms, now + settings.nonce_future_ms
        if envelope.nonce < low:
            raise RequestRefused(f"Invalid nonce: nonce too low {envelope.nonce} < {low}")
        if envelope.nonce > high:
            raise RequestRefused(f"Invalid nonce: nonce too high {envelope.nonce} > {high}")
        if envelope.expiresAfter is not None and envelope.expiresAfter < now:
            raise RequestRefused("Action already expired")

    async def befall(self, path: str) -> str | None:
        """Wait out any latency of a path; the fault that then befalls a request, if any."""
        if not self.faults.http:
            return None
        if late := self.faults.latency(path):
            await asyncio.sleep(late)
        rule = self.faults.request(path)
        if rule is None:
            return None
        self.faults.status = rule.status
        return rule.kind

    def _step_now(self) -> None:
        self._instant = None
        self.step()

    def close(self) -> None:
        """Let go of everybody who still waits for a block."""
        for future in list(self._waiting):
            future.cancel()

    def health(self) -> Json:
        """What ``/healthz`` says."""
        return {
            "status": "ok" if self.ready else "starting",
            "trouble": self.trouble,
            "time": self.exchange.now_ns // 1_000_000,
            "speed": self.clock.speed,
            "paused": self.clock.paused,
            "height": self.exchange.height,
            "lag": round(self.lag_ms, 1),
            "pace": round(self.pace_now, 2),
            "coins": len(self.exchange.instruments),
            "accounts": len(self.exchange.accounts),
            "connections": len(self.hub.peers),
            "subscriptions": sum(len(peers) for peers in self.hub.topics.values()),
            "faults": len(self.faults.http) + len(self.faults.streams),
        }

    def deposit(self, address: str, usdc: Decimal) -> None:
        """Test money for an address, whoever it is."""
        self.exchange.deposit(address, usdc)
