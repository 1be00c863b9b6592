"""A fund on the real emulator: two pods trade one account with real orders, an auditor reads it by address.

Venue time is stepped in blocks of 100 ms at 1x; a look every five blocks, a report every ten. Pods learn what happened
from a reader of their own, and may be told to lie.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import aiohttp
import msgspec

from slipstream.execution.ledger import Ledger
from slipstream.federation.auditor.auditor import Auditor
from slipstream.federation.auditor.limits import SECOND, AuditLimits
from slipstream.federation.auditor.memory import Memory
from slipstream.federation.auditor.observe import Addressed, Heard, Observation
from slipstream.federation.auditor.roster import PodSpec, Roster
from slipstream.model.breaks import Break
from slipstream.model.cloid import Cloid, pod_id
from slipstream.model.commands import Cancel, Place
from slipstream.model.events import Fill
from slipstream.model.instrument import Side
from slipstream.model.mandate import Halt, Mandate, Stage, TradingState
from slipstream.model.messages import Beat, OrderLine, PodReport
from slipstream.model.order import Tif
from slipstream.processes.auditor import view_of
from slipstream.venues.emulator.serve import RunningVenue, ServeOptions, running_venue
from slipstream.venues.hyperliquid import actions, wire
from slipstream.venues.hyperliquid.limits import Weights
from slipstream.venues.hyperliquid.reader import AccountReader
from slipstream.venues.hyperliquid.rest import Rest
from slipstream.venues.hyperliquid.signing import Signer
from tests.federation.auditor.reporting import honest_report

COINS = ("BTC", "ETH", "SOL", "WLFI")
GRANTED = {"brawler": ("BTC", "ETH"), "gradient": ("SOL",)}
START = (1_800_000_000 // 3600 * 3600 + 3570) * SECOND  # funding is settled half a minute after the start
Lie = Callable[[PodReport], PodReport | None]


class StagePod:
    """An honest pod, until ``lie`` changes what it says."""

    def __init__(self, stage: FundStage, slug: str, phase: int) -> None:
        self.stage, self.slug, self.phase = stage, slug, phase
        self.ledger = Ledger()
        self.ledger.open(stage.ns, ())
        self.fills: list[Fill] = []
        self.orders: dict[str, OrderLine] = {}
        self.run, self.seq, self.intent, self.as_of = 1, 0, 0, 0
        self.mandate: Mandate | None = None
        self.state = TradingState.ACTIVE
        self.lie: Lie | None = None
        self.lied_ns = 0
        self.last: list[PodReport] = []

    def report(self) -> None:
        """Say what is known, or what the lie makes of it."""
        stage = self.stage
        self.seq += 1
        said: PodReport | None = honest_report(
            self.ledger,
            stage.px,
            self.orders.values(),
            self.mandate,
            pod=self.slug,
            account=stage.address,
            run=self.run,
            seq=self.seq,
            ns=stage.ns,
            wall_ns=stage.ns,
            as_of_ns=self.as_of,
            state=self.state,
        )
        assert said is not None
        self.last.append(said)
        if self.lie is not None:
            self.lied_ns = self.lied_ns or stage.ns
            said = self.lie(said)
        if said is not None:
            stage.bus.append(said)

    def learn(self, fill: Fill) -> None:
        """A fill of ours."""
        self.as_of = max(self.as_of, fill.ns)
        if self.ledger.fill(fill):
            self.fills.append(fill)
            order = self.orders.get(fill.cloid or "")
            if order is not None and order.remaining > fill.sz:
                left = order.remaining - fill.sz
                self.orders[order.cloid] = msgspec.structs.replace(order, remaining=left, oid=fill.oid)
            elif order is not None:
                del self.orders[order.cloid]

    def updated(self, update: wire.OrderUpdate) -> None:
        """An order of ours changed."""
        order = self.orders.get(update.order.cloid or "")
        if order is not None and update.status == "open":
            self.orders[order.cloid] = msgspec.structs.replace(order, oid=update.order.oid)
        elif order is not None and update.status != "filled":
            del self.orders[order.cloid]

    def cloid(self, whose: str | None = None) -> str:
        """The next cloid; ``whose``: with another pod's prefix."""
        self.intent += 1
        return str(Cloid(pod_id(whose or self.slug), self.run, self.intent))

    async def send(self, *orders: tuple[str, str, str, Tif], whose: str | None = None) -> None:
        """Place orders of (coin, signed size, price as a part of the mid, tif), counted before they are sent."""
        places = []
        for coin, signed, part, tif in orders:
            size = Decimal(signed)
            side = Side.BUY if size > 0 else Side.SELL
            instrument = self.stage.instruments[coin]
            px = instrument.passive_price(self.stage.px[coin] * Decimal(part), side)
            place = Place(self.cloid(whose), coin, side, px, abs(size), tif)
            places.append(place)
            if whose is None:
                self.orders[place.cloid] = OrderLine(place.cloid, 0, coin, side, px, abs(size))
        for request in actions.requests(places, [], [], self.stage.instruments):
            await self.stage.post(request)
        await self.stage.block()  # what did not rest ended: the update says so

    async def cancel_all(self) -> None:
        """Leave nothing resting."""
        gone = [Cancel(order.cloid, order.coin) for order in self.orders.values() if order.oid]
        for request in actions.requests([], [], gone, self.stage.instruments):
            await self.stage.post(request)
        await self.stage.block()


class FundStage:
    """The venue, the pods and the newest auditor."""

    def __init__(self, venue: RunningVenue, rest: Rest, group: asyncio.TaskGroup) -> None:
        self.venue, self.rest, self.group = venue, rest, group
        self.signer = Signer("0x" + "11" * 32)
        self.address = self.signer.address
        self.nonce = venue.exchange.now_ns // 1_000_000
        self.px: dict[str, Decimal] = {}
        self.bus: list[Heard] = []
        self.blocks = self.version = 0
        self.renew = True
        self.strangers: list[Cancel] = []
        self.beats = True
        self.instruments: dict[str, Any] = {}
        self.feed = self.reader()
        self.auditor_reader: AccountReader | None = None
        self.memory = Memory()
        self.breaks: list[tuple[int, Break]] = []
        self.pods: dict[str, StagePod] = {}
        specs = (
            PodSpec("brawler", self.address, GRANTED["brawler"], Decimal("0.5")),
            PodSpec("gradient", self.address, GRANTED["gradient"]),
        )
        self.auditor = Auditor(Roster(specs), AuditLimits(), ("brawler", "gradient", "allocator", "breaker"))

    @property
    def ns(self) -> int:
        return self.venue.exchange.now_ns

    def reader(self) -> AccountReader:
        return AccountReader(self.rest, self.venue.url, self.address, lambda: self.ns)

    async def open(self) -> None:
        await self.venue.step(10)
        meta = await self.rest.info("meta", wire.Meta)
        self.instruments = {i.coin: i for i in wire.to_instruments(meta)}
        await self.rest.info("clearinghouseState", wire.Clearinghouse, user=self.address)  # the faucet pays by name
        self.feeding = self.group.create_task(self.feed.run())
        await self.until(lambda: self.feed.known_ns > 0)
        while len(self.px) < len(COINS):
            await self.block()
        self.pods = {"brawler": StagePod(self, "brawler", 3), "gradient": StagePod(self, "gradient", 7)}

    async def until(self, done: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not done():  # noqa: ASYNC110 - sockets, not events
                await asyncio.sleep(0.0005)

    async def post(self, request: actions.Request) -> Any:
        self.nonce += 1
        body = actions.signed(request, self.signer, max(self.nonce, self.ns // 1_000_000), "b", None)
        self.nonce = max(self.nonce, self.ns // 1_000_000)
        task = self.group.create_task(self.rest.exchange(body))
        while not task.done():
            before = self.venue.exchange.now_ns
            for _ in range(20):
                await asyncio.sleep(0.0005)
                if task.done():
                    break
            if not task.done() or before == self.ns:
                await self.block()
        return task.result()

    async def block(self) -> None:
        """100 ms of venue time; pods learn, report and beat, every fifth block the auditor looks."""
        await self.venue.step(1)
        self.blocks += 1
        known = self.ns - 700_000_000
        readers = [self.feed] + ([self.auditor_reader] if self.auditor_reader is not None else [])
        await self.until(lambda: all(r.known_ns >= known for r in readers))
        look = self.feed.look()
        if look is None:
            return
        self.px |= {coin: px for coin, px in look.mids.items() if coin in COINS}
        for pod in self.pods.values():
            prefix = f"0x{pod_id(pod.slug):08x}"
            for fill in look.fills:
                if (fill.cloid or "").startswith(prefix):
                    pod.learn(fill)
            for update in look.updates:
                pod.updated(update)
            for row in look.fundings:
                pod.ledger.funding(row, shared=True)
        self._govern()
        if self.auditor_reader is not None and self.blocks % 5 == 0:
            self._audit()

    def _govern(self) -> None:
        for pod in self.pods.values():
            if self.blocks % 10 == pod.phase:
                pod.report()
        if self.blocks % 10 == 0 and self.beats:
            for process in ("brawler", "gradient", "allocator", "breaker"):
                self.bus.append(Beat(process, 1, 1, self.blocks, self.ns, self.ns))
        if self.blocks % 40 == 0 and self.renew:
            self.grant()

    def grant(self, **changes: Any) -> None:
        """New mandates for everybody; ``changes`` are brawler's."""
        self.version += 1
        for slug, pod in self.pods.items():
            lease = Mandate(
                self.version,
                slug,
                Decimal(10_000),
                Decimal(20_000),
                {coin: Decimal(3_000) for coin in GRANTED[slug]},
                60,
                Stage.GROWTH,
                self.ns,
                self.ns + 30 * SECOND,
                60 * SECOND,
            )
            if slug == "brawler" and changes:
                lease = msgspec.structs.replace(lease, **changes)
            pod.mandate = lease
            self.bus.append(lease)

    def halt(self, slug: str) -> None:
        """An operator's halt, that the pod obeys or not."""
        self.bus.append(Addressed(slug, Halt(self.ns, TradingState.HALTED, "operator", "enough", "resume", self.ns)))

    def _audit(self) -> None:
        assert self.auditor_reader is not None
        look = self.auditor_reader.look()
        heard, self.bus = tuple(self.bus), []
        seen = Observation(
            ns=self.ns,
            wall_ns=self.ns,
            accounts=(view_of(self.address, look),) if look is not None else (),
            marks=look.mids if look is not None else {},
            marks_ns=look.mids_ns if look is not None else 0,
            heard=heard,
        )
        self.memory, told = self.auditor.step(self.memory, seen)
        self.breaks += [(self.ns, item.message) for item in told if isinstance(item.message, Break)]
        if self.memory.doubted:
            self.auditor_reader.doubt()

    @asynccontextmanager
    async def audited(self) -> AsyncIterator[None]:
        """A new auditor that reads the account from the start."""
        self.auditor_reader = reader = self.reader()
        self.memory, self.breaks, self.bus = Memory(), [], []
        task = self.group.create_task(reader.run())
        try:
            await self.until(lambda: reader.known_ns > 0)
            self.grant()
            yield
        finally:
            self.auditor_reader = None
            task.cancel()

    async def blocks_of(self, count: int) -> None:
        for _ in range(count):
            await self.block()


@asynccontextmanager
async def fund_stage() -> AsyncIterator[FundStage]:
    """A running fund."""
    options = ServeOptions(port=0, pace="stepped", coins=COINS, control=True, start_ns=START)
    async with running_venue(options) as venue, aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
        stage = FundStage(venue, Rest(session, venue.url, Weights(time.monotonic, 10**9)), group)
        await stage.open()
        yield stage
        stage.feeding.cancel()
